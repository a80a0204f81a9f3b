import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type PopReceipt,
  popMessageKey,
  popQueueKey,
  popRetryOf,
  popTopic,
  readMessageOffsets,
  readOrderCounts,
  readPopReceipt,
  readStartOffsets,
  writePopReceipt,
} from './pop-receipt.ts'

const receipt: PopReceipt = {
  startOffset: 40,
  popTime: 1700000000000,
  invisibleMs: 60_000,
  reviveQueueId: 3,
  retry: '2',
  brokerName: 'broker-a',
  queueId: 1,
  queueOffset: 42,
}

test('a receipt has eight words, or seven from an old broker', () => {
  const text = '40 1700000000000 60000 3 2 broker-a 1 42'
  assert.equal(writePopReceipt(receipt), text)
  assert.deepEqual(readPopReceipt(text), receipt)
  const old = { ...receipt, queueOffset: undefined }
  assert.equal(writePopReceipt(old), text.slice(0, -3))
  assert.deepEqual(readPopReceipt(text.slice(0, -3)), old)
})

test('a written receipt is read back unchanged', () => {
  const whole = fc.maxSafeNat()
  const any = fc.record(
    {
      startOffset: whole,
      popTime: whole,
      invisibleMs: whole,
      reviveQueueId: fc.nat(),
      retry: fc.constantFrom('0' as const, '1' as const, '2' as const),
      brokerName: fc.stringMatching(/^[a-z-]+$/),
      queueId: fc.integer({ min: -1 }),
      queueOffset: fc.option(whole, { nil: undefined }),
    },
    { noNullPrototype: true },
  )
  fc.assert(fc.property(any, value => assert.deepEqual(readPopReceipt(writePopReceipt(value)), value)))
})

test('a text that is not a receipt is refused', () => {
  const texts = [
    '',
    '1 2 3',
    '40 x 60000 3 2 b 1',
    '40 1 60000 3 9 b 1',
    '90071992547409931 1 1 1 0 b 1',
    '1  1 1 0 b 1',
  ]
  for (const text of texts) assert.throws(() => readPopReceipt(text), { code: 'BAD_BODY', message: /receipt/ }, text)
})

test('retry topics of both forms are written and recognised', () => {
  assert.equal(popTopic('0', 'T', 'g'), 'T')
  assert.equal(popTopic('1', 'T', 'g'), '%RETRY%g_T')
  assert.equal(popTopic('2', 'T', 'g'), '%RETRY%g+T')
  for (const retry of ['0', '1', '2'] as const) assert.equal(popRetryOf(popTopic(retry, 'T', 'g')), retry)
})

test('the tables of an answer are read, by queue and by message', () => {
  assert.deepEqual(
    readStartOffsets('0 1 40;1 0 7'),
    new Map([
      [popQueueKey('0', 1), 40],
      [popQueueKey('1', 0), 7],
    ]),
  )
  assert.deepEqual(
    readMessageOffsets('0 1 40,42;2 0 7'),
    new Map([
      [popQueueKey('0', 1), [40, 42]],
      [popQueueKey('2', 0), [7]],
    ]),
  )
  assert.deepEqual(
    readOrderCounts('0 1 2;0 qo1%40 3;'),
    new Map([
      [popQueueKey('0', 1), 2],
      [popMessageKey('0', 1, 40), 3],
    ]),
  )
  assert.equal(readStartOffsets('').size, 0)
})

test('tables with too few or too many words, a repeated queue or invalid numbers are refused', () => {
  for (const text of ['0 1', '0 1 2 3', '0 1 2;0 1 3', '0 1 x', ';0 1 2', '0 1 1e3']) {
    for (const read of [readStartOffsets, readMessageOffsets, readOrderCounts]) {
      assert.throws(() => read(text), { code: 'BAD_BODY', message: /Info/ }, text)
    }
  }
  assert.throws(() => readMessageOffsets('0 1 1,,2'), { code: 'BAD_BODY' })
})

test('a long run of separators is read in time proportional to its length', () => {
  const begin = performance.now()
  for (const read of [readStartOffsets, readMessageOffsets, readOrderCounts]) {
    assert.throws(() => read(`0 1 2${';'.repeat(200_000)}0`), { code: 'BAD_BODY' })
  }
  // Trying each run from each of its starts would take half a minute.
  assert.ok(performance.now() - begin < 5_000)
})
