import type { Clock } from '@gantrymq/remoting'

/** The clock of the servers of a cluster: it counts their timers, so that those of the clients are known. */
export class ServerClock implements Clock {
  readonly #clock: Clock
  readonly #timers = new Set<Disposable>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many timers of servers are running. */
  get timers(): number {
    return this.#timers.size
  }

  now(): number {
    return this.#clock.now()
  }

  elapsed(): number {
    return this.#clock.elapsed()
  }

  every(ms: number, tick: () => void): Disposable {
    const timer = this.#clock.every(ms, tick)
    this.#timers.add(timer)
    return {
      [Symbol.dispose]: () => {
        this.#timers.delete(timer)
        timer[Symbol.dispose]()
      },
    }
  }
}
