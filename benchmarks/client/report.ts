import { percent, ratioVerdict, short, table, time, type Verdict, whole } from '../format.ts'
import type { Goal } from './cases.ts'
import type { Result } from './measure.ts'
import { type SubjectName, subjectTitles } from './subjects.ts'
import type { CaseResults, Failure, PerSubject } from './suite.ts'

/** All figures of a run. */
export interface Report {
  readonly machine: string
  readonly node: string
  /** Quick runs warm up a JVM less, so they are comparable with each other only. */
  readonly mode: 'full' | 'quick'
  /** The part of the machine's CPU that other programs used, 0 to 1. */
  readonly neighbours: number
  readonly cases: readonly CaseResults[]
}

/** Java's figures to compare ours with: the best of its two modes. */
export interface JavaBest {
  readonly perSecond: number
  readonly cpuUs: number
}

// With fewer messages, uncollected garbage outweighs a leak.
const MESSAGES_TO_JUDGE = 2_000_000

export function succeeded(result: Result | Failure | undefined): Result | undefined {
  return result && !('error' in result) ? result : undefined
}

/** Java's best figures; undefined if Java was not measured. */
export function javaBestOf(results: PerSubject<Result | Failure>): JavaBest | undefined {
  const modes = [succeeded(results.java), succeeded(results['java-async'])].filter(result => result !== undefined)
  if (modes.length === 0) return undefined
  return {
    perSecond: Math.max(...modes.map(({ perSecond }) => perSecond)),
    cpuUs: Math.min(...modes.map(({ cpuUs }) => cpuUs)),
  }
}

function rateVerdict(what: string, wanted: number, ours: Result, java: JavaBest | undefined): Verdict {
  const comparison = java ? `, Java ${short(java.perSecond)}/s` : ''
  return {
    what: `${what}: messages/s`,
    wanted: `>= ${short(wanted)}/s, or Java's`,
    reached: `${short(ours.perSecond)}/s${comparison}`,
    met: ours.perSecond >= wanted || (java !== undefined && ours.perSecond >= java.perSecond),
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

function goalVerdicts(title: string, goal: Goal, ours: Result, java: JavaBest | undefined): Verdict[] {
  const verdicts: (Verdict | undefined)[] = []
  if (goal.speedRatio !== undefined && java) {
    const ratio = ours.perSecond / java.perSecond
    verdicts.push(ratioVerdict(`${title}: messages/s`, ratio, { atLeast: goal.speedRatio }))
  }
  if (goal.cpuRatio !== undefined && java) {
    verdicts.push(ratioVerdict(`${title}: CPU a message`, ours.cpuUs / java.cpuUs, { atMost: goal.cpuRatio }))
  }
  if (goal.perSecond !== undefined) verdicts.push(rateVerdict(title, goal.perSecond, ours, java))
  if (goal.cpuUs !== undefined) {
    const met = ours.cpuUs <= goal.cpuUs
    verdicts.push({ what: `${title}: CPU`, wanted: `<= ${time(goal.cpuUs)}`, reached: time(ours.cpuUs), met })
  }
  if (goal.growthMb !== undefined) verdicts.push(growthVerdict(title, goal.growthMb, ours))
  return verdicts.filter(verdict => verdict !== undefined)
}

/** Judges the goals. Ratios need Java in the same run. */
export function judge(cases: readonly CaseResults[]): Verdict[] {
  return cases.flatMap(({ case: one, results }) => {
    const ours = succeeded(results.ours)
    return one.goal && ours ? goalVerdicts(one.title, one.goal, ours, javaBestOf(results)) : []
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

/** Formats the report as Markdown. */
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

/** All failures with their full text; the table has only the first line of each. */
export function failures(cases: readonly CaseResults[]): string[] {
  return cases.flatMap(all =>
    entriesOf(all).flatMap(([subject, result]) =>
      'error' in result ? [`${all.case.title}, ${subjectTitles[subject]}: ${result.error}`] : [],
    ),
  )
}
