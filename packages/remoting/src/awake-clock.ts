import type { Clock } from './clock.ts'

/** How often an awake clock checks the time, milliseconds. */
const CHECK_MS = 1000
/** If the gap between two checks is longer, the process did not run in between, milliseconds. */
const LONGEST_GAP_MS = 2500

/**
 * A clock whose elapsed time stops while the process does not run: because a signal stopped it, its machine was suspended, or its
 * own work blocked it. A server that uses this clock never mistakes its own pause for the silence of its peers: what they sent
 * in the meantime waits in the sockets and is read before their time is up.
 */
export class AwakeClock implements Clock, Disposable {
  readonly #clock: Clock
  readonly #ticker: Disposable
  #lastCheck: number
  /** Milliseconds that have not been counted so far. */
  #stopped = 0
  #wokeAt = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
    this.#lastCheck = clock.elapsed()
    this.#ticker = clock.every(CHECK_MS, () => this.elapsed())
  }

  now(): number {
    return this.#clock.now()
  }

  elapsed(): number {
    const checked = this.#clock.elapsed()
    const gap = checked - this.#lastCheck
    this.#lastCheck = checked
    if (gap > LONGEST_GAP_MS) {
      this.#stopped += gap - CHECK_MS
      this.#wokeAt = checked - this.#stopped
    }
    return checked - this.#stopped
  }

  /** Elapsed time since the end of the last pause of the process, milliseconds; infinite if it never paused. */
  sinceWaking(): number {
    return this.elapsed() - this.#wokeAt
  }

  every(ms: number, tick: () => void): Disposable {
    return this.#clock.every(ms, tick)
  }

  /** Stops checking the time. */
  [Symbol.dispose](): void {
    this.#ticker[Symbol.dispose]()
  }
}
