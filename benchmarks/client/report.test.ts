import assert from 'node:assert/strict'
import test from 'node:test'
import { type Case, selectCases } from './cases.ts'
import type { Result } from './measure.ts'
import { judge, markdown, type Report } from './report.ts'

const [single, crowded, drain, memory] = ['send-128-1', 'send-128-256', 'consume-128', 'memory-send'].map(
  id => selectCases({ quick: false, words: [id] }).find(one => one.id === id) as Case,
) as [Case, Case, Case, Case]

function result(perSecond: number, cpuUs: number, rest: Partial<Result> = {}): Result {
  return { perSecond, cpuUs, failed: 0, p50Us: 100, p99Us: 900, rssMb: 80, peakRssMb: 90, ...rest }
}

const reached = (...verdicts: ReturnType<typeof judge>) => verdicts.map(({ met }) => met)

test('one message in flight must reach the speed of Java, many must reach 0.8 of the better of its two modes', () => {
  const results = { ours: result(900, 10), java: result(1000, 20) }
  assert.deepEqual(reached(...judge([{ case: single, results }])), [false, true])
  const best = { 'java-async': result(1100, 25) }
  assert.deepEqual(reached(...judge([{ case: crowded, results: { ...results, ...best } }])), [true, true])
  const better = { 'java-async': result(1200, 9) }
  assert.deepEqual(reached(...judge([{ case: crowded, results: { ...results, ...better } }])), [false, false])
})

test('consuming must reach a hundred thousand messages a second, or as many as Java', () => {
  const metBy = (ours: number, java: number) => {
    const verdicts = judge([{ case: drain, results: { ours: result(ours, 9), java: result(java, 9) } }])
    return verdicts.find(({ what }) => what.endsWith('messages/s'))?.met
  }
  assert.equal(metBy(100_000, 200_000), true)
  assert.equal(metBy(60_000, 59_000), true)
  assert.equal(metBy(60_000, 61_000), false)
})

test('growth is judged only after enough messages', () => {
  const grown = (messages: number, mbPerMillion: number) =>
    judge([
      {
        case: memory,
        results: { ours: result(1, 1, { growth: { messages, fromMb: 80, toMb: 99, mbPerMillion } }) },
      },
    ])
  assert.deepEqual(grown(100_000, 50), [])
  assert.deepEqual(reached(...grown(10_000_000, 2.5)), [false])
  assert.deepEqual(reached(...grown(10_000_000, 0.5)), [true])
})

test('no ratio is judged without Java, and no goal is met if ours failed', () => {
  assert.deepEqual(judge([{ case: single, results: { ours: result(1, 1) } }]), [])
  const failed = judge([{ case: single, results: { ours: { error: 'no' }, java: result(1, 1) } }])
  assert.deepEqual(
    failed.map(({ reached, met }) => [reached, met]),
    [['failed', false]],
  )
})

test('the report shows every subject, and the first line of a failure', () => {
  const growth = { messages: 10_000_000, fromMb: 81, toMb: 82, mbPerMillion: 0.125 }
  const report: Report = {
    machine: 'test',
    node: '24.0.0',
    mode: 'full',
    neighbours: 0.01,
    loadAverage: 1,
    cases: [
      { case: single, results: { ours: result(2500, 40, { failed: 3 }), 'ali-ons': { error: 'gone\nat a.js' } } },
      { case: memory, results: { ours: result(30_000, 20, { growth }) } },
    ],
  }
  const text = markdown(report)
  assert.match(text, /\| send 128 B, 1 in flight \| Gantry \| 2,500 \| 100 us \| 900 us \| 40 us \| 80 MB \| 3 \|/)
  assert.match(text, /\| {2}\| ali-ons 3\.12\.0 \| gone \| {2}\|/)
  assert.match(text, /\| 10,000,000 \| 30,000 \| 20 us \| 81 MB \| 82 MB \| 90 MB \| 0\.13 MB \|/)
})
