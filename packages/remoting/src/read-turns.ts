import { performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers'

/** How long connections read in one turn of the event loop, milliseconds. The first frame of each read is always handled. */
const TURN_MS = 1
/** Checks of the time, after each of which a connection may go on, until it lets the next one read. */
const CHECKS_IN_A_ROW = 4

/**
 * Shares the time for reading among connections: the frames of all reads of one turn of the event loop have one budget. When it
 * is used up, each connection keeps the rest of its read for a later turn, in which the connections read in the order in which
 * they stopped. So many frames in one read delay neither other connections nor timers.
 */
export class ReadTurns {
  readonly #waiting = new Set<() => void>()
  /** When the current turn began; undefined if no connection had more than one frame yet. */
  #since: number | undefined
  #scheduled = false

  /**
   * Whether a connection must leave the rest of its read to a later turn. Asked between two frames of one read.
   * @param checks How many times the connection has asked during this read.
   * @param now By `performance.now`.
   */
  isOver(checks: number, now: number): boolean {
    if (checks >= CHECKS_IN_A_ROW && this.#waiting.size > 0) return true
    if (this.#since === undefined) {
      this.#since = now
      this.#schedule()
    }
    return now - this.#since >= TURN_MS
  }

  /** Calls `readOn` in a later turn, once. */
  later(readOn: () => void): void {
    this.#waiting.add(readOn)
    this.#schedule()
  }

  forget(readOn: () => void): void {
    this.#waiting.delete(readOn)
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#begin)
  }

  readonly #begin = (): void => {
    this.#scheduled = false
    const since = performance.now()
    this.#since = since
    // A connection that has not finished waits again, at the end.
    for (const readOn of this.#waiting) {
      this.#waiting.delete(readOn)
      readOn()
      if (performance.now() - since >= TURN_MS) break
    }
    // The reads until the next turn share the rest of the budget with those that have waited.
    if (this.#waiting.size > 0) this.#schedule()
    else this.#since = undefined
  }
}
