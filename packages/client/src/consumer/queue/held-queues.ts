import { type MessageQueue, queueKey } from '../../message/message.ts'
import type { HeldQueue } from './held-queue.ts'

/** The queues that a consumer holds now. */
export class HeldQueues<H extends HeldQueue> implements Iterable<H> {
  readonly #byKey = new Map<string, H>()

  get size(): number {
    return this.#byKey.size
  }

  find(queue: MessageQueue): H | undefined {
    return this.#byKey.get(queueKey(queue))
  }

  /** False also if the queue was dropped and is held by another object now. */
  has(held: H): boolean {
    return this.find(held.queue) === held
  }

  add(held: H): void {
    this.#byKey.set(queueKey(held.queue), held)
  }

  delete({ queue }: H): void {
    this.#byKey.delete(queueKey(queue))
  }

  clear(): void {
    this.#byKey.clear()
  }

  [Symbol.iterator](): IterableIterator<H> {
    return this.#byKey.values()
  }
}
