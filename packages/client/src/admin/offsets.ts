import {
  consumeRequests,
  groupRequests,
  offsetRequests,
  type QueueOffset,
  type QueueOffsets,
  type QueueProgress,
  queryRequests,
  responseCodes,
  topicRequests,
  V5_0_0,
} from '@gantrymq/protocol'
import { CommitOrder } from '../consumer/offsets/commit-order.ts'
import type { Deadline } from '../deadline.ts'
import { ClientError } from '../errors.ts'
import type { CallOptions, MessageQueue } from '../message/message.ts'
import { type AdminCalls, askEach, isRefusal, type BrokerAddress, type Target } from './calls.ts'

/** Where a group goes on: at a time, or at an end of the queues. */
export type ResetPoint = Date | 'begin' | 'end'

/** The group and topic of a reset. */
export interface Reset {
  readonly group: string
  readonly topic: string
  readonly to: ResetPoint
  /** False: offsets are only moved back, never forward. Default true. */
  readonly force?: boolean
}

const END = -1

/** The offsets of queues and groups. */
export class Offsets {
  readonly #calls: AdminCalls
  readonly #order = new CommitOrder()

  constructor(calls: AdminCalls) {
    this.#calls = calls
  }

  /** The offset of the oldest message of a queue: minOffset. */
  async min(queue: MessageQueue, options: CallOptions = {}): Promise<number> {
    const { address, header, deadline } = await this.#queue(queue, options)
    return (await this.#calls.ask(address, queryRequests.GET_MIN_OFFSET, { header }, deadline)).header.offset
  }

  /** The offset that the next message of a queue gets: maxOffset. */
  async max(queue: MessageQueue, options: CallOptions = {}): Promise<number> {
    const { address, header, deadline } = await this.#queue(queue, options)
    return (await this.#calls.ask(address, queryRequests.GET_MAX_OFFSET, { header }, deadline)).header.offset
  }

  /** The offset of the first message stored at a time or later: searchOffset. 4.9 returns the nearest message instead. */
  async atTime(queue: MessageQueue, time: Date, options: CallOptions = {}): Promise<number> {
    const { address, header, deadline } = await this.#queue(queue, options)
    return this.#search(address, { ...header, timestamp: time.getTime() }, deadline)
  }

  async #search(
    address: string,
    header: { readonly topic: string; readonly queueId: number; readonly timestamp: number },
    deadline: Deadline,
  ): Promise<number> {
    const reply = await this.#calls.ask(address, queryRequests.SEARCH_OFFSET_BY_TIMESTAMP, { header }, deadline)
    return reply.header.offset
  }

  /** The time at which the oldest message of a queue was stored, null if the queue is empty: earliestMsgStoreTime. */
  async earliestTime(queue: MessageQueue, options: CallOptions = {}): Promise<Date | null> {
    const { address, header, deadline } = await this.#queue(queue, options)
    const reply = await this.#calls.ask(address, queryRequests.GET_EARLIEST_MSG_STORETIME, { header }, deadline)
    return reply.header.timestamp < 0 ? null : new Date(reply.header.timestamp)
  }

  /** The offset that a group committed in a queue, null if none. For a queue that still has its first message, 4.9 returns 0. */
  async committed(group: string, queue: MessageQueue, options: CallOptions = {}): Promise<number | null> {
    const { address, header, deadline } = await this.#queue(queue, options)
    const full = { ...header, consumerGroup: group, setZeroIfNotFound: false }
    try {
      const reply = await this.#calls.ask(address, consumeRequests.QUERY_CONSUMER_OFFSET, { header: full }, deadline)
      return reply.header.offset
    } catch (error) {
      if (isRefusal(error, responseCodes.QUERY_NOT_FOUND)) return null
      throw error
    }
  }

  /**
   * Commits an offset for a group: updateConsumeOffset. A running consumer overwrites it with its own.
   * @throws ClientError BROKER_REFUSED by 5.x after a reset, until a consumer has pulled
   */
  async commit(group: string, queue: MessageQueue, offset: number, options: CallOptions = {}): Promise<void> {
    const { address, deadline } = await this.#queue(queue, options)
    await this.#commitAt(address, group, queue, offset, deadline)
  }

  async #commitAt(
    address: string,
    group: string,
    queue: MessageQueue,
    offset: number,
    deadline: Deadline,
  ): Promise<void> {
    const header = { consumerGroup: group, topic: queue.topic, queueId: queue.queueId, commitOffset: offset }
    await this.#order.follow(queue, deadline, async () => {
      const reply = await this.#calls.ask(address, consumeRequests.UPDATE_CONSUMER_OFFSET, { header }, deadline)
      // A 5.x broker drops the offset then, and answers with success.
      if (reply.remark?.includes('previously reset')) throw resetPending(address, group, reply.remark)
    })
  }

  async #queue({ brokerName, queueId, topic }: MessageQueue, options: CallOptions) {
    const deadline = this.#calls.deadline(options)
    const address = await this.#calls.masterOf({ topic, brokerName }, deadline)
    return { address, deadline, header: { topic, queueId } }
  }

  /** The offsets of all groups at one broker, by `topic@group`, then by queue id: getAllConsumerOffset of slaves. */
  async ofBroker(target: Target, options: CallOptions = {}): Promise<ReadonlyMap<string, QueueOffsets>> {
    const deadline = this.#calls.deadline(options, 3)
    const { address } = await this.#calls.brokerOf(target, deadline)
    return this.#calls.body(address, offsetRequests.GET_ALL_CONSUMER_OFFSET, {}, deadline)
  }

  /** How far one broker has delivered delayed messages, by delay level: getAllDelayOffset of slaves. */
  async ofDelays(target: Target, options: CallOptions = {}): Promise<ReadonlyMap<number, number>> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.brokerOf(target, deadline)
    return this.#calls.body(address, offsetRequests.GET_ALL_DELAY_OFFSET, {}, deadline)
  }

  // -- Moving groups -------------------------------------------------------------------------------------------------

  /**
   * Moves a group's offsets in a topic, whether the group runs or not: resetOffsetByTimestamp and, if no consumer is online,
   * resetOffsetByTimestampOld.
   * @returns the new offsets
   * @throws ClientError ROUTE_MISSING, BROKER_REFUSED
   */
  async reset(reset: Reset, options: CallOptions = {}): Promise<readonly QueueOffset[]> {
    const deadline = this.#calls.deadline(options, 3)
    const brokers = (await this.#calls.brokersOf({ topic: reset.topic }, deadline)) as readonly BrokerAddress[]
    const rows = await askEach(brokers, broker => this.#resetAt(broker, reset, deadline))
    return rows.flat()
  }

  async #resetAt(broker: BrokerAddress, reset: Reset, deadline: Deadline): Promise<readonly QueueOffset[]> {
    const { group, topic, to, force = true } = reset
    const header = { group, topic, timestamp: timestampOf(to), isForce: force }
    try {
      const request = offsetRequests.INVOKE_BROKER_TO_RESET_OFFSET
      return (await this.#calls.body(broker.address, request, { header }, deadline)).offsetTable
    } catch (error) {
      if (isRefusal(error, responseCodes.CONSUMER_NOT_ONLINE)) return this.#resetOffline(broker, reset, deadline)
      throw error
    }
  }

  async #resetOffline(broker: BrokerAddress, reset: Reset, deadline: Deadline): Promise<readonly QueueOffset[]> {
    const progress = await this.#progress(broker, reset, deadline)
    return Promise.all(progress.map(row => this.#moveQueue(broker, row, reset, deadline)))
  }

  async #moveQueue(
    broker: BrokerAddress,
    { queue, consumerOffset }: QueueProgress,
    { group, to, force = true }: Reset,
    deadline: Deadline,
  ): Promise<QueueOffset> {
    const wanted = await this.#target(broker, queue, to, deadline)
    if (!force && wanted > consumerOffset) return { queue, offset: consumerOffset }
    await this.#commitAt(broker.address, group, queue, wanted, deadline)
    return { queue, offset: wanted }
  }

  async #target(
    broker: BrokerAddress,
    { topic, queueId }: MessageQueue,
    to: ResetPoint,
    deadline: Deadline,
  ): Promise<number> {
    const header = { topic, queueId }
    if (to instanceof Date) return this.#search(broker.address, { ...header, timestamp: to.getTime() }, deadline)
    const request = to === 'end' ? queryRequests.GET_MAX_OFFSET : queryRequests.GET_MIN_OFFSET
    return (await this.#calls.ask(broker.address, request, { header }, deadline)).header.offset
  }

  /** A group's offsets at one broker. In a queue that it never consumed it counts as being at the end. */
  async #progress(
    broker: BrokerAddress,
    { group, topic }: Reset,
    deadline: Deadline,
  ): Promise<readonly QueueProgress[]> {
    const { address } = broker
    const [stats, consumed] = await Promise.all([
      this.#calls.body(address, topicRequests.GET_TOPIC_STATS_INFO, { header: { topic } }, deadline),
      this.#calls.body(address, groupRequests.GET_CONSUME_STATS, { header: { consumerGroup: group, topic } }, deadline),
    ])
    return stats.queues.map(({ queue, maxOffset }) => {
      const known = consumed.queues.find(row => row.queue.queueId === queue.queueId)
      return known ?? { queue, brokerOffset: maxOffset, consumerOffset: maxOffset, lastTimestamp: 0 }
    })
  }

  /**
   * Moves the offset of a running group in one queue (5.x): resetOffsetByQueueId.
   * @throws ClientError UNSUPPORTED for a 4.9 broker, which would reset all queues
   */
  async resetQueue(group: string, queue: MessageQueue, offset: number, options: CallOptions = {}): Promise<void> {
    const { address, header, deadline } = await this.#queue(queue, options)
    const { command } = await this.#calls.ask(address, queryRequests.GET_MIN_OFFSET, { header }, deadline)
    if (command.version < V5_0_0) {
      const text = `the broker ${address} is older than 5.0 and can only reset whole topics: use reset, or commit while no consumer runs`
      throw new ClientError('UNSUPPORTED', text, { address })
    }
    const full = { ...header, group, offset, timestamp: 0, isForce: true }
    await this.#calls.ask(address, offsetRequests.INVOKE_BROKER_TO_RESET_OFFSET, { header: full }, deadline)
  }

  /**
   * Copies a group's offsets in a topic to another group, which must not run: cloneGroupOffset of mqadmin.
   * @returns the copied offsets
   */
  async clone(
    { from, to, topic }: { readonly from: string; readonly to: string; readonly topic: string },
    options: CallOptions = {},
  ): Promise<readonly QueueOffset[]> {
    const deadline = this.#calls.deadline(options, 3)
    const brokers = await this.#calls.brokersOf({ topic }, deadline)
    const rows = await askEach(brokers, async ({ address }) => {
      const header = { consumerGroup: from, topic }
      const { queues } = await this.#calls.body(address, groupRequests.GET_CONSUME_STATS, { header }, deadline)
      return Promise.all(
        queues.map(async ({ queue, consumerOffset }) => {
          await this.#commitAt(address, to, queue, consumerOffset, deadline)
          return { queue, offset: consumerOffset }
        }),
      )
    })
    return rows.flat()
  }
}

function timestampOf(to: ResetPoint): number {
  if (to === 'end') return END
  return to === 'begin' ? 0 : to.getTime()
}

function resetPending(address: string, group: string, remark: string): ClientError {
  const text = `${address} keeps the offset that the group ${group} was reset to until a consumer has pulled: ${remark}`
  return new ClientError('BROKER_REFUSED', text, { address, remark, retriable: true })
}
