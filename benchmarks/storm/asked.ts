import { TimeHistogram } from '../harness/histogram.ts'
import type { Phase } from './size.ts'

/** What clients saw of a phase. A question belongs to the phase in which it was due. */
export interface PhaseAnswers {
  readonly ms: number
  readonly answers: number
  readonly failed: number
  /** Why the first of them failed. */
  readonly firstFailure?: string
  readonly p50Us: number
  readonly p99Us: number
  readonly maxUs: number
}

interface Tally {
  readonly times: TimeHistogram
  readonly begin: number
  end: number
  answers: number
  failed: number
  firstFailure?: string
}

/** Counts and times of answers, by phase. */
export class Asked {
  readonly #tallies = new Map<Phase, Tally>()
  #current: Tally | undefined

  /** Starts a phase; undefined only ends the current one. Times are in milliseconds. */
  begin(phase: Phase | undefined, now: number): void {
    if (this.#current) this.#current.end = now
    this.#current = undefined
    if (phase === undefined) return
    this.#current = { times: new TimeHistogram(), begin: now, end: now, answers: 0, failed: 0 }
    this.#tallies.set(phase, this.#current)
  }

  /** @param failure Why the answer is wrong; undefined if it is right. */
  add(phase: Phase, us: number, failure?: string): void {
    const tally = this.#tallies.get(phase)
    if (!tally) return
    if (failure !== undefined) {
      tally.failed++
      tally.firstFailure ??= failure
      return
    }
    tally.answers++
    tally.times.add(us)
  }

  figures(): Partial<Record<Phase, PhaseAnswers>> {
    const all = [...this.#tallies].map(([phase, { times, begin, end, ...counts }]) => {
      const quantiles = { p50Us: times.quantile(0.5), p99Us: times.quantile(0.99), maxUs: times.max }
      return [phase, { ms: end - begin, ...counts, ...quantiles }] as const
    })
    return Object.fromEntries(all)
  }
}
