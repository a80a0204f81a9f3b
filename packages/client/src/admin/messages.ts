import {
  brokerAdminRequests,
  consumeRequests,
  mayBeOffsetMessageId,
  queryRequests,
  readMessages,
  readOffsetMessageId,
  responseCodes,
  uniqueIdTime,
} from '@gantrymq/protocol'
import type { Reply } from '@gantrymq/remoting'
import { Deadline } from '../deadline.ts'
import { ClientError, toClientError } from '../errors.ts'
import type { CallOptions, MessageQueue } from '../message/message.ts'
import { hostText } from '../message/received-message.ts'
import { readQueues } from '../routes/routes.ts'
import { type AdminCalls, isEnded } from './calls.ts'
import { type FoundMessage, foundMessage } from './found-message.ts'

/** The messages of a key to find. */
export interface KeyQuery extends CallOptions {
  /** The most messages per broker. Default 64. */
  readonly max?: number
  /** Stored at this time or later. */
  readonly from?: Date
  /** Stored at this time or earlier. */
  readonly to?: Date
}

/** The messages of a topic to read. */
export interface RangeQuery extends CallOptions {
  /** Default: the oldest message. */
  readonly from?: Date
  /** Default: the newest message at the time of the call. */
  readonly to?: Date
  /** Only of this queue. */
  readonly queue?: MessageQueue
  /** A tag expression, `a || b`. Default all. */
  readonly tags?: string
}

/** Apache's group for reading messages (MixAll.TOOLS_CONSUMER_GROUP). Brokers always have it. */
const TOOLS_GROUP = 'TOOLS_CONSUMER'
const MAX_LONG = 9223372036854775807n
const DEFAULT_MAX = 64
/** Brokers return no more for a unique id. */
const MAX_OF_ID = 32
const THREE_DAYS_MS = 3 * 24 * 3600_000
const BATCH = 32
/** A bit of PULL_MESSAGE's sysFlag: the request has the subscription, because no consumer has registered one. */
const WITH_SUBSCRIPTION = 4

interface IndexQuery {
  readonly topic: string
  readonly key: string
  readonly isUnique: boolean
  readonly max: number
  readonly begin: number
  readonly end: number | bigint
}

/** Stored messages. */
export class Messages {
  readonly #calls: AdminCalls

  constructor(calls: AdminCalls) {
    this.#calls = calls
  }

  /**
   * A message by either of its ids, undefined if there is none: viewMessage. An offset id is looked up at the broker that it
   * names, the producer's id at all brokers of the topic.
   */
  async byId(topic: string, id: string, options: CallOptions = {}): Promise<FoundMessage | undefined> {
    const deadline = this.#calls.deadline(options, 3)
    if (mayBeOffsetMessageId(id)) {
      // A unique id of another client may look like an offset id: a failure is not the answer yet.
      const found = await this.#byOffsetId(topic, id, deadline).catch((error: unknown) => {
        if (toClientError(error).code === 'ABORTED') throw error
      })
      if (found !== undefined) return found
    }
    const [first] = await this.#byUniqueId(topic, id, deadline)
    return first
  }

  /** All copies of a message by its producer's id, the first stored one first: queryMessageByUniqKey. */
  byUniqueId(topic: string, id: string, options: CallOptions = {}): Promise<readonly FoundMessage[]> {
    return this.#byUniqueId(topic, id, this.#calls.deadline(options, 3))
  }

  async #byUniqueId(topic: string, key: string, deadline: Deadline): Promise<FoundMessage[]> {
    const { now } = this.#calls
    const created = uniqueIdTime(key, now)
    const begin = Math.min(now - THREE_DAYS_MS, created === undefined ? now : created - 1000)
    const query = { topic, key, isUnique: true, max: MAX_OF_ID, begin, end: MAX_LONG }
    const found = await this.#query(query, deadline)
    return found.filter(message => message.messageId === key).toSorted((a, b) => a.storeTimestamp - b.storeTimestamp)
  }

  /** The messages of a topic with a key, oldest first: queryMessage. */
  async byKey(topic: string, key: string, query: KeyQuery = {}): Promise<readonly FoundMessage[]> {
    const { max = DEFAULT_MAX, from, to, ...options } = query
    const range = { begin: from?.getTime() ?? 0, end: to?.getTime() ?? MAX_LONG }
    const deadline = this.#calls.deadline(options, 3)
    const found = await this.#query({ topic, key, isUnique: false, max, ...range }, deadline)
    // The broker's index is by a hash, which different keys may share.
    return found.filter(message => message.keys.includes(key)).toSorted((a, b) => a.storeTimestamp - b.storeTimestamp)
  }

  // As in Apache, the result has what some brokers answer, and the call fails only if none does.
  async #query(query: IndexQuery, deadline: Deadline): Promise<FoundMessage[]> {
    const brokers = await this.#calls.brokersWith(query.topic, deadline)
    const answers = await Promise.allSettled(brokers.map(({ address }) => this.#queryAt(address, query, deadline)))
    const failures = answers.filter(answer => answer.status === 'rejected').map(answer => toClientError(answer.reason))
    const ended = failures.find(isEnded)
    if (ended !== undefined) throw ended
    if (failures[0] !== undefined && failures.length === answers.length) throw failures[0]
    const found = answers.flatMap(answer => (answer.status === 'fulfilled' ? answer.value : []))
    return found.filter(message => message.topic === query.topic)
  }

  async #queryAt(address: string, query: IndexQuery, deadline: Deadline): Promise<FoundMessage[]> {
    const { topic, key, isUnique, max, begin, end } = query
    const header = { topic, key, maxNum: max, beginTimestamp: begin, endTimestamp: end, _UNIQUE_KEY_QUERY: isUnique }
    try {
      const { body } = await this.#calls.ask(address, queryRequests.QUERY_MESSAGE, { header }, deadline)
      return await this.#read(body)
    } catch (error) {
      const failure = toClientError(error, address)
      if (failure.responseCode === responseCodes.QUERY_NOT_FOUND) return []
      throw failure
    }
  }

  async #byOffsetId(topic: string, id: string, deadline: Deadline): Promise<FoundMessage | undefined> {
    const { store, physicalOffset } = readOffsetMessageId(id)
    const header = { topic, offset: Number(physicalOffset) }
    const { body } = await this.#calls.ask(hostText(store), queryRequests.VIEW_MESSAGE_BY_ID, { header }, deadline)
    const [message] = await this.#read(body)
    return message?.topic === topic ? message : undefined
  }

  /** The message at an offset of a queue, undefined if there is none: queryMsgByOffset of mqadmin. */
  async at(queue: MessageQueue, offset: number, options: CallOptions = {}): Promise<FoundMessage | undefined> {
    const deadline = this.#calls.deadline(options)
    const address = await this.#calls.masterOf(queue, deadline)
    const { code, body } = await this.#pull(address, queue, { offset, max: 1, tags: '*' }, deadline)
    const messages = code === responseCodes.SUCCESS ? await this.#read(body) : []
    return messages.find(message => message.queueOffset === offset)
  }

  /**
   * The messages of a topic that were stored in a range of time, queue after queue, oldest first. Moves no group's offsets.
   * `timeoutMs` is that of each pull.
   */
  async *between(topic: string, query: RangeQuery = {}): AsyncGenerator<FoundMessage, void, undefined> {
    const route = await this.#calls.route(topic, this.#calls.deadline(query))
    const queues = query.queue === undefined ? readQueues(topic, route) : [query.queue]
    for (const queue of queues) yield* this.#ofQueue(queue, query)
  }

  async *#ofQueue(queue: MessageQueue, query: RangeQuery): AsyncGenerator<FoundMessage, void, undefined> {
    const address = await this.#calls.masterOf(queue, this.#calls.deadline(query))
    const [begin, end] = await this.#bounds(address, queue, query)
    const { from = new Date(0), to, tags = '*' } = query
    for (let offset = begin; offset < end; ) {
      const reply = await this.#pull(address, queue, { offset, max: BATCH, tags }, this.#calls.deadline(query))
      for (const message of await this.#read(reply.body)) {
        if (message.queueOffset >= end) return
        const time = message.storeTimestamp
        if (time >= from.getTime() && (to === undefined || time <= to.getTime())) yield message
      }
      const next = reply.header.nextBeginOffset
      if (next <= offset) return
      offset = next
    }
  }

  // The first offset may be too low, since 4.9 returns the nearest message, but not too high. The caller checks the times.
  async #bounds(address: string, queue: MessageQueue, { from, to, ...options }: RangeQuery): Promise<[number, number]> {
    const deadline = this.#calls.deadline(options)
    const header = { topic: queue.topic, queueId: queue.queueId }
    const ask = (at: Date) =>
      this.#calls.ask(
        address,
        queryRequests.SEARCH_OFFSET_BY_TIMESTAMP,
        { header: { ...header, timestamp: at.getTime() } },
        deadline,
      )
    const [min, max, first, last] = await Promise.all([
      this.#calls.ask(address, queryRequests.GET_MIN_OFFSET, { header }, deadline),
      this.#calls.ask(address, queryRequests.GET_MAX_OFFSET, { header }, deadline),
      from && ask(from),
      // One millisecond later, because the answer is the first of several messages with the same time.
      to && ask(new Date(to.getTime() + 1)),
    ])
    const begin = Math.max(min.header.offset, (first?.header.offset ?? 0) - 1)
    return [begin, Math.min(max.header.offset, last === undefined ? max.header.offset : last.header.offset + 1)]
  }

  #pull(
    address: string,
    { topic, queueId }: MessageQueue,
    { offset, max, tags }: { readonly offset: number; readonly max: number; readonly tags: string },
    deadline: Deadline,
  ): Promise<Reply<typeof consumeRequests.PULL_MESSAGE>> {
    const header = {
      consumerGroup: TOOLS_GROUP,
      topic,
      queueId,
      queueOffset: offset,
      maxMsgNums: max,
      sysFlag: WITH_SUBSCRIPTION,
      commitOffset: 0,
      suspendTimeoutMillis: 0,
      subscription: tags,
      subVersion: this.#calls.now,
      expressionType: 'TAG',
    }
    return this.#calls.ask(address, consumeRequests.PULL_MESSAGE, { header }, deadline)
  }

  /**
   * Makes the broker check a half message again that it has stopped to check: resumeCheckHalfMessage.
   * @param id The offset id of the half message.
   */
  async resumeHalfMessage(topic: string, id: string, options: CallOptions = {}): Promise<void> {
    if (!mayBeOffsetMessageId(id))
      throw new ClientError('BAD_OPTION', `${JSON.stringify(id)} is not an offset message id`)
    const address = hostText(readOffsetMessageId(id).store)
    const header = { topic, msgId: id }
    await this.#calls.ask(
      address,
      brokerAdminRequests.RESUME_CHECK_HALF_MESSAGE,
      { header },
      this.#calls.deadline(options),
    )
  }

  #read(body: Buffer | null): Promise<FoundMessage[]> {
    const { log } = this.#calls.instance
    const views = readMessages(body ?? Buffer.alloc(0), corrupt => log.warn({ ...corrupt }, 'corrupt message skipped'))
    return Promise.all(views.map(foundMessage))
  }
}
