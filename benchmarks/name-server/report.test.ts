import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goalCases } from './cases.ts'
import { judge, markdown, type Report } from './report.ts'
import type { Result } from './suite.ts'

const result: Result = {
  driver: 'c',
  answers: 1000,
  perSecond: 1000,
  p50Us: 10,
  p99Us: 20,
  p999Us: 30,
  maxUs: 40,
  serverCpuUs: 10,
  driverCpuUs: 1,
  bytesPerAnswer: 100,
  rssMb: 50,
  peakRssMb: 60,
}

function report(ours: Partial<Result>): Report {
  const [one] = goalCases
  assert.ok(one)
  return {
    machine: 'a machine',
    node: '24.0.0',
    mode: 'full',
    loadAverage: 1,
    driver: 'c',
    missing: [],
    neighbours: 0,
    starts: {},
    cases: [{ case: one, results: { ours: { ...result, ...ours }, apache: result } }],
  }
}

test('a goal is met if both its ratios are', () => {
  const verdicts = judge(report({ perSecond: 1700, serverCpuUs: 4 }))
  assert.deepEqual(
    verdicts.map(({ reached, met }) => [reached, met]),
    [
      ['1.70x', true],
      ['0.40x', true],
    ],
  )
})

test('a goal is missed when ours is too slow', () => {
  assert.deepEqual(
    judge(report({ perSecond: 1500, serverCpuUs: 4 })).map(({ met }) => met),
    [false, true],
  )
})

test('without Apache the report judges no ratio', () => {
  const [first] = report({}).cases
  assert.ok(first)
  assert.deepEqual(judge({ starts: {}, cases: [{ case: first.case, results: { ours: result } }] }), [])
})

test('the report shows why a server failed', () => {
  const failed = report({})
  const [first] = failed.cases
  assert.ok(first)
  const text = markdown({ ...failed, cases: [{ case: first.case, results: { ours: { error: 'it ended' } } }] })
  assert.match(text, /\| Gantry \| it ended \|/)
})
