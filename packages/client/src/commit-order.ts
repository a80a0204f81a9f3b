import type { MessageQueue } from './message.ts'
import type { Deadline } from './deadline.ts'

/**
 * Lets one commit go ahead where several queues of a topic are committed at a time. An Apache broker makes the table of a
 * group's offsets in a topic with the first commit, without a lock: of two first ones at a time it forgets one, and says
 * that it has both (ConsumerOffsetManager.commitOffset, 4.9 and 5.x).
 */
export class CommitOrder {
  readonly #ahead = new Map<string, Promise<void>>()

  /** Commits at once, or when the commit that is ahead has ended, well or not. @throws what the commit throws; ClientError TIMEOUT, ABORTED */
  async follow({ topic, brokerName }: MessageQueue, deadline: Deadline, commit: () => Promise<void>): Promise<void> {
    const key = `${brokerName} ${topic}`
    const ahead = this.#ahead.get(key)
    if (ahead !== undefined) {
      await deadline.wait(ahead, 'the commit of an offset')
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
