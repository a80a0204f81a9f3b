import { queryRequests } from '@gantrymq/protocol'
import type { ClientInstance } from '../../instance/client-instance.ts'
import type { CallOptions, MessageQueue } from '../../message/message.ts'
import { findMaster } from '../../routes/find-broker.ts'
import { Deadline } from '../../deadline.ts'

/** What a broker said of a queue that does not have the requested offset. */
export interface MovedOffset {
  /** Where to go on, in the broker's opinion. */
  readonly nextOffset: number
  readonly minOffset: number
}

/**
 * Tells whether a queue is the one that was read before, or another one of a topic that was deleted and made again. A broker of 5.x sends
 * a consumer with an offset of the old queue to the end of the new one (DefaultMessageStore.getMessage), past messages that no one has
 * had.
 */
export class QueueAge {
  readonly #instance: ClientInstance
  readonly #queue: MessageQueue
  /** When the newest message that was read was stored, by the broker's clock; before the first one, when reading began. */
  #seenAt: number
  /** True if the broker has said that it does not have the topic. */
  #wasGone = false

  constructor(instance: ClientInstance, queue: MessageQueue) {
    this.#instance = instance
    this.#queue = queue
    this.#seenAt = instance.clock.now()
  }

  /** A message was read. @param storedAt by the broker's clock, milliseconds since the epoch */
  seen(storedAt: number): void {
    this.#seenAt = storedAt
  }

  /** The broker does not have the topic. */
  gone(): void {
    this.#wasGone = true
  }

  /** True after `gone`, until `isOther` has told: the queue may be another one. */
  get mayBeOther(): boolean {
    return this.#wasGone
  }

  /** True if the queue is another one, in which messages before the offset `asked` have not been read. @throws ClientError */
  async isOther(asked: number, options: CallOptions): Promise<boolean> {
    const isOther = asked > 0 && (await this.isNew(options))
    // After a failure the next pull asks again.
    this.#wasGone = false
    return isOther
  }

  /** Where to go on in a queue that does not have the offset `asked`. @throws ClientError */
  async after(asked: number, { nextOffset, minOffset }: MovedOffset, options: CallOptions): Promise<number> {
    const mayBeNew = minOffset === 0 && nextOffset > 0 && nextOffset < asked
    return mayBeNew && (await this.isNew(options)) ? 0 : nextOffset
  }

  /** True if its oldest message is newer than what was read. @throws ClientError */
  async isNew(options: CallOptions): Promise<boolean> {
    const { clock, options: own } = this.#instance
    const { topic, queueId, brokerName } = this.#queue
    const deadline = Deadline.of(clock, options, own.requestTimeoutMs)
    const address = await findMaster(this.#instance, this.#queue, deadline)
    const input = { header: { topic, queueId, bname: brokerName } }
    const request = queryRequests.GET_EARLIEST_MSG_STORETIME
    const { header } = await this.#instance.call(address, request, input, deadline.options())
    return header.timestamp > this.#seenAt
  }
}
