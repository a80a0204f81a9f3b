import { queryRequests } from '@gantrymq/protocol'
import { Deadline } from '../../deadline.ts'
import type { ClientInstance } from '../../instance/client-instance.ts'
import type { CallOptions, MessageQueue } from '../../message/message.ts'
import { findMaster } from '../../routes/find-broker.ts'
import { maxOffset } from './queue-offsets.ts'

/** What a broker answered to a pull, as far as it tells whether the queue is another one. */
export interface PulledFrom {
  /** The broker does not have the requested offset. */
  readonly isMoved: boolean
  /** Where to go on, in the broker's opinion. */
  readonly nextOffset: number
  readonly minOffset: number
}

/**
 * Tells whether a queue is the one that was read before, or another one of a topic that was deleted and made again. Brokers of 4.9 and
 * 5.x send a consumer with an offset of the old queue to the end of the new one (DefaultMessageStore.getMessage), past messages that no
 * consumer has had. Only times by the broker's clock are compared: the client's clock may be another.
 */
export class QueueAge {
  readonly #instance: ClientInstance
  readonly #queue: MessageQueue
  /** When the newest message that was read was stored, in milliseconds since the epoch; undefined before the first one. */
  #seenAt: number | undefined
  /** True if the broker has said that it does not have the topic. */
  #wasGone = false

  constructor(instance: ClientInstance, queue: MessageQueue) {
    this.#instance = instance
    this.#queue = queue
  }

  /** A message was read. @param storedAt by the broker's clock, milliseconds since the epoch */
  seen(storedAt: number): void {
    this.#seenAt = Math.max(storedAt, this.#seenAt ?? 0)
  }

  /** The broker at `address` does not have the topic. */
  gone(address: string | undefined): void {
    // Before the first message there is no time to compare, and a slave may just not have heard of the topic yet.
    const isMaster = address === this.#instance.brokers.master(this.#queue.brokerName)
    if (this.#seenAt !== undefined || isMaster) this.#wasGone = true
  }

  /** True after `gone`, until `movedTo` has told: the queue may be another one. */
  get mayBeOther(): boolean {
    return this.#wasGone
  }

  /** Where to go on if not after the offset `asked`; undefined if the answer is one of the queue that was read. @throws ClientError */
  async movedTo(asked: number, answer: PulledFrom, options: CallOptions): Promise<number | undefined> {
    const { isMoved, nextOffset, minOffset } = answer
    const mayBeNew = isMoved ? minOffset === 0 && nextOffset > 0 && nextOffset < asked : this.#wasGone && asked > 0
    const isNew =
      mayBeNew &&
      (this.#seenAt === undefined ? await this.#isOver(asked, options) : await this.#isNewer(this.#seenAt, options))
    // After a failure the next pull asks again.
    this.#wasGone = false
    if (isNew) return 0
    return isMoved ? nextOffset : undefined
  }

  /**
   * Before the first message no one can tell: the topic may have been made again while the consumer was away. To read messages again is
   * better than to lose them, so an offset beyond the end is one of an old queue. Apache's brokers of early 4.x releases sent such
   * consumers to offset 0 themselves (DefaultMessageStore.getMessage). Only the master knows the end: a slave may lag behind.
   */
  async #isOver(asked: number, options: CallOptions): Promise<boolean> {
    return this.#wasGone || asked > (await maxOffset(this.#instance, this.#queue, options))
  }

  /** True if the oldest message of the queue is newer than what was read. @throws ClientError */
  async #isNewer(seenAt: number, options: CallOptions): Promise<boolean> {
    const { clock, options: own } = this.#instance
    const { topic, queueId, brokerName } = this.#queue
    const deadline = Deadline.of(clock, options, own.requestTimeoutMs)
    const address = await findMaster(this.#instance, this.#queue, deadline)
    const input = { header: { topic, queueId, bname: brokerName } }
    const request = queryRequests.GET_EARLIEST_MSG_STORETIME
    const { header } = await this.#instance.call(address, request, input, deadline.options())
    return header.timestamp > seenAt
  }
}
