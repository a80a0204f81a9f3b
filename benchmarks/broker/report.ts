import type { Growth } from '../harness/growth.ts'
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
  whole,
} from '../harness/report.ts'
import { type Failure, hasFailed, type PerSubject, succeeded } from '../harness/rounds.ts'
import { type BrokerName, brokerTitles } from './brokers.ts'
import type { Restart } from './restart.ts'
import type { Start } from './starts.ts'
import type { CaseResults, Result } from './suite.ts'

/** All figures of a run. */
export interface Report extends BenchReport {
  readonly driver: string
  readonly missing: readonly string[]
  readonly cases: readonly CaseResults[]
  /** The largest resident memory after all loads of a setting, MB. */
  readonly finalRssMb: PerSubject<BrokerName, number>
  readonly starts: PerSubject<BrokerName, Start | Failure>
  readonly restarts: PerSubject<BrokerName, Restart | Failure>
  readonly growths: PerSubject<BrokerName, Growth | Failure>
}

const FINAL_RSS_GOAL_MB = 200
const START_GOAL_MS = 200
const IDLE_RSS_GOAL_MB = 120
const MARKED_GOAL_MS = 2_000
const UNMARKED_GOAL_MS = 20_000
const GROWTH_GOAL_MB = 2
/** Fewer messages tell nothing: heaps and buffers grow first. */
const SETTLED_MESSAGES = 2_000_000

/** The better figures of Apache's brokers: each of its own, because they need not be those of the same broker. */
export interface ApacheBest {
  readonly perSecond: number
  readonly cpuUs: number
  readonly p99Us: number
}

/** Undefined if no broker of Apache has succeeded. */
export function apacheBestOf(results: PerSubject<BrokerName, Result | Failure>): ApacheBest | undefined {
  const all = [succeeded(results['apache-4.9.7']), succeeded(results['apache-5.5.0'])].filter(
    each => each !== undefined,
  )
  if (all.length === 0) return undefined
  return {
    perSecond: Math.max(...all.map(each => each.perSecond)),
    cpuUs: Math.min(...all.map(each => each.cpuUs)),
    p99Us: Math.min(...all.map(each => each.p99Us)),
  }
}

function cells(result: Result): string[] {
  const { perSecond, p50Us, p99Us, p999Us, cpuUs, driverCpuUs, rssMb } = result
  return [short(perSecond), ...[p50Us, p99Us, p999Us, cpuUs, driverCpuUs].map(time), megabytes(rssMb)]
}

/** Judges the goals. Ratios need a broker of Apache in the same run. */
export function judge(report: Pick<Report, 'cases' | 'finalRssMb' | 'starts' | 'restarts' | 'growths'>): Verdict[] {
  const { cases, finalRssMb, starts, restarts, growths } = report
  const verdicts = judgeCases(cases, (title, goal, ours, results) => {
    const apache = apacheBestOf(results)
    if (!apache) return []
    return [
      ratioVerdict(`${title}: messages/s`, ours.perSecond / apache.perSecond, { atLeast: goal.speedRatio }),
      ratioVerdict(`${title}: CPU a message`, ours.cpuUs / apache.cpuUs, { atMost: goal.cpuRatio }),
      ratioVerdict(`${title}: p99`, ours.p99Us / apache.p99Us, { atMost: 1 }),
    ]
  })
  if (finalRssMb.ours !== undefined)
    verdicts.push(limitVerdict('RSS after all loads', finalRssMb.ours, FINAL_RSS_GOAL_MB, 'MB'))
  const [start, restart, growth] = [succeeded(starts.ours), succeeded(restarts.ours), succeeded(growths.ours)]
  for (const [what, { ours }] of Object.entries({ start: starts, restart: restarts, memory: growths })) {
    if (hasFailed(ours)) verdicts.push(failedVerdict(what))
  }
  if (start) {
    verdicts.push(limitVerdict('start to first message', start.startMs, START_GOAL_MS, 'ms'))
    verdicts.push(limitVerdict('RSS, idle', start.rssMb, IDLE_RSS_GOAL_MB, 'MB'))
  }
  if (restart) {
    const { logGb, markedMs, unmarkedMs } = restart
    verdicts.push(limitVerdict(`start after kill -9, ${logGb} GB`, markedMs, MARKED_GOAL_MS, 'ms'))
    verdicts.push(limitVerdict('the same without the checkpoint', unmarkedMs, UNMARKED_GOAL_MS, 'ms'))
  }
  if (growth && growth.messages >= SETTLED_MESSAGES) {
    verdicts.push(limitVerdict('growth for a million messages', growth.mbPerMillion, GROWTH_GOAL_MB, 'MB'))
  }
  return verdicts
}

/** Formats the report as Markdown. */
export function markdown(report: Report): string {
  const { driver, missing, cases, finalRssMb, starts, restarts, growths } = report
  const sections = [
    section(
      ['load', 'broker', 'messages/s', 'p50', 'p99', 'p99.9', 'CPU/message', "driver's CPU", 'RSS'],
      caseRows(cases, brokerTitles, cells),
    ),
    section(
      ['broker', 'RSS after all loads'],
      subjectRows(finalRssMb, brokerTitles, value => [megabytes(value)]),
    ),
    section(
      ['name server and broker', 'start to first message', 'RSS, idle'],
      subjectRows(starts, brokerTitles, ({ startMs, rssMb }) => [milliseconds(startMs), megabytes(rssMb)]),
    ),
    section(
      ['broker', 'log', 'start after kill -9', 'without the checkpoint', 'RSS'],
      subjectRows(restarts, brokerTitles, ({ logGb, markedMs, unmarkedMs, rssMb }) => [
        `${logGb} GB`,
        milliseconds(markedMs),
        milliseconds(unmarkedMs),
        megabytes(rssMb),
      ]),
    ),
    section(
      ['broker', 'messages', 'RSS after half', 'RSS at the end', 'growth for a million'],
      subjectRows(growths, brokerTitles, ({ messages, fromMb, toMb, mbPerMillion }) => [
        whole.format(messages),
        megabytes(fromMb),
        megabytes(toMb),
        `${mbPerMillion.toFixed(2)} MB`,
      ]),
    ),
  ]
  const goals = { head: "goal (ratio to the better of Apache's)", verdicts: judge(report) }
  return document(report, `driver: ${driver}`, missing, sections, goals)
}
