import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClientUnderTest } from '../drivers/client-under-test.ts'
import type { Cluster } from './cluster.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'
import type { JavaTrace } from '../drivers/java-client.ts'

const TRACE_TOPIC = 'RMQ_SYS_TRACE_TOPIC'
const TRACE_MS = 30_000

/** Apache decodes the traces that a client has written. */
export function tracing(cluster: () => Cluster, name: string, client: (cluster: Cluster) => ClientUnderTest): void {
  test(`${name}: Apache reads the traces of a send and a consumption`, { timeout: 90_000 }, async t => {
    const topic = await cluster().topic()
    const traces = await cluster().java.consume(t, { group: unique('traces'), subscriptions: { [TRACE_TOPIC]: '*' } })
    const group = unique('group')
    const consumer = await client(cluster()).consume(t, { group, subscriptions: { [topic]: '*' }, trace: true })
    const producer = { group: unique('producer'), trace: true }
    const message = { topic, body: 'traced', tags: 'paid', keys: ['k1', 'k2'] }
    const [receipt] = await client(cluster()).send([message], { producer })
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

/** Waits for the three trace entries of a message. */
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
