import { performance } from 'node:perf_hooks'
import { clearTimeout, setTimeout } from 'node:timers'
import type { Clock } from '@gantrymq/remoting'

interface Timer {
  readonly ms: number
  due: number
  readonly tick: () => void
}

/** Timers that are due within so many milliseconds are called in one step. */
const TOGETHER_MS = 50

// Taken now, and the timers from their module: a test runner that fakes those of the global object must not stop this clock.
const timeOfDay = Date.now

/** A clock that runs like the machine's, and that a test can move ahead. */
export class MovingClock implements Clock, Disposable {
  /** By how much timers, and by how much the time of day, are ahead of the machine's, milliseconds. */
  #ahead = 0
  #dayAhead = 0
  readonly #timers = new Set<Timer>()
  #alarm: NodeJS.Timeout | undefined
  #alarmDue = Number.POSITIVE_INFINITY
  #isTicking = false
  #reads = 0

  now(): number {
    this.#count()
    return timeOfDay() + Math.floor(this.#dayAhead)
  }

  elapsed(): number {
    this.#count()
    return Math.floor(this.#elapsed())
  }

  /**
   * How often the time was read, except by timers in their own call. Connections read it with each read and write of bytes: while
   * this stays the same, nothing arrives.
   */
  get reads(): number {
    return this.#reads
  }

  #count(): void {
    if (!this.#isTicking) this.#reads++
  }

  #elapsed(): number {
    return performance.now() + this.#ahead
  }

  every(ms: number, tick: () => void): Disposable {
    const timer = { ms: Math.max(ms, 1), due: this.#elapsed() + ms, tick }
    this.#timers.add(timer)
    if (timer.due < this.#alarmDue) this.#setAlarm(timer.due)
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) }
  }

  /**
   * Moves the time, and calls the timers that fall due, in order. A timer with a period of up to `most` is called once, at its last
   * time. The step ends early at a timer with a longer period, so that what it starts can go on before more time passes.
   * @returns By how many milliseconds the time was moved, `most` or less.
   */
  step(most: number): number {
    const start = this.#elapsed()
    const end = this.#endOfStep(start, most)
    for (let due = this.#dueBy(end); due.length > 0; due = this.#dueBy(end)) {
      for (const { timer, at } of due) {
        // One that was called before may have stopped it.
        if (!this.#timers.has(timer)) continue
        this.#moveTo(at)
        this.#call(timer, at)
      }
    }
    this.#moveTo(end)
    this.#awaitNext()
    return end - start
  }

  #endOfStep(start: number, most: number): number {
    let end = start + most
    for (const { ms, due } of this.#timers) if (ms > most && due + TOGETHER_MS < end) end = due + TOGETHER_MS
    return Math.max(end, start)
  }

  #dueBy(end: number): { readonly timer: Timer; readonly at: number }[] {
    const due = []
    for (const timer of this.#timers) {
      if (timer.due <= end) due.push({ timer, at: timer.due + Math.floor((end - timer.due) / timer.ms) * timer.ms })
    }
    return due.sort((a, b) => a.at - b.at)
  }

  #moveTo(elapsed: number): void {
    const ms = Math.max(elapsed - this.#elapsed(), 0)
    this.#ahead += ms
    this.#dayAhead += ms
  }

  /** Sets the time of day back to the machine's. Timers go on. */
  setBack(): void {
    this.#dayAhead = 0
  }

  #call(timer: Timer, at: number): void {
    timer.due = at + timer.ms
    this.#isTicking = true
    try {
      timer.tick()
    } finally {
      this.#isTicking = false
    }
  }

  /** One timer of the machine waits for the next of all. */
  #setAlarm(due: number): void {
    clearTimeout(this.#alarm)
    this.#alarmDue = due
    this.#alarm = setTimeout(this.#onAlarm, Math.max(due - this.#elapsed(), 1))
    this.#alarm.unref()
  }

  readonly #onAlarm = (): void => {
    // Until the next one is known: timers that are added now set no alarm each.
    this.#alarmDue = 0
    for (const timer of this.#timers) {
      const now = this.#elapsed()
      // As with timers of the machine, a late one is called once, and again after its whole period.
      if (timer.due <= now) this.#call(timer, now)
    }
    this.#awaitNext()
  }

  #awaitNext(): void {
    let next = Number.POSITIVE_INFINITY
    for (const { due } of this.#timers) next = Math.min(next, due)
    clearTimeout(this.#alarm)
    this.#alarmDue = next
    if (next < Number.POSITIVE_INFINITY) this.#setAlarm(next)
  }

  /** Stops all timers. */
  [Symbol.dispose](): void {
    this.#timers.clear()
    clearTimeout(this.#alarm)
  }
}
