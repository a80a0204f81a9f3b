import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { suite, test, type TestContext } from 'node:test'
import { MovingClock } from './moving-clock.ts'

function clockOf(t: TestContext): MovingClock {
  const clock = new MovingClock()
  t.after(() => clock[Symbol.dispose]())
  return clock
}

suite('a clock that a test moves', () => {
  test('a timer with a period shorter than the step is called once, at its last time in the step', t => {
    const clock = clockOf(t)
    const start = clock.elapsed()
    const calls: number[] = []
    clock.every(100, () => calls.push(Math.round((clock.elapsed() - start) / 100)))
    clock.step(1000)
    clock.step(1000)
    assert.deepEqual(calls, [10, 20])
  })

  test('a step ends at a timer with a longer period, and the timers are called in the order of their times', t => {
    const clock = clockOf(t)
    const calls: string[] = []
    clock.every(5000, () => calls.push('long'))
    clock.every(700, () => calls.push('short'))
    const first = clock.step(6000)
    assert.equal(first, 6000, 'no period is longer than the step')
    assert.deepEqual(calls, ['long', 'short'])
    const second = clock.step(4500)
    assert.ok(second >= 3900 && second <= 4100, `the step of ${second} ms ends at ten seconds`)
    assert.deepEqual(calls, ['long', 'short', 'short', 'long'])
  })

  test('a timer that another one stops in the same step is not called', t => {
    const clock = clockOf(t)
    let calls = 0
    const later = clock.every(900, () => calls++)
    clock.every(800, () => later[Symbol.dispose]())
    clock.step(1000)
    assert.equal(calls, 0)
  })

  test('a timer that was far away is called in real time when a step has brought it near', async t => {
    const clock = clockOf(t)
    let isCalled = false
    const called = new Promise<void>(resolve => {
      clock.every(60_000, () => {
        isCalled = true
        resolve()
      })
    })
    for (let left = 59_500; left > 0; ) left -= clock.step(Math.min(left, 1000))
    assert.equal(isCalled, false)
    // The alarm of the clock keeps no process alive.
    const late = setTimeout(5000, undefined, { signal: t.signal })
    await Promise.race([called, late])
    assert.equal(isCalled, true)
  })

  test('reads of the time count, except those of timers', t => {
    const clock = clockOf(t)
    clock.every(100, () => clock.elapsed())
    const before = clock.reads
    clock.step(1000)
    assert.equal(clock.reads, before)
    clock.now()
    assert.equal(clock.reads, before + 1)
  })
})
