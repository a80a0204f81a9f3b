import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Producer, type ProducerOptions } from '@gantrymq/client'
import { RELEASES, skipReason } from '../src/launch/apache.ts'
import { type Cluster, type ClusterPlan, clusterFor, suiteName } from '../src/client/cluster.ts'
import { eventually } from '../src/eventually.ts'
import { unique } from '../src/unique.ts'
import type { Owner } from '../src/launch/launched-program.ts'

const skip = await skipReason()
const TRACE_TOPIC = 'RMQ_SYS_TRACE_TOPIC'
const TRACE_MS = 30_000

async function producing(t: Owner, cluster: Cluster, more: Partial<ProducerOptions> = {}): Promise<Producer> {
  const options = { nameServers: cluster.nameServers, group: unique('producer'), trace: true, timeoutMs: 10_000 }
  const producer = await Producer.start({ ...options, ...more })
  t.after(() => producer.close())
  return producer
}

/** Waits until mqadmin prints the whole trace of a message. */
async function printed(cluster: Cluster, messageId: string, ...patterns: readonly RegExp[]): Promise<string> {
  let text = ''
  await eventually(async () => {
    text = await cluster.java.mqadmin('queryMsgTraceById', '-n', cluster.nameServers, '-i', messageId)
    for (const pattern of patterns) assert.match(text, pattern)
  }, TRACE_MS)
  return text
}

function traces(plan: ClusterPlan): void {
  const cluster = clusterFor(plan)

  test('mqadmin shows the producer and the consumer of a message', async t => {
    const topic = await cluster().topic()
    const group = unique('group')
    const consumer = await cluster().ours.consume(t, { group, subscriptions: { [topic]: '*' }, trace: true })
    const producer = await producing(t, cluster())
    const { messageId } = await producer.send({ topic, body: 'traced', tags: 'paid', keys: ['k1'] })
    await consumer.received.atLeast(1)
    const sent = new RegExp(`Pub\\s+${producer.group}\\s.*success`)
    await printed(cluster(), messageId, sent, new RegExp(group), /success/)
  })

  test('mqadmin finds each message of a batch', async t => {
    const topic = await cluster().topic()
    const producer = await producing(t, cluster())
    const receipts = await producer.sendBatch(['one', 'two'].map(body => ({ topic, body })))
    for (const { messageId } of receipts) await printed(cluster(), messageId, new RegExp(`Pub\\s+${producer.group}`))
  })

  test('Java reads the half message of a transaction and its outcome', async t => {
    const topic = await cluster().topic()
    const listener = await cluster().java.consume(t, { group: unique('traces'), subscriptions: { [TRACE_TOPIC]: '*' } })
    const checkTransaction = async () => 'unknown' as const
    const producer = await producing(t, cluster(), { checkTransaction })
    const { messageId } = await producer.sendInTransaction({ topic, body: 'half', keys: 'k1' }, async () => 'commit')
    await eventually(async () => {
      const read = await Promise.all(listener.received.all.map(({ text }) => cluster().java.traces(text)))
      const found = read.flat().filter(trace => trace.messageId === messageId)
      assert.deepEqual(found.map(({ type }) => type).toSorted(), ['EndTransaction', 'Pub'])
    }, TRACE_MS)
  })

  test('close sends the rest of the trace', async t => {
    const topic = await cluster().topic()
    const producer = await producing(t, cluster())
    const { messageId } = await producer.send({ topic, body: 'last' })
    await producer.close()
    await printed(cluster(), messageId, new RegExp(`Pub\\s+${producer.group}`))
  })
}

for (const release of RELEASES) {
  for (const broker of ['Apache', 'ours'] as const) {
    const plan: ClusterPlan = { release, nameServer: 'Apache', broker, title: 'message trace' }
    describe(suiteName(plan), { skip }, () => traces(plan))
  }
}
