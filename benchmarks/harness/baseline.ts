import { readFile, writeFile } from 'node:fs/promises'
import { percent } from './report.ts'

/** The figures of a row, for example of a case. */
export type Figures = Readonly<Record<string, number>>

/** A part of a baseline that is stored whole or, with keys, merged key by key. */
export interface Stored {
  readonly machine: string
  readonly node: string
  readonly cases: Readonly<Record<string, object>>
}

/** A stored figure that every other run is compared with. */
export interface Watched {
  readonly figure: string
  /** What it is, for people. */
  readonly what: string
  readonly worse: 'above' | 'below'
  /** By how much it may be worse: 0.25 is a quarter. */
  readonly tolerance: number
  /** The rows in which it is watched. Default: all that have it. */
  readonly rows?: (id: string) => boolean
}

/** A figure that is worse than the stored one by more than its tolerance. */
export interface Worse {
  readonly id: string
  readonly what: string
  readonly stored: number
  readonly measured: number
  /** The least or the most that would have passed. */
  readonly limit: number
}

export interface Comparison {
  readonly worse: readonly Worse[]
  /** How many figures were compared. */
  readonly compared: number
  /** Rows of the run of which no figure is stored. */
  readonly unknown: readonly string[]
}

/** Three digits are as many as runs repeat. */
export function rounded(value: number): number {
  return Number(value.toPrecision(3))
}

export function wholeNumbers<T extends object>(figures: T): T {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, Math.round(value as number)])) as T
}

/** Compares the rows of a run with the stored ones. */
export function compare(
  stored: Readonly<Record<string, Figures>>,
  measured: Readonly<Record<string, Figures>>,
  watched: readonly Watched[],
): Comparison {
  const worse: Worse[] = []
  const unknown: string[] = []
  let compared = 0
  for (const [id, figures] of Object.entries(measured)) {
    let known = 0
    for (const { figure, what, worse: side, tolerance, rows } of watched) {
      const [before, now] = [stored[id]?.[figure], figures[figure]]
      if (before === undefined || now === undefined || rows?.(id) === false) continue
      known++
      const limit = rounded(side === 'above' ? before * (1 + tolerance) : before / (1 + tolerance))
      // Written so that a figure that is no number is worse, too.
      const passes = side === 'above' ? now <= limit : now >= limit
      if (!passes) worse.push({ id, what, stored: before, measured: now, limit })
    }
    if (known === 0) unknown.push(id)
    compared += known
  }
  return { worse, compared, unknown }
}

/** If other programs use more than this part of the CPU, times and rates mean little. */
const TOO_BUSY = 0.25

/** What a run says about its comparison, a line each. */
export function comparisonLines({ worse, compared, unknown }: Comparison, neighbours: number): string[] {
  const lines = worse.map(({ id, what, stored, measured, limit }) => {
    const bound = measured > limit ? 'at most' : 'at least'
    return `WORSE  ${id}: ${what}: ${measured} measured, ${stored} stored, ${bound} ${limit} passes`
  })
  if (unknown.length > 0) lines.push(`Not compared, because no figures are stored: ${unknown.join(', ')}.`)
  if (worse.length > 0 && neighbours > TOO_BUSY) {
    lines.push(`Other programs used ${percent(neighbours)} of the CPU: run it again on a calm machine.`)
  }
  if (compared === 0) lines.push('No figure was compared with the baseline.')
  else if (worse.length === 0) lines.push(`Nothing is worse than the baseline (${compared} figures).`)
  return lines
}

async function readFileOf(file: URL): Promise<Record<string, unknown>> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  return text === undefined ? {} : (JSON.parse(text) as Record<string, unknown>)
}

/** What a file has for a kind of run; undefined if it has nothing. Without a kind the whole file counts. */
export async function readBaseline<S extends Stored>(file: URL, kind?: string): Promise<S | undefined> {
  const all = await readFileOf(file)
  return (kind === undefined ? all : all[kind]) as S | undefined
}

/** Stores the figures of a run. What the run has not measured keeps its stored figures. */
export async function saveBaseline(file: URL, fresh: Stored, kind?: string): Promise<void> {
  const all = await readFileOf(file)
  const stored = kind === undefined ? mergeParts(all, fresh) : { ...all, [kind]: mergeParts(all[kind] ?? {}, fresh) }
  await writeFile(file, `${JSON.stringify(stored, null, 2)}\n`)
}

/** Merges part by part: of a part with keys only the fresh ones are replaced. */
function mergeParts(old: object, fresh: object): object {
  const before = new Map(Object.entries(old) as [string, unknown][])
  const parts = (Object.entries(fresh) as [string, unknown][]).map(([name, part]) => {
    return [name, typeof part === 'object' ? { ...(before.get(name) as object | undefined), ...part } : part] as const
  })
  return { ...old, ...Object.fromEntries(parts) }
}
