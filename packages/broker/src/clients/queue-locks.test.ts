import assert from 'node:assert/strict'
import { test } from 'node:test'
import { QueueLocks } from './queue-locks.ts'

const queue = { group: 'g', topic: 'Orders', queueId: 0 }

test('a queue has one owner, who may renew its lock', () => {
  const locks = new QueueLocks()
  assert.equal(locks.lock(queue, 'a', 0), true)
  assert.equal(locks.lock(queue, 'b', 1), false)
  assert.equal(locks.lock(queue, 'a', 50_000), true)
  assert.equal(locks.lock(queue, 'b', 100_000), false)
  assert.equal(locks.ownerOf(queue, 100_000), 'a')
})

test('a lock that is not renewed for more than a minute can be taken over', () => {
  const locks = new QueueLocks()
  locks.lock(queue, 'a', 0)
  assert.equal(locks.lock(queue, 'b', 60_000), false)
  assert.equal(locks.lock(queue, 'b', 60_001), true)
})

test('only the owner can unlock', () => {
  const locks = new QueueLocks()
  locks.lock(queue, 'a', 0)
  locks.unlock(queue, 'b')
  assert.equal(locks.ownerOf(queue, 1), 'a')
  locks.unlock(queue, 'a')
  assert.equal(locks.ownerOf(queue, 1), undefined)
})

test('groups do not share locks', () => {
  const locks = new QueueLocks()
  locks.lock(queue, 'a', 0)
  assert.equal(locks.lock({ ...queue, group: 'h' }, 'b', 0), true)
  assert.equal(locks.hasLocks('g', 60_000), true)
  assert.equal(locks.hasLocks('g', 60_001), false)
  assert.equal(locks.hasLocks('unknown', 0), false)
})

test('a sweep keeps valid locks', () => {
  const locks = new QueueLocks()
  locks.lock(queue, 'a', 0)
  locks.lock({ ...queue, queueId: 1 }, 'a', 50_000)
  locks.sweep(70_000)
  assert.equal(locks.ownerOf({ ...queue, queueId: 1 }, 70_000), 'a')
  assert.equal(locks.lock(queue, 'b', 70_000), true)
})

test('a client cannot lock queues without end, and locks that end make room', () => {
  const locks = new QueueLocks()
  const lock = (queueId: number, now: number) => locks.lock({ ...queue, queueId }, 'a', now)
  let count = 0
  while (lock(count, 0)) count++
  assert.equal(count, 262_144)
  assert.equal(lock(7, 0), true)
  locks.unlock({ ...queue, queueId: 7 }, 'a')
  assert.deepEqual([lock(count, 0), lock(7, 0)], [true, false])
  locks.sweep(60_001)
  assert.equal(lock(7, 60_001), true)
})
