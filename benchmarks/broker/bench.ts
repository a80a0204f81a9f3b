import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import type { DriverKind } from '../load/drive.ts'
import { baselineOf, compare, readBaseline, saveBaseline } from './baseline.ts'
import { type BrokerName, brokerNames, findBrokers, type Subject } from './brokers.ts'
import { type Case, selectCases } from './cases.ts'
import { findBrokerDriver } from './drive.ts'
import { measureMemory } from './memory.ts'
import { markdown, type Report } from './report.ts'
import { measureRestart } from './restart.ts'
import { measureStarts } from './starts.ts'
import { BrokerSuite, type CaseResults, type PerBroker, type SuiteOptions, type Timing } from './suite.ts'

/** The command line options; see the help of main.ts. */
export interface BrokerBenchOptions {
  readonly words: readonly string[]
  readonly quick: boolean
  readonly all: boolean
  /** Whether the restart with a large log and the memory over many messages are measured, too. */
  readonly large: boolean
  readonly save: boolean
  readonly subjects?: string | undefined
  readonly driver?: DriverKind | undefined
  readonly seconds?: number | undefined
  readonly rounds?: number | undefined
  /** The size of the log for the restart, GB. */
  readonly gb?: number | undefined
  /** The number of messages of the memory case. */
  readonly messages?: number | undefined
  readonly json?: string | undefined
  /** The only subject, which runs with Node's profiler. */
  readonly profile?: string | undefined
  /** If other programs use more than this part of the CPU, the figures mean nothing. */
  readonly tooBusy: number
}

const STARTS = 5
const LOG_GB = 10
const TEN_MILLION = 10_000_000

function timingOf({ quick, seconds, rounds }: BrokerBenchOptions): Timing {
  const usual = quick ? { warmMs: 500, jvmWarmMs: 4_000, rounds: 1 } : { warmMs: 700, jvmWarmMs: 8_000, rounds: 2 }
  return { ...usual, runMs: (seconds ?? 2) * 1000, rounds: rounds ?? usual.rounds }
}

function subjectNamed(name: string): BrokerName {
  const found = brokerNames.find(each => each === name)
  if (!found) throw new Error(`${name} is not one of ${brokerNames.join(', ')}`)
  return found
}

function wantedSubjects({ subjects, profile }: BrokerBenchOptions): readonly BrokerName[] {
  const named = profile ?? subjects
  return named === undefined ? brokerNames : named.split(',').map(subjectNamed)
}

/** What a run measures beside the loads of `cases`. */
interface Selected {
  readonly cases: readonly Case[]
  readonly starts: boolean
  readonly restart: boolean
  readonly memory: boolean
}

const otherWords = ['start', 'restart', 'memory']

function select(options: BrokerBenchOptions): Selected {
  const { words, large } = options
  const caseWords = words.filter(word => !otherWords.includes(word))
  const named = (word: string, otherwise: boolean) => (words.length === 0 ? otherwise : words.includes(word))
  const isOther = words.length > 0 && caseWords.length === 0
  const cases = isOther ? [] : selectCases({ ...options, words: caseWords })
  if (cases.length === 0 && !isOther) throw new Error(`no case has a name with ${caseWords.join(' or ')}`)
  return { cases, starts: named('start', true), restart: named('restart', large), memory: named('memory', large) }
}

async function runCases(cases: readonly Case[], options: SuiteOptions) {
  const suite = await BrokerSuite.create(options)
  const results: CaseResults[] = []
  try {
    for (const one of cases) {
      process.stderr.write(`${one.title}\n`)
      results.push(await suite.run(one))
    }
  } finally {
    await suite.close()
  }
  return { cases: results, neighbours: suite.neighbours, finalRssMb: suite.finalRssMb }
}

/** Measures something with each subject, one after the other. */
async function each<T>(
  subjects: readonly Subject[],
  what: string,
  measure: (subject: Subject) => Promise<T>,
): Promise<PerBroker<T>> {
  const results: PerBroker<T> = {}
  for (const subject of subjects) {
    process.stderr.write(`${what}: ${subject.name}\n`)
    results[subject.name] = await measure(subject)
  }
  return results
}

async function profileFolder({ profile }: BrokerBenchOptions): Promise<string | undefined> {
  if (profile === undefined) return undefined
  const folder = `${process.cwd()}/.cache/profiles/broker`
  await mkdir(folder, { recursive: true })
  console.log(`Profiles: ${folder}`)
  return folder
}

/** Prints what is slower than the baseline. True if nothing is, or if the run cannot tell. */
async function passesBaseline(report: Report, tooBusy: number): Promise<boolean> {
  const baseline = await readBaseline(report.mode)
  if (!baseline) return true
  const slower = compare(baseline, baselineOf(report))
  for (const { id, what, before, now } of slower) console.log(`SLOWER  ${id}: ${what}: ${before} -> ${now}`)
  if (report.neighbours > tooBusy) {
    console.log('Other programs kept the machine busy: these figures prove nothing.')
    return true
  }
  if (slower.length === 0) console.log('Nothing is slower than the baseline.')
  return slower.length === 0
}

/** Measures brokers and prints the report. The exit code is 1 if something is slower than the baseline. */
export async function benchBroker(options: BrokerBenchOptions): Promise<void> {
  const { quick, gb = LOG_GB, messages = TEN_MILLION } = options
  const selected = select(options)
  const [loadAverage = 0] = loadavg()
  const { subjects, missing } = await findBrokers(wantedSubjects(options))
  const driver = await findBrokerDriver(options.driver)
  const suiteOptions = { subjects, driver, timing: timingOf(options), profileTo: await profileFolder(options) }
  const alone = options.subjects === undefined ? subjects.filter(({ name }) => name === 'ours') : subjects
  const startsOf = ({ name }: Subject) => measureStarts(name, name === 'ours' && !quick ? STARTS : 1)
  const report: Report = {
    machine: `${cpus().length} x ${cpus()[0]?.model ?? process.arch}`,
    node: process.version.slice(1),
    mode: quick ? 'quick' : 'full',
    driver: driver.kind,
    loadAverage,
    missing,
    starts: selected.starts ? await each(subjects, 'start', startsOf) : {},
    ...(await runCases(selected.cases, suiteOptions)),
    restarts: selected.restart ? await each(alone, 'restart', one => measureRestart(one, driver, gb)) : {},
    growths: selected.memory ? await each(alone, 'memory', one => measureMemory(one, driver, messages)) : {},
  }
  console.log(markdown(report))
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`)
  if (options.save) await saveBaseline(report)
  else if (!(await passesBaseline(report, options.tooBusy))) process.exitCode = 1
}
