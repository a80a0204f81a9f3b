import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PopLedger, type PopQueue } from './pop-ledger.ts'

const queue: PopQueue = { topic: 'Orders', group: 'billing', queueId: 0 }
const other: PopQueue = { topic: 'Orders', group: 'shipping', queueId: 0 }
const LIMITS = { perQueue: 3, total: 4 }

const ledger = (): PopLedger => new PopLedger(() => LIMITS)
const times = (popTime: number, invisibleMs = 1000) => ({ popTime, due: popTime + invisibleMs })

test('a message is popped until it is acknowledged with the time of its last pop', () => {
  const pops = ledger()
  pops.add(queue, 5, times(100))
  assert.equal(pops.acknowledge(queue, 6, 100), false)
  assert.equal(pops.acknowledge(queue, 5, 99), false)
  assert.equal(pops.acknowledge(other, 5, 100), false)
  assert.equal(pops.acknowledge(queue, 5, 100), true)
  assert.equal(pops.acknowledge(queue, 5, 100), false)
  assert.deepEqual([pops.size, pops.takeExpired(10_000)], [0, []])
})

test('an expired message counts as popped until it is stored again', () => {
  const pops = ledger()
  pops.add(queue, 5, times(100))
  const [expired] = pops.takeExpired(1100)
  assert.deepEqual([expired?.offset, pops.size], [5, 1])
  assert.deepEqual(pops.takeExpired(9000), [])
  pops.settle(expired ?? assert.fail())
  assert.equal(pops.size, 0)
})

test('a message that is acknowledged while it expires is not popped any more', () => {
  const pops = ledger()
  pops.add(queue, 5, times(100))
  const [expired] = pops.takeExpired(1100)
  assert.ok(expired)
  assert.equal(pops.acknowledge(queue, 5, 100), true)
  assert.equal(pops.has(expired), false)
})

test('a postponed message has a new time, and the old one is not valid any more', () => {
  const pops = ledger()
  pops.add(queue, 5, times(100))
  assert.equal(pops.postpone(queue, 5, 100, times(900, 5000)), true)
  assert.equal(pops.postpone(queue, 5, 100, times(950)), false)
  assert.deepEqual(pops.takeExpired(5800), [])
  assert.equal(pops.acknowledge(queue, 5, 100), false)
  assert.equal(pops.takeExpired(5900).length, 1)
})

test('a message that is popped again belongs to its last pop only', () => {
  const pops = ledger()
  pops.add(queue, 5, times(100))
  pops.add(queue, 5, times(500))
  assert.equal(pops.size, 1)
  assert.equal(pops.acknowledge(queue, 5, 100), false)
  assert.deepEqual(pops.takeExpired(1400), [])
  assert.equal(pops.takeExpired(1500).length, 1)
})

test('there is room for so many messages of a queue, and of all', () => {
  const pops = ledger()
  assert.equal(pops.room(queue), 3)
  for (const offset of [0, 1, 2]) pops.add(queue, offset, times(1))
  assert.deepEqual([pops.room(queue), pops.room(other)], [0, 1])
  pops.acknowledge(queue, 0, 1)
  assert.deepEqual([pops.room(queue), pops.room(other)], [1, 2])
})

test('what a deleted group has popped is forgotten', () => {
  const pops = ledger()
  pops.add(queue, 0, times(1))
  pops.add(other, 0, times(1))
  pops.remove(({ group }) => group === 'billing')
  assert.deepEqual([pops.size, pops.sizeOf(queue), pops.sizeOf(other)], [1, 0, 1])
  assert.deepEqual(
    pops.takeExpired(5000).map(message => message.queue.group),
    ['shipping'],
  )
})
