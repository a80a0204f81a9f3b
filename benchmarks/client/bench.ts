import { skipReason } from '../../interop/src/launch/apache.ts'
import { conclude, profileFolder, reportStart } from '../harness/bench.ts'
import { type BenchOptions, namedSubjects } from '../harness/options.ts'
import { runCases } from '../harness/rounds.ts'
import { figuresOf, watched } from './baseline.ts'
import { selectCases } from './cases.ts'
import { markdown } from './report.ts'
import { subjectNames } from './subjects.ts'
import { ClientSuite, type Timing } from './suite.ts'

const TEN_MILLION = 10_000_000

const reporting = { markdown, file: new URL('baseline.json', import.meta.url), kinds: true, figuresOf, watched }

function timingOf({ quick, seconds, rounds, messages = TEN_MILLION }: BenchOptions): Timing {
  const runMs = (seconds ?? (quick ? 2 : 4)) * 1000
  const usual = quick
    ? { warmMs: 1_000, jvmWarmMs: 3_000, rounds: 1, drainMessages: 250_000, oneProcess: true }
    : { warmMs: 2_000, jvmWarmMs: 10_000, rounds: 3, drainMessages: 1_500_000, oneProcess: false }
  return { ...usual, runMs, rounds: rounds ?? usual.rounds, memoryMessages: messages }
}

/** Measures clients and prints the report. */
export async function benchClient(options: BenchOptions): Promise<void> {
  const missing = await skipReason()
  if (missing !== false) return console.log(`Skipped: ${missing}`)
  const cases = selectCases(options)
  if (cases.length === 0) throw new Error(`no case has a name with ${options.words.join(' or ')}`)
  const named = namedSubjects(options, subjectNames)
  const start = reportStart(options)
  const suite = await ClientSuite.create({
    subjects: named ?? (options.quick ? ['ours', 'java'] : subjectNames),
    byName: named !== undefined,
    timing: timingOf(options),
    profileTo: options.profile === undefined ? undefined : await profileFolder('client'),
  })
  const results = await runCases(suite, cases)
  await conclude({ ...start, cases: results, neighbours: suite.neighbours }, reporting, options)
}
