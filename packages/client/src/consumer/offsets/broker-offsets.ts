import { consumeRequests, responseCodes } from '@gantrymq/protocol'
import type { ClientInstance } from '../../instance/client-instance.ts'
import { toClientError } from '../../errors.ts'
import { type CallOptions, type MessageQueue, queueKey } from '../../message/message.ts'
import { Deadline } from '../../deadline.ts'
import { findAnyAddress } from '../../routes/find-broker.ts'
import { CommitOrder } from './commit-order.ts'
import { commitOffset } from './queue-offsets.ts'
import { NO_STORED_OFFSET, UNREADABLE_OFFSET } from './start-offset.ts'

/** How far a group is in its queues, and where that is kept. Apache's OffsetStore. */
export interface OffsetStore {
  /** Reads what was kept, before the first use. */
  load(): Promise<void>
  /** Notes an offset, to be kept at the next `persist`. With `onlyForward` a lower one is ignored. */
  update(queue: MessageQueue, offset: number, onlyForward: boolean): void
  /** The offset noted here; -1 if none. */
  peek(queue: MessageQueue): number
  /** The offset that is kept; -1 if none, -2 if that cannot be told now. @throws ClientError TIMEOUT, ABORTED with options */
  stored(queue: MessageQueue, options?: CallOptions): Promise<number>
  /** The same, noted if nothing is: what was noted since is newer. */
  read(queue: MessageQueue): Promise<number>
  /** Keeps the offsets of these queues. Never rejects: what could not be kept now is with the next. */
  persist(queues: Iterable<MessageQueue>): Promise<void>
  /** Forgets what is noted here. */
  forget(queue: MessageQueue): void
  /** Notes an offset that nothing changes until it is forgotten: the queue is about to be taken up anew. */
  freeze(queue: MessageQueue, offset: number): void
}

interface Noted {
  readonly offset: number
  readonly frozen: boolean
}

/** Offsets in memory: what both stores begin with. */
export abstract class OffsetNotes {
  readonly #noted = new Map<string, Noted>()

  abstract stored(queue: MessageQueue): Promise<number>

  async read(queue: MessageQueue): Promise<number> {
    const offset = await this.stored(queue)
    if (offset >= 0 && this.peek(queue) < 0) this.update(queue, offset, false)
    return offset
  }

  update(queue: MessageQueue, offset: number, onlyForward: boolean): void {
    const key = queueKey(queue)
    const before = this.#noted.get(key)
    if (before?.frozen || (onlyForward && before !== undefined && offset <= before.offset)) return
    this.#noted.set(key, { offset, frozen: false })
  }

  freeze(queue: MessageQueue, offset: number): void {
    this.#noted.set(queueKey(queue), { offset, frozen: true })
  }

  peek(queue: MessageQueue): number {
    return this.#noted.get(queueKey(queue))?.offset ?? NO_STORED_OFFSET
  }

  forget(queue: MessageQueue): void {
    this.#noted.delete(queueKey(queue))
  }
}

/** How long a question about an offset, or telling one, may take, milliseconds. */
export const TIMEOUT_MS = 5000

/** Offsets kept by the brokers, for groups that share their queues. Apache's RemoteBrokerOffsetStore. */
export class RemoteOffsets extends OffsetNotes implements OffsetStore {
  readonly #instance: ClientInstance
  readonly #group: string
  readonly #order = new CommitOrder()
  /** Queues whose offsets are about to be told, but not on their way. */
  readonly #waiting = new Map<string, Promise<void>>()

  constructor(instance: ClientInstance, group: string) {
    super()
    this.#instance = instance
    this.#group = group
  }

  async load(): Promise<void> {}

  async stored(queue: MessageQueue, options?: CallOptions): Promise<number> {
    try {
      return await this.#ask(queue, Deadline.of(this.#instance.clock, options ?? {}, TIMEOUT_MS))
    } catch (error) {
      const { code, responseCode } = toClientError(error)
      // Who waits with a time of his own is told of it.
      if (options !== undefined && (code === 'TIMEOUT' || code === 'ABORTED')) throw error
      // Any other failure must not look like a group that is new (Apache 4.9 takes it so).
      if (responseCode === responseCodes.QUERY_NOT_FOUND) return NO_STORED_OFFSET
      this.#instance.log.warn({ group: this.#group, queue, error: String(error) }, 'offset not read')
      return UNREADABLE_OFFSET
    }
  }

  async #ask(queue: MessageQueue, deadline: Deadline): Promise<number> {
    const { topic, queueId, brokerName } = queue
    const header = { consumerGroup: this.#group, topic, queueId, bname: brokerName }
    const address = await findAnyAddress(this.#instance, queue, deadline)
    const request = consumeRequests.QUERY_CONSUMER_OFFSET
    const reply = await this.#instance.call(address, request, { header }, deadline.options())
    return reply.header.offset
  }

  async persist(queues: Iterable<MessageQueue>): Promise<void> {
    await Promise.all([...queues].map(queue => this.#tell(queue)))
  }

  /** Keeps what is noted of these queues, and knows that it is kept. @throws ClientError */
  async commit(queues: readonly MessageQueue[], options: CallOptions): Promise<void> {
    const deadline = Deadline.of(this.#instance.clock, options, TIMEOUT_MS)
    const noted = queues.map(queue => ({ queue, offset: this.peek(queue) })).filter(({ offset }) => offset >= 0)
    const commits = noted.map(({ queue, offset }) =>
      this.#order.follow(queue, deadline, () =>
        commitOffset(this.#instance, this.#group, queue, offset, deadline.options()),
      ),
    )
    await Promise.all(commits)
  }

  /** What waits to be told is not told twice: it is looked at when its turn comes. */
  async #tell(queue: MessageQueue): Promise<void> {
    if (this.peek(queue) < 0) return
    const key = queueKey(queue)
    const before = this.#waiting.get(key)
    if (before !== undefined) return await before
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.set(key, promise)
    const begun = (): void => {
      if (this.#waiting.get(key) === promise) this.#waiting.delete(key)
    }
    await this.#tellNext(queue, begun)
    begun()
    resolve()
  }

  /** Never rejects. */
  async #tellNext(queue: MessageQueue, begun: () => void): Promise<void> {
    const deadline = Deadline.of(this.#instance.clock, {}, 2 * TIMEOUT_MS)
    try {
      await this.#order.follow(queue, deadline, () => {
        begun()
        return this.#send(queue)
      })
    } catch (error) {
      const offset = this.peek(queue)
      this.#instance.log.warn({ group: this.#group, queue, offset, error: String(error) }, 'offset not kept')
    }
  }

  // Answered, unlike Java's: so it is known what has been kept when a consumer closes. Told again even if unchanged: a broker
  // that was killed may have forgotten it.
  async #send(queue: MessageQueue): Promise<void> {
    const commitOffset = this.peek(queue)
    if (commitOffset < 0) return
    const { topic, queueId, brokerName } = queue
    const header = { consumerGroup: this.#group, topic, queueId, commitOffset, bname: brokerName }
    const deadline = new Deadline(this.#instance.clock, TIMEOUT_MS)
    const address = await findAnyAddress(this.#instance, queue, deadline)
    await this.#instance.call(address, consumeRequests.UPDATE_CONSUMER_OFFSET, { header }, deadline.options())
  }
}
