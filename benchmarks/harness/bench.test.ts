import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { Watched } from './baseline.ts'
import { conclude, reportStart } from './bench.ts'
import type { BenchOptions } from './options.ts'
import type { BenchReport } from './report.ts'

const usual: BenchOptions = { words: [], quick: false, all: false, large: false, save: false }
const watched: readonly Watched[] = [{ figure: 'cpu', what: 'CPU', worse: 'above', tolerance: 0.25 }]

/** Concludes runs with one case, and returns what each printed and its exit code. */
async function runs(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-bench-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'baseline.json')
  const log = t.mock.method(console, 'log', () => {})
  const run = async (results: BenchReport['cases'][number]['results'], options: Partial<BenchOptions> = {}) => {
    const report = { ...reportStart(usual), neighbours: 0, cases: [{ case: { id: 'send' }, results }] }
    const figuresOf = ({ machine, node }: BenchReport) => ({
      machine,
      node,
      cases: results['ours'] !== undefined && 'cpu' in results['ours'] ? { send: results['ours'] } : {},
    })
    const reporting = { markdown: () => '', file: pathToFileURL(path), kinds: true, figuresOf, watched }
    log.mock.resetCalls()
    await conclude(report, reporting, { ...usual, ...options })
    const { exitCode } = process
    process.exitCode = undefined
    return { exitCode, printed: log.mock.calls.map(call => String(call.arguments[0])).filter(line => line !== '') }
  }
  return { run, path }
}

test('a figure that is worse than the stored one ends the run with exit code 1', async t => {
  const { run, path } = await runs(t)
  assert.deepEqual(await run({ ours: { cpu: 1 } }, { save: true }), { exitCode: undefined, printed: [] })
  assert.match(await readFile(path, 'utf8'), /"full"/)
  const same = await run({ ours: { cpu: 1.1 } })
  assert.deepEqual(same, { exitCode: undefined, printed: ['Nothing is worse than the baseline (1 figures).'] })
  const worse = await run({ ours: { cpu: 2 } })
  assert.deepEqual(worse, {
    exitCode: 1,
    printed: ['WORSE  send: CPU: 2 measured, 1 stored, at most 1.25 passes'],
  })
})

test('a subject that failed ends the run with exit code 1, also one that is saved', async t => {
  const { run } = await runs(t)
  for (const save of [true, false]) {
    const { exitCode, printed } = await run({ ours: { error: 'it ended' } }, { save })
    assert.deepEqual([exitCode, printed[0]], [1, 'FAILED  send, ours: it ended'])
  }
})

test('a run with a profiler is not compared, because only one subject runs, slowly', async t => {
  const { run } = await runs(t)
  await run({ ours: { cpu: 1 } }, { save: true })
  assert.deepEqual(await run({ ours: { cpu: 9 } }, { profile: 'ours' }), { exitCode: undefined, printed: [] })
})
