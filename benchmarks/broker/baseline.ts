import { readFile, writeFile } from 'node:fs/promises'
import type { Slower } from '../compare.ts'
import { apacheBestOf, type Report, succeeded } from './report.ts'
import type { PerBroker } from './suite.ts'

/** The stored figures of a case. Ratios are to the better of Apache's brokers in the same run, so that machines are comparable. */
interface BaselineCase {
  readonly speedToApache: number
  readonly cpuToApache: number
  readonly p99ToApache: number
  readonly perSecond: number
  readonly cpuUs: number
  readonly p99Us: number
}

export interface Baseline {
  readonly machine: string
  readonly node: string
  readonly cases: Readonly<Record<string, BaselineCase>>
  readonly starts?: PerBroker<{ readonly startMs: number; readonly rssMb: number }>
  readonly finalRssMb?: PerBroker<number>
  readonly restart?: { readonly logGb: number; readonly markedMs: number; readonly unmarkedMs: number }
}

/** Quick and full runs warm up a JVM differently, so each mode has its own baseline. */
type Baselines = Partial<Record<Report['mode'], Baseline>>

// A JVM and our broker each share the cores with the driver, so the tolerance is larger than that of the name server's runs.
const CPU_TOLERANCE = 0.35
const SPEED_TOLERANCE = 0.5

const path = new URL('baseline.json', import.meta.url)

async function readAll(): Promise<Baselines> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  return text === undefined ? {} : (JSON.parse(text) as Baselines)
}

/** The stored baseline of a mode; undefined if there is none. */
export async function readBaseline(mode: Report['mode']): Promise<Baseline | undefined> {
  return (await readAll())[mode]
}

function rounded(value: number): number {
  return Number(value.toPrecision(3))
}

function wholeNumbers<T extends object>(figures: T): T {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, Math.round(value as number)])) as T
}

/** The cases of a report in which ours and a broker of Apache ran. */
export function baselineOf(report: Report): Baseline {
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
  const startRows = Object.entries(starts).map(([name, start]) => [name, wholeNumbers(start)] as const)
  const { ours: restart } = restarts
  return {
    machine,
    node,
    cases,
    ...(startRows.length > 0 && { starts: Object.fromEntries(startRows) }),
    ...(report.cases.length > 0 && { finalRssMb: wholeNumbers(finalRssMb) }),
    ...(restart && { restart: wholeNumbers(restart) }),
  }
}

/** Stores a report as the new baseline of its mode. What is not in the report keeps its old figures. */
export async function saveBaseline(report: Report): Promise<void> {
  const all = await readAll()
  const [old, fresh] = [all[report.mode], baselineOf(report)]
  const merged: Baseline = { ...old, ...fresh, cases: { ...old?.cases, ...fresh.cases } }
  await writeFile(path, `${JSON.stringify({ ...all, [report.mode]: merged }, null, 2)}\n`)
}

/** The figures that are slower than the baseline by more than the tolerance. */
export function compare(baseline: Baseline, now: Baseline): Slower[] {
  return Object.entries(now.cases).flatMap(([id, fresh]) => {
    const old = baseline.cases[id]
    if (!old) return []
    const slower: Slower[] = []
    if (fresh.cpuToApache > old.cpuToApache * (1 + CPU_TOLERANCE)) {
      slower.push({ id, what: "CPU a message, times Apache's", before: old.cpuToApache, now: fresh.cpuToApache })
    }
    if (fresh.speedToApache < old.speedToApache / (1 + SPEED_TOLERANCE)) {
      slower.push({ id, what: "messages/s, times Apache's", before: old.speedToApache, now: fresh.speedToApache })
    }
    return slower
  })
}
