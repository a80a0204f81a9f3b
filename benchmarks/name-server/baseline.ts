import { type Figures, rounded, type Stored, type Watched, wholeNumbers } from '../harness/baseline.ts'
import { type PerSubject, succeeded, successes } from '../harness/rounds.ts'
import type { StormRun } from '../storm/run.ts'
import { type Phase, phases } from '../storm/size.ts'
import type { StormResult } from '../storm/storm.ts'
import type { Report } from './report.ts'
import type { SubjectName } from './subjects.ts'
import type { StartResult } from './suite.ts'

/** The stored figures of a case. They are relative to the bare server of the same run, so that machines are comparable. */
interface BaselineCase {
  /** Requests a second, ours / bare. */
  readonly speedToBare: number
  /** CPU a request, ours / bare. */
  readonly cpuToBare: number
  readonly perSecond: number
  readonly serverCpuUs: number
  /** Requests a second and CPU a request, ours / Apache. Undefined if the run had no Apache. */
  readonly speedToApache?: number
  readonly cpuToApache?: number
}

/** The stored figures of the storm. */
interface StormBaseline {
  /** CPU time of all phases, ours / Apache. */
  readonly cpuToApache: number
  readonly p99Us: Readonly<Record<Phase, number>>
  readonly apacheP99Us: Readonly<Record<Phase, number>>
}

export interface Baseline extends Stored {
  /** Time from spawning to the first answer, and resident memory then. */
  readonly starts?: PerSubject<SubjectName, StartResult>
  readonly cases: Readonly<Record<string, BaselineCase>>
  /** Undefined if no run had the whole storm with both servers. */
  readonly storm?: StormBaseline
}

// Runs of a few seconds on a shared machine differ by a tenth; larger differences come from the code. Requests a second depend
// on the scheduler, so their tolerance is larger than that of CPU. Of the storm only the CPU time counts: times depend on the whole
// machine; CPU time that the same requests need does not.
export const watched: readonly Watched[] = [
  { figure: 'cpuToBare', what: 'CPU a request, times bare Node', worse: 'above', tolerance: 0.25 },
  { figure: 'speedToBare', what: 'requests/s, times bare Node', worse: 'below', tolerance: 0.35 },
  {
    figure: 'cpuToApache',
    what: "CPU, times Apache's",
    worse: 'above',
    tolerance: 0.25,
    rows: id => id === 'storm',
  },
  { figure: 'rssMb', what: 'RSS, idle, MB', worse: 'above', tolerance: 0.25 },
]

/** The rows that are compared: the cases, the storm and our start. */
export function rowsOf({ cases, storm, starts }: Baseline): Record<string, Figures> {
  return {
    ...(cases as object as Record<string, Figures>),
    ...(storm && { storm: { cpuToApache: storm.cpuToApache } }),
    ...(starts?.ours && { start: { rssMb: starts.ours.rssMb } }),
  }
}

/** The cases of a report in which ours and the bare server both ran. */
export function figuresOf(report: Report): Baseline {
  const { machine, node, starts } = report
  const cases: Record<string, BaselineCase> = {}
  for (const { case: one, results } of report.cases) {
    const [ours, bare, apache] = [succeeded(results.ours), succeeded(results.bare), succeeded(results.apache)]
    if (!ours || !bare) continue
    cases[one.id] = {
      speedToBare: rounded(ours.perSecond / bare.perSecond),
      cpuToBare: rounded(ours.serverCpuUs / bare.serverCpuUs),
      perSecond: rounded(ours.perSecond),
      serverCpuUs: rounded(ours.serverCpuUs),
      ...(apache && {
        speedToApache: rounded(ours.perSecond / apache.perSecond),
        cpuToApache: rounded(ours.serverCpuUs / apache.serverCpuUs),
      }),
    }
  }
  const started = Object.entries(successes(starts)).map(([name, start]) => [name, wholeNumbers(start)] as const)
  const storm = report.storm && stormFigures(report.storm)
  return { machine, node, starts: Object.fromEntries(started), cases, ...(storm && { storm }) }
}

function stormFigures({ quick, results }: StormRun): StormBaseline | undefined {
  const [ours, apache] = [succeeded(results.ours), succeeded(results.apache)]
  if (quick || !ours || !apache) return undefined
  return {
    cpuToApache: rounded(cpuMsOf(ours) / cpuMsOf(apache)),
    p99Us: p99UsOf(ours),
    apacheP99Us: p99UsOf(apache),
  }
}

function cpuMsOf(result: StormResult): number {
  return phases.reduce((sum, phase) => sum + result.phases[phase].serverCpuMs, 0)
}

function p99UsOf(result: StormResult): Record<Phase, number> {
  const all = phases.map(phase => [phase, rounded(result.phases[phase].p99Us)] as const)
  return Object.fromEntries(all) as Record<Phase, number>
}
