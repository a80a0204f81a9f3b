import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CrashCounts, crashRun, type PlantedFault } from './crash-run.ts'

/** Runs of `npm test`; a run has three crashes and sometimes more. */
const RUNS = Number(process.env['CRASH_RUNS'] ?? 300)
const FIRST_SEED = Number(process.env['CRASH_SEED'] ?? 1)
/** A planted fault must be noticed within so many runs. */
const PLANTED_RUNS = 400

/** Seeds that once failed. */
const FAILED_ONCE: readonly number[] = []

function nothingCounted(): CrashCounts {
  return { crashes: 0, crashesInRecovery: 0, operations: 0, acknowledged: 0 }
}

test('no crash loses, doubles, moves or invents a message', { timeout: 120_000 + RUNS * 100 }, async t => {
  const counts = nothingCounted()
  const seeds = [...FAILED_ONCE, ...Array.from({ length: RUNS }, (_, i) => FIRST_SEED + i)]
  for (const seed of seeds) {
    try {
      await crashRun(seed, counts)
    } catch (error) {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
    }
  }
  t.diagnostic(JSON.stringify(counts))
  assert.ok(counts.acknowledged > RUNS, 'hardly anything was acknowledged')
})

const isLog = (path: string): boolean => path.includes('/commitlog/')
const plantedFaults: Readonly<Record<string, PlantedFault>> = {
  'the log is never synced': { pretends: ({ kind, path }) => kind === 'datasync' && isLog(path) },
  'messages are acknowledged before they are synced': { acknowledgesWritten: true },
  'folders are never synced': { pretends: ({ kind }) => kind === 'syncFolder' },
  'a recovery does not sync what it accepts': {
    pretends: ({ kind, path }, isOpening) => isOpening && kind === 'datasync' && isLog(path),
  },
  'the checkpoint does not wait for the queues': {
    pretends: ({ kind, path }) => kind === 'datasync' && path.includes('/consumequeue/'),
  },
  'the checkpoint does not wait for the index': {
    pretends: ({ kind, path }) => kind === 'datasync' && path.includes('/index/'),
  },
}

for (const [name, planted] of Object.entries(plantedFaults)) {
  test(`the checks notice if ${name}`, async () => {
    const counts = nothingCounted()
    const runs = async (): Promise<void> => {
      for (let seed = 1; seed <= PLANTED_RUNS; seed++) await crashRun(seed, counts, planted)
    }
    await assert.rejects(runs)
  })
}
