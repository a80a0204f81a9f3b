import { percent, ratioVerdict, short, table, time, type Verdict } from '../report.ts'
import type { Goal } from './cases.ts'
import type { Result } from './measure.ts'
import { type SubjectName, subjectTitles } from './subjects.ts'
import type { CaseResults, Failure, PerSubject } from './suite.ts'

/** Everything one run has measured. */
export interface Report {
  readonly machine: string
  readonly node: string
  /** `quick` runs warm a JVM less, so that they compare with each other only. */
  readonly mode: 'full' | 'quick'
  /** Part of the machine's CPU that other programs took meanwhile, 0 to 1. */
  readonly neighbours: number
  readonly cases: readonly CaseResults[]
}

/** Java's figures that ours are held against: the best of its ways to send. */
export interface Rival {
  readonly perSecond: number
  readonly cpuUs: number
}

// A slope needs room: what a garbage collector leaves lying about is more than a leak in fewer messages.
const MESSAGES_TO_JUDGE = 2_000_000

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

export function succeeded(result: Result | Failure | undefined): Result | undefined {
  return result && !('error' in result) ? result : undefined
}

/** Undefined where Java was not measured. */
export function rivalOf(results: PerSubject<Result | Failure>): Rival | undefined {
  const java = [succeeded(results.java), succeeded(results['java-async'])].filter(result => result !== undefined)
  if (java.length === 0) return undefined
  return {
    perSecond: Math.max(...java.map(({ perSecond }) => perSecond)),
    cpuUs: Math.min(...java.map(({ cpuUs }) => cpuUs)),
  }
}

function rateVerdict(what: string, wanted: number, ours: Result, rival: Rival | undefined): Verdict {
  const beside = rival ? `, Java ${short(rival.perSecond)}/s` : ''
  return {
    what: `${what}: messages/s`,
    wanted: `>= ${short(wanted)}/s, or Java's`,
    reached: `${short(ours.perSecond)}/s${beside}`,
    met: ours.perSecond >= wanted || (rival !== undefined && ours.perSecond >= rival.perSecond),
  }
}

function growthVerdict(what: string, wanted: number, ours: Result): Verdict | undefined {
  const { growth } = ours
  if (!growth || growth.messages < MESSAGES_TO_JUDGE) return undefined
  return {
    what: `${what}: growth`,
    wanted: `<= ${wanted} MB a million`,
    reached: `${growth.mbPerMillion.toFixed(2)} MB a million`,
    met: growth.mbPerMillion <= wanted,
  }
}

function goalVerdicts(title: string, goal: Goal, ours: Result, rival: Rival | undefined): Verdict[] {
  const verdicts: (Verdict | undefined)[] = []
  if (goal.speedRatio !== undefined && rival) {
    const ratio = ours.perSecond / rival.perSecond
    verdicts.push(ratioVerdict(`${title}: messages/s`, ratio, { atLeast: goal.speedRatio }))
  }
  if (goal.cpuRatio !== undefined && rival) {
    verdicts.push(ratioVerdict(`${title}: CPU a message`, ours.cpuUs / rival.cpuUs, { atMost: goal.cpuRatio }))
  }
  if (goal.perSecond !== undefined) verdicts.push(rateVerdict(title, goal.perSecond, ours, rival))
  if (goal.cpuUs !== undefined) {
    const met = ours.cpuUs <= goal.cpuUs
    verdicts.push({ what: `${title}: CPU`, wanted: `<= ${time(goal.cpuUs)}`, reached: time(ours.cpuUs), met })
  }
  if (goal.growthMb !== undefined) verdicts.push(growthVerdict(title, goal.growthMb, ours))
  return verdicts.filter(verdict => verdict !== undefined)
}

/** What the goals came to. Ratios need Java in the same run. */
export function judge(cases: readonly CaseResults[]): Verdict[] {
  return cases.flatMap(({ case: one, results }) => {
    const ours = succeeded(results.ours)
    return one.goal && ours ? goalVerdicts(one.title, one.goal, ours, rivalOf(results)) : []
  })
}

function entriesOf({ results }: CaseResults): [SubjectName, Result | Failure][] {
  return Object.entries(results) as [SubjectName, Result | Failure][]
}

function megabytes(mb: number): string {
  return `${whole.format(mb)} MB`
}

function speedRow(result: Result): string[] {
  const { perSecond, failed, p50Us, p99Us, cpuUs, rssMb } = result
  const times = p50Us > 0 ? [time(p50Us), time(p99Us)] : ['', '']
  return [short(perSecond), ...times, time(cpuUs), megabytes(rssMb), failed === 0 ? '' : whole.format(failed)]
}

function memoryRow({ growth, perSecond, cpuUs, peakRssMb }: Result): string[] {
  if (!growth) return []
  const { messages, fromMb, toMb, mbPerMillion } = growth
  const memory = [megabytes(fromMb), megabytes(toMb), megabytes(peakRssMb), `${mbPerMillion.toFixed(2)} MB`]
  return [whole.format(messages), short(perSecond), time(cpuUs), ...memory]
}

function rowsOf(all: CaseResults, row: (result: Result) => string[]): string[][] {
  return entriesOf(all).map(([subject, result], i) => [
    i === 0 ? all.case.title : '',
    subjectTitles[subject],
    ...('error' in result ? [result.error.split('\n', 1)[0] ?? ''] : row(result)),
  ])
}

function filledUp(rows: readonly string[][], width: number): string[][] {
  return rows.map(row => [...row, ...Array.from({ length: width - row.length }, () => '')])
}

const speedHead = ['work', 'client', 'messages/s', 'p50', 'p99', 'CPU/message', 'RSS', 'failed']
const memoryHead = ['', 'client', 'messages', '/s', 'CPU/message', 'RSS at 1/2', 'at the end', 'peak', 'MB a million']

/** The report as Markdown. */
export function markdown(report: Report): string {
  const { machine, node, neighbours, cases } = report
  const speed = cases.filter(({ case: one }) => one.work !== 'memory').flatMap(all => rowsOf(all, speedRow))
  const memory = cases.filter(({ case: one }) => one.work === 'memory').flatMap(all => rowsOf(all, memoryRow))
  const verdicts = judge(cases).map(({ what, wanted, reached, met }) => [
    what,
    wanted,
    reached,
    met ? 'met' : '**not met**',
  ])
  const parts = [
    `${machine}, Node ${node}, one broker of Apache 5.5.0, other programs: ${percent(neighbours)} of the CPU`,
  ]
  if (speed.length > 0) parts.push(table(speedHead, filledUp(speed, speedHead.length)))
  if (memory.length > 0) parts.push(table(memoryHead, filledUp(memory, memoryHead.length)))
  if (verdicts.length > 0) parts.push(table(["goal (ratio to Java's best)", 'wanted', 'reached', ''], verdicts))
  return `${parts.join('\n\n')}\n`
}

/** What went wrong, whole; the table has only the first line of each. */
export function failures(cases: readonly CaseResults[]): string[] {
  return cases.flatMap(all =>
    entriesOf(all).flatMap(([subject, result]) =>
      'error' in result ? [`${all.case.title}, ${subjectTitles[subject]}: ${result.error}`] : [],
    ),
  )
}
