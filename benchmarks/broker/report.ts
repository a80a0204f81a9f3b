import { percent, ratioVerdict, short, table, time, type Verdict, whole } from '../format.ts'
import { type BrokerName, brokerTitles } from './brokers.ts'
import type { CaseResults, Failure, PerBroker, Result } from './suite.ts'

/** All figures of a run. */
export interface Report {
  readonly machine: string
  readonly node: string
  /** Quick and full runs warm up a JVM differently. */
  readonly mode: 'quick' | 'full'
  readonly driver: string
  readonly missing: readonly string[]
  /** The part of the machine's CPU that other programs used, 0 to 1. */
  readonly neighbours: number
  readonly cases: readonly CaseResults[]
  /** The largest resident memory after all loads of a setting, MB. */
  readonly finalRssMb: PerBroker<number>
}

const FINAL_RSS_GOAL_MB = 200

export function succeeded<T extends object>(result: T | Failure | undefined): T | undefined {
  return result && !('error' in result) ? result : undefined
}

/** The better figures of Apache's brokers: each of its own, because they need not be those of the same broker. */
export interface ApacheBest {
  readonly perSecond: number
  readonly cpuUs: number
  readonly p99Us: number
}

/** Undefined if no broker of Apache has succeeded. */
export function apacheBestOf(results: PerBroker<Result | Failure>): ApacheBest | undefined {
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

function resultCells(result: Result | Failure): string[] {
  if ('error' in result) return [result.error, '', '', '', '', '', '']
  return [
    short(result.perSecond),
    time(result.p50Us),
    time(result.p99Us),
    time(result.p999Us),
    time(result.cpuUs),
    time(result.driverCpuUs),
    `${whole.format(result.rssMb)} MB`,
  ]
}

function resultRows({ case: one, results }: CaseResults): string[][] {
  const entries = Object.entries(results) as [BrokerName, Result | Failure][]
  return entries.map(([name, result], i) => [i === 0 ? one.title : '', brokerTitles[name], ...resultCells(result)])
}

/** Judges the goals. Ratios need a broker of Apache in the same run. */
export function judge({ cases, finalRssMb }: Pick<Report, 'cases' | 'finalRssMb'>): Verdict[] {
  const verdicts = cases.flatMap(({ case: { title, goal }, results }) => {
    const [ours, apache] = [succeeded(results.ours), apacheBestOf(results)]
    if (!goal || !ours || !apache) return []
    return [
      ratioVerdict(`${title}: messages/s`, ours.perSecond / apache.perSecond, { atLeast: goal.speedRatio }),
      ratioVerdict(`${title}: CPU a message`, ours.cpuUs / apache.cpuUs, { atMost: goal.cpuRatio }),
      ratioVerdict(`${title}: p99`, ours.p99Us / apache.p99Us, { atMost: 1 }),
    ]
  })
  const rssMb = finalRssMb.ours
  if (rssMb === undefined) return verdicts
  const wanted = `< ${FINAL_RSS_GOAL_MB} MB`
  const reached = `${whole.format(rssMb)} MB`
  return [...verdicts, { what: 'RSS after all loads', wanted, reached, met: rssMb < FINAL_RSS_GOAL_MB }]
}

/** Formats the report as Markdown. */
export function markdown(report: Report): string {
  const head = ['load', 'broker', 'messages/s', 'p50', 'p99', 'p99.9', 'CPU/message', "driver's CPU", 'RSS']
  const verdicts = judge(report)
  const { machine, node, driver, neighbours, missing, cases, finalRssMb } = report
  const parts = [
    `${machine}, Node ${node}, driver: ${driver}, other programs: ${percent(neighbours)} of the CPU`,
    ...missing.map(reason => `Skipped: ${reason}`),
  ]
  if (cases.length > 0) parts.push(table(head, cases.flatMap(resultRows)))
  const rss = Object.entries(finalRssMb) as [BrokerName, number][]
  if (rss.length > 0) {
    const rows = rss.map(([name, mb]) => [brokerTitles[name], `${whole.format(mb)} MB`])
    parts.push(table(['broker', 'RSS after all loads'], rows))
  }
  if (verdicts.length > 0) {
    const rows = verdicts.map(({ what, wanted, reached, met }) => [what, wanted, reached, met ? 'met' : '**not met**'])
    parts.push(table(["goal (ratio to the better of Apache's)", 'wanted', 'reached', ''], rows))
  }
  return `${parts.join('\n\n')}\n`
}
