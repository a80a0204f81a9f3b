import assert from 'node:assert/strict'
import { test } from 'node:test'
import { writeMessageProperties } from '@gantrymq/protocol'
import { silent } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import type { SendReceipt } from '../message/message.ts'
import { TraceDispatcher } from './dispatcher.ts'
import { decodeEntries } from './entries.ts'
import { ProducerTrace } from './producer-trace.ts'

const RECEIPT: SendReceipt = {
  status: 'SEND_OK',
  messageId: 'ID1',
  offsetMessageId: 'OFF1',
  queue: { topic: 'Orders', brokerName: 'broker-a', queueId: 0 },
  queueOffset: 0,
  transactionId: undefined,
  regionId: 'here',
  traceOn: true,
  recallHandle: undefined,
}

function tracing() {
  const clock = new ManualClock()
  const bodies: string[] = []
  const sender = {
    send: ({ body }: { readonly body: string }) => Promise.resolve(void bodies.push(body)),
    close: () => Promise.resolve(),
  }
  const open = () => Promise.resolve(sender)
  const trace = new ProducerTrace(
    new TraceDispatcher({ topic: 'TRACE', clock, log: silent, open }),
    clock,
    '',
    'orders',
  )
  const entries = async () => {
    await trace.close(1000)
    return bodies.flatMap(decodeEntries)
  }
  return { trace, entries }
}

function message(topic: string, properties: Record<string, string> = {}) {
  const text = writeMessageProperties(Object.entries(properties))
  return { topic, messageId: 'ID1', properties: text, body: Buffer.from('hello') }
}

test('messages that the broker does not want traced, and trace messages, have no entry', async () => {
  const { trace, entries } = tracing()
  trace.sent(message('Orders'), { ...RECEIPT, traceOn: false }, 'h:1', 3)
  trace.sent(message('TRACE'), RECEIPT, 'h:1', 3)
  trace.sent(message('TRACE_of_the_other_region'), RECEIPT, 'h:1', 3)
  assert.deepEqual(await entries(), [])
})

test('the message type follows from the properties, with a delay first as in Apache', async () => {
  const { trace, entries } = tracing()
  for (const properties of [
    {},
    { TRAN_MSG: 'true' },
    { DELAY: '3' },
    { TIMER_DELAY_MS: '500' },
    { TRAN_MSG: 'true', DELAY: '3' },
  ]) {
    trace.sent(message('Orders', properties), RECEIPT, 'h:1', 3)
  }
  const types = (await entries()).map(entry => entry.kind === 'Pub' && entry.messageType)
  assert.deepEqual(types, [0, 1, 3, 3, 3])
})

test('a message that was stored but not flushed in time is traced as a failure', async () => {
  const { trace, entries } = tracing()
  trace.sent(message('Orders'), { ...RECEIPT, status: 'FLUSH_DISK_TIMEOUT' }, 'h:1', 3)
  const [entry] = await entries()
  assert.equal(entry?.kind === 'Pub' && entry.ok, false)
})

test('outcomes that a broker asked for and recalled messages are traced', async () => {
  const { trace, entries } = tracing()
  const common = { topic: 'Orders', messageId: 'ID1', transactionId: 'T1', address: 'h:1' }
  trace.ended({ ...common, state: 'rollback', fromCheck: true, region: 'there', tags: 'new' })
  trace.ended({ ...common, state: 'unknown', fromCheck: false })
  trace.recalled('Orders', 'ID2', true)
  const [first, second, third] = await entries()
  assert.partialDeepStrictEqual(first, { state: 'ROLLBACK_MESSAGE', fromCheck: true, region: 'there', tags: 'new' })
  assert.partialDeepStrictEqual(second, { state: 'UNKNOW', region: 'DefaultRegion', transactionId: 'T1' })
  assert.partialDeepStrictEqual(third, { kind: 'Recall', messageId: 'ID2', ok: true, group: 'orders' })
})
