import {
  type BenchReport,
  caseRows,
  document,
  failedVerdict,
  judgeCases,
  limitVerdict,
  megabytes,
  milliseconds,
  ratioVerdict,
  section,
  short,
  subjectRows,
  time,
  type Verdict,
} from '../harness/report.ts'
import { type Failure, hasFailed, type PerSubject, succeeded } from '../harness/rounds.ts'
import { judgeStorm, stormMarkdown } from '../storm/report.ts'
import type { StormRun } from '../storm/run.ts'
import type { Goal } from './cases.ts'
import { type SubjectName, subjectTitles } from './subjects.ts'
import type { CaseResults, Result, StartResult } from './suite.ts'

/** All figures of a run. */
export interface Report extends BenchReport {
  readonly driver: string
  readonly missing: readonly string[]
  readonly starts: PerSubject<SubjectName, StartResult | Failure>
  readonly cases: readonly CaseResults[]
  readonly storm?: StormRun
}

const START_GOAL_MS = 150
const IDLE_RSS_GOAL_MB = 70

function cells({ perSecond, p50Us, p99Us, serverCpuUs, driverCpuUs, rssMb }: Result): string[] {
  return [short(perSecond), time(p50Us), time(p99Us), time(serverCpuUs), time(driverCpuUs), megabytes(rssMb)]
}

function goalVerdicts(title: string, goal: Goal, ours: Result, apache: Result | undefined): Verdict[] {
  const verdicts: Verdict[] = []
  if (goal.speedRatio !== undefined && apache) {
    const ratio = ours.perSecond / apache.perSecond
    verdicts.push(ratioVerdict(`${title}: requests/s`, ratio, { atLeast: goal.speedRatio }))
  }
  if (goal.cpuRatio !== undefined && apache) {
    const ratio = ours.serverCpuUs / apache.serverCpuUs
    verdicts.push(ratioVerdict(`${title}: CPU a request`, ratio, { atMost: goal.cpuRatio }))
  }
  if (goal.p99Us !== undefined) {
    const reached = `${time(ours.p99Us)}, ${megabytes(ours.peakRssMb)} at most`
    verdicts.push({
      what: `${title}: p99`,
      wanted: `<= ${time(goal.p99Us)}`,
      reached,
      met: ours.p99Us <= goal.p99Us,
    })
  }
  return verdicts
}

/** Judges the goals. Ratios need Apache in the same run; without it only absolute goals are judged. */
export function judge({ cases, starts: { ours } }: Pick<Report, 'cases' | 'starts'>): Verdict[] {
  const verdicts = judgeCases(cases, (title, goal, figures, { apache }) =>
    goalVerdicts(title, goal, figures, succeeded(apache)),
  )
  if (!ours) return verdicts
  if (hasFailed(ours)) return [...verdicts, failedVerdict('start')]
  return [
    ...verdicts,
    limitVerdict('start to first answer', ours.startMs, START_GOAL_MS, 'ms'),
    limitVerdict('RSS, idle', ours.rssMb, IDLE_RSS_GOAL_MB, 'MB'),
  ]
}

/** Formats the report as Markdown. */
export function markdown(report: Report): string {
  const head = ['load', 'server', 'requests/s', 'p50', 'p99', 'CPU/request', "driver's CPU/request", 'RSS']
  const { driver, missing, cases, starts, storm } = report
  const sections = [
    section(head, caseRows(cases, subjectTitles, cells)),
    storm && stormMarkdown(storm),
    section(
      ['server', 'start to first answer', 'RSS, idle'],
      subjectRows(starts, subjectTitles, ({ startMs, rssMb }) => [milliseconds(startMs), megabytes(rssMb)]),
    ),
  ]
  const verdicts = [...judge(report), ...(storm ? judgeStorm(storm) : [])]
  return document(report, `driver: ${driver}`, missing, sections, { head: 'goal (ratio to Apache 5.5.0)', verdicts })
}
