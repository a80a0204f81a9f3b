import { DueSets } from '../due-sets.ts'

/** A message that waits for its time. */
export interface Timer {
  /** When the broker looks at it next, milliseconds since the epoch. */
  readonly due: number
  /** The property TIMER_OUT_MS of the message. */
  readonly outMs: number
  /** See `cancelKeyOf`; empty if the message has no unique id. */
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
  readonly #byKey = new Map<string, Timer>()
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

  /** Adds a timer that could not be delivered. */
  retry(timer: Timer, due: number): void {
    this.#put({ ...timer, due })
  }

  /** Cancels the message with this key that is due at this time. @returns whether there is one */
  cancel(key: string, outMs: number): boolean {
    const timer = this.#byKey.get(key)
    if (timer?.outMs !== outMs) return false
    this.#due.delete(timer)
    this.#forget(timer)
    return true
  }

  /** Removes and returns what is due. */
  takeDue(now: number): Timer[] {
    const timers = this.#due.take(now)
    for (const timer of timers) this.#forget(timer)
    return timers
  }

  #put(timer: Timer): void {
    this.#due.add(timer)
    if (timer.key !== '') this.#byKey.set(timer.key, timer)
    this.#size++
  }

  #forget(timer: Timer): void {
    if (this.#byKey.get(timer.key) === timer) this.#byKey.delete(timer.key)
    this.#size--
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
