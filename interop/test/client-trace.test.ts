import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Producer, type ProducerOptions } from '@gantrymq/client'
import { RELEASES, type Release, skipReason } from '../src/launch/apache.ts'
import { type Site, siteFor } from '../src/client/cluster.ts'
import { eventually, unique } from '../src/contract/server-under-test.ts'
import type { Owner } from '../src/launch/launched.ts'

const skip = await skipReason()
const TRACE_TOPIC = 'RMQ_SYS_TRACE_TOPIC'
const TRACE_MS = 30_000

async function producing(t: Owner, site: Site, more: Partial<ProducerOptions> = {}): Promise<Producer> {
  const options = { nameServers: site.nameServers, group: unique('producer'), trace: true, timeoutMs: 10_000 }
  const producer = await Producer.start({ ...options, ...more })
  t.after(() => producer.close())
  return producer
}

/** What mqadmin prints of a message's trace, once all of it is there. */
async function printed(site: Site, messageId: string, ...patterns: readonly RegExp[]): Promise<string> {
  let text = ''
  await eventually(async () => {
    text = await site.java.mqadmin('queryMsgTraceById', '-n', site.nameServers, '-i', messageId)
    for (const pattern of patterns) assert.match(text, pattern)
  }, TRACE_MS)
  return text
}

function traces(release: Release): void {
  const the = siteFor({ release, nameServer: 'Apache' })

  test('mqadmin shows who sent and who consumed a message', async t => {
    const topic = await the().topic()
    const group = unique('group')
    const consumer = await the().ours.consume(t, { group, subscriptions: { [topic]: '*' }, trace: true })
    const producer = await producing(t, the())
    const { messageId } = await producer.send({ topic, body: 'traced', tags: 'paid', keys: ['k1'] })
    await consumer.got.count(1)
    const sent = new RegExp(`Pub\\s+${producer.group}\\s.*success`)
    await printed(the(), messageId, sent, new RegExp(group), /success/)
  })

  test('mqadmin finds each message of a batch', async t => {
    const topic = await the().topic()
    const producer = await producing(t, the())
    const receipts = await producer.sendBatch(['one', 'two'].map(body => ({ topic, body })))
    for (const { messageId } of receipts) await printed(the(), messageId, new RegExp(`Pub\\s+${producer.group}`))
  })

  test('Java reads the half message of a transaction and its outcome', async t => {
    const topic = await the().topic()
    const listener = await the().java.consume(t, { group: unique('traces'), subscriptions: { [TRACE_TOPIC]: '*' } })
    const checkTransaction = async () => 'unknown' as const
    const producer = await producing(t, the(), { checkTransaction })
    const { messageId } = await producer.sendInTransaction({ topic, body: 'half', keys: 'k1' }, async () => 'commit')
    await eventually(async () => {
      const read = await Promise.all(listener.got.all.map(({ text }) => the().java.traces(text)))
      const found = read.flat().filter(trace => trace.messageId === messageId)
      assert.deepEqual(found.map(({ type }) => type).toSorted(), ['EndTransaction', 'Pub'])
    }, TRACE_MS)
  })

  test('closing leaves the whole trace behind', async t => {
    const topic = await the().topic()
    const producer = await producing(t, the())
    const { messageId } = await producer.send({ topic, body: 'last' })
    await producer.close()
    await printed(the(), messageId, new RegExp(`Pub\\s+${producer.group}`))
  })
}

for (const release of RELEASES) describe(`message trace, broker ${release}`, { skip }, () => traces(release))
