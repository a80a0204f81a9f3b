import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRoll, type NewTimer, type Timer, TimerTable } from './timer-table.ts'

const DAY_MS = 86_400_000
const timer = (outMs: number, key = 'Orders+u1'): NewTimer => ({ outMs, key, position: 0, enqueuedAt: 0 })

test('a message is due a second after its rounded time', () => {
  const table = new TimerTable(10)
  table.add(timer(5000), 300)
  assert.deepEqual(table.takeDue(5900), [])
  const [due] = table.takeDue(6000)
  assert.equal(due && isRoll(due), false)
  assert.equal(table.size, 0)
})

test('a message that waits for more than two days is stored again meanwhile', () => {
  for (const [days, lookedAtDays] of [
    [2.1, 1],
    [2.9, 2],
  ] as const) {
    const table = new TimerTable(10)
    table.add(timer(days * DAY_MS), 0)
    assert.deepEqual(table.takeDue(lookedAtDays * DAY_MS - 100), [])
    const [due] = table.takeDue(lookedAtDays * DAY_MS)
    assert.equal(due && isRoll(due), true, String(days))
  }
})

test('a message is cancelled by its key, with all that have the same', () => {
  const table = new TimerTable(10)
  for (let copies = 0; copies < 3; copies++) table.add(timer(5000), 0)
  table.add(timer(5000, 'Orders+u2'), 0)
  assert.equal(table.cancel('Orders+u3'), false)
  assert.equal(table.cancel('Orders+u1'), true)
  assert.deepEqual([table.cancel('Orders+u1'), table.size], [false, 1])
  assert.deepEqual(
    table.takeDue(9000).map(({ key }) => key),
    ['Orders+u2'],
  )
})

test('a message that is being stored can be cancelled: it does not wait on', () => {
  for (const waitOn of [
    (table: TimerTable, due: Timer) => table.retry(due, 7000),
    (table: TimerTable, due: Timer) => table.addAgain(due, 100, 6000),
  ]) {
    const table = new TimerTable(10)
    table.add(timer(5000), 0)
    const [due] = table.takeDue(6000)
    assert.ok(due)
    assert.deepEqual([table.isCancelled(due), table.cancel('Orders+u1')], [false, true])
    assert.equal(table.isCancelled(due), true)
    waitOn(table, due)
    assert.deepEqual([table.size, table.takeDue(9000)], [0, []])
  }
})

test('a message that was delivered cannot be cancelled', () => {
  const table = new TimerTable(10)
  table.add(timer(5000), 0)
  const [due] = table.takeDue(6000)
  assert.equal(due && table.end(due), true)
  assert.equal(table.cancel('Orders+u1'), false)
})

test('of several messages with the same key, those that were not delivered can be cancelled', () => {
  const table = new TimerTable(10)
  for (let copies = 0; copies < 3; copies++) table.add(timer(5000), 0)
  const [first, second, third] = table.takeDue(6000)
  assert.equal(table.end(first ?? assert.fail()), true)
  table.retry(second ?? assert.fail(), 7000)
  assert.equal(table.cancel('Orders+u1'), true)
  assert.equal(table.isCancelled(third ?? assert.fail()), true)
  assert.deepEqual([table.size, table.takeDue(9000), table.cancel('Orders+u1')], [0, [], false])
})

test('a full table says so, until messages were delivered', () => {
  const table = new TimerTable(1)
  table.add(timer(5000), 0)
  assert.equal(table.isFull, true)
  const [due] = table.takeDue(6000)
  assert.equal(table.isFull, false)
  table.retry(due ?? assert.fail(), 7000)
  assert.deepEqual([table.isFull, table.takeDue(7000).length], [true, 1])
})
