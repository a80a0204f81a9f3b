import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FaultLatency } from './fault-latency.ts'

test('a broker is avoided for the duration of its latency in the table', () => {
  const rows = [
    [49, 0],
    [549, 0],
    [550, 2000],
    [1799, 2000],
    [1800, 5000],
    [3000, 6000],
    [5000, 10_000],
    [15_000, 30_000],
  ]
  for (const [latencyMs = 0, rest = 0] of rows) {
    const faults = new FaultLatency()
    assert.equal(faults.note('a', { latencyMs }, 1000), rest)
    assert.equal(faults.isAvailable('a', 1000 + rest), true)
    assert.equal(faults.isAvailable('a', 999 + rest), rest === 0)
  }
})

test('after a failed send a broker is avoided for 10 s, or as a custom table says', () => {
  assert.equal(new FaultLatency().note('a', { latencyMs: 1, isolate: true }, 0), 10_000)
  const own = { latencyMax: [0, 100], notAvailableDuration: [0, 600_000], isolationLatency: 100 }
  assert.equal(new FaultLatency(own).note('a', { latencyMs: 1, isolate: true }, 0), 600_000)
})

test('the time to avoid a broker is never shortened', () => {
  const faults = new FaultLatency()
  faults.note('a', { latencyMs: 15_000 }, 0)
  faults.note('a', { latencyMs: 600 }, 100)
  faults.note('a', { latencyMs: 5 }, 200)
  assert.equal(faults.isAvailable('a', 29_999), false)
  assert.equal(faults.isAvailable('a', 30_000), true)
})

test('an unknown broker is available and reachable', () => {
  const faults = new FaultLatency()
  assert.equal(faults.isAvailable('a', 0), true)
  assert.equal(faults.isReachable('a'), true)
  assert.deepEqual(faults.betterHalf(0), [])
})

test('an unreachable broker is reachable again after a successful probe or send', () => {
  const faults = new FaultLatency()
  faults.note('a', { latencyMs: 9, reachable: false }, 0)
  assert.equal(faults.isReachable('a'), false)
  faults.found('a')
  assert.equal(faults.isReachable('a'), true)
  faults.note('a', { latencyMs: 9, reachable: false }, 0)
  faults.note('a', { latencyMs: 9 }, 0)
  assert.equal(faults.isReachable('a'), true)
})

test('each known broker is probed once per interval', () => {
  const faults = new FaultLatency()
  faults.note('a', { latencyMs: 9 }, 0)
  faults.note('b', { latencyMs: 9 }, 0)
  assert.deepEqual(faults.dueForProbe(1000, 2000), ['a', 'b'])
  assert.deepEqual(faults.dueForProbe(2999, 2000), [])
  faults.forget('a')
  assert.deepEqual(faults.dueForProbe(3000, 2000), ['b'])
})

test('the better half is ordered by availability, latency, and the time of availability', () => {
  const faults = new FaultLatency()
  faults.note('resting', { latencyMs: 1, isolate: true }, 0)
  faults.note('slow', { latencyMs: 540 }, 0)
  faults.note('fast', { latencyMs: 10 }, 0)
  faults.note('faster', { latencyMs: 9 }, 0)
  assert.deepEqual(faults.betterHalf(10), ['faster', 'fast'])
  faults.forget('slow')
  assert.deepEqual(faults.betterHalf(10), ['faster'])
})

test('a broker is avoided exactly until the latest end of its durations', () => {
  const outcomes = fc.array(fc.record({ latencyMs: fc.nat(20_000), isolate: fc.boolean(), wait: fc.nat(10_000) }))
  fc.assert(
    fc.property(outcomes, fc.nat(60_000), (notes, later) => {
      const faults = new FaultLatency()
      let now = 0
      let end = 0
      for (const { wait, ...outcome } of notes) {
        now += wait
        end = Math.max(end, now + faults.note('a', outcome, now))
      }
      assert.equal(faults.isAvailable('a', now + later), now + later >= end)
    }),
  )
})
