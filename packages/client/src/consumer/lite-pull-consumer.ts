import { unwrapNamespace } from '@gantrymq/protocol'
import type { ClientInstance } from '../client-instance.ts'
import { bytes, type Codec } from '../codec.ts'
import { ClientError } from '../errors.ts'
import type { ConsumerMember } from '../members.ts'
import { type CallOptions, type MessageQueue, queueKey } from '../message.ts'
import { Producer } from '../producer/producer.ts'
import type { ConsumerTrace } from '../trace/consumer-trace.ts'
import { consumerTrace, TRACE_DRAIN_MS } from '../trace/start-trace.ts'
import { AssignedQueues } from './lite-pull-assigned.ts'
import { Inbox } from './lite-pull-inbox.ts'
import {
  type LitePullConsumerOptions,
  type LitePullConsumerStats,
  type LitePullSettings,
  litePullTable,
  readLitePullSettings,
} from './lite-pull-options.ts'
import { checkedOffset, checkReach, type OffsetToCommit } from './lite-pull-positions.ts'
import { Reader } from './lite-pull-reader.ts'
import { type LitePullCore, LitePullWork } from './lite-pull-work.ts'
import { checkedGroup, checkedTopic } from './member-names.ts'
import { Membership, started } from './membership.ts'
import { pullMember } from './pull-member.ts'
import { PullOffsets } from './pull-offsets.ts'
import { maxOffset, minOffset, offsetAt } from './queue-offsets.ts'
import { Rebalancer } from './rebalance.ts'
import { ReceivedMessage } from './received-message.ts'
import { type Expression, type SubscriptionData, subscriptionOf } from './subscription.ts'

type Mode = 'none' | 'subscribe' | 'assign'

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
  readonly #onQueues: LitePullConsumerOptions<Body>['onQueues']
  readonly #core: LitePullCore<Body>
  readonly #rebalancer: Rebalancer<LitePullWork<Body>>
  readonly #assigned: AssignedQueues<Body>
  readonly #member: ConsumerMember
  readonly #reader: Reader<Body>
  readonly #offsets: PullOffsets
  readonly #subscriptions = new Map<string, SubscriptionData>()
  readonly #trace: ConsumerTrace | undefined
  #mode: Mode = 'none'

  /**
   * Joins a group. Queues of subscribed topics come with the first round, some moments later.
   * @throws ClientError BAD_OPTION, BAD_NAME, GROUP_TAKEN
   */
  static async start<Body = Buffer>(options: LitePullConsumerOptions<Body>): Promise<LitePullConsumer<Body>> {
    return await started(
      new LitePullConsumer<Body>(options),
      consumer => consumer.#start(),
      consumer => consumer.close(),
    )
  }

  private constructor(options: LitePullConsumerOptions<Body>) {
    const { group, subscriptions = {}, codec, onQueues, ...given } = options
    this.#onQueues = onQueues
    this.group = checkedGroup(group)
    this.#settings = readLitePullSettings(given)
    for (const each of Object.entries(subscriptions)) {
      const subscription = this.#wanted(...each)
      this.#subscriptions.set(subscription.topic, subscription)
      this.#mode = 'subscribe'
    }
    this.#membership = new Membership(this.#settings, this.group, () => this.#rebalancer.request())
    const { instance, group: wireGroup } = this.#membership
    this.#offsets = new PullOffsets({ ...this.#settings, instance, group: wireGroup })
    this.#core = this.#makeCore(wireGroup, codec ?? (bytes as Codec<never>))
    this.#trace = consumerTrace(this.#settings, wireGroup, given => Producer.start(given))
    const { inbox } = this.#core
    const { clock } = instance
    this.#reader = new Reader({
      clock,
      inbox,
      settings: this.#settings,
      works: () => this.#works,
      stats: this.#membership.stats,
      trace: this.#trace,
    })
    this.#assigned = new AssignedQueues(this.#core)
    this.#rebalancer = new Rebalancer({
      core: this.#core,
      locks: undefined,
      work: queue => Promise.resolve(new LitePullWork(this.#core, queue)),
      onChange: (topic, all, mine) => this.#queuesChanged(topic, all, mine),
    })
    this.#member = pullMember({
      membership: this.#membership,
      settings: this.#settings,
      table: litePullTable,
      subscriptions: () => (this.#mode === 'assign' ? [] : [...this.#subscriptions.values()]),
      held: {
        works: () => this.#works,
        offsets: this.#offsets.store,
        rebalance: () => this.#rebalancer.request(),
      },
    })
  }

  #makeCore(group: string, codec: Codec<Body>): LitePullCore<Body> {
    const context = { namespace: this.#settings.namespace, codec }
    const queuedTotal = (): number => this.#queued
    return {
      instance: this.#membership.instance,
      group,
      stats: this.#membership.stats,
      settings: this.#settings,
      offsets: this.#offsets.store,
      subscriptions: this.#subscriptions,
      isPaused: false,
      inbox: new Inbox(this.#settings.clock),
      toMessage: (view, queue) => new ReceivedMessage<Body>(view, queue, context),
      get queuedTotal() {
        return queuedTotal()
      },
    }
  }

  async #start(): Promise<void> {
    await this.#offsets.store.load()
    await this.#membership.prepare([...this.#subscriptions.values()])
    await this.#membership.join(this.#member)
    this.#membership.every(this.#settings.persistOffsetsMs, () => void this.#persist())
    this.#rebalancer.start()
    this.#rebalancer.request()
  }

  #wanted(topic: string, expression: Expression): SubscriptionData {
    const { namespace, clock } = this.#settings
    return subscriptionOf(checkedTopic(namespace, topic), expression, clock.now())
  }

  #queuesChanged(topic: string, all: readonly MessageQueue[], mine: readonly MessageQueue[]): void {
    const { clock, namespace } = this.#settings
    const { log } = this.#membership.instance
    const names = mine.map(({ brokerName, queueId }) => `${brokerName}/${queueId}`)
    log.info({ group: this.group, topic, mine: names }, 'queues')
    const subscription = this.#subscriptions.get(topic)
    // Brokers tell by the version which of two members' subscriptions is newer.
    if (subscription !== undefined) this.#subscriptions.set(topic, { ...subscription, subVersion: clock.now() })
    void this.#instance.heartbeat()
    this.#onQueues?.(unwrapNamespace(namespace, topic), this.#membership.shown(all), this.#membership.shown(mine))
  }

  get #instance(): ClientInstance {
    return this.#membership.instance
  }

  get #works(): LitePullWork<Body>[] {
    return [...this.#rebalancer.held, ...this.#assigned.works]
  }

  // -- Which queues --------------------------------------------------------------------------------------------------

  get clientId(): string {
    return this.#instance.clientId
  }

  get stats(): LitePullConsumerStats {
    const { total, skipped } = this.#membership.stats
    return { pulled: total.pulled, received: total.ok, skipped, queued: this.#queued }
  }

  get #queued(): number {
    return this.#works.reduce((sum, { process }) => sum + process.count, 0)
  }

  /** The queues that it works on now. */
  get assignment(): MessageQueue[] {
    return this.#membership.shown(this.#queues)
  }

  get #queues(): MessageQueue[] {
    return this.#works.map(({ queue }) => queue)
  }

  /** Adds a topic, or changes what is wanted of it. @throws ClientError BAD_OPTION after `assign`, BAD_NAME, CLOSED */
  async subscribe(topic: string, expression: Expression = '*'): Promise<void> {
    this.#membership.checkOpen()
    if (this.#mode === 'assign') throw exclusive()
    const subscription = this.#wanted(topic, expression)
    this.#mode = 'subscribe'
    await this.#membership.meet(subscription.topic)
    await this.#membership.checkFilter(subscription)
    this.#membership.checkOpen()
    this.#subscriptions.set(subscription.topic, subscription)
    await this.#instance.heartbeat()
    this.#rebalancer.request()
  }

  /** Gives a topic up. @throws ClientError BAD_NAME, CLOSED */
  async unsubscribe(topic: string): Promise<void> {
    const wireTopic = this.#membership.topic(topic)
    if (!this.#subscriptions.delete(wireTopic)) return
    this.#membership.part(wireTopic)
    this.#rebalancer.request()
    await this.#instance.heartbeat()
  }

  /**
   * Works on these queues and no others, whoever else is in the group. Those that it has already go on as they are.
   * `filters` say what is wanted of a topic; without one all is.
   * @throws ClientError BAD_OPTION after `subscribe` or without queues, BAD_NAME, CLOSED
   */
  async assign(queues: Iterable<MessageQueue>, filters: Readonly<Record<string, Expression>> = {}): Promise<void> {
    this.#membership.checkOpen()
    if (this.#mode === 'subscribe') throw exclusive()
    const wire = [...queues].map(queue => this.#membership.queue(queue))
    const wanted = Object.entries(filters).map(each => this.#wanted(...each))
    this.#mode = 'assign'
    for (const topic of new Set(wire.map(each => each.topic))) await this.#membership.meet(topic)
    await Promise.all(wanted.map(each => this.#membership.checkFilter(each)))
    this.#membership.checkOpen()
    for (const subscription of wanted) this.#subscriptions.set(subscription.topic, subscription)
    // Brokers commit for groups that they know of.
    await this.#instance.heartbeat()
    this.#membership.checkOpen()
    await this.#assigned.assign(wire)
  }

  /** All queues of a topic that can be read, asked for anew. @throws ClientError ROUTE_MISSING, NO_NAME_SERVER ... */
  async queuesOf(topic: string, options: CallOptions = {}): Promise<readonly MessageQueue[]> {
    const { read } = await this.#instance.routes.fresh(this.#membership.topic(topic), options)
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
      if (before !== undefined && before !== now) listener(this.#membership.shown(read))
      before = now
    })
    this.#membership.own(watch)
    return watch
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

  /** As `for await` on the consumer. @throws ClientError ABORTED, CLOSED */
  messages({ signal }: Pick<CallOptions, 'signal'> = {}): AsyncGenerator<ReceivedMessage<Body>, void, undefined> {
    this.#membership.checkOpen()
    return this.#reader.messages(signal)
  }

  // -- Positions -----------------------------------------------------------------------------------------------------

  /**
   * Goes on from an offset. What was pulled of the queue is dropped, and what is in hand does not count any more.
   * @throws ClientError NOT_ASSIGNED, BAD_OPTION if the queue does not reach there, CLOSED
   */
  async seek(queue: MessageQueue, offset: number, options: CallOptions = {}): Promise<void> {
    await checkReach(this.#instance, this.#workOf(queue).queue, offset, options)
    this.#workOf(queue).seek(offset)
  }

  /** Goes back to the oldest message. @throws ClientError NOT_ASSIGNED, CLOSED */
  async seekToBegin(queue: MessageQueue, options: CallOptions = {}): Promise<void> {
    const offset = await minOffset(this.#instance, this.#workOf(queue).queue, options)
    this.#workOf(queue).seek(offset)
  }

  /** Goes behind the newest message. @throws ClientError NOT_ASSIGNED, CLOSED */
  async seekToEnd(queue: MessageQueue, options: CallOptions = {}): Promise<void> {
    const offset = await maxOffset(this.#instance, this.#workOf(queue).queue, options)
    this.#workOf(queue).seek(offset)
  }

  /** Goes to the first message stored at a time or later (4.9: the nearest). @throws ClientError NOT_ASSIGNED, CLOSED */
  async seekToTime(queue: MessageQueue, time: Date | number, options: CallOptions = {}): Promise<void> {
    const offset = await offsetAt(this.#instance, this.#workOf(queue).queue, Number(time), options)
    this.#workOf(queue).seek(offset)
  }

  /** Offset of the first message stored at a time or later; brokers of 4.9 give the nearest. @throws ClientError */
  async offsetForTime(queue: MessageQueue, time: Date | number, options: CallOptions = {}): Promise<number> {
    return await offsetAt(this.#instance, this.#membership.queue(queue), Number(time), options)
  }

  /** Pulls no more of these queues; what is here already is still polled. @throws ClientError NOT_ASSIGNED, CLOSED */
  pause(queues: Iterable<MessageQueue>): void {
    for (const work of [...queues].map(queue => this.#workOf(queue))) work.pause()
  }

  /** @throws ClientError NOT_ASSIGNED, CLOSED */
  resume(queues: Iterable<MessageQueue>): void {
    for (const work of [...queues].map(queue => this.#workOf(queue))) work.resume()
  }

  #workOf(queue: MessageQueue): LitePullWork<Body> {
    const wire = this.#membership.queue(queue)
    const work = this.#assigned.find(wire) ?? this.#rebalancer.find(wire)
    if (work !== undefined && !work.isDropped) return work
    const why = this.#mode === 'subscribe' ? ', may be rebalancing' : ''
    const text = `The message queue is not in assigned list${why}, message queue: ${queueKey(queue)}`
    throw new ClientError('NOT_ASSIGNED', text, { retriable: this.#mode === 'subscribe' })
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
        : [...offsets].map(({ queue, offset }) => ({ queue: this.#workOf(queue).queue, offset: checkedOffset(offset) }))
    for (const { queue, offset } of wanted) this.#offsets.store.update(queue, offset, false)
    await this.#offsets.commit(
      wanted.map(({ queue }) => queue),
      options,
    )
  }

  #handedOut(): OffsetToCommit[] {
    return this.#works.flatMap(({ queue, handedUpTo: offset }) => (offset === undefined ? [] : [{ queue, offset }]))
  }

  /** The offset that was committed, here or at the broker; undefined if none. @throws ClientError CONNECT_FAILED, CLOSED */
  async committed(queue: MessageQueue): Promise<number | undefined> {
    return await this.#offsets.committed(this.#membership.queue(queue))
  }

  async #persist(): Promise<void> {
    await this.#offsets.store.persist(this.#queues)
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
    for (const work of this.#works) work.stopPulling()
    this.#reader.close()
    await this.#rebalancer.stop()
    await this.#trace?.close(TRACE_DRAIN_MS)
  }

  async #keep(): Promise<void> {
    await this.#persist()
    await this.#assigned.dropAll()
    await this.#rebalancer.dropAll()
  }
}

function exclusive(): ClientError {
  return new ClientError('BAD_OPTION', 'Subscribe and assign are mutually exclusive.')
}
