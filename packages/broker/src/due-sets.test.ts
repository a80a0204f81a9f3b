import assert from 'node:assert/strict'
import { test } from 'node:test'
import { numbersFrom } from '@gantrymq/remoting/testing'
import { type DueItem, DueSets } from './due-sets.ts'

const at = (due: number) => ({ due })

test('items are taken once, when they are due, the earliest first', () => {
  const sets = new DueSets<DueItem>()
  const [late, early, later] = [at(1500), at(1000), at(9000)]
  for (const item of [late, early, later]) sets.add(item)
  assert.deepEqual(sets.take(999), [])
  assert.deepEqual(sets.take(2000), [early, late])
  assert.deepEqual(sets.take(3000), [])
  assert.deepEqual(sets.take(1_000_000), [later])
})

test('an item that is due already is taken by the next call', () => {
  const sets = new DueSets<DueItem>()
  sets.take(5000)
  const [past, removed] = [at(100), at(200)]
  sets.add(past)
  sets.add(removed)
  sets.delete(removed)
  assert.deepEqual(sets.take(5000), [past])
})

test('a clock that was set back makes no item late, and none early', () => {
  const sets = new DueSets<DueItem>()
  sets.take(100_000)
  sets.take(50_000)
  const item = at(60_000)
  sets.add(item)
  assert.deepEqual(sets.take(59_900), [])
  assert.deepEqual(sets.take(60_000), [item])
})

test('as many items as were added are taken or removed, in any order of calls', () => {
  const random = numbersFrom(7)
  const sets = new DueSets<DueItem>()
  const waiting = new Set<DueItem>()
  let now = 0
  for (let step = 0; step < 5000; step++) {
    const item = at(now + random(3000) - 300)
    sets.add(item)
    waiting.add(item)
    if (random(3) === 0) {
      const [first] = waiting
      if (first !== undefined && waiting.delete(first)) sets.delete(first)
    }
    if (random(4) > 0) continue
    now += random(500)
    for (const taken of sets.take(now)) assert.ok(waiting.delete(taken) && taken.due <= now)
    for (const left of waiting) assert.ok(left.due > now - 100, 'an item was forgotten')
  }
})
