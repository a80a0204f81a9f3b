import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exceededLimit, limitsPerQueue, SharedLimits } from './flow-control.ts'

const idle = { count: 0, size: 0, span: 0 }
/** The defaults of the Java client. */
const defaultLimits = { messagesPerQueue: 1000, mebibytesPerQueue: 100, span: 2000 }
const MEBIBYTE = 1 << 20

function limitOf(backlog: Partial<typeof idle>, orderly = false): string | null {
  return exceededLimit({ ...idle, ...backlog }, defaultLimits, orderly)
}

test('a queue is pulled up to its limits and not beyond them', () => {
  assert.equal(limitOf({}), null)
  assert.deepEqual([limitOf({ count: 1000 }), limitOf({ count: 1001 })], [null, 'count'])
  assert.deepEqual([limitOf({ size: 101 * MEBIBYTE - 1 }), limitOf({ size: 101 * MEBIBYTE })], [null, 'size'])
  assert.deepEqual([limitOf({ span: 2000 }), limitOf({ span: 2001 })], [null, 'span'])
})

test('the span does not limit orderly consumers', () => {
  assert.equal(limitOf({ span: 1e9 }, true), null)
  assert.equal(limitOf({ count: 1001 }, true), 'count')
})

test('the limits of a topic are divided by the queues held, with at least one for each', () => {
  const perQueue = [1, 2, 3].map(held => limitsPerQueue(defaultLimits, { messagesPerTopic: 1024 }, held))
  assert.deepEqual(
    perQueue.map(limits => limits.messagesPerQueue),
    [1024, 512, 341],
  )
  assert.equal(limitsPerQueue(defaultLimits, { mebibytesPerTopic: 3 }, 8).mebibytesPerQueue, 1)
  assert.deepEqual(limitsPerQueue(defaultLimits, {}, 3), defaultLimits)
  assert.deepEqual(limitsPerQueue(defaultLimits, { messagesPerTopic: 5 }, 0), defaultLimits)
})

test('shared limits follow the number of queues held', () => {
  const settings = { maxQueuedMessages: 1000, maxQueuedMebibytes: 100, maxSpan: 2000 }
  const held = { size: 0 }
  const limits = new SharedLimits({ ...settings, maxTopicMessages: 300, maxTopicMebibytes: -1 }, held)
  assert.deepEqual(limits.perQueue, defaultLimits)
  held.size = 3
  assert.deepEqual(limits.perQueue, { ...defaultLimits, messagesPerQueue: 100 })
  assert.equal(limits.perQueue, limits.perQueue, 'not computed again while the number stays the same')
})
