import { ClientError } from '../errors.ts'
import { check, listOf, object, optional, time as timeRule } from '../fields.ts'
import type { ClientInstance } from '../instance/client-instance.ts'
import type { ConsumerMember } from '../instance/instance-members.ts'
import { bytes, type Codec } from '../message/codec.ts'
import { type CallOptions, type MessageQueue, queueKey } from '../message/message.ts'
import type { ReceivedMessage } from '../message/received-message.ts'
import { checkedOptions } from '../options.ts'
import { Producer } from '../producer/producer.ts'
import type { ConsumerTrace } from '../trace/consumer-trace.ts'
import { consumerTrace, TRACE_DRAIN_MS } from '../trace/start-trace.ts'
import { checkedGroup, checkedSubscriptions, checkedTopic } from './group/checked-names.ts'
import type { Readiness } from './group/member-health.ts'
import { Membership, startOrClose } from './group/membership.ts'
import { pullMember } from './group/pull-member.ts'
import { type Expression, subscriptionOf } from './group/subscription.ts'
import type { Subscriber } from './group/subscription-changes.ts'
import {
  type LitePullConsumerOptions,
  type LitePullConsumerStats,
  type LitePullSettings,
  litePullTable,
  readLitePullSettings,
} from './lite-pull/options.ts'
import { checkedOffset, checkInQueue, type OffsetToCommit } from './lite-pull/positions.ts'
import type { LitePullQueue } from './lite-pull/queue.ts'
import { LitePullQueues } from './lite-pull/queues.ts'
import { LitePullReader } from './lite-pull/reader.ts'
import { maxOffset, minOffset, offsetAt } from './offsets/queue-offsets.ts'
import { ReadableOffsets } from './offsets/readable-offsets.ts'
import { callUser } from './rebalance/call-user.ts'

/**
 * Returns messages when it is asked, by `poll` or in a `for await` loop. It reads the queues that rebalancing gives it after
 * `subscribe`, or those that were assigned by `assign`. Apache's DefaultLitePullConsumer.
 *
 * With `autoCommit`, the offsets of messages that are done are committed automatically. A message is done when the next one
 * is asked for: the messages of a poll with the next poll, a message of a loop with the next iteration. Messages that are not
 * done when the consumer closes are delivered again, unless `commit` was called for them. Several readers may call `poll` at
 * the same time, but each poll marks the messages of all of them as done: such readers should use `for await`, or commit
 * offsets themselves.
 */
export class LitePullConsumer<Body = Buffer> implements Subscriber {
  readonly group: string
  readonly #membership: Membership
  readonly #settings: LitePullSettings
  readonly #offsets: ReadableOffsets
  readonly #queues: LitePullQueues<Body>
  readonly #trace: ConsumerTrace | undefined
  readonly #reader: LitePullReader<Body>
  readonly #member: ConsumerMember

  /**
   * Joins a group. The queues of subscribed topics are assigned some moments later.
   * @throws ClientError BAD_OPTION, BAD_NAME, GROUP_TAKEN, UNSUPPORTED for static topics
   */
  static async start<Body = Buffer>(options: LitePullConsumerOptions<Body>): Promise<LitePullConsumer<Body>> {
    return await startOrClose(
      new LitePullConsumer<Body>(options),
      consumer => consumer.#start(),
      consumer => consumer.close(),
    )
  }

  private constructor(options: LitePullConsumerOptions<Body>) {
    const {
      group,
      subscriptions = {},
      codec = bytes as Codec<never>,
      onQueues,
      ...given
    } = checkedOptions('LitePullConsumer', options)
    checkedSubscriptions('LitePullConsumer', subscriptions)
    this.group = checkedGroup(group)
    const settings = readLitePullSettings(given)
    this.#settings = settings
    // Before the membership acquires a client instance, which nothing would release after an error.
    for (const each of Object.entries(subscriptions)) checkSubscription(settings.namespace, ...each)

    const membership = new Membership(settings, this.group, () => this.#queues.rebalance())
    const { instance, group: wireGroup, stats } = membership
    this.#membership = membership
    this.#offsets = new ReadableOffsets({
      ...settings,
      instance,
      group: wireGroup,
      onShared: message => membership.health.problems.raise('OFFSETS_SHARED', message),
    })
    const { store: offsets } = this.#offsets
    const queues = new LitePullQueues<Body>({ membership, settings, offsets, codec, onQueues })
    this.#queues = queues
    for (const each of Object.entries(subscriptions)) queues.subscribeAtStart(...each)

    this.#trace = consumerTrace(settings, wireGroup, given => Producer.start(given))
    const { clock } = instance
    this.#reader = new LitePullReader({ clock, chunks: queues.chunks, settings, queues, stats, trace: this.#trace })
    this.#member = pullMember({
      membership,
      settings,
      table: litePullTable,
      subscriptions: () => queues.subscriptions,
      queues: { held: queues, offsets, rebalance: () => queues.rebalance() },
    })
  }

  async #start(): Promise<void> {
    await this.#offsets.store.load()
    await this.#membership.prepare(this.#queues.subscriptions)
    await this.#membership.join(this.#member)
    this.#membership.every(this.#settings.persistOffsetsMs, () => void this.#persist())
    this.#queues.start()
  }

  get #instance(): ClientInstance {
    return this.#membership.instance
  }

  // -- Queues --------------------------------------------------------------------------------------------------------

  get clientId(): string {
    return this.#instance.clientId
  }

  get stats(): LitePullConsumerStats {
    const { total, skipped } = this.#membership.stats
    return { pulled: total.pulled, received: total.ok, skipped, queued: this.#queues.queued }
  }

  /** Whether it gets messages, as far as it knows, and what is wrong: for the readiness probe of a service. */
  get readiness(): Readiness {
    return this.#membership.health.readiness(this.#queues.isBalanced)
  }

  /** The queues that this consumer reads now. */
  get assignment(): MessageQueue[] {
    return this.#membership.shown(this.#wireQueues)
  }

  get #wireQueues(): MessageQueue[] {
    return [...this.#queues].map(({ queue }) => queue)
  }

  subscribe(topic: string, expression: Expression = '*', options: CallOptions = {}): Promise<void> {
    return this.#queues.subscribe(topic, expression, options)
  }

  unsubscribe(topic: string, options: CallOptions = {}): Promise<void> {
    return this.#queues.unsubscribe(topic, options)
  }

  /**
   * Reads these queues and no others, whatever other members of the group read. Queues that it already reads continue where
   * they are. `filters` are filters by topic; queues of topics without one return all messages. If it rejects, nothing has
   * changed. If the time is over, or the signal aborted, when only the offsets of former queues remain to be stored, it
   * resolves, and they are stored in the background. `timeoutMs` is by default six times `requestTimeoutMs`.
   * @throws ClientError BAD_OPTION after `subscribe` or without queues; BAD_NAME, UNSUPPORTED, TIMEOUT, ABORTED, CLOSED
   */
  assign(
    queues: Iterable<MessageQueue>,
    filters: Readonly<Record<string, Expression>> = {},
    options: CallOptions = {},
  ): Promise<void> {
    try {
      check('queues of assign', queues, listOf('queues'))
      check('filters of assign', filters, object("an object of filters by topic, such as { Orders: '*' }"))
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#queues.assign(queues, filters, options)
  }

  /**
   * All readable queues of a topic, from a name server instead of the cache.
   * @throws ClientError ROUTE_MISSING, UNSUPPORTED, NO_NAME_SERVER ...
   */
  async queuesOf(topic: string, options: CallOptions = {}): Promise<readonly MessageQueue[]> {
    return await this.#membership.queuesOf(topic, options)
  }

  /**
   * Calls `listener` when the queues of a topic have changed, no matter which member reads them. It is not called for the current queues.
   * Changes are noticed within `routeRefreshMs`. Ends when the consumer closes or the result is disposed of.
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
   * The messages of one pull of one queue, at most `pullBatchSize`; none if none arrive within `timeoutMs`, by default option
   * `pollTimeoutMs`. The messages of earlier polls are done then.
   * @throws ClientError NOT_ASSIGNED without subscriptions and assigned queues; BAD_OPTION, ABORTED, CLOSED
   */
  async poll(options: CallOptions = {}): Promise<readonly ReceivedMessage<Body>[]> {
    this.#checkReading()
    return await this.#reader.poll(options)
  }

  /** Messages one by one until the consumer closes. Leaving the loop leaves the rest to the next reader. */
  [Symbol.asyncIterator](): AsyncGenerator<ReceivedMessage<Body>, void, undefined> {
    return this.messages()
  }

  /**
   * Like `for await` on the consumer, but ends if no message arrives for `timeoutMs`; by default it waits for ever.
   * @throws ClientError BAD_OPTION, ABORTED, CLOSED
   */
  messages(options: CallOptions = {}): AsyncGenerator<ReceivedMessage<Body>, void, undefined> {
    this.#checkReading()
    return this.#reader.messages(options)
  }

  #checkReading(): void {
    this.#membership.checkOpen()
    if (this.#queues.isReading) return
    throw new ClientError(
      'NOT_ASSIGNED',
      'there is nothing to read: call subscribe or assign first, or set option subscriptions',
    )
  }

  // -- Positions -----------------------------------------------------------------------------------------------------

  /**
   * Continues a queue at another offset. Messages that were already pulled are dropped, and those that the user has are not
   * marked as done any more.
   * @throws ClientError NOT_ASSIGNED, BAD_OPTION if the queue does not contain the offset, CLOSED
   */
  async seek(queue: MessageQueue, offset: number, options: CallOptions = {}): Promise<void> {
    await checkInQueue(this.#instance, this.#queues.find(queue).queue, offset, options)
    this.#queues.find(queue).seek(offset)
  }

  /** Continues at the oldest message. @throws ClientError NOT_ASSIGNED, CLOSED */
  async seekToBegin(queue: MessageQueue, options: CallOptions = {}): Promise<void> {
    const offset = await minOffset(this.#instance, this.#queues.find(queue).queue, options)
    this.#queues.find(queue).seek(offset)
  }

  /** Continues after the newest message. @throws ClientError NOT_ASSIGNED, CLOSED */
  async seekToEnd(queue: MessageQueue, options: CallOptions = {}): Promise<void> {
    const offset = await maxOffset(this.#instance, this.#queues.find(queue).queue, options)
    this.#queues.find(queue).seek(offset)
  }

  /**
   * Continues at the first message stored at `time` or later; brokers of 4.9 choose the nearest one instead.
   * @throws ClientError NOT_ASSIGNED, CLOSED
   */
  async seekToTime(queue: MessageQueue, time: Date | number, options: CallOptions = {}): Promise<void> {
    check('time of seekToTime', time, timeRule)
    const offset = await offsetAt(this.#instance, this.#queues.find(queue).queue, Number(time), options)
    this.#queues.find(queue).seek(offset)
  }

  /**
   * The offset of the first message stored at `time` or later; brokers of 4.9 return the nearest one instead.
   * @throws ClientError
   */
  async offsetForTime(queue: MessageQueue, time: Date | number, options: CallOptions = {}): Promise<number> {
    check('time of offsetForTime', time, timeRule)
    return await offsetAt(this.#instance, this.#membership.queue(queue), Number(time), options)
  }

  /** Stops pulling these queues. Messages that were already pulled can still be polled. @throws ClientError NOT_ASSIGNED, CLOSED */
  pause(queues: Iterable<MessageQueue>): void {
    check('queues of pause', queues, listOf('queues'))
    for (const held of [...queues].map(queue => this.#queues.find(queue))) held.pause()
  }

  /** Pulls these queues again. @throws ClientError NOT_ASSIGNED, CLOSED */
  resume(queues: Iterable<MessageQueue>): void {
    check('queues of resume', queues, listOf('queues'))
    for (const held of [...queues].map(queue => this.#queues.find(queue))) held.resume()
  }

  // -- Offsets -------------------------------------------------------------------------------------------------------

  /**
   * Commits offsets; by default those after all messages that were returned, including messages that the user still has.
   * Resolves when the brokers have them.
   * @throws ClientError NOT_ASSIGNED, BAD_OPTION, CLOSED, and what the broker answers
   */
  async commit(offsets?: Iterable<OffsetToCommit>, options: CallOptions = {}): Promise<void> {
    this.#membership.checkOpen()
    check('offsets of commit', offsets, optional(listOf('{ queue, offset }')))
    const wanted =
      offsets === undefined
        ? this.#handedOut()
        : [...offsets].map(({ queue, offset }) => ({ held: this.#queues.find(queue), offset: checkedOffset(offset) }))
    for (const { held, offset } of wanted) held.commit(offset)
    await this.#offsets.commit(
      wanted.map(({ held }) => held.queue),
      options,
    )
  }

  #handedOut(): { readonly held: LitePullQueue<Body>; readonly offset: number }[] {
    return [...this.#queues].flatMap(held => (held.handedUpTo === undefined ? [] : [{ held, offset: held.handedUpTo }]))
  }

  /**
   * The committed offset of a queue, from memory or from the broker; undefined if there is none. It changes nothing.
   * `timeoutMs` is by default 5,000.
   * @throws ClientError BAD_OPTION, BAD_NAME, CONNECT_FAILED, TIMEOUT, ABORTED, CLOSED
   */
  async committed(queue: MessageQueue, options: CallOptions = {}): Promise<number | undefined> {
    return await this.#offsets.committed(this.#membership.queue(queue), options)
  }

  async #persist(): Promise<void> {
    await this.#offsets.store.persist(this.#wireQueues)
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  /** Leaves the group: stops pulling, ends polls that wait, stores the offsets, closes the connections. Idempotent. */
  close(): Promise<void> {
    return this.#membership.close({ stop: () => this.#stop(), release: () => this.#release() })
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

  async #release(): Promise<void> {
    await this.#persist()
    await this.#queues.dropAll()
    await this.#offsets.store.close?.()
  }
}

function checkSubscription(namespace: string, topic: string, expression: Expression): void {
  subscriptionOf(checkedTopic(namespace, topic), expression, 0)
}
