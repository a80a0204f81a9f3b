/** Something that falls due at a time. Its time must not change while a DueSets has it. */
export interface DueItem {
  /** Milliseconds, by the clock of the caller of `take`. */
  readonly due: number
}

/** Precision of the times, and how often `take` should be called, milliseconds. */
export const DUE_TICK_MS = 100

/** Items by the time at which they fall due. Adding, removing and taking cost the same however many items there are. */
export class DueSets<T extends DueItem> {
  readonly #byTick = new Map<number, Set<T>>()
  /** Items that were due already when they were added. */
  readonly #late = new Set<T>()
  #lastTick = Number.NEGATIVE_INFINITY

  add(item: T): void {
    const tick = tickOf(item.due)
    if (tick <= this.#lastTick) {
      this.#late.add(item)
      return
    }
    const set = this.#byTick.get(tick)
    if (set === undefined) this.#byTick.set(tick, new Set([item]))
    else set.add(item)
  }

  delete(item: T): void {
    if (this.#late.delete(item)) return
    const tick = tickOf(item.due)
    const set = this.#byTick.get(tick)
    if (set?.delete(item) && set.size === 0) this.#byTick.delete(tick)
  }

  /** Removes and returns what is due, the earliest first. */
  take(now: number): T[] {
    const tick = Math.floor(now / DUE_TICK_MS)
    const taken = [...this.#late]
    this.#late.clear()
    // The first call, and a pause of the process, leave many ticks to look at: then the sets are fewer.
    if (tick - this.#lastTick > this.#byTick.size) {
      for (const due of [...this.#byTick.keys()].toSorted((a, b) => a - b)) if (due <= tick) this.#takeTick(due, taken)
    } else for (let due = this.#lastTick + 1; due <= tick; due++) this.#takeTick(due, taken)
    // A clock that was set back moves the tick back, too.
    this.#lastTick = tick
    return taken
  }

  #takeTick(tick: number, taken: T[]): void {
    for (const item of this.#byTick.get(tick) ?? []) taken.push(item)
    this.#byTick.delete(tick)
  }
}

/** The first tick at or behind a time. */
function tickOf(time: number): number {
  return Math.ceil(time / DUE_TICK_MS)
}
