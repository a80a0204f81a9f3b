import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultPullLimits, pullHold, sharedLimits } from './flow-control.ts'

const idle = { count: 0, size: 0, span: 0, firstOffset: undefined }
const MEBIBYTE = 1 << 20

function reasonFor(backlog: Partial<typeof idle>, orderly = false): string | undefined {
  return pullHold({ ...idle, ...backlog }, defaultPullLimits, orderly)?.reason
}

test('a queue is pulled up to its limits, and held beyond them', () => {
  assert.equal(reasonFor({}), undefined)
  assert.deepEqual([reasonFor({ count: 1000 }), reasonFor({ count: 1001 })], [undefined, 'count'])
  assert.deepEqual([reasonFor({ size: 101 * MEBIBYTE - 1 }), reasonFor({ size: 101 * MEBIBYTE })], [undefined, 'size'])
  assert.deepEqual([reasonFor({ span: 2000 }), reasonFor({ span: 2001 })], [undefined, 'span'])
})

test('orderly consumers are not held by the span', () => {
  assert.equal(reasonFor({ span: 1e9 }, true), undefined)
  assert.equal(reasonFor({ count: 1001 }, true), 'count')
})

test('the sentence says how much waits, the limit, and which offset is stuck', () => {
  const held = pullHold({ count: 1001, size: 0, span: 0, firstOffset: 77 }, defaultPullLimits, false)
  assert.equal(held?.sentence, '1001 messages wait, the limit is 1000; the oldest is at offset 77')
})

test('limits of the topic are shared by the queues held, at least one each', () => {
  const shares = [1, 2, 3].map(held => sharedLimits(defaultPullLimits, { messagesPerTopic: 1024 }, held))
  assert.deepEqual(
    shares.map(limits => limits.messagesPerQueue),
    [1024, 512, 341],
  )
  assert.equal(sharedLimits(defaultPullLimits, { mebibytesPerTopic: 3 }, 8).mebibytesPerQueue, 1)
  assert.deepEqual(sharedLimits(defaultPullLimits, {}, 3), defaultPullLimits)
  assert.deepEqual(sharedLimits(defaultPullLimits, { messagesPerTopic: 5 }, 0), defaultPullLimits)
})
