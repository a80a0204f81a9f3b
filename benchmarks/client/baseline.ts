import { readFile, writeFile } from 'node:fs/promises'
import type { Slower } from '../compare.ts'
import { type Report, javaBestOf, succeeded } from './report.ts'

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

export interface Baseline {
  readonly machine: string
  readonly node: string
  readonly cases: Readonly<Record<string, BaselineCase>>
}

/** Quick and full runs warm up a JVM differently, so each mode has its own baseline. */
type Baselines = Partial<Record<Report['mode'], Baseline>>

// Two JVMs and our client share the cores, so the tolerance is larger than that of the name server's runs.
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

/** The cases of a report in which ours and Java both ran. */
export function baselineOf(report: Report): Baseline {
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

/** Stores a report as the new baseline of its mode. Cases that are not in the report keep their old figures. */
export async function saveBaseline(report: Report): Promise<void> {
  const all = await readAll()
  const fresh = baselineOf(report)
  const merged = { ...fresh, cases: { ...all[report.mode]?.cases, ...fresh.cases } }
  await writeFile(path, `${JSON.stringify({ ...all, [report.mode]: merged }, null, 2)}\n`)
}

/** The figures that are slower than the baseline by more than the tolerance. */
export function compare(baseline: Baseline, now: Baseline): Slower[] {
  return Object.entries(now.cases).flatMap(([id, fresh]) => {
    const old = baseline.cases[id]
    if (!old) return []
    const slower: Slower[] = []
    if (fresh.cpuToJava > old.cpuToJava * (1 + CPU_TOLERANCE)) {
      slower.push({ id, what: 'CPU a message, times Java', before: old.cpuToJava, now: fresh.cpuToJava })
    }
    // The latency case sends at a fixed rate.
    if (id !== 'latency' && fresh.speedToJava < old.speedToJava / (1 + SPEED_TOLERANCE)) {
      slower.push({ id, what: 'messages/s, times Java', before: old.speedToJava, now: fresh.speedToJava })
    }
    return slower
  })
}
