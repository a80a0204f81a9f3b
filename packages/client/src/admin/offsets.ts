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
import { type AdminCalls, each, isRefusal, type Place, type Target } from './calls.ts'

/** Where to put a group: the time, or an end of the queues. */
export type ResetPoint = Date | 'begin' | 'end'

/** Which group is put elsewhere. */
export interface Reset {
  readonly group: string
  readonly topic: string
  readonly to: ResetPoint
  /** False: only back, never forward. Default true. */
  readonly force?: boolean
}

const END = -1

/** Offsets of queues and of groups. */
export class Offsets {
  readonly #calls: AdminCalls
  readonly #order = new CommitOrder()

  constructor(calls: AdminCalls) {
    this.#calls = calls
  }

  /** Offset of the oldest message of a queue: minOffset. */
  async min(queue: MessageQueue, options: CallOptions = {}): Promise<number> {
    const { address, header, deadline } = await this.#queue(queue, options)
    return (await this.#calls.ask(address, queryRequests.GET_MIN_OFFSET, { header }, deadline)).header.offset
  }

  /** Offset that the next message of a queue gets: maxOffset. */
  async max(queue: MessageQueue, options: CallOptions = {}): Promise<number> {
    const { address, header, deadline } = await this.#queue(queue, options)
    return (await this.#calls.ask(address, queryRequests.GET_MAX_OFFSET, { header }, deadline)).header.offset
  }

  /** Offset of the first message stored at a time or later: searchOffset. 4.9 gives the nearest message instead. */
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

  /** When the oldest message of a queue was stored, null if it is empty: earliestMsgStoreTime. */
  async earliestTime(queue: MessageQueue, options: CallOptions = {}): Promise<Date | null> {
    const { address, header, deadline } = await this.#queue(queue, options)
    const reply = await this.#calls.ask(address, queryRequests.GET_EARLIEST_MSG_STORETIME, { header }, deadline)
    return reply.header.timestamp < 0 ? null : new Date(reply.header.timestamp)
  }

  /** Offset that a group committed in a queue, null if none; 4.9 says 0 of a queue that it can read from its beginning. */
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
   * Commits an offset for a group: updateConsumeOffset. Consumers that run go on and write their own over it.
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
      // 5.x drops the offset then, and calls it a success.
      if (reply.remark?.includes('previously reset')) throw resetPending(address, group, reply.remark)
    })
  }

  async #queue({ brokerName, queueId, topic }: MessageQueue, options: CallOptions) {
    const deadline = this.#calls.deadline(options)
    const address = await this.#calls.masterOf({ topic, brokerName }, deadline)
    return { address, deadline, header: { topic, queueId } }
  }

  /** Offsets of all groups of one broker, by `topic@group`, then by queue id: getAllConsumerOffset of slaves. */
  async ofBroker(target: Target, options: CallOptions = {}): Promise<ReadonlyMap<string, QueueOffsets>> {
    const deadline = this.#calls.deadline(options, 3)
    const { address } = await this.#calls.place(target, deadline)
    return this.#calls.body(address, offsetRequests.GET_ALL_CONSUMER_OFFSET, {}, deadline)
  }

  /** How far one broker delivered delayed messages, by delay level: getAllDelayOffset of slaves. */
  async ofDelays(target: Target, options: CallOptions = {}): Promise<ReadonlyMap<number, number>> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.place(target, deadline)
    return this.#calls.body(address, offsetRequests.GET_ALL_DELAY_OFFSET, {}, deadline)
  }

  // -- Moving groups -------------------------------------------------------------------------------------------------

  /**
   * Puts a group elsewhere in a topic, while it runs or not: resetOffsetByTimestamp and, if no consumer is online,
   * resetOffsetByTimestampOld.
   * @returns the offsets it was given
   * @throws ClientError ROUTE_MISSING, BROKER_REFUSED
   */
  async reset(reset: Reset, options: CallOptions = {}): Promise<readonly QueueOffset[]> {
    const deadline = this.#calls.deadline(options, 3)
    const places = (await this.#calls.places({ topic: reset.topic }, deadline)) as readonly Place[]
    const rows = await each(places, place => this.#resetAt(place, reset, deadline))
    return rows.flat()
  }

  async #resetAt(place: Place, reset: Reset, deadline: Deadline): Promise<readonly QueueOffset[]> {
    const { group, topic, to, force = true } = reset
    const header = { group, topic, timestamp: timestampOf(to), isForce: force }
    try {
      const request = offsetRequests.INVOKE_BROKER_TO_RESET_OFFSET
      return (await this.#calls.body(place.address, request, { header }, deadline)).offsetTable
    } catch (error) {
      if (isRefusal(error, responseCodes.CONSUMER_NOT_ONLINE)) return this.#resetOffline(place, reset, deadline)
      throw error
    }
  }

  async #resetOffline(place: Place, reset: Reset, deadline: Deadline): Promise<readonly QueueOffset[]> {
    const progress = await this.#progress(place, reset, deadline)
    return Promise.all(progress.map(row => this.#moveQueue(place, row, reset, deadline)))
  }

  async #moveQueue(
    place: Place,
    { queue, consumerOffset }: QueueProgress,
    { group, to, force = true }: Reset,
    deadline: Deadline,
  ): Promise<QueueOffset> {
    const wanted = await this.#target(place, queue, to, deadline)
    if (!force && wanted > consumerOffset) return { queue, offset: consumerOffset }
    await this.#commitAt(place.address, group, queue, wanted, deadline)
    return { queue, offset: wanted }
  }

  async #target(place: Place, { topic, queueId }: MessageQueue, to: ResetPoint, deadline: Deadline): Promise<number> {
    const header = { topic, queueId }
    if (to instanceof Date) return this.#search(place.address, { ...header, timestamp: to.getTime() }, deadline)
    const request = to === 'end' ? queryRequests.GET_MAX_OFFSET : queryRequests.GET_MIN_OFFSET
    return (await this.#calls.ask(place.address, request, { header }, deadline)).header.offset
  }

  /** Where a group stands at one broker; a queue it never consumed counts as at its end. */
  async #progress(place: Place, { group, topic }: Reset, deadline: Deadline): Promise<readonly QueueProgress[]> {
    const { address } = place
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
   * Puts a group to an offset of one queue, while it runs (5.x): resetOffsetByQueueId.
   * @throws ClientError UNSUPPORTED from a broker of 4.9, which would move all queues
   */
  async resetQueue(group: string, queue: MessageQueue, offset: number, options: CallOptions = {}): Promise<void> {
    const { address, header, deadline } = await this.#queue(queue, options)
    const { command } = await this.#calls.ask(address, queryRequests.GET_MIN_OFFSET, { header }, deadline)
    if (command.version < V5_0_0) {
      const text = `the broker ${address} is older than 5.0 and resets whole topics only: use reset, or commit while no consumer runs`
      throw new ClientError('UNSUPPORTED', text, { address })
    }
    const full = { ...header, group, offset, timestamp: 0, isForce: true }
    await this.#calls.ask(address, offsetRequests.INVOKE_BROKER_TO_RESET_OFFSET, { header: full }, deadline)
  }

  /**
   * Gives a group the offsets that another one has in a topic: cloneGroupOffset of mqadmin. The group that gets them
   * must not run.
   * @returns the offsets it was given
   */
  async clone(
    { from, to, topic }: { readonly from: string; readonly to: string; readonly topic: string },
    options: CallOptions = {},
  ): Promise<readonly QueueOffset[]> {
    const deadline = this.#calls.deadline(options, 3)
    const places = await this.#calls.places({ topic }, deadline)
    const rows = await each(places, async ({ address }) => {
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
