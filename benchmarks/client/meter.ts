import { TimeHistogram } from '../harness/histogram.ts'
import type { WorkerEvent } from './worker-lines.ts'

/** Counts messages and their times since the last reading, as Meter.java does. */
export class Meter {
  readonly #times = new TimeHistogram()
  #messages = 0
  #failed = 0
  #begin = performance.now()

  /** Counts a message and its time, milliseconds. */
  add(ms: number): void {
    this.#messages++
    this.#times.add(ms * 1000)
  }

  count(): void {
    this.#messages++
  }

  fail(): void {
    this.#failed++
  }

  /** Returns what was counted, and starts again from zero. */
  read(event: 'mark' | 'begun' | 'done'): WorkerEvent {
    const now = performance.now()
    const reading = {
      event,
      messages: this.#messages,
      failed: this.#failed,
      ms: now - this.#begin,
      p50Us: this.#times.quantile(0.5),
      p99Us: this.#times.quantile(0.99),
    }
    this.#times.clear()
    this.#messages = 0
    this.#failed = 0
    this.#begin = now
    return reading
  }
}
