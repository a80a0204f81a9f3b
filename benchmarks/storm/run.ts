import type { Neighbours } from '../harness/neighbours.ts'
import { type Failure, type PerSubject, withEach } from '../harness/rounds.ts'
import type { Subject, SubjectName } from '../name-server/subjects.ts'
import { fullSize, quickSize, type StormSize } from './size.ts'
import { runStorm, type StormResult } from './storm.ts'

/** The storm of a run, on all its servers. */
export interface StormRun {
  /** Whether it was the small one. */
  readonly quick: boolean
  readonly size: StormSize
  readonly results: PerSubject<SubjectName, StormResult | Failure>
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
  const servers = subjects.filter(({ name }) => name !== 'bare')
  const results = await withEach(servers, 'storm', async subject => {
    await neighbours.rest(REST_MS)
    const warmMs = subject.name === 'apache' ? JVM_WARM_MS : WARM_MS
    return runStorm(subject, size, { warmMs })
  })
  return { quick, size, results }
}

/** Runs the storm once with Node's profiler, which writes a .cpuprofile to `folder`. */
export async function profileStorm(subject: Subject, quick: boolean, folder: string): Promise<void> {
  await runStorm(subject, quick ? quickSize : fullSize, { warmMs: WARM_MS, profileTo: folder })
}
