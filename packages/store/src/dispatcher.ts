import type { DerivedData } from './dispatched-record.ts'
import type { PendingRecords } from './pending-records.ts'
import type { ConsumeQueue } from './queues/consume-queue.ts'
import { takesOffset } from './log/record-writer.ts'

/**
 * Hands records that became safe to the queues and the index, in the order of the log: Apache's ReputMessageService. What a
 * consumer can see was therefore stored, even if the machine fails right after.
 */
export class Dispatcher {
  readonly #pending: PendingRecords
  readonly #derived: readonly DerivedData[]
  readonly #listeners = new Set<(queue: ConsumeQueue) => void>()
  readonly #arrived = new Set<ConsumeQueue>()
  #lastQueue: ConsumeQueue | undefined
  #lastStoreTimestamp = 0

  constructor(pending: PendingRecords, derived: readonly DerivedData[]) {
    this.#pending = pending
    this.#derived = derived
  }

  /** Store time of the newest record that was handed on, milliseconds since the epoch; 0 before the first. */
  get lastStoreTimestamp(): number {
    return this.#lastStoreTimestamp
  }

  /** Continues behind a recovery, which handed on everything up to a record of this time. */
  resume(lastStoreTimestamp: number): void {
    this.#lastStoreTimestamp = lastStoreTimestamp
  }

  /** The listener is called once for each queue that got something, after each call of `drain`. */
  onArrival(listener: (queue: ConsumeQueue) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  /** Hands on the records below `safe`. */
  drain(safe: number): void {
    for (let record = this.#pending.take(safe); record !== undefined; record = this.#pending.take(safe)) {
      for (const derived of this.#derived) derived.put(record)
      this.#lastStoreTimestamp = record.storeTimestamp
      if (record.queue !== this.#lastQueue && takesOffset(record.sysFlag)) {
        this.#arrived.add(record.queue)
        this.#lastQueue = record.queue
      }
    }
  }

  /** Tells the listeners about the queues that got something since the last call. */
  announce(): void {
    if (this.#arrived.size === 0) return
    const queues = [...this.#arrived]
    this.#arrived.clear()
    this.#lastQueue = undefined
    for (const listener of this.#listeners) for (const queue of queues) listener(queue)
  }
}
