import type { SubjectName } from './subjects.ts'

/** A goal and its result. */
export interface Verdict {
  readonly what: string
  readonly wanted: string
  readonly reached: string
  readonly met: boolean
}

/** How reports name the servers. */
export const titles: Readonly<Record<SubjectName, string>> = {
  ours: 'Gantry',
  apache: 'Apache 5.5.0',
  bare: 'bare Node',
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

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
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
