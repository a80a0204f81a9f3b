import { rounded, type Stored, type Watched } from '../harness/baseline.ts'
import { succeeded } from '../harness/rounds.ts'
import { type Report, javaBestOf } from './report.ts'

/** The stored figures of a case. They are relative to Java's best of the same run, so that machines are comparable. */
interface BaselineCase {
  /** Messages a second and CPU a message, ours / Java. */
  readonly speedToJava: number
  readonly cpuToJava: number
  readonly perSecond: number
  readonly cpuUs: number
  readonly p50Us: number
  readonly p99Us: number
  readonly rssMb: number
}

export interface Baseline extends Stored {
  readonly cases: Readonly<Record<string, BaselineCase>>
}

// Two JVMs and our client share the cores, so the tolerance is larger than that of the name server's runs.
export const watched: readonly Watched[] = [
  { figure: 'cpuToJava', what: 'CPU a message, times Java', worse: 'above', tolerance: 0.35 },
  {
    figure: 'speedToJava',
    what: 'messages/s, times Java',
    worse: 'below',
    tolerance: 0.5,
    // The latency case sends at a fixed rate.
    rows: id => id !== 'latency',
  },
]

/** The cases of a report in which ours and Java both ran. */
export function figuresOf(report: Report): Baseline {
  const cases: Record<string, BaselineCase> = {}
  for (const { case: one, results } of report.cases) {
    const [ours, java] = [succeeded(results.ours), javaBestOf(results)]
    if (!ours || !java) continue
    cases[one.id] = {
      speedToJava: rounded(ours.perSecond / java.perSecond),
      cpuToJava: rounded(ours.cpuUs / java.cpuUs),
      perSecond: rounded(ours.perSecond),
      cpuUs: rounded(ours.cpuUs),
      p50Us: rounded(ours.p50Us),
      p99Us: rounded(ours.p99Us),
      rssMb: Math.round(ours.rssMb),
    }
  }
  return { machine: report.machine, node: report.node, cases }
}
