import { OffsetRing } from './offset-ring.ts'

/** A message in a process queue. */
export interface Queued {
  readonly queueOffset: number
}

/** A lock of an orderly queue counts for so long after the broker last granted it (Apache's lockMaxLiveTime). */
const LOCK_LIFE_MS = 30_000
/** A queue that was not pulled for so long is taken up anew (Apache's pullMaxIdleTime). */
const PULL_IDLE_MS = 120_000

/** `remove` and `commit` had nothing to do. */
const NOTHING_TO_STORE = -1

/**
 * What was pulled of one queue and is not done yet: Apache's ProcessQueue. It knows the lowest offset that is safe to
 * store: everything before it is done. Times are milliseconds, given by the caller.
 */
export class ProcessQueue<M extends Queued> {
  /** The queue went to another member, or is given up: nothing of it may be started or stored any more. */
  dropped = false
  /** An orderly queue that the broker has locked for this client. */
  locked = false
  lastLockAt: number
  lastPullAt: number
  lastConsumeAt: number
  /** How often the lock could not be given back because messages were in the works. */
  unlockAttempts = 0

  readonly #sizeOf: (message: M) => number
  readonly #waiting = new OffsetRing<M>()
  /** Orderly: what was taken and is not committed. By rising offset, except after odd rollbacks. */
  readonly #taken = new Map<number, M>()
  #size = 0
  #maxOffset = -1
  #consuming = false

  /** @param sizeOf bytes of a message's body, for the limit of memory */
  constructor(now: number, sizeOf: (message: M) => number) {
    this.lastLockAt = now
    this.lastPullAt = now
    this.lastConsumeAt = now
    this.#sizeOf = sizeOf
  }

  /** Messages that are not done, taken ones included. */
  get count(): number {
    return this.#waiting.size + this.#taken.size
  }

  /** Bytes of their bodies. */
  get size(): number {
    return this.#size
  }

  /** Messages taken in order and not committed. */
  get takenCount(): number {
    return this.#taken.size
  }

  /** From the first waiting offset to the last. */
  get span(): number {
    return (this.#waiting.lastOffset ?? 0) - (this.#waiting.firstOffset ?? 0)
  }

  /** Lowest offset that is not done; undefined if all is. */
  get firstOffset(): number | undefined {
    const waiting = this.#waiting.firstOffset
    if (this.#taken.size === 0) return waiting
    return Math.min(waiting ?? Infinity, ...this.#taken.keys())
  }

  get lastOffset(): number | undefined {
    if (this.#taken.size === 0) return this.#waiting.lastOffset
    return Math.max(this.#waiting.lastOffset ?? -1, ...this.#taken.keys())
  }

  /** First and last offset of those taken in order. */
  get takenSpan(): { readonly first: number; readonly last: number } | undefined {
    if (this.#taken.size === 0) return undefined
    const offsets = [...this.#taken.keys()]
    return { first: Math.min(...offsets), last: Math.max(...offsets) }
  }

  /** The oldest waiting message: while it is not done nothing behind it can be stored. */
  first(): M | undefined {
    return this.#waiting.first()
  }

  has(offset: number): boolean {
    return this.#waiting.get(offset) !== undefined
  }

  /** Messages waiting, oldest first. */
  messages(): Iterable<M> {
    return this.#waiting.values()
  }

  /**
   * Adds what was pulled; what is here already stays as it is.
   * @returns true if an orderly consumer has to start on the queue: there is work and nobody is at it
   */
  put(messages: readonly M[]): boolean {
    for (const message of messages) {
      const offset = message.queueOffset
      if (this.#taken.has(offset) || !this.#waiting.add(offset, message)) continue
      this.#size += this.#sizeOf(message)
      if (offset > this.#maxOffset) this.#maxOffset = offset
    }
    if (this.#consuming || this.#waiting.size === 0) return false
    this.#consuming = true
    return true
  }

  /**
   * Marks messages as done.
   * @returns the offset to store: the lowest that is not done, or the one behind all; -1 if nothing was waiting
   */
  remove(messages: readonly M[], now: number): number {
    this.lastConsumeAt = now
    if (this.#waiting.size === 0) return NOTHING_TO_STORE
    for (const { queueOffset } of messages) {
      const removed = this.#waiting.delete(queueOffset)
      if (removed !== undefined) this.#size -= this.#sizeOf(removed)
    }
    return this.#waiting.firstOffset ?? this.#maxOffset + 1
  }

  /** Takes the oldest messages to consume in order; none means that the consumer leaves the queue until `put` says so. */
  take(limit: number, now: number): M[] {
    this.lastConsumeAt = now
    const messages: M[] = []
    while (messages.length < limit) {
      const message = this.#waiting.first()
      if (message === undefined) break
      this.#waiting.delete(message.queueOffset)
      this.#taken.set(message.queueOffset, message)
      messages.push(message)
    }
    if (messages.length === 0) this.#consuming = false
    return messages
  }

  /** All that was taken is done. @returns the offset to store, -1 if nothing was taken */
  commit(): number {
    const last = this.takenSpan?.last
    for (const message of this.#taken.values()) this.#size -= this.#sizeOf(message)
    this.#taken.clear()
    return last === undefined ? NOTHING_TO_STORE : last + 1
  }

  /** All that was taken waits again. */
  rollback(): void {
    this.putBack([...this.#taken.values()])
  }

  /** Some of what was taken waits again. */
  putBack(messages: readonly M[]): void {
    // From the last one on: each goes in front, where adding costs least.
    for (const message of messages.toReversed()) {
      if (this.#taken.delete(message.queueOffset)) this.#waiting.add(message.queueOffset, message)
    }
  }

  /** Forgets all messages, as after a reset of offsets. */
  clear(): void {
    this.#waiting.clear()
    this.#taken.clear()
    this.#size = 0
    this.#maxOffset = -1
  }

  lockExpired(now: number): boolean {
    return now - this.lastLockAt > LOCK_LIFE_MS
  }

  pullExpired(now: number): boolean {
    return now - this.lastPullAt > PULL_IDLE_MS
  }
}
