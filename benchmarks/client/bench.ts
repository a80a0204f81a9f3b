import { mkdir, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { skipReason } from '../../interop/src/launch/apache.ts'
import { baselineOf, compare, readBaseline, saveBaseline } from './baseline.ts'
import { type Case, selectCases } from './cases.ts'
import { failures, markdown, type Report } from './report.ts'
import { type SubjectName, subjectNames } from './subjects.ts'
import { type CaseResults, ClientSuite, type SuiteOptions, type Timing } from './suite.ts'

/** The command line options; see the help of main.ts. */
export interface ClientBenchOptions {
  readonly words: readonly string[]
  readonly quick: boolean
  readonly save: boolean
  readonly subjects?: string | undefined
  readonly seconds?: number | undefined
  readonly rounds?: number | undefined
  /** The number of messages in the memory cases. */
  readonly messages?: number | undefined
  readonly json?: string | undefined
  /** The only subject, which runs with Node's profiler. */
  readonly profile?: string | undefined
  /** If other programs use more than this part of the CPU, the figures mean nothing. */
  readonly tooBusy: number
}

const TEN_MILLION = 10_000_000

function timingOf({ quick, seconds, rounds, messages = TEN_MILLION }: ClientBenchOptions): Timing {
  const runMs = (seconds ?? (quick ? 2 : 4)) * 1000
  const usual = quick
    ? { warmMs: 1_000, jvmWarmMs: 3_000, rounds: 1, drainMessages: 250_000, oneProcess: true }
    : { warmMs: 2_000, jvmWarmMs: 10_000, rounds: 3, drainMessages: 1_500_000, oneProcess: false }
  return { ...usual, runMs, rounds: rounds ?? usual.rounds, memoryMessages: messages }
}

function subjectNamed(name: string): SubjectName {
  const found = subjectNames.find(each => each === name)
  if (!found) throw new Error(`${name} is not one of ${subjectNames.join(', ')}`)
  return found
}

function wantedSubjects({ subjects, profile, quick }: ClientBenchOptions): SubjectName[] {
  const named = profile ?? subjects
  if (named !== undefined) return named.split(',').map(subjectNamed)
  return quick ? ['ours', 'java'] : [...subjectNames]
}

async function runCases(cases: readonly Case[], options: SuiteOptions) {
  const suite = await ClientSuite.create(options)
  const results: CaseResults[] = []
  try {
    for (const one of cases) {
      process.stderr.write(`${one.title}\n`)
      results.push(await suite.run(one))
    }
  } finally {
    await suite.close()
  }
  return { cases: results, neighbours: suite.neighbours }
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

async function profileFolder({ profile }: ClientBenchOptions): Promise<string | undefined> {
  if (profile === undefined) return undefined
  const folder = `${process.cwd()}/.cache/profiles/client`
  await mkdir(folder, { recursive: true })
  console.log(`Profiles: ${folder}`)
  return folder
}

/** Measures clients and prints the report. The exit code is 1 if something is slower than the baseline. */
export async function benchClient(options: ClientBenchOptions): Promise<void> {
  const missing = await skipReason()
  if (missing !== false) return console.log(`Skipped: ${missing}`)
  const cases = selectCases(options)
  if (cases.length === 0) throw new Error(`no case has a name with ${options.words.join(' or ')}`)
  const suiteOptions: SuiteOptions = {
    subjects: wantedSubjects(options),
    byName: (options.profile ?? options.subjects) !== undefined,
    timing: timingOf(options),
    profileTo: await profileFolder(options),
  }
  const report: Report = {
    machine: `${cpus().length} x ${cpus()[0]?.model ?? process.arch}`,
    node: process.version.slice(1),
    mode: options.quick ? 'quick' : 'full',
    ...(await runCases(cases, suiteOptions)),
  }
  console.log(markdown(report))
  for (const failure of failures(report.cases)) console.log(failure)
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`)
  if (options.save) await saveBaseline(report)
  else if (!(await passesBaseline(report, options.tooBusy))) process.exitCode = 1
}
