/** Where time comes from. Passed in, so that tests move it by hand. */
export interface Clock {
  /** Milliseconds since the epoch. It jumps when somebody sets the machine's clock. */
  now(): number
  /** Milliseconds that only ever go on, from wherever they began: for deadlines and for how long something took. */
  elapsed(): number
  /** Calls `tick` every `ms` milliseconds until disposed. Does not keep the process alive. */
  every(ms: number, tick: () => void): Disposable
}

/** A timer that is asked for longer would fire at once. */
const LONGEST_MS = 2 ** 31 - 1

/** The machine's own clock. */
export const systemClock: Clock = {
  now: Date.now,
  elapsed: () => Math.floor(performance.now()),
  every(ms, tick) {
    const timer = setInterval(tick, Math.min(ms, LONGEST_MS))
    timer.unref()
    return { [Symbol.dispose]: () => clearInterval(timer) }
  },
}
