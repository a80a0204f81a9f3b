import type { ClientInstance } from '../instance/client-instance.ts'
import { bytes, type Codec } from '../message/codec.ts'
import type { ConsumerMember } from '../instance/instance-members.ts'
import { type CallOptions, type MessageQueue, queueKey } from '../message/message.ts'
import { Producer } from '../producer/producer.ts'
import { refuseStatic } from '../routes/routes.ts'
import type { ConsumerTrace } from '../trace/consumer-trace.ts'
import { consumerTrace, TRACE_DRAIN_MS } from '../trace/start-trace.ts'
import {
  type LitePullConsumerOptions,
  type LitePullConsumerStats,
  type LitePullSettings,
  litePullTable,
  readLitePullSettings,
} from './lite-pull/options.ts'
import { checkedOffset, checkReach, type OffsetToCommit } from './lite-pull/positions.ts'
import { LitePullQueues } from './lite-pull/queues.ts'
import { Reader } from './lite-pull/reader.ts'
import type { LitePullWork } from './lite-pull/pulled-queue.ts'
import { checkedGroup, checkedTopic } from './group/checked-names.ts'
import { Membership, started } from './group/membership.ts'
import { pullMember } from './group/pull-member.ts'
import { ReadableOffsets } from './offsets/readable-offsets.ts'
import { maxOffset, minOffset, offsetAt } from './offsets/queue-offsets.ts'
import type { ReceivedMessage } from '../message/received-message.ts'
import { callUser } from './rebalance/call-user.ts'
import { type Expression, subscriptionOf } from './subscription.ts'

/**
 * Gives messages when asked: by `poll`, or by `for await`. It works on the queues that rebalancing gives it, after
 * `subscribe`, or on those it was assigned. Apache's DefaultLitePullConsumer.
 *
 * With `autoCommit` the offsets of what is done are committed by themselves. A message is done when the next one is asked
 * for: the messages of a poll with the next poll, a message of `for await` with the next turn. What is in hand when the
 * consumer closes comes again, unless it was committed by `commit`. Polls of several readers at a time are safe, but each
 * ends the work of all: let such readers use `for await`, or commit by themselves.
 */
export class LitePullConsumer<Body = Buffer> {
  readonly group: string
  readonly #membership: Membership
  readonly #settings: LitePullSettings
  readonly #queues: LitePullQueues<Body>
  readonly #member: ConsumerMember
  readonly #reader: Reader<Body>
  readonly #offsets: ReadableOffsets
  readonly #trace: ConsumerTrace | undefined

  /**
   * Joins a group. Queues of subscribed topics come with the first round, some moments later.
   * @throws ClientError BAD_OPTION, BAD_NAME, GROUP_TAKEN, UNSUPPORTED for static topics
   */
  static async start<Body = Buffer>(options: LitePullConsumerOptions<Body>): Promise<LitePullConsumer<Body>> {
    return await started(
      new LitePullConsumer<Body>(options),
      consumer => consumer.#start(),
      consumer => consumer.close(),
    )
  }

  private constructor(options: LitePullConsumerOptions<Body>) {
    const { group, subscriptions = {}, codec = bytes as Codec<never>, onQueues, ...given } = options
    this.group = checkedGroup(group)
    const settings = readLitePullSettings(given)
    this.#settings = settings
    // Before the instance is acquired, which nobody would give back.
    for (const each of Object.entries(subscriptions)) checkSubscription(settings.namespace, ...each)
    const membership = new Membership(settings, this.group, () => this.#queues.rebalance())
    const { instance, group: wireGroup, stats } = membership
    this.#membership = membership
    this.#offsets = new ReadableOffsets({ ...settings, instance, group: wireGroup })
    const { store: offsets } = this.#offsets
    const queues = new LitePullQueues<Body>({ membership, settings, offsets, codec, onQueues })
    this.#queues = queues
    for (const each of Object.entries(subscriptions)) queues.begin(...each)
    const trace = consumerTrace(settings, wireGroup, given => Producer.start(given))
    this.#trace = trace
    const { inbox } = queues.core
    const works = (): LitePullWork<Body>[] => queues.works
    this.#reader = new Reader({ clock: instance.clock, inbox, settings, works, stats, trace })
    const rebalance = (): void => queues.rebalance()
    const held = { works, offsets, rebalance }
    this.#member = pullMember({ membership, settings, table: litePullTable, subscriptions: () => queues.told, held })
  }

  async #start(): Promise<void> {
    await this.#offsets.store.load()
    await this.#membership.prepare(this.#queues.told)
    await this.#membership.join(this.#member)
    this.#membership.every(this.#settings.persistOffsetsMs, () => void this.#persist())
    this.#queues.start()
  }

  get #instance(): ClientInstance {
    return this.#membership.instance
  }

  // -- Which queues --------------------------------------------------------------------------------------------------

  get clientId(): string {
    return this.#instance.clientId
  }

  get stats(): LitePullConsumerStats {
    const { total, skipped } = this.#membership.stats
    return { pulled: total.pulled, received: total.ok, skipped, queued: this.#queues.queued }
  }

  /** The queues that it works on now. */
  get assignment(): MessageQueue[] {
    return this.#membership.shown(this.#wireQueues)
  }

  get #wireQueues(): MessageQueue[] {
    return this.#queues.works.map(({ queue }) => queue)
  }

  /**
   * Adds a topic, or changes what is wanted of it. With ABORTED or TIMEOUT nothing has changed. If only the brokers have not
   * been told yet when the time is up or the signal is aborted, it resolves: the subscription counts, and they are told all
   * the same. `timeoutMs` is by default six times `requestTimeoutMs`, longer than all of it takes.
   * @throws ClientError BAD_OPTION, also after `assign`, BAD_NAME, UNSUPPORTED, TIMEOUT, ABORTED, CLOSED
   */
  subscribe(topic: string, expression: Expression = '*', options: CallOptions = {}): Promise<void> {
    return this.#queues.subscribe(topic, expression, options)
  }

  /**
   * Gives a topic up. Resolves when the brokers know, or when the time is up or the signal aborted: they are told all the
   * same. ABORTED means that it was so before the call, and that nothing has changed.
   * @throws ClientError BAD_OPTION, BAD_NAME, ABORTED, CLOSED
   */
  unsubscribe(topic: string, options: CallOptions = {}): Promise<void> {
    return this.#queues.unsubscribe(topic, options)
  }

  /**
   * Works on these queues and no others, whoever else is in the group. Those that it has already go on as they are.
   * `filters` say what is wanted of a topic; without one all is. With ABORTED or TIMEOUT nothing has changed. If only the
   * offsets of queues that it had are still to be kept when the time is up or the signal is aborted, it resolves, and they
   * are kept all the same. `timeoutMs` is by default six times `requestTimeoutMs`.
   * @throws ClientError BAD_OPTION after `subscribe` or without queues, BAD_NAME, UNSUPPORTED, TIMEOUT, ABORTED, CLOSED
   */
  assign(
    queues: Iterable<MessageQueue>,
    filters: Readonly<Record<string, Expression>> = {},
    options: CallOptions = {},
  ): Promise<void> {
    return this.#queues.assign(queues, filters, options)
  }

  /** All queues of a topic that can be read, asked for anew. @throws ClientError ROUTE_MISSING, UNSUPPORTED, NO_NAME_SERVER ... */
  async queuesOf(topic: string, options: CallOptions = {}): Promise<readonly MessageQueue[]> {
    const wireTopic = this.#membership.topic(topic)
    const { read, route } = await this.#instance.routes.fresh(wireTopic, options)
    refuseStatic(wireTopic, route)
    return this.#membership.shown(read)
  }

  /**
   * Calls back when the queues of a topic have changed, whoever has them; not with those of now. Looked for every
   * `routeRefreshMs`. Ends with the consumer, or when disposed.
   */
  onTopicQueues(topic: string, listener: (queues: readonly MessageQueue[]) => void): Disposable {
    const wireTopic = this.#membership.topic(topic)
    let before: string | undefined
    const watch = this.#instance.routes.watch(wireTopic, ({ read }) => {
      const now = read.map(queueKey).toSorted().join()
      const isChange = before !== undefined && before !== now
      before = now
      if (isChange) callUser(this.#instance.log, wireTopic, () => listener(this.#membership.shown(read)))
    })
    return this.#membership.own(watch)
  }

  // -- Messages ------------------------------------------------------------------------------------------------------

  /**
   * The messages of one pull of one queue, `pullBatchSize` at most; none if none have come within `timeoutMs`,
   * by default option `pollTimeoutMs`. Those that earlier
   * polls gave are done now.
   * @throws ClientError BAD_OPTION, ABORTED, CLOSED
   */
  async poll(options: CallOptions = {}): Promise<readonly ReceivedMessage<Body>[]> {
    this.#membership.checkOpen()
    return await this.#reader.poll(options)
  }

  /** Messages one by one until the consumer closes. Leaving the loop leaves the rest to the next reader. */
  [Symbol.asyncIterator](): AsyncGenerator<ReceivedMessage<Body>, void, undefined> {
    return this.messages()
  }

  /**
   * As `for await` on the consumer; ends when no message has come for `timeoutMs`, by default never.
   * @throws ClientError BAD_OPTION, ABORTED, CLOSED
   */
  messages(options: CallOptions = {}): AsyncGenerator<ReceivedMessage<Body>, void, undefined> {
    this.#membership.checkOpen()
    return this.#reader.messages(options)
  }

  // -- Positions -----------------------------------------------------------------------------------------------------

  /**
   * Goes on from an offset. What was pulled of the queue is dropped, and what is in hand does not count any more.
   * @throws ClientError NOT_ASSIGNED, BAD_OPTION if the queue does not reach there, CLOSED
   */
  async seek(queue: MessageQueue, offset: number, options: CallOptions = {}): Promise<void> {
    await checkReach(this.#instance, this.#queues.find(queue).queue, offset, options)
    this.#queues.find(queue).seek(offset)
  }

  /** Goes back to the oldest message. @throws ClientError NOT_ASSIGNED, CLOSED */
  async seekToBegin(queue: MessageQueue, options: CallOptions = {}): Promise<void> {
    const offset = await minOffset(this.#instance, this.#queues.find(queue).queue, options)
    this.#queues.find(queue).seek(offset)
  }

  /** Goes behind the newest message. @throws ClientError NOT_ASSIGNED, CLOSED */
  async seekToEnd(queue: MessageQueue, options: CallOptions = {}): Promise<void> {
    const offset = await maxOffset(this.#instance, this.#queues.find(queue).queue, options)
    this.#queues.find(queue).seek(offset)
  }

  /** Goes to the first message stored at a time or later (4.9: the nearest). @throws ClientError NOT_ASSIGNED, CLOSED */
  async seekToTime(queue: MessageQueue, time: Date | number, options: CallOptions = {}): Promise<void> {
    const offset = await offsetAt(this.#instance, this.#queues.find(queue).queue, Number(time), options)
    this.#queues.find(queue).seek(offset)
  }

  /** Offset of the first message stored at a time or later; brokers of 4.9 give the nearest. @throws ClientError */
  async offsetForTime(queue: MessageQueue, time: Date | number, options: CallOptions = {}): Promise<number> {
    return await offsetAt(this.#instance, this.#membership.queue(queue), Number(time), options)
  }

  /** Pulls no more of these queues; what is here already is still polled. @throws ClientError NOT_ASSIGNED, CLOSED */
  pause(queues: Iterable<MessageQueue>): void {
    for (const work of [...queues].map(queue => this.#queues.find(queue))) work.pause()
  }

  /** @throws ClientError NOT_ASSIGNED, CLOSED */
  resume(queues: Iterable<MessageQueue>): void {
    for (const work of [...queues].map(queue => this.#queues.find(queue))) work.resume()
  }

  // -- Offsets -------------------------------------------------------------------------------------------------------

  /**
   * Commits: without offsets everything that was given out, also what is in hand. Resolves when the brokers have it.
   * @throws ClientError NOT_ASSIGNED, BAD_OPTION, CLOSED, and what the broker says
   */
  async commit(offsets?: Iterable<OffsetToCommit>, options: CallOptions = {}): Promise<void> {
    this.#membership.checkOpen()
    const wanted =
      offsets === undefined
        ? this.#handedOut()
        : [...offsets].map(({ queue, offset }) => ({
            queue: this.#queues.find(queue).queue,
            offset: checkedOffset(offset),
          }))
    for (const { queue, offset } of wanted) this.#offsets.store.update(queue, offset, false)
    await this.#offsets.commit(
      wanted.map(({ queue }) => queue),
      options,
    )
  }

  #handedOut(): OffsetToCommit[] {
    return this.#queues.works.flatMap(({ queue, handedUpTo: offset }) =>
      offset === undefined ? [] : [{ queue, offset }],
    )
  }

  /**
   * The offset that was committed, here or at the broker; undefined if none. Nothing changes by it. `timeoutMs` is by
   * default 5,000. @throws ClientError BAD_OPTION, BAD_NAME, CONNECT_FAILED, TIMEOUT, ABORTED, CLOSED
   */
  async committed(queue: MessageQueue, options: CallOptions = {}): Promise<number | undefined> {
    return await this.#offsets.committed(this.#membership.queue(queue), options)
  }

  async #persist(): Promise<void> {
    await this.#offsets.store.persist(this.#wireQueues)
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  /** Leaves the group: pulls no more, keeps the offsets, ends polls that wait, closes the connections. Idempotent. */
  close(): Promise<void> {
    return this.#membership.close({ stop: () => this.#stop(), keep: () => this.#keep() })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #stop(): Promise<void> {
    this.#queues.stopPulling()
    this.#reader.close()
    await this.#queues.stop()
    await this.#trace?.close(TRACE_DRAIN_MS)
  }

  async #keep(): Promise<void> {
    await this.#persist()
    await this.#queues.dropAll()
  }
}

function checkSubscription(namespace: string, topic: string, expression: Expression): void {
  subscriptionOf(checkedTopic(namespace, topic), expression, 0)
}
