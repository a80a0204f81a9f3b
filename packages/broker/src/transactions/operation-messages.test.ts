import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EndedOffsets } from './ended-offsets.ts'
import { offsetsIn, operationFor } from './operation-messages.ts'

const read = (text: string, TAGS = 'd') =>
  offsetsIn({ body: Buffer.from(text), properties: new Map(Object.entries({ TAGS })) })

test('operations have one offset as in 4.9, or several as in 5.x', () => {
  assert.deepEqual(read('17'), [17])
  assert.deepEqual(read('0,5,17,'), [0, 5, 17])
  assert.deepEqual(read('5, 6'), [5, 6])
})

test('what is no offset, and operations of another kind, are passed over', () => {
  assert.deepEqual(read('x,-1,,7,99999999999999999999'), [7])
  assert.deepEqual(read('17', 'r'), [])
})

test('an operation is written in the form of 4.9', () => {
  const { topic, queueId, body, properties } = operationFor(17, Buffer.alloc(8), 5)
  assert.deepEqual([topic, queueId, body.toString()], ['RMQ_SYS_TRANS_OP_HALF_TOPIC', 0, '17'])
  assert.deepEqual(offsetsIn({ body, properties }), [17])
})

test('ended offsets are remembered from their start on', () => {
  const ended = new EndedOffsets(100)
  for (const offset of [99, 100, 107, 108, 1_000_000]) ended.add(offset)
  const found = [98, 99, 100, 101, 107, 108, 109, 999_999, 1_000_000, 1_000_001].filter(offset => ended.has(offset))
  assert.deepEqual(found, [100, 107, 108, 1_000_000])
})
