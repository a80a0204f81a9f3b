import { conclude, profileFolder, reportStart } from '../harness/bench.ts'
import { Neighbours } from '../harness/neighbours.ts'
import { type BenchOptions, namedSubjects } from '../harness/options.ts'
import { runCases, withEach } from '../harness/rounds.ts'
import { profileStorm, runStorms } from '../storm/run.ts'
import { figuresOf, rowsOf, watched } from './baseline.ts'
import { type Case, selectCases } from './cases.ts'
import { markdown, type Report } from './report.ts'
import { findSubjects, subjectNames } from './subjects.ts'
import { findNameServerDriver, measureStart, NameServerSuite, type SuiteOptions, type Timing } from './suite.ts'

const STARTS = 3

const reporting = {
  markdown,
  others: ({ starts, storm }: Report) => ({ start: starts, storm: storm?.results }),
  file: new URL('baseline.json', import.meta.url),
  kinds: false,
  figuresOf,
  rowsOf,
  watched,
}

/** What a run measures. */
interface Selected {
  readonly cases: readonly Case[]
  readonly starts: boolean
  readonly storm: boolean
}

/** The storm takes part in full runs and where it is named. */
function select({ words, quick, all }: BenchOptions): Selected {
  const named = words.includes('storm')
  if (named && words.length === 1) return { cases: [], starts: false, storm: true }
  const cases = selectCases({ quick, all, words: words.filter(word => word !== 'storm') })
  if (cases.length === 0) throw new Error(`no case has a name with ${words.join(' or ')}`)
  return { cases, starts: words.length === 0, storm: named || (words.length === 0 && !quick) }
}

function timingOf({ quick, seconds, rounds }: BenchOptions): Timing {
  const usual = quick ? { runMs: 2_000, rounds: 1 } : { runMs: 1_500, rounds: 3 }
  return {
    warmMs: 1_000,
    ...usual,
    runMs: seconds === undefined ? usual.runMs : seconds * 1000,
    rounds: rounds ?? usual.rounds,
  }
}

/** Measures name servers and prints the report. */
export async function benchNameServer(options: BenchOptions): Promise<void> {
  const selected = select(options)
  const start = reportStart(options)
  const usual = options.quick ? (['ours', 'bare'] as const) : subjectNames
  const names = namedSubjects(options, subjectNames) ?? usual
  const { subjects, missing } = await findSubjects(names, options.program)
  const driver = await findNameServerDriver(options.driver)
  const suite = { subjects, driver, timing: timingOf(options), neighbours: new Neighbours() }
  if (options.profile !== undefined) {
    if (subjects.length === 0) throw new Error(missing.join())
    return profile(selected, suite, options)
  }
  const { neighbours } = suite
  const starts = selected.starts
    ? await withEach(subjects, 'start', one => measureStart(one, options.quick ? 1 : STARTS))
    : {}
  const cases = await runCases(await NameServerSuite.create(suite), selected.cases)
  const storm = selected.storm ? { storm: await runStorms(subjects, options.quick, neighbours) } : {}
  const report = { ...start, driver: driver.kind, missing, starts, cases, ...storm }
  await conclude({ ...report, neighbours: neighbours.share }, reporting, options)
}

/** Runs each case once, with a server and a folder of its own. */
async function profile({ cases, storm }: Selected, options: SuiteOptions, { quick }: BenchOptions): Promise<void> {
  const timing = { ...options.timing, rounds: 1 }
  for (const subject of options.subjects) {
    for (const one of cases) {
      const folder = await profileFolder(one.id)
      const subjects = [{ ...subject, start: () => subject.start({ profileTo: folder }) }]
      await runCases(await NameServerSuite.create({ ...options, subjects, timing }), [one])
    }
    if (storm) await profileStorm(subject, quick, await profileFolder('storm'))
  }
}
