import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AwakeClock } from './awake-clock.ts'
import { ManualClock } from './testing/manual-clock.ts'

function open() {
  const manual = new ManualClock()
  return { manual, clock: new AwakeClock(manual), start: manual.elapsed() }
}

test('while the process runs, all time is counted', () => {
  const { manual, clock, start } = open()
  manual.advance(600_000)
  assert.equal(clock.elapsed() - start, 600_000)
  assert.equal(clock.now(), manual.now())
  assert.equal(clock.sinceWaking(), Infinity)
})

test('a pause of the process is counted as one second', () => {
  const { manual, clock, start } = open()
  manual.advance(10_000)
  manual.pause(130_000)
  assert.equal(clock.elapsed() - start, 11_000)
  manual.advance(5_000)
  assert.equal(clock.elapsed() - start, 16_000)
  assert.equal(clock.sinceWaking(), 5_000)
})

test('a jump of the time of day does not change the elapsed time', () => {
  const { manual, clock, start } = open()
  manual.jump(130_000)
  manual.jump(-260_000)
  assert.equal(clock.elapsed() - start, 0)
})

test('a disposed clock has no timer', () => {
  const { manual, clock } = open()
  clock[Symbol.dispose]()
  assert.equal(manual.timers, 0)
})
