import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import {
  compare,
  comparisonLines,
  type Figures,
  readBaseline,
  saveBaseline,
  type Stored,
  type Watched,
} from './baseline.ts'
import type { BenchOptions } from './options.ts'
import type { BenchReport } from './report.ts'
import { hasFailed, type PerSubject } from './rounds.ts'

/** The part of a report that is known before the run. */
export function reportStart({ quick }: BenchOptions): Pick<BenchReport, 'machine' | 'node' | 'mode' | 'loadAverage'> {
  return {
    machine: `${cpus().length} x ${cpus()[0]?.model ?? process.arch}`,
    node: process.version.slice(1),
    mode: quick ? 'quick' : 'full',
    loadAverage: loadavg()[0] ?? 0,
  }
}

/** How a suite shows its reports and keeps their figures. */
export interface Reporting<R extends BenchReport, S extends Stored> {
  readonly markdown: (report: R) => string
  /** What was measured beside the cases. */
  readonly others?: (report: R) => Readonly<Record<string, PerSubject<string, unknown> | undefined>>
  readonly file: URL
  /** Whether the file has full and quick runs apart. */
  readonly kinds: boolean
  readonly figuresOf: (report: R) => S
  /** The rows that are compared. Default: the cases. */
  readonly rowsOf?: (stored: S) => Readonly<Record<string, Figures>>
  readonly watched: readonly Watched[]
}

/** What failed, a line for each subject. */
function failures(id: string, results: PerSubject<string, unknown> = {}): string[] {
  return Object.entries(results).flatMap(([name, result]) =>
    hasFailed(result) ? [`FAILED  ${id}, ${name}: ${result.error}`] : [],
  )
}

/**
 * Prints a report and stores its figures, or else compares them with the stored ones. The exit code is 1 if a subject failed or a
 * figure is worse.
 */
export async function conclude<R extends BenchReport, S extends Stored>(
  report: R,
  reporting: Reporting<R, S>,
  options: BenchOptions,
): Promise<void> {
  console.log(reporting.markdown(report))
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`)
  const failed = [
    ...Object.entries(reporting.others?.(report) ?? {}).flatMap(([id, results]) => failures(id, results)),
    ...report.cases.flatMap(({ case: { id }, results }) => failures(id, results)),
  ]
  for (const line of failed) console.log(line)
  const worse = options.profile === undefined ? await keep(report, reporting, options.save) : 0
  if (failed.length > 0 || worse > 0) process.exitCode = 1
}

/** Returns how many figures are worse than the stored ones. */
async function keep<R extends BenchReport, S extends Stored>(
  report: R,
  { file, kinds, figuresOf, rowsOf = casesOf, watched }: Reporting<R, S>,
  save: boolean,
): Promise<number> {
  const kind = kinds ? report.mode : undefined
  const fresh = figuresOf(report)
  if (save) {
    await saveBaseline(file, fresh, kind)
    return 0
  }
  const stored = await readBaseline<S>(file, kind)
  const comparison = compare(stored === undefined ? {} : rowsOf(stored), rowsOf(fresh), watched)
  const alone = report.cases.map(({ case: { id } }) => id).filter(id => fresh.cases[id] === undefined)
  if (alone.length > 0)
    console.log(`Not compared, because ours or what it is compared with has no figures: ${alone.join(', ')}.`)
  for (const line of comparisonLines(comparison, report.neighbours)) console.log(line)
  return comparison.worse.length
}

function casesOf({ cases }: Stored): Record<string, Figures> {
  return cases as Record<string, Figures>
}

/** Makes a folder for profiles and says where it is. */
export async function profileFolder(name: string): Promise<string> {
  const folder = `${process.cwd()}/.cache/profiles/${name}`
  await mkdir(folder, { recursive: true })
  console.log(`Profiles: ${folder}`)
  return folder
}
