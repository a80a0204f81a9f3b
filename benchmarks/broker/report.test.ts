import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compare } from '../harness/baseline.ts'
import type { Failure, PerSubject } from '../harness/rounds.ts'
import { figuresOf, rowsOf, watched } from './baseline.ts'
import type { BrokerName } from './brokers.ts'
import { selectCases } from './cases.ts'
import { apacheBestOf, judge, markdown, type Report } from './report.ts'
import type { Result } from './suite.ts'

const result = (perSecond: number, cpuUs: number, p99Us = 1_000): Result => ({
  perSecond,
  p50Us: 100,
  p99Us,
  p999Us: 5_000,
  cpuUs,
  driverCpuUs: 1,
  rssMb: 150,
  peakRssMb: 160,
})

const [one] = selectCases({ quick: false, all: false, words: ['send-128-16x1'] })
assert.ok(one)
const failed: Failure = { error: 'the broker refused everything' }
const usual = {
  ours: result(50_000, 20, 800),
  'apache-4.9.7': result(25_000, 60, 3_000),
  'apache-5.5.0': result(20_000, 50, 900),
}

function reportOf(results: PerSubject<BrokerName, Result | Failure>, rest: Partial<Report> = {}): Report {
  return {
    machine: '2 x test',
    node: '24.0.0',
    mode: 'full',
    driver: 'c',
    missing: [],
    neighbours: 0.1,
    loadAverage: 1.25,
    cases: [{ case: one, results }],
    finalRssMb: {},
    starts: {},
    restarts: {},
    growths: {},
    ...rest,
  } as Report
}

const worseThan = (before: Report, now: Report) =>
  compare(rowsOf(figuresOf(before)), rowsOf(figuresOf(now)), watched).worse

const verdictsOf = (report: Report) => judge(report).map(({ what, met }) => [what.replace(/.*: /, ''), met])

test("each figure is compared with the better of Apache's", () => {
  assert.deepEqual(apacheBestOf(usual), { perSecond: 25_000, cpuUs: 50, p99Us: 900 })
  assert.deepEqual(verdictsOf(reportOf(usual)), [
    ['messages/s', true],
    ['CPU a message', false],
    ['p99', true],
  ])
})

test('a broker that failed is not the better one, and without any of Apache there is no verdict', () => {
  const one = { ...usual, 'apache-4.9.7': failed }
  assert.equal(apacheBestOf(one)?.perSecond, 20_000)
  assert.deepEqual(verdictsOf(reportOf({ ours: usual.ours, 'apache-5.5.0': failed })), [])
  assert.match(markdown(reportOf(one)), /Apache 4\.9\.7 \| the broker refused everything/)
})

test('starts, memory and restarts are judged by fixed limits', () => {
  const growth = { messages: 10_000_000, fromMb: 150, toMb: 151, mbPerMillion: 0.2 }
  const report = reportOf(
    {},
    {
      finalRssMb: { ours: 201 },
      starts: { ours: { startMs: 150, rssMb: 119 }, 'apache-5.5.0': { startMs: 5_000, rssMb: 600 } },
      restarts: { ours: { logGb: 10, markedMs: 2_100, unmarkedMs: 19_000, rssMb: 150 } },
      growths: { ours: growth },
    },
  )
  assert.deepEqual(verdictsOf(report), [
    ['RSS after all loads', false],
    ['start to first message', true],
    ['RSS, idle', true],
    ['start after kill -9, 10 GB', false],
    ['the same without the checkpoint', true],
    ['growth for a million messages', true],
  ])
  assert.equal(verdictsOf(reportOf({}, { growths: { ours: { ...growth, messages: 100_000 } } })).length, 0)
})

test('a start, a restart or a memory case of ours that failed is a goal that is not met', () => {
  const failed: Partial<Report> = { starts: { ours: { error: 'no answer' } }, growths: { ours: { error: 'it ended' } } }
  assert.deepEqual(verdictsOf(reportOf({}, failed)), [
    ['start', false],
    ['memory', false],
  ])
  assert.match(markdown(reportOf({}, failed)), /\| Gantry \| no answer \|/)
})

test('the baseline keeps ratios, and a case that became slower is named', () => {
  const before = reportOf(usual)
  const stored = figuresOf(before)
  assert.equal(stored.cases['send-128-16x1']?.cpuToApache, 0.4)
  assert.equal(stored.cases['send-128-16x1']?.speedToApache, 2)
  assert.deepEqual(
    worseThan(before, reportOf({ ...usual, ours: result(50_000, 28) })).map(({ what }) => what),
    ["CPU a message, times Apache's"],
  )
  assert.deepEqual(worseThan(before, reportOf({ ...usual, ours: result(49_000, 21) })), [])
})

test('the report has a table of all brokers and the load of the machine', () => {
  const text = markdown(reportOf(usual))
  assert.match(text, /load average 1\.3/)
  assert.match(text, /send 16 x 1, 128 B \| Gantry \| 50,000 /)
})
