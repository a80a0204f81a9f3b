import type { Deadline } from '../../deadline.ts'
import { type MessageQueue, queueKey } from '../../message/message.ts'

const WHAT = 'committing an offset'

/**
 * The order of commits. A queue has one commit under way at a time: brokers process the requests of a connection in
 * parallel, so an older offset could otherwise overwrite a newer one. Where several queues of a topic are committed at the
 * same time, the first commit goes ahead of the others: an Apache broker creates the table of a group's offsets in a topic
 * on the first commit, without a lock, and of two concurrent first commits it loses one although it acknowledged both
 * (ConsumerOffsetManager.commitOffset, 4.9 and 5.x).
 */
export class CommitOrder {
  /** The commit that goes ahead, by broker and topic. */
  readonly #ahead = new Map<string, Promise<void>>()
  /** The last commit of each queue that has one under way. */
  readonly #last = new Map<string, Promise<void>>()

  /**
   * Runs `commit` once the earlier commits of the queue, and the commit that goes ahead, have settled.
   * @throws what the commit throws; ClientError TIMEOUT, ABORTED
   */
  async follow(queue: MessageQueue, deadline: Deadline, commit: () => Promise<void>): Promise<void> {
    const key = queueKey(queue)
    const before = this.#last.get(key)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#last.set(key, promise)
    try {
      if (before !== undefined) await deadline.wait(before, WHAT)
      await this.#afterFirst(queue, deadline, commit)
    } finally {
      // A caller that stops waiting must not let later ones overtake the commits before it.
      void (before ?? Promise.resolve()).then(() => {
        if (this.#last.get(key) === promise) this.#last.delete(key)
        resolve()
      })
    }
  }

  async #afterFirst({ topic, brokerName }: MessageQueue, deadline: Deadline, commit: () => Promise<void>) {
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
