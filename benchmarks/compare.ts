import { readFile, writeFile } from 'node:fs/promises'
import type { Report } from './report.ts'
import type { StormRun } from './storm/run.ts'
import { type Phase, phases } from './storm/size.ts'
import type { StormResult } from './storm/storm.ts'
import type { PerSubject, StartResult } from './suite.ts'

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

export interface Baseline {
  readonly machine: string
  readonly node: string
  /** Time from spawning to the first answer, and resident memory then. */
  readonly starts?: PerSubject<StartResult>
  readonly cases: Readonly<Record<string, BaselineCase>>
  /** Undefined if no run had the whole storm with both servers. */
  readonly storm?: StormBaseline
}

/** A figure that is worse than the stored one. */
export interface Slower {
  readonly id: string
  readonly what: string
  readonly before: number
  readonly now: number
}

// Runs of a few seconds on a shared machine differ by a tenth; larger differences come from the code. Requests a second depend
// on the scheduler, so their tolerance is larger than that of CPU.
const CPU_TOLERANCE = 0.25
const SPEED_TOLERANCE = 0.35

const path = new URL('baseline.json', import.meta.url)

/** The stored baseline; undefined if there is none. */
export async function readBaseline(): Promise<Baseline | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as Baseline)
}

function rounded(value: number): number {
  return Number(value.toPrecision(3))
}

function startsOf({ starts }: Report): PerSubject<StartResult> {
  const measured = Object.entries(starts).map(([name, { startMs, rssMb }]) => {
    return [name, { startMs: Math.round(startMs), rssMb: Math.round(rssMb) }]
  })
  return Object.fromEntries(measured) as PerSubject<StartResult>
}

/** The cases of a report in which ours and the bare server both ran. */
export function baselineOf(report: Report): Baseline {
  const cases: Record<string, BaselineCase> = {}
  for (const { case: one, results } of report.cases) {
    const { ours, bare, apache } = results
    if (!ours || 'error' in ours || !bare || 'error' in bare) continue
    cases[one.id] = {
      speedToBare: rounded(ours.perSecond / bare.perSecond),
      cpuToBare: rounded(ours.serverCpuUs / bare.serverCpuUs),
      perSecond: rounded(ours.perSecond),
      serverCpuUs: rounded(ours.serverCpuUs),
      ...(apache && !('error' in apache)
        ? {
            speedToApache: rounded(ours.perSecond / apache.perSecond),
            cpuToApache: rounded(ours.serverCpuUs / apache.serverCpuUs),
          }
        : {}),
    }
  }
  const storm = report.storm && stormBaselineOf(report.storm)
  return { machine: report.machine, node: report.node, starts: startsOf(report), cases, ...(storm ? { storm } : {}) }
}

function stormBaselineOf({ quick, results: { ours, apache } }: StormRun): StormBaseline | undefined {
  if (quick || !ours || 'error' in ours || !apache || 'error' in apache) return undefined
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

/** Stores a report as the new baseline. Cases that are not in the report keep their old figures. */
export async function saveBaseline(report: Report): Promise<void> {
  const old = await readBaseline()
  const fresh = baselineOf(report)
  const starts = { ...old?.starts, ...fresh.starts }
  const baseline = { ...old, ...fresh, starts, cases: { ...old?.cases, ...fresh.cases } }
  await writeFile(path, `${JSON.stringify(baseline, null, 2)}\n`)
}

/** The figures that are slower than the baseline by more than the tolerance. */
export function compare(baseline: Baseline, now: Baseline): Slower[] {
  return [...compareCases(baseline, now), ...compareStorms(baseline.storm, now.storm)]
}

function compareCases(baseline: Baseline, now: Baseline): Slower[] {
  return Object.entries(now.cases).flatMap(([id, fresh]) => {
    const old = baseline.cases[id]
    if (!old) return []
    const slower: Slower[] = []
    if (fresh.cpuToBare > old.cpuToBare * (1 + CPU_TOLERANCE)) {
      slower.push({ id, what: 'CPU a request, times bare Node', before: old.cpuToBare, now: fresh.cpuToBare })
    }
    if (fresh.speedToBare < old.speedToBare / (1 + SPEED_TOLERANCE)) {
      slower.push({ id, what: 'requests/s, times bare Node', before: old.speedToBare, now: fresh.speedToBare })
    }
    return slower
  })
}

// Times depend on the whole machine; CPU time that the same requests need does not.
function compareStorms(old: StormBaseline | undefined, fresh: StormBaseline | undefined): Slower[] {
  if (!old || !fresh || fresh.cpuToApache <= old.cpuToApache * (1 + CPU_TOLERANCE)) return []
  return [{ id: 'storm', what: "CPU, times Apache's", before: old.cpuToApache, now: fresh.cpuToApache }]
}
