import { conclude, profileFolder, reportStart } from '../harness/bench.ts'
import { type BenchOptions, namedSubjects } from '../harness/options.ts'
import { runCases, withEach } from '../harness/rounds.ts'
import { figuresOf, rowsOf, watched } from './baseline.ts'
import { brokerNames, findBrokers } from './brokers.ts'
import { type Case, selectCases } from './cases.ts'
import { findBrokerDriver } from './drive.ts'
import { measureMemory } from './memory.ts'
import { markdown, type Report } from './report.ts'
import { measureRestart } from './restart.ts'
import { measureStarts } from './starts.ts'
import { BrokerSuite, type Timing } from './suite.ts'

const STARTS = 5
const LOG_GB = 10
const TEN_MILLION = 10_000_000

const reporting = {
  markdown,
  others: ({ starts, restarts, growths }: Report) => ({ start: starts, restart: restarts, memory: growths }),
  file: new URL('baseline.json', import.meta.url),
  kinds: true,
  figuresOf,
  rowsOf,
  watched,
}

function timingOf({ quick, seconds, rounds }: BenchOptions): Timing {
  const usual = quick ? { warmMs: 500, jvmWarmMs: 4_000, rounds: 1 } : { warmMs: 700, jvmWarmMs: 8_000, rounds: 2 }
  return { ...usual, runMs: (seconds ?? 2) * 1000, rounds: rounds ?? usual.rounds }
}

/** What a run measures beside the loads of `cases`. */
interface Selected {
  readonly cases: readonly Case[]
  readonly starts: boolean
  readonly restart: boolean
  readonly memory: boolean
}

const otherWords = ['start', 'restart', 'memory']

function select(options: BenchOptions): Selected {
  const { words, large } = options
  const caseWords = words.filter(word => !otherWords.includes(word))
  const named = (word: string, otherwise: boolean) => (words.length === 0 ? otherwise : words.includes(word))
  const isOther = words.length > 0 && caseWords.length === 0
  const cases = isOther ? [] : selectCases({ ...options, words: caseWords })
  if (cases.length === 0 && !isOther) throw new Error(`no case has a name with ${caseWords.join(' or ')}`)
  return { cases, starts: named('start', true), restart: named('restart', large), memory: named('memory', large) }
}

/** Measures brokers and prints the report. */
export async function benchBroker(options: BenchOptions): Promise<void> {
  const { quick, gb = LOG_GB, messages = TEN_MILLION } = options
  const selected = select(options)
  const start = reportStart(options)
  const { subjects, missing } = await findBrokers(namedSubjects(options, brokerNames) ?? brokerNames)
  const driver = await findBrokerDriver(options.driver)
  const profileTo = options.profile === undefined ? undefined : await profileFolder('broker')
  const suite = await BrokerSuite.create({ subjects, driver, timing: timingOf(options), profileTo })
  const alone = options.subjects === undefined ? subjects.filter(({ name }) => name === 'ours') : subjects
  const starts = selected.starts
    ? await withEach(subjects, 'start', ({ name }) => measureStarts(name, name === 'ours' && !quick ? STARTS : 1))
    : {}
  const cases = await runCases(suite, selected.cases)
  const restarts = selected.restart ? await withEach(alone, 'restart', one => measureRestart(one, driver, gb)) : {}
  const growths = selected.memory ? await withEach(alone, 'memory', one => measureMemory(one, driver, messages)) : {}
  const { neighbours, finalRssMb } = suite
  const kind = { driver: driver.kind, missing }
  await conclude({ ...start, ...kind, cases, neighbours, finalRssMb, starts, restarts, growths }, reporting, options)
}
