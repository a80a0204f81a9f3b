import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Side } from '../drivers/client-under-test.ts'
import type { Site } from './cluster.ts'
import { eventually, unique } from '../contract/server-under-test.ts'
import type { JavaTrace } from '../drivers/java-client.ts'

const TRACE_TOPIC = 'RMQ_SYS_TRACE_TOPIC'
const TRACE_MS = 30_000

/** What Apache reads of the traces that a client wrote. */
export function tracing(the: () => Site, name: string, side: (site: Site) => Side): void {
  test(`${name}: sending and consuming leave traces that Apache reads`, { timeout: 90_000 }, async t => {
    const topic = await the().topic()
    const traces = await the().java.consume(t, { group: unique('traces'), subscriptions: { [TRACE_TOPIC]: '*' } })
    const group = unique('group')
    const consumer = await side(the()).consume(t, { group, subscriptions: { [topic]: '*' }, trace: true })
    const producer = { group: unique('producer'), trace: true }
    const message = { topic, body: 'traced', tags: 'paid', keys: ['k1', 'k2'] }
    const [receipt] = await side(the()).send([message], { producer })
    const { messageId = '' } = receipt ?? {}
    await consumer.got.count(1)
    const found = await foundTraces(the(), traces.got.all, messageId)
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
  site: Site,
  all: readonly { readonly text: string }[],
  messageId: string,
): Promise<readonly JavaTrace[]> {
  let found: JavaTrace[] = []
  await eventually(async () => {
    const read = await Promise.all(all.map(({ text }) => site.java.traces(text)))
    found = read.flat().filter(trace => trace.messageId === messageId)
    assert.deepEqual(found.map(({ type }) => type).toSorted(), ['Pub', 'SubAfter', 'SubBefore'])
  }, TRACE_MS)
  return found
}
