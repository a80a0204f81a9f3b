import type { Clock } from './clock.ts'

/** How often an awake clock looks at the time, milliseconds. */
const LOOK_MS = 1000
/** A gap between two looks that is longer is time during which the process did not run, milliseconds. */
const LONGEST_GAP_MS = 2500

/**
 * A clock whose elapsed time stands still while the process does: stopped by a signal, with its machine suspended, or held
 * up by its own work. A server that judges by it never takes its own pause for the silence of its peers: what they sent
 * meanwhile waits in their sockets, and is read before the time they have has passed.
 */
export class AwakeClock implements Clock, Disposable {
  readonly #clock: Clock
  readonly #ticker: Disposable
  #lastLook: number
  /** Milliseconds that did not count so far. */
  #stopped = 0
  #wokeAt = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
    this.#lastLook = clock.elapsed()
    this.#ticker = clock.every(LOOK_MS, () => this.elapsed())
  }

  now(): number {
    return this.#clock.now()
  }

  elapsed(): number {
    const look = this.#clock.elapsed()
    const gap = look - this.#lastLook
    this.#lastLook = look
    if (gap > LONGEST_GAP_MS) {
      this.#stopped += gap - LOOK_MS
      this.#wokeAt = look - this.#stopped
    }
    return look - this.#stopped
  }

  /** How long ago, in elapsed time, the process woke up from its last pause, milliseconds; infinite if it never paused. */
  sinceWaking(): number {
    return this.elapsed() - this.#wokeAt
  }

  every(ms: number, tick: () => void): Disposable {
    return this.#clock.every(ms, tick)
  }

  /** Stops looking at the time. */
  [Symbol.dispose](): void {
    this.#ticker[Symbol.dispose]()
  }
}
