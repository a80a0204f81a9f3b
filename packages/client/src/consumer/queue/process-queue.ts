import { OffsetRing } from './offset-ring.ts'

/** A message in a process queue. */
export interface Queued {
  readonly queueOffset: number
}

/** How long a lock counts after the broker last granted it (Apache's rocketmq.client.rebalance.lockMaxLiveTime). */
const LOCK_LIFE_MS = 30_000
/** A queue that was not pulled for this long is dropped and added again (Apache's rocketmq.client.pull.pullMaxIdleTime). */
const PULL_IDLE_MS = 120_000

/** What `remove` and `commit` return if there was nothing to do. */
const NOTHING_TO_STORE = -1

/**
 * The messages of one queue that were pulled and are not done yet: Apache's ProcessQueue. It knows the lowest offset that is
 * safe to store, before which everything is done. Times are milliseconds, passed in by the caller.
 */
export class ProcessQueue<M extends Queued> {
  /** The queue is given up: none of its messages may be started, and no offset of it stored. */
  dropped = false
  /** The broker has locked the queue for this client. Only for orderly consumers. */
  locked = false
  lastLockAt: number
  lastPullAt: number
  lastConsumeAt: number
  /** How many times the queue could not be unlocked because a listener was still busy with it. */
  unlockAttempts = 0

  readonly #sizeOf: (message: M) => number
  readonly #waiting = new OffsetRing<M>()
  /** Messages that an orderly consumer has taken and not committed. In rising order of offsets, except after a `putBack`. */
  readonly #taken = new Map<number, M>()
  #size = 0
  #maxOffset = -1
  #isConsuming = false

  /** @param sizeOf the bytes of a message, for the memory limit */
  constructor(now: number, sizeOf: (message: M) => number) {
    this.lastLockAt = now
    this.lastPullAt = now
    this.lastConsumeAt = now
    this.#sizeOf = sizeOf
  }

  /** Messages that are not done, including taken ones. */
  get count(): number {
    return this.#waiting.size + this.#taken.size
  }

  /** Bytes of these messages. */
  get size(): number {
    return this.#size
  }

  /** Messages that an orderly consumer has taken and not committed. */
  get takenCount(): number {
    return this.#taken.size
  }

  /** Distance from the first waiting offset to the last. */
  get span(): number {
    return (this.#waiting.lastOffset ?? 0) - (this.#waiting.firstOffset ?? 0)
  }

  /** The lowest offset that is not done; undefined if all are. */
  get firstOffset(): number | undefined {
    const waiting = this.#waiting.firstOffset
    if (this.#taken.size === 0) return waiting
    return Math.min(waiting ?? Infinity, ...this.#taken.keys())
  }

  /** The highest offset that is not done; undefined if all are. */
  get lastOffset(): number | undefined {
    if (this.#taken.size === 0) return this.#waiting.lastOffset
    return Math.max(this.#waiting.lastOffset ?? -1, ...this.#taken.keys())
  }

  /** The first and the last offset of the taken messages. */
  get takenSpan(): { readonly first: number; readonly last: number } | undefined {
    if (this.#taken.size === 0) return undefined
    const offsets = [...this.#taken.keys()]
    return { first: Math.min(...offsets), last: Math.max(...offsets) }
  }

  /**
   * Adds pulled messages. Those that are already here stay unchanged.
   * @returns true if an orderly consumer has to start on the queue: messages wait, and it is not working on them
   */
  put(messages: readonly M[]): boolean {
    for (const message of messages) {
      const offset = message.queueOffset
      if (this.#taken.has(offset) || !this.#waiting.add(offset, message)) continue
      this.#size += this.#sizeOf(message)
      if (offset > this.#maxOffset) this.#maxOffset = offset
    }
    if (this.#isConsuming || this.#waiting.size === 0) return false
    this.#isConsuming = true
    return true
  }

  /**
   * Marks messages as done.
   * @returns the offset to store: the lowest that is not done, or the one after all; -1 if no message was waiting
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

  /**
   * Takes the oldest messages, to consume them in order. If it returns none, the consumer has to leave the queue until `put`
   * returns true.
   */
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
    if (messages.length === 0) this.#isConsuming = false
    return messages
  }

  /** Marks all taken messages as done. @returns the offset to store; -1 if no message was taken */
  commit(): number {
    const last = this.takenSpan?.last
    for (const message of this.#taken.values()) this.#size -= this.#sizeOf(message)
    this.#taken.clear()
    return last === undefined ? NOTHING_TO_STORE : last + 1
  }

  /** Returns taken messages to the waiting ones. */
  putBack(messages: readonly M[]): void {
    // In reverse, so that each message goes to the front of the ring, where adding is cheapest.
    for (const message of messages.toReversed()) {
      if (this.#taken.delete(message.queueOffset)) this.#waiting.add(message.queueOffset, message)
    }
  }

  /** Removes all messages without marking them as done, for a queue that continues at another offset. */
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
