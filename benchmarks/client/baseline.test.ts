import assert from 'node:assert/strict'
import test from 'node:test'
import { compare, type Figures } from '../harness/baseline.ts'
import { figuresOf, watched } from './baseline.ts'
import { selectCases } from './cases.ts'
import type { Result } from './measure.ts'
import type { Report } from './report.ts'

function result(perSecond: number, cpuUs: number): Result {
  return { perSecond, cpuUs, failed: 0, p50Us: 100, p99Us: 900, rssMb: 80, peakRssMb: 90 }
}

function report(ours: Result, java: Result, id = 'send-128-1$'): Report {
  const cases = selectCases({ quick: false, words: [id.replace('$', '')] }).slice(0, 1)
  const results = { ours, java }
  return {
    machine: 'test',
    node: '24',
    mode: 'full',
    neighbours: 0,
    loadAverage: 0,
    cases: cases.map(one => ({ case: one, results })),
  }
}

const rows = (of: Report) => figuresOf(of).cases as object as Record<string, Figures>
const worseThan = (before: Report, now: Report) => compare(rows(before), rows(now), watched).worse
const before = report(result(1000, 10), result(1000, 20))

test('figures are stored relative to Java, so a machine of half the speed is not reported as slower', () => {
  assert.equal(figuresOf(before).cases['send-128-1']?.cpuToJava, 0.5)
  assert.deepEqual(worseThan(before, report(result(500, 20), result(500, 40))), [])
})

test('figures that are slower beyond the tolerance are reported', () => {
  const slower = worseThan(before, report(result(600, 14), result(1000, 20)))
  assert.deepEqual(
    slower.map(({ what, stored, measured }) => ({ what, stored, measured })),
    [
      { what: 'CPU a message, times Java', stored: 0.5, measured: 0.7 },
      { what: 'messages/s, times Java', stored: 1, measured: 0.6 },
    ],
  )
})

test('a case that ours or Java did not run is not stored', () => {
  const only: Report = report(result(1, 1), result(1, 1))
  const cases = only.cases.map(({ case: one }) => ({ case: one, results: { ours: result(1, 1) } }))
  assert.deepEqual(figuresOf({ ...only, cases }).cases, {})
})
