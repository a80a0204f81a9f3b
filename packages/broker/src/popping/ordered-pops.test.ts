import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OrderedPops } from './ordered-pops.ts'
import type { PopQueue } from './pop-ledger.ts'

const queue: PopQueue = { topic: 'Orders', group: 'billing', queueId: 0 }

function popped(offsets: number[], popTime: number, attemptId?: string) {
  return { offsets, popTime, due: popTime + 1000, attemptId }
}

test('a queue is blocked until all messages of its last pop are acknowledged', () => {
  const pops = new OrderedPops()
  assert.equal(pops.isBlocked(queue, undefined, 0), false)
  pops.popped(queue, popped([3, 4, 7], 100), 100)
  assert.equal(pops.isBlocked(queue, undefined, 101), true)
  assert.deepEqual(pops.acknowledge(queue, 4, 100, 110), { next: 3 })
  assert.deepEqual(pops.acknowledge(queue, 3, 100, 110), { next: 7 })
  assert.equal(pops.isBlocked(queue, undefined, 120), true)
  assert.deepEqual(pops.acknowledge(queue, 7, 100, 120), { next: 8 })
  assert.equal(pops.isBlocked(queue, undefined, 121), false)
})

test('a queue is free when the messages that are not acknowledged are visible again, and that is told once', () => {
  const pops = new OrderedPops()
  pops.popped(queue, popped([3, 4], 100), 100)
  pops.acknowledge(queue, 3, 100, 200)
  pops.postpone(queue, 4, 100, 5000, 300)
  assert.deepEqual(pops.takeFreed(4900), [])
  assert.equal(pops.isBlocked(queue, undefined, 4999), true)
  assert.deepEqual(pops.takeFreed(5000), [queue])
  assert.equal(pops.isBlocked(queue, undefined, 5000), false)
  assert.deepEqual(pops.takeFreed(9000), [])
})

test('a queue is free only when the last of its messages is visible again', () => {
  const pops = new OrderedPops()
  pops.popped(queue, popped([3, 4], 100), 100)
  pops.postpone(queue, 3, 100, 3000, 200)
  assert.deepEqual(pops.takeFreed(2900), [])
  assert.equal(pops.isBlocked(queue, undefined, 2900), true)
  assert.deepEqual(pops.takeFreed(3000), [queue])
})

test('acknowledgements of an earlier pop, or of a message that it did not return, change nothing', () => {
  const pops = new OrderedPops()
  assert.deepEqual(pops.acknowledge(queue, 9, 100, 100), { next: 10 }, 'the broker does not know the pop any more')
  pops.popped(queue, popped([3], 100), 100)
  assert.equal(pops.acknowledge(queue, 3, 99, 110), 'stale')
  assert.equal(pops.acknowledge(queue, 4, 100, 110), 'unknown')
  pops.postpone(queue, 3, 99, 9000, 110)
  assert.equal(pops.isBlocked(queue, undefined, 1100), false)
})

test('deliveries are counted by message; a repeated attempt is none', () => {
  const pops = new OrderedPops()
  assert.deepEqual(pops.popped(queue, popped([3, 4], 100), 100), { byOffset: new Map(), lowest: 0 })
  const second = pops.popped(queue, popped([4, 5], 2000, 'a'), 2000)
  assert.deepEqual(second, { byOffset: new Map([[4, 1]]), lowest: 0 })
  assert.equal(pops.isBlocked(queue, 'a', 2001), false)
  assert.equal(pops.isBlocked(queue, 'b', 2001), true)
  assert.deepEqual(pops.popped(queue, popped([4, 5], 2100, 'a'), 2100).byOffset, second.byOffset)
  const third = pops.popped(queue, popped([4, 5], 4000, 'b'), 4000)
  assert.deepEqual(third, { byOffset: new Map([[4, 2], [5, 1]]), lowest: 1 }) // biome-ignore format: one thought
})

test('a queue that no one pops for a day is forgotten', () => {
  const pops = new OrderedPops()
  pops.popped(queue, popped([3], 0), 0)
  pops.sweep(86_400_000)
  assert.equal(pops.size, 1)
  pops.sweep(86_402_000)
  assert.deepEqual([pops.size, pops.takeFreed(86_402_000)], [0, []])
})
