import { type MessageQueue, queueKey } from '../../message/message.ts'
import type { Deadline } from '../../deadline.ts'

const WHAT = 'the commit of an offset'

/**
 * One commit of a queue at a time, as brokers work on several requests of a connection side by side: the older offset could
 * come last. And lets one commit go ahead where several queues of a topic are committed at a time. An Apache broker makes
 * the table of a group's offsets in a topic with the first commit, without a lock: of two first ones at a time it forgets
 * one, and says that it has both (ConsumerOffsetManager.commitOffset, 4.9 and 5.x).
 */
export class CommitOrder {
  readonly #ahead = new Map<string, Promise<void>>()
  /** The last commit of each queue that has one under way. */
  readonly #last = new Map<string, Promise<void>>()

  /**
   * Commits when the commits of the queue that were asked for before have ended, and the one that is ahead, well or not.
   * @throws what the commit throws; ClientError TIMEOUT, ABORTED
   */
  async follow(queue: MessageQueue, deadline: Deadline, commit: () => Promise<void>): Promise<void> {
    const key = queueKey(queue)
    const before = this.#last.get(key)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#last.set(key, promise)
    try {
      if (before !== undefined) await deadline.wait(before, WHAT)
      await this.#behindFirst(queue, deadline, commit)
    } finally {
      // Who gives up waiting lets nobody pass by.
      void (before ?? Promise.resolve()).then(() => {
        if (this.#last.get(key) === promise) this.#last.delete(key)
        resolve()
      })
    }
  }

  async #behindFirst({ topic, brokerName }: MessageQueue, deadline: Deadline, commit: () => Promise<void>) {
    const key = `${brokerName} ${topic}`
    const ahead = this.#ahead.get(key)
    if (ahead !== undefined) {
      await deadline.wait(ahead, WHAT)
      return await commit()
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#ahead.set(key, promise)
    try {
      await commit()
    } finally {
      this.#ahead.delete(key)
      resolve()
    }
  }
}
