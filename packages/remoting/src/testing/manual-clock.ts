import type { Clock } from '../clock.ts'

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #now: number
  #jumped = 0
  readonly #timers = new Set<{ readonly ms: number; due: number; readonly tick: () => void }>()

  /** @param now The time at which it starts, milliseconds since the epoch. */
  constructor(now = 1_700_000_000_000) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  elapsed(): number {
    return this.#now - this.#jumped
  }

  every(ms: number, tick: () => void): Disposable {
    const timer = { ms, due: this.#now + ms, tick }
    this.#timers.add(timer)
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) }
  }

  /** How many timers are running; 0 when everything that was opened has been closed. */
  get timers(): number {
    return this.#timers.size
  }

  /** Changes the time of day by `ms`, as an operator or NTP does: timers fire after the same time as before. */
  jump(ms: number): void {
    this.#now += ms
    this.#jumped += ms
    for (const timer of this.#timers) timer.due += ms
  }

  /** Advances by `ms` as if the process had not run: timers that fell due in between are called once, late, at the end. */
  pause(ms: number): void {
    this.#now += ms
    const late = [...this.#timers].filter(timer => timer.due <= this.#now).sort((a, b) => a.due - b.due)
    for (const timer of late) timer.due = this.#now + timer.ms
    for (const timer of late) if (this.#timers.has(timer)) timer.tick()
  }

  /** Advances by `ms` and calls the timers that fall due, in order. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      let next: { readonly ms: number; due: number; readonly tick: () => void } | undefined
      for (const timer of this.#timers) if (timer.due <= end && (!next || timer.due < next.due)) next = timer
      if (!next) break
      this.#now = next.due
      next.due += next.ms
      next.tick()
    }
    this.#now = end
  }
}
