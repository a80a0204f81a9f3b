import { decodeMessage, type StoredMessage } from '@gantrymq/protocol'
import { type ConsumeQueue, Found, type MessageStore } from '@gantrymq/store'

const READ_BYTES = 4 << 20

/** What a broker has stored, read when it arrives: later it may be on the disk only, and no test waits for that. */
export class StoredMessages {
  readonly #store: MessageStore
  readonly #found = new Found()
  /** The messages of each queue by topic and queue id, from its first offset on. */
  readonly #topics = new Map<string, Map<number, StoredMessage[]>>()
  readonly #ends = new WeakMap<ConsumeQueue, number>()

  constructor(store: MessageStore) {
    this.#store = store
    store.onArrival(queue => this.#read(queue))
  }

  /** The messages of a queue, or without `queueId` those of all queues, in the order of their ids. */
  of(topic: string, queueId?: number): StoredMessage[] {
    const queues = [...(this.#topics.get(topic) ?? [])].sort(([a], [b]) => a - b)
    return queues.filter(([id]) => queueId === undefined || id === queueId).flatMap(([, messages]) => messages)
  }

  forget(): void {
    this.#topics.clear()
  }

  #read(queue: ConsumeQueue): void {
    const topic = this.#topics.get(queue.topic) ?? new Map<number, StoredMessage[]>()
    this.#topics.set(queue.topic, topic)
    const messages = topic.get(queue.id) ?? []
    topic.set(queue.id, messages)
    let offset = this.#ends.get(queue) ?? queue.minOffset
    while (offset < queue.maxOffset) {
      const query = { queue, offset, maxMessages: 32, maxBytes: READ_BYTES }
      if (this.#store.read(query, this.#found) === 'LOADING') throw new Error(`${queue.topic} is not in memory`)
      for (let at = 0; at < this.#found.count; at++) messages.push(decodeMessage(this.#found.record(at)))
      offset = this.#found.nextOffset
    }
    this.#ends.set(queue, offset)
  }
}
