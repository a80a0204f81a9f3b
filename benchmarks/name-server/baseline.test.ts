import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compare } from '../harness/baseline.ts'
import { type Baseline, rowsOf, watched } from './baseline.ts'

const usual: Baseline = {
  machine: 'any',
  node: '24',
  cases: {
    route: { cpuToBare: 1, speedToBare: 1, perSecond: 1000, serverCpuUs: 10, cpuToApache: 0.5, speedToApache: 2 },
  },
}
const p99Us = { quiet: 1, registering: 1, registered: 1, 'hanging up': 1, after: 1 }
const storm = (cpuToApache: number) => ({ ...usual, storm: { cpuToApache, p99Us, apacheP99Us: p99Us } })
const started = (rssMb: number) => ({ ...usual, starts: { ours: { startMs: 1, rssMb } } })
const worseThan = (before: Baseline, now: Baseline) => compare(rowsOf(before), rowsOf(now), watched).worse

test('a case is compared with bare Node, not with Apache', () => {
  const { route } = usual.cases
  assert.ok(route)
  const slower = { ...usual, cases: { route: { ...route, cpuToBare: 1.3, speedToBare: 0.6, cpuToApache: 9 } } }
  assert.deepEqual(
    worseThan(usual, slower).map(({ id, what }) => [id, what]),
    [
      ['route', 'CPU a request, times bare Node'],
      ['route', 'requests/s, times bare Node'],
    ],
  )
})

test("the storm's CPU is compared with Apache's, and the memory of an idle server with what is stored", () => {
  assert.deepEqual(worseThan(storm(0.3), storm(0.5)), [
    { id: 'storm', what: "CPU, times Apache's", stored: 0.3, measured: 0.5, limit: 0.375 },
  ])
  assert.deepEqual(
    worseThan(started(68), started(90)).map(({ id, measured }) => [id, measured]),
    [['start', 90]],
  )
})
