import { DueSets } from '../due-sets.ts'
import { keyOf, type PopQueue, type PopTimes } from './pop-ledger.ts'

/** What an ordered pop has returned of a queue. */
export interface OrderedPop extends PopTimes {
  /** Ascending, at least one. */
  readonly offsets: readonly number[]
  /** A pop that is repeated with the same id gets the same messages, and does not count as another delivery. */
  readonly attemptId: string | undefined
}

/** How often the messages of an ordered pop were delivered before. */
export interface DeliveryCounts {
  /** By offset; messages that were not delivered before are left out. */
  readonly byOffset: ReadonlyMap<number, number>
  /** The lowest of all. */
  readonly lowest: number
}

interface Entry extends OrderedPop {
  readonly queue: PopQueue
  readonly counts: ReadonlyMap<number, number>
  readonly acknowledged: Set<number>
  /** By offset, for messages whose time was changed. */
  readonly visibleAt: Map<number, number>
  /** Wakes the pops that wait for the queue. */
  alarm: { readonly due: number; readonly queue: PopQueue } | undefined
}

/** What an acknowledgement of an ordered message means. */
export type OrderedAck =
  /** The group continues at this offset. */
  | { readonly next: number }
  /** The message was popped again since then: nothing changes. */
  | 'stale'
  /** The last pop did not return this message. */
  | 'unknown'

/** Queues that have been silent for this long are forgotten, milliseconds (Apache's ConsumerOrderInfoManager.CLEAN_SPAN_FROM_LAST). */
const FORGOTTEN_AFTER_MS = 24 * 3_600_000

/**
 * The last ordered pop of each queue, which blocks the queue for its group until its messages are acknowledged or visible again:
 * Apache's ConsumerOrderInfoManager. All times are the broker's elapsed time.
 */
export class OrderedPops {
  readonly #last = new Map<string, Entry>()
  readonly #alarms = new DueSets<NonNullable<Entry['alarm']>>()

  get size(): number {
    return this.#last.size
  }

  /** Whether messages of the last pop are still being consumed. @param attemptId Of the pop that asks; its own messages do not block it. */
  isBlocked(queue: PopQueue, attemptId: string | undefined, now: number): boolean {
    const entry = this.#last.get(keyOf(queue))
    if (entry === undefined || (entry.attemptId !== undefined && entry.attemptId === attemptId)) return false
    return entry.offsets.some(offset => !entry.acknowledged.has(offset) && now < visibleAt(entry, offset))
  }

  /** Notes what a pop has returned. */
  popped(queue: PopQueue, pop: OrderedPop, now: number): DeliveryCounts {
    const key = keyOf(queue)
    const before = this.#last.get(key)
    if (before?.alarm !== undefined) this.#alarms.delete(before.alarm)
    const counts = countsAfter(before, pop)
    const entry: Entry = { ...pop, queue, counts, acknowledged: new Set(), visibleAt: new Map(), alarm: undefined }
    this.#last.set(key, entry)
    this.#setAlarm(entry, now)
    const lowest = counts.size === pop.offsets.length ? Math.min(...counts.values()) : 0
    return { byOffset: counts, lowest }
  }

  /** Source: ConsumerOrderInfoManager.commitAndNext. */
  acknowledge(queue: PopQueue, offset: number, popTime: number, now: number): OrderedAck {
    const entry = this.#last.get(keyOf(queue))
    if (entry === undefined) return { next: offset + 1 }
    if (entry.popTime !== popTime) return 'stale'
    if (!entry.offsets.includes(offset)) return 'unknown'
    entry.acknowledged.add(offset)
    this.#setAlarm(entry, now)
    const open = entry.offsets.find(each => !entry.acknowledged.has(each))
    return { next: open ?? entry.offsets.at(-1)! + 1 }
  }

  /** Makes a message of the last pop visible at another time. Nothing happens if it was popped again. */
  postpone(queue: PopQueue, offset: number, popTime: number, due: number, now: number): void {
    const entry = this.#last.get(keyOf(queue))
    if (entry?.popTime !== popTime || !entry.offsets.includes(offset)) return
    entry.visibleAt.set(offset, due)
    this.#setAlarm(entry, now)
  }

  /** The queues that time has freed, once each. */
  takeFreed(now: number): PopQueue[] {
    const freed: PopQueue[] = []
    for (const alarm of this.#alarms.take(now)) {
      const entry = this.#last.get(keyOf(alarm.queue))
      if (entry?.alarm === alarm) entry.alarm = undefined
      freed.push(alarm.queue)
    }
    return freed
  }

  /** Forgets the last pop of a queue: the next one is not blocked. */
  clear(queue: PopQueue): void {
    this.#forget(keyOf(queue))
  }

  /** Forgets the queues of a deleted topic or group. */
  remove(matches: (queue: PopQueue) => boolean): void {
    for (const [key, { queue }] of this.#last) if (matches(queue)) this.#forget(key)
  }

  /** Forgets queues that no one has popped for a day. */
  sweep(now: number): void {
    for (const [key, { due }] of this.#last) if (now > due + FORGOTTEN_AFTER_MS) this.#forget(key)
  }

  #forget(key: string): void {
    const entry = this.#last.get(key)
    if (entry?.alarm !== undefined) this.#alarms.delete(entry.alarm)
    this.#last.delete(key)
  }

  /** Sets the alarm to when the last message that blocks the queue is visible; the caller of `takeFreed` then tries a pop. */
  #setAlarm(entry: Entry, now: number): void {
    if (entry.alarm !== undefined) this.#alarms.delete(entry.alarm)
    entry.alarm = undefined
    const times = entry.offsets
      .filter(offset => !entry.acknowledged.has(offset))
      .map(offset => visibleAt(entry, offset))
      .filter(time => time > now)
    if (times.length === 0) return
    entry.alarm = { due: Math.max(...times), queue: entry.queue }
    this.#alarms.add(entry.alarm)
  }
}

function visibleAt({ visibleAt: times, due }: Entry, offset: number): number {
  return times.get(offset) ?? due
}

/** Source: ConsumerOrderInfoManager.OrderInfo.mergeOffsetConsumedCount. */
function countsAfter(before: Entry | undefined, { attemptId, offsets }: OrderedPop): ReadonlyMap<number, number> {
  if (before === undefined) return new Map()
  if (before.attemptId !== undefined && before.attemptId === attemptId) return before.counts
  const again = offsets.filter(offset => before.offsets.includes(offset))
  return new Map(again.map(offset => [offset, (before.counts.get(offset) ?? 0) + 1]))
}
