import { type CaseResults, type Failure, hasFailed, type PerSubject, succeeded } from './rounds.ts'

/** What every report has. */
export interface BenchReport {
  readonly machine: string
  readonly node: string
  /** Quick runs warm up a JVM less. */
  readonly mode: 'full' | 'quick'
  /** The load average of the machine when the run began. */
  readonly loadAverage: number
  /** The part of the machine's CPU that other programs used, 0 to 1. */
  readonly neighbours: number
  readonly cases: readonly { readonly case: { readonly id: string }; readonly results: PerSubject<string, object> }[]
}

/** A goal and its result. */
export interface Verdict {
  readonly what: string
  readonly wanted: string
  readonly reached: string
  readonly met: boolean
}

export const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

export function short(value: number): string {
  return value >= 100 ? whole.format(value) : value.toPrecision(2)
}

export function time(us: number): string {
  return us >= 1000 ? `${short(us / 1000)} ms` : `${short(us)} us`
}

export function percent(part: number): string {
  return `${whole.format(part * 100)} %`
}

export function megabytes(mb: number): string {
  return `${whole.format(mb)} MB`
}

export function milliseconds(ms: number): string {
  return `${whole.format(ms)} ms`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

export function ratioVerdict(what: string, ratio: number, bound: { atLeast?: number; atMost?: number }): Verdict {
  const { atLeast, atMost } = bound
  return {
    what,
    wanted: atLeast === undefined ? `<= ${atMost}x` : `>= ${atLeast}x`,
    reached: `${ratio.toFixed(2)}x`,
    met: atLeast === undefined ? ratio <= (atMost as number) : ratio >= atLeast,
  }
}

/** A verdict by a fixed limit, which must not be passed. */
export function limitVerdict(what: string, reached: number, limit: number, unit: string): Verdict {
  const number = limit < 10 ? reached.toFixed(2) : whole.format(reached)
  return { what, wanted: `<= ${whole.format(limit)} ${unit}`, reached: `${number} ${unit}`, met: reached <= limit }
}

/** The verdict on goals of which there are no figures, because ours failed. */
export function failedVerdict(what: string): Verdict {
  return { what, wanted: 'figures', reached: 'failed', met: false }
}

/** Judges the goals of cases. A goal is not met if ours failed. */
export function judgeCases<G, N extends string, R extends object>(
  cases: readonly CaseResults<{ readonly title: string; readonly goal?: G }, N | 'ours', R>[],
  judge: (title: string, goal: G, ours: R, results: PerSubject<N | 'ours', R | Failure>) => readonly Verdict[],
): Verdict[] {
  return cases.flatMap(({ case: { title, goal }, results }) => {
    const { ours } = results
    if (goal === undefined || ours === undefined) return []
    const figures = succeeded<R>(ours)
    return figures === undefined ? [failedVerdict(title)] : judge(title, goal, figures, results)
  })
}

/** The rows of a table: the case, the subject, and its cells or the first line of its failure. */
export function caseRows<N extends string, R extends object>(
  cases: readonly CaseResults<{ readonly title: string }, N, R>[],
  titles: Readonly<Record<N, string>>,
  cells: (result: R) => readonly string[],
): string[][] {
  return cases.flatMap(({ case: { title }, results }) =>
    subjectRows(results, titles, cells).map((row, i) => [i === 0 ? title : '', ...row]),
  )
}

/** The rows of a table with one row for each subject. */
export function subjectRows<N extends string, T>(
  results: PerSubject<N, T | Failure>,
  titles: Readonly<Record<N, string>>,
  cells: (result: T) => readonly string[],
): string[][] {
  return (Object.entries(results) as [N, T | Failure][]).map(([name, result]) => [
    titles[name],
    ...(hasFailed(result) ? [result.error.split('\n', 1)[0] ?? ''] : cells(result)),
  ])
}

/** A table as Markdown; undefined without rows. Short rows are filled up. */
export function section(head: readonly string[], rows: readonly (readonly string[])[]): string | undefined {
  return rows.length === 0
    ? undefined
    : table(
        head,
        rows.map(row => head.map((_, i) => row[i] ?? '')),
      )
}

/** A report as Markdown: the machine, what was skipped, the sections, and last the goals and whether they are met. */
export function document(
  report: Omit<BenchReport, 'cases'>,
  about: string,
  missing: readonly string[],
  sections: readonly (string | undefined)[],
  goals: { readonly head: string; readonly verdicts: readonly Verdict[] },
): string {
  const { machine, node, neighbours, loadAverage } = report
  const busy = `other programs: ${percent(neighbours)} of the CPU, load average ${loadAverage.toFixed(1)}`
  const rows = goals.verdicts.map(({ what, wanted, reached, met }) => [
    what,
    wanted,
    reached,
    met ? 'met' : '**not met**',
  ])
  const parts = [
    `${machine}, Node ${node}, ${about}, ${busy}`,
    ...missing.map(reason => `Skipped: ${reason}`),
    ...sections,
    section([goals.head, 'wanted', 'reached', ''], rows),
  ]
  return `${parts.filter(part => part !== undefined).join('\n\n')}\n`
}
