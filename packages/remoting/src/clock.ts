import { performance } from 'node:perf_hooks'
import { clearInterval, setInterval } from 'node:timers'

/** The source of time. It is passed in, so that tests can control it. */
export interface Clock {
  /** Milliseconds since the epoch. Jumps when the machine's clock is set. */
  now(): number
  /** Milliseconds since an arbitrary start; they never go back. For deadlines and durations. */
  elapsed(): number
  /** Calls `tick` every `ms` milliseconds until disposed. Does not keep the process alive. */
  every(ms: number, tick: () => void): Disposable
}

/** Node fires a timer with a longer interval at once. */
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
