import { mkdir, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import type { DriverKind } from '../load/drive.ts'
import { type BrokerName, brokerNames, findBrokers } from './brokers.ts'
import { type Case, selectCases } from './cases.ts'
import { findBrokerDriver } from './drive.ts'
import { markdown, type Report } from './report.ts'
import { BrokerSuite, type CaseResults, type SuiteOptions, type Timing } from './suite.ts'

/** The command line options; see the help of main.ts. */
export interface BrokerBenchOptions {
  readonly words: readonly string[]
  readonly quick: boolean
  readonly all: boolean
  readonly save: boolean
  readonly subjects?: string | undefined
  readonly driver?: DriverKind | undefined
  readonly seconds?: number | undefined
  readonly rounds?: number | undefined
  readonly json?: string | undefined
  /** The only subject, which runs with Node's profiler. */
  readonly profile?: string | undefined
  /** If other programs use more than this part of the CPU, the figures mean nothing. */
  readonly tooBusy: number
}

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

async function profileFolder({ profile }: BrokerBenchOptions): Promise<string | undefined> {
  if (profile === undefined) return undefined
  const folder = `${process.cwd()}/.cache/profiles/broker`
  await mkdir(folder, { recursive: true })
  console.log(`Profiles: ${folder}`)
  return folder
}

/** Measures brokers and prints the report. The exit code is 1 if something is slower than the baseline. */
export async function benchBroker(options: BrokerBenchOptions): Promise<void> {
  const cases = selectCases(options)
  if (cases.length === 0) throw new Error(`no case has a name with ${options.words.join(' or ')}`)
  const { subjects, missing } = await findBrokers(wantedSubjects(options))
  const driver = await findBrokerDriver(options.driver)
  const suiteOptions = { subjects, driver, timing: timingOf(options), profileTo: await profileFolder(options) }
  const report: Report = {
    machine: `${cpus().length} x ${cpus()[0]?.model ?? process.arch}`,
    node: process.version.slice(1),
    mode: options.quick ? 'quick' : 'full',
    driver: driver.kind,
    missing,
    ...(await runCases(cases, suiteOptions)),
  }
  console.log(markdown(report))
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`)
}
