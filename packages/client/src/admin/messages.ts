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
import { readQueues } from '../routes/routes.ts'
import { type AdminCalls, isEnded } from './calls.ts'
import { type FoundMessage, foundMessage, hostText } from './found-message.ts'

/** Which messages of a key are wanted. */
export interface KeyQuery extends CallOptions {
  /** At most so many from each broker. Default 64. */
  readonly max?: number
  /** Stored at that time or later. */
  readonly from?: Date
  /** Stored at that time or earlier. */
  readonly to?: Date
}

/** Which messages of a topic are wanted. */
export interface RangeQuery extends CallOptions {
  /** Default: the oldest there is. */
  readonly from?: Date
  /** Default: the newest there is when asked. */
  readonly to?: Date
  /** Only of this queue. */
  readonly queue?: MessageQueue
  /** A tag expression, `a || b`. Default all. */
  readonly tags?: string
}

/** Apache's group for looking at messages; brokers know it from the start. */
const LOOKING_GROUP = 'TOOLS_CONSUMER'
const LONGEST = 9223372036854775807n
const DEFAULT_MAX = 64
/** Brokers give no more for a unique id. */
const MAX_OF_ID = 32
const THREE_DAYS_MS = 3 * 24 * 3600_000
const BATCH = 32
/** Of PULL_MESSAGE's sysFlag: the subscription is in the request, as nobody has registered one. */
const WITH_SUBSCRIPTION = 4

interface IndexQuery {
  readonly topic: string
  readonly key: string
  readonly isUnique: boolean
  readonly max: number
  readonly begin: number
  readonly end: number | bigint
}

/** Messages that are stored. */
export class Messages {
  readonly #calls: AdminCalls

  constructor(calls: AdminCalls) {
    this.#calls = calls
  }

  /**
   * A message by either of its ids, undefined if there is none: viewMessage. The broker's own id is looked up where it was
   * stored, the sender's at all brokers of the topic.
   */
  async byId(topic: string, id: string, options: CallOptions = {}): Promise<FoundMessage | undefined> {
    const deadline = this.#calls.deadline(options, 3)
    if (mayBeOffsetMessageId(id)) {
      // Unique ids of other makers may look alike: what goes wrong is no answer yet.
      const found = await this.#atPlace(topic, id, deadline).catch((error: unknown) => {
        if (toClientError(error).code === 'ABORTED') throw error
      })
      if (found !== undefined) return found
    }
    const [first] = await this.#byUniqueId(topic, id, deadline)
    return first
  }

  /** All copies of a message by the id that its sender gave, the first stored first: queryMessageByUniqKey. */
  byUniqueId(topic: string, id: string, options: CallOptions = {}): Promise<readonly FoundMessage[]> {
    return this.#byUniqueId(topic, id, this.#calls.deadline(options, 3))
  }

  async #byUniqueId(topic: string, key: string, deadline: Deadline): Promise<FoundMessage[]> {
    const { now } = this.#calls
    const made = uniqueIdTime(key, now)
    const begin = Math.min(now - THREE_DAYS_MS, made === undefined ? now : made - 1000)
    const query = { topic, key, isUnique: true, max: MAX_OF_ID, begin, end: LONGEST }
    const found = await this.#query(query, deadline)
    return found.filter(message => message.messageId === key).toSorted((a, b) => a.storeTimestamp - b.storeTimestamp)
  }

  /** Messages of a topic that have a key, oldest first: queryMessage. */
  async byKey(topic: string, key: string, query: KeyQuery = {}): Promise<readonly FoundMessage[]> {
    const { max = DEFAULT_MAX, from, to, ...options } = query
    const range = { begin: from?.getTime() ?? 0, end: to?.getTime() ?? LONGEST }
    const deadline = this.#calls.deadline(options, 3)
    const found = await this.#query({ topic, key, isUnique: false, max, ...range }, deadline)
    // The index goes by a hash, which other keys share.
    return found.filter(message => message.keys.includes(key)).toSorted((a, b) => a.storeTimestamp - b.storeTimestamp)
  }

  // A broker that is away does not hide what others have, as in Apache; only if none answers, that is told.
  async #query(query: IndexQuery, deadline: Deadline): Promise<FoundMessage[]> {
    const places = await this.#calls.holders(query.topic, deadline)
    const answers = await Promise.allSettled(places.map(({ address }) => this.#queryAt(address, query, deadline)))
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

  async #atPlace(topic: string, id: string, deadline: Deadline): Promise<FoundMessage | undefined> {
    const { store, physicalOffset } = readOffsetMessageId(id)
    const header = { topic, offset: Number(physicalOffset) }
    const { body } = await this.#calls.ask(hostText(store), queryRequests.VIEW_MESSAGE_BY_ID, { header }, deadline)
    const [message] = await this.#read(body)
    return message?.topic === topic ? message : undefined
  }

  /** The message at an offset of a queue, undefined if there is none: what queryMsgByOffset of mqadmin shows. */
  async at(queue: MessageQueue, offset: number, options: CallOptions = {}): Promise<FoundMessage | undefined> {
    const deadline = this.#calls.deadline(options)
    const address = await this.#calls.masterOf(queue, deadline)
    const { code, body } = await this.#pull(address, queue, { offset, max: 1, tags: '*' }, deadline)
    const messages = code === responseCodes.SUCCESS ? await this.#read(body) : []
    return messages.find(message => message.queueOffset === offset)
  }

  /**
   * Messages of a topic by the time they were stored, queue after queue, oldest first. Reads without moving any group's
   * offsets. `timeoutMs` is for each pull.
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

  // Where to begin may be too early by some (4.9 gives the nearest message), never too late: the time itself is looked at.
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
      // One millisecond more: of messages with the same time the first is told.
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
      consumerGroup: LOOKING_GROUP,
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
   * Has the broker ask the producer again about a half message that was given up: resumeCheckHalfMessage.
   * @param id the broker's id of the half message
   */
  async resumeHalfMessage(topic: string, id: string, options: CallOptions = {}): Promise<void> {
    if (!mayBeOffsetMessageId(id)) throw new ClientError('BAD_OPTION', `${JSON.stringify(id)} is no offset message id`)
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
