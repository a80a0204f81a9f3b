/** Bodies that are inflated and not yet in the table: each may have maxInflatedBodySize. */
const MAX_INFLATED = 4

/**
 * Lets few registrations be inflated at a time. The others wait with their compressed bodies, which are up to a thousand times
 * smaller.
 */
export class InflationLimit {
  readonly #limit: number
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(limit = MAX_INFLATED) {
    this.#limit = limit
  }

  /** Runs a task when there is room, in the order of the calls. Its result and its error are those of the task. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running < this.#limit) this.#running++
    else await new Promise<void>(resolve => this.#waiting.push(resolve))
    try {
      return await task()
    } finally {
      const next = this.#waiting.shift()
      // The next task takes the room of this one.
      if (next === undefined) this.#running--
      else next()
    }
  }
}
