import type { Clock } from '@gantrymq/remoting'

interface Timer {
  readonly ms: number
  due: number
  readonly tick: () => void
}

/** A clock that runs like the machine's, and that a test can move ahead. */
export class MovingClock implements Clock, Disposable {
  #ahead = 0
  readonly #timers = new Set<Timer>()
  #alarm: NodeJS.Timeout | undefined

  now(): number {
    return Date.now() + Math.floor(this.#ahead)
  }

  elapsed(): number {
    return Math.floor(this.#elapsed())
  }

  #elapsed(): number {
    return performance.now() + this.#ahead
  }

  every(ms: number, tick: () => void): Disposable {
    const timer = { ms: Math.max(ms, 1), due: this.#elapsed() + ms, tick }
    this.#timers.add(timer)
    this.#setAlarm()
    return {
      [Symbol.dispose]: () => {
        this.#timers.delete(timer)
        this.#setAlarm()
      },
    }
  }

  /** Moves the time by `ms`, and calls the timers that fall due, in order, each at its time. */
  advance(ms: number): void {
    const end = this.#elapsed() + ms
    for (let timer = this.#next(); timer !== undefined && timer.due <= end; timer = this.#next()) {
      this.#moveTo(timer.due)
      this.#fire(timer)
    }
    this.#moveTo(end)
    this.#setAlarm()
  }

  #moveTo(elapsed: number): void {
    this.#ahead += Math.max(elapsed - this.#elapsed(), 0)
  }

  #next(): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) if (next === undefined || timer.due < next.due) next = timer
    return next
  }

  #fire(timer: Timer): void {
    timer.due += timer.ms
    timer.tick()
  }

  /** One timer of the machine waits for the next of all. */
  #setAlarm(): void {
    clearTimeout(this.#alarm)
    const next = this.#next()
    if (next === undefined) return
    this.#alarm = setTimeout(
      () => {
        for (const timer of this.#timers) if (timer.due <= this.#elapsed()) this.#fire(timer)
        this.#setAlarm()
      },
      Math.max(next.due - this.#elapsed(), 1),
    )
    this.#alarm.unref()
  }

  /** Stops all timers. */
  [Symbol.dispose](): void {
    this.#timers.clear()
    clearTimeout(this.#alarm)
  }
}
