import { type CallOptions, type MessageQueue, queueKey } from '../../message/message.ts'
import { NO_STORED_OFFSET } from './start-offset.ts'

/**
 * How far a group has consumed its queues: in memory, and where it is stored, at the brokers or in a file. Apache's
 * OffsetStore.
 */
export interface OffsetStore {
  /** Reads what is stored. Called once, before anything else. */
  load(): Promise<void>
  /** Sets an offset in memory, for the next `persist`. With `onlyForward`, a lower offset than the current one is ignored. */
  update(queue: MessageQueue, offset: number, onlyForward: boolean): void
  /** The offset in memory; -1 if there is none. */
  peek(queue: MessageQueue): number
  /**
   * The stored offset; -1 if there is none, -2 if it cannot be read now.
   * @throws ClientError TIMEOUT, ABORTED, but only if `options` are given
   */
  stored(queue: MessageQueue, options?: CallOptions): Promise<number>
  /** The stored offset as `stored` returns it. Memory takes it over unless an offset is there already: that one is newer. */
  read(queue: MessageQueue): Promise<number>
  /** Stores the offsets of these queues. Never rejects: an offset that cannot be stored now stays for the next call. */
  persist(queues: Iterable<MessageQueue>): Promise<void>
  /** Ends what the store holds open, after the last `persist`. Never rejects. */
  close?(): Promise<void>
  /** Removes the offset from memory. */
  forget(queue: MessageQueue): void
  /** Sets an offset that `update` cannot change until `forget`: the queue is about to restart from it. */
  freeze(queue: MessageQueue, offset: number): void
}

interface CachedOffset {
  readonly offset: number
  readonly frozen: boolean
}

/** The part of an OffsetStore that is in memory, for both stores. */
export abstract class CachedOffsets {
  readonly #offsets = new Map<string, CachedOffset>()

  abstract stored(queue: MessageQueue): Promise<number>

  async read(queue: MessageQueue): Promise<number> {
    const offset = await this.stored(queue)
    if (offset >= 0 && this.peek(queue) < 0) this.update(queue, offset, false)
    return offset
  }

  update(queue: MessageQueue, offset: number, onlyForward: boolean): void {
    const key = queueKey(queue)
    const before = this.#offsets.get(key)
    if (before?.frozen || (onlyForward && before !== undefined && offset <= before.offset)) return
    this.#offsets.set(key, { offset, frozen: false })
  }

  freeze(queue: MessageQueue, offset: number): void {
    this.#offsets.set(queueKey(queue), { offset, frozen: true })
  }

  peek(queue: MessageQueue): number {
    return this.#offsets.get(queueKey(queue))?.offset ?? NO_STORED_OFFSET
  }

  forget(queue: MessageQueue): void {
    this.#offsets.delete(queueKey(queue))
  }
}
