import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Baseline, compare } from './compare.ts'

function baseline(cpuToBare: number, speedToBare: number): Baseline {
  const one = { cpuToBare, speedToBare, perSecond: 1000, serverCpuUs: 10 }
  return { machine: 'any', node: '24', cases: { route: one } }
}

test('figures within the tolerance are not reported as slower', () => {
  assert.deepEqual(compare(baseline(1, 1), baseline(1.2, 0.8)), [])
})

test('more CPU for a request is reported as slower, with both figures', () => {
  const what = 'CPU a request, times bare Node'
  assert.deepEqual(compare(baseline(1, 1), baseline(1.3, 1)), [{ id: 'route', what, before: 1, now: 1.3 }])
})

test('fewer requests a second are reported as slower', () => {
  assert.equal(compare(baseline(1, 1), baseline(1, 0.6)).length, 1)
})

test('a case without a stored figure is skipped', () => {
  assert.deepEqual(compare({ ...baseline(1, 1), cases: {} }, baseline(9, 0.1)), [])
})

test('more CPU in the storm, relative to Apache, is reported as slower', () => {
  const p99Us = { quiet: 1, registering: 1, registered: 1, 'hanging up': 1, after: 1 }
  const storm = { cpuToApache: 0.3, p99Us, apacheP99Us: p99Us }
  const slower = compare({ ...baseline(1, 1), storm }, { ...baseline(1, 1), storm: { ...storm, cpuToApache: 0.5 } })
  assert.deepEqual(slower, [{ id: 'storm', what: "CPU, times Apache's", before: 0.3, now: 0.5 }])
})
