import { type Figures, rounded, type Stored, type Watched, wholeNumbers } from '../harness/baseline.ts'
import { type PerSubject, succeeded, successes } from '../harness/rounds.ts'
import type { BrokerName } from './brokers.ts'
import { apacheBestOf, type Report } from './report.ts'

/** The stored figures of a case. Ratios are to the better of Apache's brokers in the same run, so that machines are comparable. */
interface BaselineCase {
  readonly speedToApache: number
  readonly cpuToApache: number
  readonly p99ToApache: number
  readonly perSecond: number
  readonly cpuUs: number
  readonly p99Us: number
}

export interface Baseline extends Stored {
  readonly cases: Readonly<Record<string, BaselineCase>>
  readonly starts?: PerSubject<BrokerName, { readonly startMs: number; readonly rssMb: number }>
  readonly finalRssMb?: PerSubject<BrokerName, number>
  readonly restart?: { readonly logGb: number; readonly markedMs: number; readonly unmarkedMs: number }
}

// A JVM and our broker each share the cores with the driver, so the tolerance is larger than that of the name server's runs.
export const watched: readonly Watched[] = [
  { figure: 'cpuToApache', what: "CPU a message, times Apache's", worse: 'above', tolerance: 0.35 },
  { figure: 'speedToApache', what: "messages/s, times Apache's", worse: 'below', tolerance: 0.5 },
  { figure: 'rssMb', what: 'RSS, idle, MB', worse: 'above', tolerance: 0.25 },
]

/** The rows that are compared: the cases and our start. */
export function rowsOf({ cases, starts }: Baseline): Record<string, Figures> {
  return {
    ...(cases as object as Record<string, Figures>),
    ...(starts?.ours && { start: { rssMb: starts.ours.rssMb } }),
  }
}

/** The cases of a report in which ours and a broker of Apache ran. */
export function figuresOf(report: Report): Baseline {
  const { machine, node, finalRssMb, starts, restarts } = report
  const cases: Record<string, BaselineCase> = {}
  for (const { case: one, results } of report.cases) {
    const [ours, apache] = [succeeded(results.ours), apacheBestOf(results)]
    if (!ours || !apache) continue
    cases[one.id] = {
      speedToApache: rounded(ours.perSecond / apache.perSecond),
      cpuToApache: rounded(ours.cpuUs / apache.cpuUs),
      p99ToApache: rounded(ours.p99Us / apache.p99Us),
      perSecond: rounded(ours.perSecond),
      cpuUs: rounded(ours.cpuUs),
      p99Us: rounded(ours.p99Us),
    }
  }
  const startRows = Object.entries(successes(starts)).map(([name, start]) => [name, wholeNumbers(start)] as const)
  const restart = succeeded(restarts.ours)
  return {
    machine,
    node,
    cases,
    ...(startRows.length > 0 && { starts: Object.fromEntries(startRows) }),
    ...(report.cases.length > 0 && { finalRssMb: wholeNumbers(finalRssMb) }),
    ...(restart && { restart: wholeNumbers(restart) }),
  }
}
