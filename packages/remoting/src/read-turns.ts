/** How long connections read in one turn of the event loop, milliseconds. The first frame of each read is always handled. */
const TURN_MS = 2
/** Checks of the time, after each of which a connection may go on, until it lets the next one read. */
const CHECKS_IN_A_ROW = 4

/**
 * Shares the time for reading among connections: the frames of all reads of one turn of the event loop have one budget. When it
 * is used up, each connection keeps the rest of its read for a later turn, in which the connections read in the order in which
 * they stopped. So many frames in one read delay neither other connections nor timers.
 */
export class ReadTurns {
  readonly #now: () => number
  readonly #waiting = new Set<() => void>()
  /** When the current turn began; undefined if no connection had more than one frame yet. */
  #since: number | undefined
  #scheduled = false

  /** @param now Milliseconds that never go back. */
  constructor(now: () => number) {
    this.#now = now
  }

  /**
   * Whether a connection must leave the rest of its read to a later turn. Asked between two frames of one read.
   * @param checks How many times the connection has asked during this read.
   */
  isOver(checks: number): boolean {
    if (checks >= CHECKS_IN_A_ROW && this.#waiting.size > 0) return true
    const now = this.#now()
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
    this.#since = this.#waiting.size > 0 ? this.#now() : undefined
    // A connection that has not finished waits again, at the end.
    for (const readOn of this.#waiting) {
      this.#waiting.delete(readOn)
      readOn()
      if (this.#now() - (this.#since as number) >= TURN_MS) break
    }
    // The reads until the next turn share the rest of the budget with those that have waited.
    if (this.#waiting.size > 0) this.#schedule()
    else this.#since = undefined
  }
}
