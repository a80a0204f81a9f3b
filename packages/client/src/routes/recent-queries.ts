/** When topics were last asked for. Queries older than the window are forgotten, so that it holds no more than were made in it. */
export class RecentQueries {
  readonly #windowMs: number
  /** In the order of their times. */
  readonly #times = new Map<string, number>()

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  /** @param now milliseconds, never less than before */
  note(topic: string, now: number): void {
    this.#times.delete(topic)
    this.#times.set(topic, now)
    for (const [oldest, time] of this.#times) {
      if (now - time < this.#windowMs) break
      this.#times.delete(oldest)
    }
  }

  /** Milliseconds since the last query for a topic; Infinity if there was none within the window. */
  age(topic: string, now: number): number {
    const age = now - (this.#times.get(topic) ?? Number.NEGATIVE_INFINITY)
    return age < this.#windowMs ? age : Number.POSITIVE_INFINITY
  }

  get size(): number {
    return this.#times.size
  }
}
