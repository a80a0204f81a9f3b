import { consumeRequests, responseCodes } from '@gantrymq/protocol'
import { Deadline } from '../../deadline.ts'
import { toClientError } from '../../errors.ts'
import type { ClientInstance } from '../../instance/client-instance.ts'
import { type CallOptions, type MessageQueue, queueKey } from '../../message/message.ts'
import { findAnyAddress } from '../../routes/find-broker.ts'
import { CommitOrder } from './commit-order.ts'
import { CachedOffsets, type OffsetStore } from './offset-store.ts'
import { commitOffset } from './queue-offsets.ts'
import { NO_STORED_OFFSET, UNREADABLE_OFFSET } from './start-offset.ts'

/** How long one query or one commit of an offset may take, in milliseconds. */
export const TIMEOUT_MS = 5000

/** Offsets stored by the brokers, for groups whose members share the queues. Apache's RemoteBrokerOffsetStore. */
export class BrokerOffsets extends CachedOffsets implements OffsetStore {
  readonly #instance: ClientInstance
  readonly #group: string
  readonly #order = new CommitOrder()
  /** Queues with a commit that has been asked for and not yet sent. */
  readonly #waiting = new Map<string, Promise<void>>()

  /** @param group with its namespace */
  constructor(instance: ClientInstance, group: string) {
    super()
    this.#instance = instance
    this.#group = group
  }

  async load(): Promise<void> {}

  async stored(queue: MessageQueue, options?: CallOptions): Promise<number> {
    try {
      return await this.#query(queue, Deadline.of(this.#instance.clock, options ?? {}, TIMEOUT_MS))
    } catch (error) {
      const { code, responseCode } = toClientError(error)
      // A caller with its own timeout or signal gets the error.
      if (options !== undefined && (code === 'TIMEOUT' || code === 'ABORTED')) throw error
      if (responseCode === responseCodes.QUERY_NOT_FOUND) return NO_STORED_OFFSET
      // Any other failure must not look like a new group, as it does to Apache 4.9.
      this.#instance.log.warn({ group: this.#group, queue, error: String(error) }, 'cannot read a stored offset')
      return UNREADABLE_OFFSET
    }
  }

  async #query(queue: MessageQueue, deadline: Deadline): Promise<number> {
    const { topic, queueId, brokerName } = queue
    const header = { consumerGroup: this.#group, topic, queueId, bname: brokerName }
    const address = await findAnyAddress(this.#instance, queue, deadline)
    const request = consumeRequests.QUERY_CONSUMER_OFFSET
    const reply = await this.#instance.call(address, request, { header }, deadline.options())
    return reply.header.offset
  }

  async persist(queues: Iterable<MessageQueue>): Promise<void> {
    await Promise.all([...queues].map(queue => this.#persistOne(queue)))
  }

  /** Commits the offsets of these queues. When it resolves, the brokers have them. @throws ClientError */
  async commit(queues: readonly MessageQueue[], options: CallOptions): Promise<void> {
    const deadline = Deadline.of(this.#instance.clock, options, TIMEOUT_MS)
    const offsets = queues.map(queue => ({ queue, offset: this.peek(queue) })).filter(({ offset }) => offset >= 0)
    const commits = offsets.map(({ queue, offset }) =>
      this.#order.follow(queue, deadline, () =>
        commitOffset(this.#instance, this.#group, queue, offset, deadline.options()),
      ),
    )
    await Promise.all(commits)
  }

  /** A commit that still waits for its turn will send the newest offset, so it also serves later callers. */
  async #persistOne(queue: MessageQueue): Promise<void> {
    if (this.peek(queue) < 0) return
    const key = queueKey(queue)
    const waiting = this.#waiting.get(key)
    if (waiting !== undefined) return await waiting
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.set(key, promise)
    const onTurn = (): void => {
      if (this.#waiting.get(key) === promise) this.#waiting.delete(key)
    }
    await this.#persistInTurn(queue, onTurn)
    onTurn()
    resolve()
  }

  /** Never rejects. */
  async #persistInTurn(queue: MessageQueue, onTurn: () => void): Promise<void> {
    const deadline = Deadline.of(this.#instance.clock, {}, 2 * TIMEOUT_MS)
    try {
      await this.#order.follow(queue, deadline, () => {
        onTurn()
        return this.#send(queue)
      })
    } catch (error) {
      const offset = this.peek(queue)
      this.#instance.log.warn({ group: this.#group, queue, offset, error: String(error) }, 'cannot commit an offset')
    }
  }

  // Java commits one-way. We wait for the reply, so that a consumer that closes knows what the broker has. Unchanged offsets
  // are committed again, as a broker that was killed may have lost them.
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
