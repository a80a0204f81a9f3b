import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { compare, comparisonLines, readBaseline, saveBaseline, type Watched } from './baseline.ts'

const watched: readonly Watched[] = [
  { figure: 'cpu', what: 'CPU a request', worse: 'above', tolerance: 0.25 },
  { figure: 'speed', what: 'requests/s', worse: 'below', tolerance: 0.35, rows: id => id !== 'paced' },
]

const stored = { route: { cpu: 1, speed: 1 }, paced: { cpu: 1, speed: 1 } }

test('figures within their tolerance pass, and the run says how many were compared', () => {
  const comparison = compare(stored, { route: { cpu: 1.2, speed: 0.8 }, paced: { cpu: 1, speed: 0.1 } }, watched)
  assert.deepEqual(comparison, { worse: [], compared: 3, unknown: [] })
  assert.deepEqual(comparisonLines(comparison, 0), ['Nothing is worse than the baseline (3 figures).'])
})

test('a figure that is worse is named with its row, what was measured, what is stored, and what would have passed', () => {
  const comparison = compare(stored, { route: { cpu: 1.3, speed: 0.6 } }, watched)
  assert.deepEqual(comparisonLines(comparison, 0), [
    'WORSE  route: CPU a request: 1.3 measured, 1 stored, at most 1.25 passes',
    'WORSE  route: requests/s: 0.6 measured, 1 stored, at least 0.741 passes',
  ])
  assert.match(comparisonLines(comparison, 0.3).at(-1) ?? '', /Other programs used 30 % of the CPU/)
})

test('a figure that is no number does not pass', () => {
  const { worse } = compare(stored, { route: { cpu: Number.NaN, speed: Number.NaN } }, watched)
  assert.deepEqual(
    worse.map(({ what }) => what),
    ['CPU a request', 'requests/s'],
  )
})

test('a run whose rows are not stored says that it compared nothing', () => {
  const comparison = compare({}, { route: { cpu: 9, speed: 0.1 } }, watched)
  assert.deepEqual(comparisonLines(comparison, 0), [
    'Not compared, because no figures are stored: route.',
    'No figure was compared with the baseline.',
  ])
})

test('a run replaces the figures that it has measured, and keeps the others, also those of the other kind', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-baseline-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = pathToFileURL(join(folder, 'baseline.json'))
  assert.equal(await readBaseline(file, 'full'), undefined)
  const run = (machine: string, cases: Record<string, object>) => ({ machine, node: '24', cases })
  await saveBaseline(file, run('quick', { a: { cpu: 1 } }), 'quick')
  const whole = { ...run('old', { a: { cpu: 1 }, b: { cpu: 2 } }), storm: { p99: 3 } }
  await saveBaseline(file, whole, 'full')
  await saveBaseline(file, run('new', { b: { cpu: 4 } }), 'full')
  assert.deepEqual(await readBaseline(file), {
    quick: run('quick', { a: { cpu: 1 } }),
    full: { ...run('new', { a: { cpu: 1 }, b: { cpu: 4 } }), storm: { p99: 3 } },
  })
})
