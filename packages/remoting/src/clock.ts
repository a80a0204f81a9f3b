/** Where time comes from. Passed in, so that tests move it by hand. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Calls `tick` every `ms` milliseconds until disposed. Does not keep the process alive. */
  every(ms: number, tick: () => void): Disposable
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: Date.now,
  every(ms, tick) {
    const timer = setInterval(tick, ms)
    timer.unref()
    return { [Symbol.dispose]: () => clearInterval(timer) }
  },
}
