import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClientUnderTest } from '../drivers/client-under-test.ts'
import type { Cluster } from './cluster.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'
import type { JavaTrace } from '../drivers/java-client.ts'

const TRACE_TOPIC = 'RMQ_SYS_TRACE_TOPIC'
const TRACE_MS = 30_000

/** What Apache reads of the traces that a client wrote. */
export function tracing(cluster: () => Cluster, name: string, side: (cluster: Cluster) => ClientUnderTest): void {
  test(`${name}: sending and consuming leave traces that Apache reads`, { timeout: 90_000 }, async t => {
    const topic = await cluster().topic()
    const traces = await cluster().java.consume(t, { group: unique('traces'), subscriptions: { [TRACE_TOPIC]: '*' } })
    const group = unique('group')
    const consumer = await side(cluster()).consume(t, { group, subscriptions: { [topic]: '*' }, trace: true })
    const producer = { group: unique('producer'), trace: true }
    const message = { topic, body: 'traced', tags: 'paid', keys: ['k1', 'k2'] }
    const [receipt] = await side(cluster()).send([message], { producer })
    const { messageId = '' } = receipt ?? {}
    await consumer.received.atLeast(1)
    const found = await foundTraces(cluster(), traces.received.all, messageId)
    const pub = found.find(trace => trace.type === 'Pub')
    assert.deepEqual(
      [pub?.topic, pub?.group, pub?.tags, pub?.keys, pub?.success, pub?.bodyLength],
      [topic, producer.group, 'paid', 'k1 k2', true, 6],
    )
    const before = found.find(trace => trace.type === 'SubBefore')
    const after = found.find(trace => trace.type === 'SubAfter')
    assert.deepEqual([before?.group, after?.success], [group, true])
  })
}

/** Waits for the three entries of a message. */
async function foundTraces(
  cluster: Cluster,
  all: readonly { readonly text: string }[],
  messageId: string,
): Promise<readonly JavaTrace[]> {
  let found: JavaTrace[] = []
  await eventually(async () => {
    const read = await Promise.all(all.map(({ text }) => cluster.java.traces(text)))
    found = read.flat().filter(trace => trace.messageId === messageId)
    assert.deepEqual(found.map(({ type }) => type).toSorted(), ['Pub', 'SubAfter', 'SubBefore'])
  }, TRACE_MS)
  return found
}
