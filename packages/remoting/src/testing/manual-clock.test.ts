import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from './manual-clock.ts'

test('time passes only when a test says so, and timers fire in the order in which they fall due', () => {
  const clock = new ManualClock(1000)
  const ticks: string[] = []
  const slow = clock.every(50, () => ticks.push(`slow ${clock.now()}`))
  clock.every(20, () => ticks.push(`fast ${clock.now()}`))
  clock.advance(60)
  assert.deepEqual(ticks, ['fast 1020', 'fast 1040', 'slow 1050', 'fast 1060'])
  assert.deepEqual([clock.now(), clock.elapsed(), clock.timers], [1060, 1060, 2])
  slow[Symbol.dispose]()
  assert.equal(clock.timers, 1)
})

test('setting the time of day moves no timer', () => {
  const clock = new ManualClock()
  let ticks = 0
  clock.every(100, () => ticks++)
  const before = clock.elapsed()
  clock.jump(3_600_000)
  assert.deepEqual([clock.elapsed(), ticks], [before, 0])
  clock.advance(100)
  assert.equal(ticks, 1)
})
