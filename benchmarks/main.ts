// npm run bench [-- options] [words]; see README.md in this folder, or --help.
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { type Case, selectCases } from './cases.ts'
import { baselineOf, compare, readBaseline, saveBaseline } from './compare.ts'
import { type Driver, type DriverKind, findDriver } from './load/drive.ts'
import { Neighbours } from './neighbours.ts'
import { markdown, type Report } from './report.ts'
import { profileStorm, runStorms } from './storm/run.ts'
import {
  type CaseResults,
  measureStart,
  type PerSubject,
  profile,
  type StartResult,
  NameServerSuite,
  type Timing,
} from './suite.ts'
import { findSubjects, type Subject, type SubjectName } from './subjects.ts'

const help = `npm run bench -- [options] [words]

Loads our name server, Apache's if Java and its jars are there, and a bare Node server, and compares them.
Words select cases by parts of their names, for example: route 16x16
The word storm runs only the storm: 300 brokers with 10,000 topics register and hang up, while 200 clients ask.
The word client loads clients instead: ours, Apache's for Java, and ali-ons, with one broker of Apache. The words after it
select its cases, for example: client send-128
The word broker loads brokers instead: ours and Apache's 4.9.7 and 5.5.0. The words after it select its cases, for example:
broker send-128-16x16 start. Only its words restart and memory fill the disk; --large adds both.

  --quick             a few cases in a minute; of the name servers without Apache's
  --all               the cases without a goal, too
  --micro             the benchmarks of single functions only
  --subjects LIST     some of ours,apache,bare; for client: ours,java,java-async,ali-ons;
                      for broker: ours,apache-4.9.7,apache-5.5.0
  --seconds N         how long to measure in each round (3)
  --rounds N          number of rounds; their median counts (3)
  --driver c|node     the C driver needs cc; default: c if it compiles
  --program FILE      the mqnamesrv to measure; default: ours, compiled as it is published
  --save              store the figures in baseline.json
  --messages N        client, broker: number of messages in the memory cases (10000000)
  --large             broker: also start after kill -9 with a large log, and memory over many messages
  --gb N              broker: size of that log (10)
  --json FILE         write all figures
  --profile SUBJECT   run the cases once with Node's profiler and write .cpuprofile files
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
    large: { type: 'boolean', default: false },
    micro: { type: 'boolean', default: false },
    subjects: { type: 'string' },
    seconds: { type: 'string' },
    rounds: { type: 'string' },
    driver: { type: 'string' },
    program: { type: 'string' },
    save: { type: 'boolean', default: false },
    messages: { type: 'string' },
    gb: { type: 'string' },
    json: { type: 'string' },
    profile: { type: 'string' },
  },
})

const subjectNames: readonly SubjectName[] = ['ours', 'apache', 'bare']

function isOneOf<T extends string>(word: string, words: readonly T[]): word is T {
  return (words as readonly string[]).includes(word)
}

function wantedSubjects(): SubjectName[] {
  if (values.subjects === undefined) return values.quick ? ['ours', 'bare'] : [...subjectNames]
  return values.subjects.split(',').map(subjectNamed)
}

function subjectNamed(name: string): SubjectName {
  if (!isOneOf(name, subjectNames)) throw new Error(`${name} is not one of ${subjectNames.join(', ')}`)
  return name
}

function wantedDriver(): DriverKind | undefined {
  const { driver } = values
  if (driver !== undefined && !isOneOf(driver, ['c', 'node']))
    throw new Error(`--driver: ${driver} is neither c nor node`)
  return driver
}

type NumberOption = 'seconds' | 'rounds' | 'messages' | 'gb'

function positive(option: NumberOption, fallback: number): number {
  return given(option) ?? fallback
}

function given(option: NumberOption): number | undefined {
  if (values[option] === undefined) return undefined
  const value = Number(values[option])
  if (!(value > 0)) throw new Error(`--${option} needs a number above 0`)
  return value
}

function timing(): Timing {
  const runMs = positive('seconds', values.quick ? 2 : 3) * 1000
  return { runMs, warmMs: values.quick ? 1000 : 2000, rounds: positive('rounds', values.quick ? 1 : 3) }
}

const STARTS = 5

async function runCases(cases: readonly Case[], subjects: readonly Subject[], driver: Driver, neighbours: Neighbours) {
  const suite = await NameServerSuite.create(driver, neighbours)
  const results: CaseResults[] = []
  try {
    for (const one of cases) {
      process.stderr.write(`${one.title}\n`)
      results.push(await suite.run(one, subjects, timing()))
    }
  } finally {
    await suite.close()
  }
  return results
}

async function runStarts(subjects: readonly Subject[]): Promise<PerSubject<StartResult>> {
  const starts: PerSubject<StartResult> = {}
  for (const subject of subjects) starts[subject.name] = await measureStart(subject, values.quick ? 1 : STARTS)
  return starts
}

async function profileSelected({ cases, storm }: Selected): Promise<void> {
  const { subjects, missing } = await findSubjects([subjectNamed(values.profile ?? '')], values.program)
  const [subject] = subjects
  if (!subject) throw new Error(missing.join())
  const driver = await findDriver(wantedDriver())
  for (const one of cases) {
    const folder = await profileFolder(one.id)
    await profile(one, subject, driver, timing(), folder)
    console.log(`${one.title}: ${folder}`)
  }
  if (!storm) return
  const folder = await profileFolder('storm')
  await profileStorm(subject, values.quick, folder)
  console.log(`storm: ${folder}`)
}

async function profileFolder(name: string): Promise<string> {
  const folder = `${process.cwd()}/.cache/profiles/${name}`
  await mkdir(folder, { recursive: true })
  return folder
}

/** If other programs use more than this part of the CPU, the figures mean nothing. */
const TOO_BUSY = 0.25

/** Prints what is slower than the baseline. True if nothing is, or if the run cannot tell. */
async function passesBaseline(report: Report): Promise<boolean> {
  const baseline = await readBaseline()
  if (!baseline) return true
  const slower = compare(baseline, baselineOf(report))
  for (const { id, what, before, now } of slower) console.log(`SLOWER  ${id}: ${what}: ${before} -> ${now}`)
  if (report.neighbours > TOO_BUSY) {
    console.log('Other programs kept the machine busy: these figures prove nothing.')
    return true
  }
  if (slower.length === 0) console.log('Nothing is slower than the baseline.')
  return slower.length === 0
}

/** What a run measures. */
interface Selected {
  readonly cases: readonly Case[]
  readonly starts: boolean
  readonly storm: boolean
}

async function bench(selected: Selected): Promise<void> {
  const { subjects, missing } = await findSubjects(wantedSubjects(), values.program)
  const driver = await findDriver(wantedDriver())
  const neighbours = new Neighbours()
  const starts = selected.starts ? await runStarts(subjects) : {}
  const cases = await runCases(selected.cases, subjects, driver, neighbours)
  const report: Report = {
    machine: `${cpus().length} x ${cpus()[0]?.model ?? process.arch}`,
    node: process.version.slice(1),
    driver: driver.kind,
    missing,
    starts,
    cases,
    ...(selected.storm ? { storm: await runStorms(subjects, values.quick, neighbours) } : {}),
    neighbours: neighbours.share,
  }
  console.log(markdown(report))
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(report, null, 2)}\n`)
  if (values.save) await saveBaseline(report)
  else if (!(await passesBaseline(report))) process.exitCode = 1
}

async function runMicro(): Promise<void> {
  // Imported here, so that a load with --program runs even if the sources do not compile.
  const micro = await import('./micro/index.ts')
  await micro.runMicro(positionals)
}

async function runClient(words: readonly string[]): Promise<void> {
  // Imported here: the loads of the name server need neither the interop suite nor the client.
  const { benchClient } = await import('./client/bench.ts')
  const { quick, save, subjects, json, profile } = values
  const numbers = { seconds: given('seconds'), rounds: given('rounds'), messages: given('messages') }
  await benchClient({ words, quick, save, subjects, json, profile, ...numbers, tooBusy: TOO_BUSY })
}

async function runBroker(words: readonly string[]): Promise<void> {
  const { benchBroker } = await import('./broker/bench.ts')
  const { quick, all, large, save, subjects, json, profile } = values
  const numbers = { seconds: given('seconds'), rounds: given('rounds'), gb: given('gb'), messages: given('messages') }
  const chosen = { words, quick, all, large, save, subjects, json, profile, driver: wantedDriver() }
  await benchBroker({ ...chosen, ...numbers, tooBusy: TOO_BUSY })
}

async function main(): Promise<void> {
  if (values.help) return console.log(help)
  if (values.micro) return runMicro()
  if (positionals[0] === 'client') return runClient(positionals.slice(1))
  if (positionals[0] === 'broker') return runBroker(positionals.slice(1))
  const selected = select(positionals)
  await (values.profile === undefined ? bench(selected) : profileSelected(selected))
}

/** The storm takes part in full runs and where it is named. */
function select(words: readonly string[]): Selected {
  const named = words.includes('storm')
  if (named && words.length === 1) return { cases: [], starts: false, storm: true }
  const cases = selectCases({ quick: values.quick, all: values.all, words: words.filter(word => word !== 'storm') })
  if (cases.length === 0) throw new Error(`no case has a name with ${words.join(' or ')}`)
  return { cases, starts: words.length === 0, storm: named || (words.length === 0 && !values.quick) }
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
