import {
  type BenchReport,
  caseRows,
  document,
  judgeCases,
  limitVerdict,
  megabytes,
  ratioVerdict,
  section,
  short,
  time,
  type Verdict,
  whole,
} from '../harness/report.ts'
import { type Failure, type PerSubject, succeeded } from '../harness/rounds.ts'
import type { Goal } from './cases.ts'
import type { Result } from './measure.ts'
import { type SubjectName, subjectTitles } from './subjects.ts'
import type { CaseResults } from './suite.ts'

/** All figures of a run. */
export interface Report extends BenchReport {
  readonly cases: readonly CaseResults[]
}

/** Java's figures to compare ours with: the best of its two modes. */
export interface JavaBest {
  readonly perSecond: number
  readonly cpuUs: number
}

// With fewer messages, uncollected garbage outweighs a leak.
const MESSAGES_TO_JUDGE = 2_000_000

/** Java's best figures; undefined if Java was not measured. */
export function javaBestOf(results: PerSubject<SubjectName, Result | Failure>): JavaBest | undefined {
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
  return limitVerdict(`${what}: growth`, growth.mbPerMillion, wanted, 'MB a million')
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
  return judgeCases(cases, (title, goal, ours, results) => goalVerdicts(title, goal, ours, javaBestOf(results)))
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

const speedHead = ['work', 'client', 'messages/s', 'p50', 'p99', 'CPU/message', 'RSS', 'failed']
const memoryHead = ['', 'client', 'messages', '/s', 'CPU/message', 'RSS at 1/2', 'at the end', 'peak', 'MB a million']

/** Formats the report as Markdown. */
export function markdown(report: Report): string {
  const { cases } = report
  const speed = cases.filter(({ case: one }) => one.work !== 'memory')
  const memory = cases.filter(({ case: one }) => one.work === 'memory')
  const sections = [
    section(speedHead, caseRows(speed, subjectTitles, speedRow)),
    section(memoryHead, caseRows(memory, subjectTitles, memoryRow)),
  ]
  const goals = { head: "goal (ratio to Java's best)", verdicts: judge(cases) }
  return document(report, 'one broker of Apache 5.5.0', [], sections, goals)
}
