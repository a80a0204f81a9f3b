import { DueSets } from '../due-sets.ts'

/** A message that waits for its time. */
export interface Timer {
  /** When the broker looks at it next, milliseconds since the epoch. */
  readonly due: number
  /** The property TIMER_OUT_MS of the message. */
  readonly outMs: number
  /** What cancels the message: what it is, and when it is due. Empty if the message has no unique id. */
  readonly key: string
  /** Of its record in the log. */
  readonly position: number
  /** Milliseconds since the epoch. */
  readonly enqueuedAt: number
}

export type NewTimer = Omit<Timer, 'due'>

/** Times of delivery are rounded to this, milliseconds (Apache's timerPrecisionMs). */
export const TIMER_PRECISION_MS = 1000
/** A message that waits for longer is stored again meanwhile, so that it does not expire (Apache's timerRollWindowSlot, 2 days). */
const ROLL_WINDOW_MS = 172_800_000

/** The messages that wait for their times, without store and clock: Apache's TimerWheel and TimerLog. */
export class TimerTable {
  readonly #maxTimers: number
  readonly #due = new DueSets<Timer>()
  /** Several have the same key if a producer has sent a message again, not knowing whether it was stored. */
  readonly #byKey = new Map<string, Timer | Set<Timer>>()
  /** Timers that were due, and whose messages are being stored. They can still be cancelled. */
  readonly #taken = new Set<Timer>()
  #size = 0

  constructor(maxTimers: number) {
    this.#maxTimers = maxTimers
  }

  get size(): number {
    return this.#size
  }

  get isFull(): boolean {
    return this.#size >= this.#maxTimers
  }

  /** @param now Milliseconds since the epoch. */
  add(timer: NewTimer, now: number): void {
    this.#put({ ...timer, due: dueAt(timer.outMs, now) })
  }

  /** Cancels the messages with this key. @returns whether there is one */
  cancel(key: string): boolean {
    const known = this.#byKey.get(key)
    if (known === undefined) return false
    this.#byKey.delete(key)
    for (const timer of known instanceof Set ? known : [known]) {
      if (this.#taken.delete(timer)) continue
      this.#due.delete(timer)
      this.#size--
    }
    return true
  }

  /** Removes and returns what is due. Each timer is given back with `retry`, `addAgain` or `end`. */
  takeDue(now: number): Timer[] {
    const timers = this.#due.take(now)
    this.#size -= timers.length
    for (const timer of timers) this.#taken.add(timer)
    return timers
  }

  /** Whether a timer that was taken has been cancelled since. */
  isCancelled(timer: Timer): boolean {
    return !this.#taken.has(timer)
  }

  /** Lets a timer that was taken wait again, because its message could not be stored; not if it was cancelled. */
  retry(timer: Timer, due: number): void {
    if (this.end(timer)) this.#put({ ...timer, due })
  }

  /** Lets a timer that was taken wait again, with the message that was stored again; not if it was cancelled. */
  addAgain(timer: Timer, position: number, now: number): void {
    if (this.end(timer)) this.add({ ...timer, position, enqueuedAt: now }, now)
  }

  /** Forgets a timer that was taken. @returns false if it was cancelled */
  end(timer: Timer): boolean {
    if (!this.#taken.delete(timer)) return false
    const known = this.#byKey.get(timer.key)
    if (known === timer) this.#byKey.delete(timer.key)
    else if (known instanceof Set && known.delete(timer) && known.size === 0) this.#byKey.delete(timer.key)
    return true
  }

  #put(timer: Timer): void {
    this.#due.add(timer)
    this.#size++
    if (timer.key === '') return
    const known = this.#byKey.get(timer.key)
    if (known instanceof Set) known.add(timer)
    else this.#byKey.set(timer.key, known === undefined ? timer : new Set([known, timer]))
  }
}

/** Whether the message is only stored again when its timer is due. */
export function isRoll({ due, outMs }: Timer): boolean {
  return due <= outMs
}

/** Source: Apache's TimerMessageStore.doEnqueue. */
function dueAt(outMs: number, now: number): number {
  const wait = outMs - now
  if (wait < ROLL_WINDOW_MS) return outMs + TIMER_PRECISION_MS
  // So that the rest is not much shorter than the window.
  return now + (wait - ROLL_WINDOW_MS < ROLL_WINDOW_MS / 3 ? ROLL_WINDOW_MS / 2 : ROLL_WINDOW_MS)
}
