import type { Goal } from './cases.ts'
import { percent, ratioVerdict, short, table, time, titles, type Verdict, whole } from './format.ts'
import { judgeStorm, stormMarkdown } from './storm/report.ts'
import type { StormRun } from './storm/run.ts'
import type { CaseResults, Failure, PerSubject, Result, StartResult } from './suite.ts'
import type { SubjectName } from './subjects.ts'

/** All figures of a run. */
export interface Report {
  readonly machine: string
  readonly node: string
  readonly driver: string
  readonly missing: readonly string[]
  /** The part of the machine's CPU that other programs used, 0 to 1. */
  readonly neighbours: number
  readonly starts: PerSubject<StartResult>
  readonly cases: readonly CaseResults[]
  readonly storm?: StormRun
}

const START_GOAL_MS = 150
const IDLE_RSS_GOAL_MB = 70

function succeeded<T extends object>(result: T | Failure | undefined): T | undefined {
  return result && !('error' in result) ? result : undefined
}

function resultRow(subject: SubjectName, result: Result | Failure): string[] {
  if ('error' in result) return [titles[subject], result.error, '', '', '', '', '']
  return [
    titles[subject],
    short(result.perSecond),
    time(result.p50Us),
    time(result.p99Us),
    time(result.serverCpuUs),
    time(result.driverCpuUs),
    `${whole.format(result.rssMb)} MB`,
  ]
}

function resultRows({ case: one, results }: CaseResults): string[][] {
  const subjects = Object.entries(results) as [SubjectName, Result | Failure][]
  return subjects.map(([subject, result], i) => [i === 0 ? one.title : '', ...resultRow(subject, result)])
}

function startRows(starts: Report['starts']): string[][] {
  const entries = Object.entries(starts) as [SubjectName, StartResult][]
  return entries.map(([subject, { startMs, rssMb }]) => [
    titles[subject],
    `${whole.format(startMs)} ms`,
    `${whole.format(rssMb)} MB`,
  ])
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
    const met = ours.p99Us <= goal.p99Us
    const memory = `, ${whole.format(ours.peakRssMb)} MB at most`
    verdicts.push({ what: `${title}: p99`, wanted: `<= ${time(goal.p99Us)}`, reached: time(ours.p99Us) + memory, met })
  }
  return verdicts
}

/** Judges the goals. Ratios need Apache in the same run; without it only absolute goals are judged. */
export function judge({ cases, starts }: Pick<Report, 'cases' | 'starts'>): Verdict[] {
  const verdicts = cases.flatMap(({ case: one, results }) => {
    const ours = succeeded(results.ours)
    return one.goal && ours ? goalVerdicts(one.title, one.goal, ours, succeeded(results.apache)) : []
  })
  const start = starts.ours
  if (!start) return verdicts
  const { startMs, rssMb } = start
  return [
    ...verdicts,
    {
      what: 'start to first answer',
      wanted: `<= ${START_GOAL_MS} ms`,
      reached: `${whole.format(startMs)} ms`,
      met: startMs <= START_GOAL_MS,
    },
    {
      what: 'RSS, idle',
      wanted: `<= ${IDLE_RSS_GOAL_MB} MB`,
      reached: `${whole.format(rssMb)} MB`,
      met: rssMb <= IDLE_RSS_GOAL_MB,
    },
  ]
}

/** Formats the report as Markdown. */
export function markdown(report: Report): string {
  const head = ['load', 'server', 'requests/s', 'p50', 'p99', 'CPU/request', "driver's CPU/request", 'RSS']
  const { storm } = report
  const verdicts = [...judge(report), ...(storm ? judgeStorm(storm) : [])]
  const parts = [
    `${report.machine}, Node ${report.node}, driver: ${report.driver}, other programs: ${percent(report.neighbours)} of the CPU`,
    ...report.missing.map(reason => `Skipped: ${reason}`),
  ]
  if (report.cases.length > 0) parts.push(table(head, report.cases.flatMap(resultRows)))
  if (storm) parts.push(stormMarkdown(storm))
  if (Object.keys(report.starts).length > 0) {
    parts.push(table(['server', 'start to first answer', 'RSS, idle'], startRows(report.starts)))
  }
  if (verdicts.length > 0) {
    const rows = verdicts.map(({ what, wanted, reached, met }) => [what, wanted, reached, met ? 'met' : '**not met**'])
    parts.push(table(['goal (ratio to Apache 5.5.0)', 'wanted', 'reached', ''], rows))
  }
  return `${parts.join('\n\n')}\n`
}
