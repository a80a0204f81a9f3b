import { printable } from '@gantrymq/remoting'
import type { HistogramSample, Labels, MetricFamily, Sample } from './family.ts'

/** The label for names beyond a limit and for unknown codes. */
export const OTHER = 'other'
const LONGEST_LABEL = 255

/** Whether a name that a peer chose may be a label value: short, and without control and direction characters. */
export function isLabel(name: string): boolean {
  return name.length <= LONGEST_LABEL && printable(name) === name
}

/**
 * Keeps a limited number of names, the first ones that may be labels, and replaces all others by `other`: label values come from peers, and
 * each one takes memory in the server and in the monitoring forever.
 */
export class NameLimit {
  readonly #names = new Set<string>()
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  label(name: string): string {
    if (this.#names.has(name)) return name
    if (this.#names.size >= this.#limit || !isLabel(name)) return OTHER
    this.#names.add(name)
    return name
  }

  /** The label of a name that may not be kept, because a request that was refused has it. */
  labelIfKept(name: string): string {
    return this.#names.has(name) ? name : OTHER
  }
}

/**
 * A counter with labels, for events that are rare compared with requests: each call of `add` makes a key of the
 * labels.
 */
export class LabelledCounter<L extends Labels> {
  readonly #series = new Map<string, { readonly labels: L; value: number }>()
  readonly #name: string
  readonly #help: string

  constructor(name: string, help: string) {
    this.#name = name
    this.#help = help
  }

  add(labels: L, count = 1): void {
    const key = Object.values(labels).join('\0')
    const series = this.#series.get(key)
    if (series) series.value += count
    else this.#series.set(key, { labels, value: count })
  }

  family(): MetricFamily {
    const samples: Sample[] = Array.from(this.#series.values(), ({ labels, value }) => ({ labels, value }))
    return { type: 'counter', name: this.#name, help: this.#help, samples }
  }
}

/** Index of the bucket that a value belongs to: the first bound not below it, or one past the last. */
export function bucketOf(bounds: readonly number[], value: number): number {
  let bucket = 0
  while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++
  return bucket
}

/** A histogram with one series. */
export class Histogram {
  readonly #name: string
  readonly #help: string
  readonly #bounds: readonly number[]
  readonly #counts: Float64Array
  #sum = 0

  constructor(name: string, help: string, bounds: readonly number[]) {
    this.#name = name
    this.#help = help
    this.#bounds = bounds
    this.#counts = new Float64Array(bounds.length + 1)
  }

  observe(value: number, count = 1): void {
    ;(this.#counts[bucketOf(this.#bounds, value)] as number) += count
    this.#sum += value * count
  }

  family(): MetricFamily {
    const histograms: HistogramSample[] = [{ labels: {}, counts: this.#counts, sum: this.#sum }]
    return { type: 'histogram', name: this.#name, help: this.#help, bounds: this.#bounds, histograms }
  }
}
