import type { Neighbours } from '../neighbours.ts'
import type { Subject } from '../subjects.ts'
import type { Failure, PerSubject } from '../suite.ts'
import { fullSize, quickSize, type StormSize } from './size.ts'
import { runStorm, type StormResult } from './storm.ts'

/** The storm of a run, on all its servers. */
export interface StormRun {
  /** Whether it was the small one. */
  readonly quick: boolean
  readonly size: StormSize
  readonly results: PerSubject<StormResult | Failure>
}

// A JVM compiles while it serves; after this time Apache has its full speed.
const JVM_WARM_MS = 10_000
const WARM_MS = 2_000
const REST_MS = 1_000

/** Runs the storm on one server after the other. The bare server cannot take part: it has no routes. */
export async function runStorms(
  subjects: readonly Subject[],
  quick: boolean,
  neighbours: Neighbours,
): Promise<StormRun> {
  const size = quick ? quickSize : fullSize
  const results: PerSubject<StormResult | Failure> = {}
  for (const subject of subjects.filter(({ name }) => name !== 'bare')) {
    process.stderr.write(`storm on ${subject.title}\n`)
    await neighbours.rest(REST_MS)
    const warmMs = subject.name === 'apache' ? JVM_WARM_MS : WARM_MS
    results[subject.name] = await runStorm(subject, size, { warmMs }).catch(asFailure)
  }
  return { quick, size, results }
}

function asFailure(error: unknown): Failure {
  return { error: error instanceof Error ? error.message : String(error) }
}

/** Runs the storm once with Node's profiler, which writes a .cpuprofile to `folder`. */
export async function profileStorm(subject: Subject, quick: boolean, folder: string): Promise<void> {
  await runStorm(subject, quick ? quickSize : fullSize, { warmMs: WARM_MS, profileTo: folder })
}
