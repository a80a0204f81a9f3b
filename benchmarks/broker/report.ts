import type { Growth } from '../client/growth.ts'
import { percent, ratioVerdict, short, table, time, type Verdict, whole } from '../format.ts'
import { type BrokerName, brokerTitles } from './brokers.ts'
import type { Restart } from './restart.ts'
import type { Start } from './starts.ts'
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
  /** Of the machine when the run began, the last minute. */
  readonly loadAverage: number
  readonly cases: readonly CaseResults[]
  /** The largest resident memory after all loads of a setting, MB. */
  readonly finalRssMb: PerBroker<number>
  readonly starts: PerBroker<Start>
  readonly restarts: PerBroker<Restart>
  readonly growths: PerBroker<Growth>
}

const FINAL_RSS_GOAL_MB = 200
const START_GOAL_MS = 200
const IDLE_RSS_GOAL_MB = 120
const MARKED_GOAL_MS = 2_000
const UNMARKED_GOAL_MS = 20_000
const GROWTH_GOAL_MB = 2
/** Fewer messages tell nothing: heaps and buffers grow first. */
const SETTLED_MESSAGES = 2_000_000

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
export function judge(report: Pick<Report, 'cases' | 'finalRssMb' | 'starts' | 'restarts' | 'growths'>): Verdict[] {
  const { cases, finalRssMb, starts, restarts, growths } = report
  const verdicts = cases.flatMap(judgeCase)
  if (finalRssMb.ours !== undefined)
    verdicts.push(below('RSS after all loads', finalRssMb.ours, FINAL_RSS_GOAL_MB, 'MB'))
  if (starts.ours) {
    verdicts.push(below('start to first message', starts.ours.startMs, START_GOAL_MS, 'ms'))
    verdicts.push(below('RSS, idle', starts.ours.rssMb, IDLE_RSS_GOAL_MB, 'MB'))
  }
  if (restarts.ours) {
    const { logGb, markedMs, unmarkedMs } = restarts.ours
    verdicts.push(below(`start after kill -9, ${logGb} GB`, markedMs, MARKED_GOAL_MS, 'ms'))
    verdicts.push(below('the same without the checkpoint', unmarkedMs, UNMARKED_GOAL_MS, 'ms'))
  }
  if (growths.ours && growths.ours.messages >= SETTLED_MESSAGES) {
    verdicts.push(below('growth for a million messages', growths.ours.mbPerMillion, GROWTH_GOAL_MB, 'MB'))
  }
  return verdicts
}

function judgeCase({ case: { title, goal }, results }: CaseResults): Verdict[] {
  const [ours, apache] = [succeeded(results.ours), apacheBestOf(results)]
  if (!goal || !ours || !apache) return []
  return [
    ratioVerdict(`${title}: messages/s`, ours.perSecond / apache.perSecond, { atLeast: goal.speedRatio }),
    ratioVerdict(`${title}: CPU a message`, ours.cpuUs / apache.cpuUs, { atMost: goal.cpuRatio }),
    ratioVerdict(`${title}: p99`, ours.p99Us / apache.p99Us, { atMost: 1 }),
  ]
}

function below(what: string, reached: number, limit: number, unit: string): Verdict {
  const number = limit < 10 ? reached.toFixed(2) : whole.format(reached)
  return { what, wanted: `< ${whole.format(limit)} ${unit}`, reached: `${number} ${unit}`, met: reached < limit }
}

function rowsOf<T>(results: PerBroker<T>, cells: (result: T) => string[]): string[][] {
  return (Object.entries(results) as [BrokerName, T][]).map(([name, result]) => [brokerTitles[name], ...cells(result)])
}

const mb = (value: number) => `${whole.format(value)} MB`
const ms = (value: number) => `${whole.format(value)} ms`

function tablesOf({ cases, finalRssMb, starts, restarts, growths }: Report): string[] {
  const loadHead = ['load', 'broker', 'messages/s', 'p50', 'p99', 'p99.9', 'CPU/message', "driver's CPU", 'RSS']
  const restartHead = ['broker', 'log', 'start after kill -9', 'without the checkpoint', 'RSS']
  const growthHead = ['broker', 'messages', 'RSS after half', 'RSS at the end', 'growth for a million']
  const tables: [string[], string[][]][] = [
    [loadHead, cases.flatMap(resultRows)],
    [['broker', 'RSS after all loads'], rowsOf(finalRssMb, value => [mb(value)])],
    [
      ['name server and broker', 'start to first message', 'RSS, idle'],
      rowsOf(starts, ({ startMs, rssMb }) => [ms(startMs), mb(rssMb)]),
    ],
    [
      restartHead,
      rowsOf(restarts, ({ logGb, markedMs, unmarkedMs, rssMb }) => [
        `${logGb} GB`,
        ms(markedMs),
        ms(unmarkedMs),
        mb(rssMb),
      ]),
    ],
    [
      growthHead,
      rowsOf(growths, ({ messages, fromMb, toMb, mbPerMillion }) => [
        whole.format(messages),
        mb(fromMb),
        mb(toMb),
        `${mbPerMillion.toFixed(2)} MB`,
      ]),
    ],
  ]
  return tables.filter(([, rows]) => rows.length > 0).map(([head, rows]) => table(head, rows))
}

/** Formats the report as Markdown. */
export function markdown(report: Report): string {
  const { machine, node, driver, neighbours, loadAverage, missing } = report
  const busy = `other programs: ${percent(neighbours)} of the CPU, load average ${loadAverage.toFixed(1)}`
  const verdicts = judge(report)
  const parts = [
    `${machine}, Node ${node}, driver: ${driver}, ${busy}`,
    ...missing.map(reason => `Skipped: ${reason}`),
    ...tablesOf(report),
  ]
  if (verdicts.length > 0) {
    const rows = verdicts.map(({ what, wanted, reached, met }) => [what, wanted, reached, met ? 'met' : '**not met**'])
    parts.push(table(["goal (ratio to the better of Apache's)", 'wanted', 'reached', ''], rows))
  }
  return `${parts.join('\n\n')}\n`
}
