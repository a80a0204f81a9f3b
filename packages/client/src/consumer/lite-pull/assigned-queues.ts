import { type MessageQueue, queueKey } from '../../message/message.ts'
import type { OffsetStore } from '../offsets/offset-store.ts'
import type { HeldQueues } from '../queue/held-queues.ts'
import type { LitePullQueue } from './queue.ts'

export interface AssignedQueuesOptions<Body> {
  readonly held: HeldQueues<LitePullQueue<Body>>
  readonly offsets: OffsetStore
  readonly open: (queue: MessageQueue) => LitePullQueue<Body>
}

/** The queues that a user assigned to a lite pull consumer. */
export class AssignedQueues<Body> {
  readonly #options: AssignedQueuesOptions<Body>

  constructor(options: AssignedQueuesOptions<Body>) {
    this.#options = options
  }

  /** Holds these queues and no others. Queues that are already held continue; the offsets of the others are stored. */
  async assign(queues: Iterable<MessageQueue>): Promise<void> {
    const { held, open } = this.#options
    const wanted = new Map([...queues].map(queue => [queueKey(queue), queue]))
    const dropped = [...held].filter(({ queue }) => !wanted.has(queueKey(queue)))
    for (const each of dropped) held.delete(each)
    for (const queue of wanted.values()) {
      if (held.find(queue) !== undefined) continue
      const opened = open(queue)
      held.add(opened)
      opened.start()
    }
    await this.#giveUp(dropped)
  }

  async #giveUp(dropped: readonly LitePullQueue<Body>[]): Promise<void> {
    const { held, offsets } = this.#options
    await Promise.all(dropped.map(each => each.drop()))
    await offsets.persist(dropped.map(({ queue }) => queue))
    // A queue may have been assigned again meanwhile.
    for (const { queue } of dropped) if (held.find(queue) === undefined) offsets.forget(queue)
  }

  async dropAll(): Promise<void> {
    await Promise.all([...this.#options.held].map(each => each.drop()))
  }
}
