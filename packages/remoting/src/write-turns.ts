import { setImmediate } from 'node:timers'

/** How many connections wait at most. Large replies need a slab each; the process keeps as many. */
const MOST_WAITING = 16

/** What a connection writes at the end of a turn. */
interface Waiting {
  writeInTurn(): void
}

/**
 * Writes the replies to the reads of one turn of the event loop one after the other, when all of them are complete. A write wakes a
 * peer of the same machine that waits for it, which costs as much as the write; while replies follow each other it is still awake.
 * So a pull of 32 messages over eight connections takes a tenth less CPU time.
 */
export class WriteTurns {
  readonly #waiting: Waiting[] = []
  #scheduled = false

  /** Writes at the end of the turn, or before if many connections wait. A connection that waits must not come again. */
  later(connection: Waiting): void {
    if (this.#waiting.push(connection) >= MOST_WAITING) this.#write()
    else if (!this.#scheduled) {
      this.#scheduled = true
      setImmediate(this.#endTurn)
    }
  }

  readonly #endTurn = (): void => {
    this.#scheduled = false
    this.#write()
  }

  #write(): void {
    for (const connection of this.#waiting) connection.writeInTurn()
    this.#waiting.length = 0
  }
}
