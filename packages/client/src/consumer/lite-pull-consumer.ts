import { unwrapNamespace, wrapNamespace } from '@gantrymq/protocol'
import { ClientInstance } from '../client-instance.ts'
import { bytes, type Codec } from '../codec.ts'
import { ClientError, closed } from '../errors.ts'
import type { ConsumerMember } from '../members.ts'
import { type CallOptions, type MessageQueue, queueKey } from '../message.ts'
import { Producer } from '../producer/producer.ts'
import type { ConsumerTrace } from '../trace/consumer-trace.ts'
import { consumerTrace, TRACE_DRAIN_MS } from '../trace/start-trace.ts'
import { AssignedQueues } from './lite-pull-assigned.ts'
import { Inbox } from './lite-pull-inbox.ts'
import { type LitePullConsumerOptions, type LitePullSettings, readLitePullSettings } from './lite-pull-options.ts'
import { checkedOffset, checkReach, type OffsetToCommit } from './lite-pull-positions.ts'
import { Reader } from './lite-pull-reader.ts'
import { type LitePullCore, LitePullWork } from './lite-pull-work.ts'
import { checkedGroup, checkedQueue, checkedTopic } from './member-names.ts'
import { notedOffsets, pullMember } from './pull-member.ts'
import { PullOffsets } from './pull-offsets.ts'
import { maxOffset, minOffset, offsetAt } from './queue-offsets.ts'
import { Rebalancer } from './rebalance.ts'
import { ReceivedMessage } from './received-message.ts'
import { type Expression, type SubscriptionData, subscriptionOf } from './subscription.ts'
import { checkFilter } from './subscriptions.ts'

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
  readonly #instance: ClientInstance
  readonly #claim: { readonly kind: 'consumer'; readonly group: string }
  readonly #settings: LitePullSettings
  readonly #onQueues: LitePullConsumerOptions<Body>['onQueues']
  readonly #core: LitePullCore<Body>
  readonly #rebalancer: Rebalancer<LitePullWork<Body>>
  readonly #assigned: AssignedQueues<Body>
  readonly #member: ConsumerMember
  readonly #reader: Reader<Body>
  readonly #offsets: PullOffsets
  readonly #subscriptions = new Map<string, SubscriptionData>()
  readonly #watches = new Map<string, Disposable>()
  readonly #listeners = new Set<Disposable>()
  readonly #timers: Disposable[] = []
  readonly #trace: ConsumerTrace | undefined
  #mode: Mode = 'none'
  #closing: Promise<void> | undefined

  /**
   * Joins a group. Queues of subscribed topics come with the first round, some moments later.
   * @throws ClientError BAD_OPTION, BAD_NAME, GROUP_TAKEN
   */
  static async start<Body = Buffer>(options: LitePullConsumerOptions<Body>): Promise<LitePullConsumer<Body>> {
    const consumer = new LitePullConsumer<Body>(options)
    try {
      await consumer.#start()
      return consumer
    } catch (error) {
      await consumer.close()
      throw error
    }
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
    const wireGroup = wrapNamespace(this.#settings.namespace, this.group)
    this.#claim = { kind: 'consumer', group: wireGroup }
    this.#instance = ClientInstance.acquire(this.#settings, this.#claim)
    this.#offsets = new PullOffsets({ ...this.#settings, instance: this.#instance, group: wireGroup })
    this.#core = this.#makeCore(wireGroup, codec ?? (bytes as Codec<never>))
    this.#trace = consumerTrace(this.#settings, wireGroup, given => Producer.start(given))
    const { inbox } = this.#core
    const { clock } = this.#instance
    this.#reader = new Reader({ clock, inbox, settings: this.#settings, works: () => this.#works, trace: this.#trace })
    this.#assigned = new AssignedQueues(this.#core)
    this.#rebalancer = new Rebalancer({
      core: this.#core,
      locks: undefined,
      work: queue => Promise.resolve(new LitePullWork(this.#core, queue)),
      onChange: (topic, all, mine) => this.#queuesChanged(topic, all, mine),
    })
    const { broadcast, consumeFrom, unitMode } = this.#settings
    this.#member = pullMember({
      group: wireGroup,
      broadcast,
      consumeFrom,
      unitMode,
      subscriptions: () => (this.#mode === 'assign' ? [] : [...this.#subscriptions.values()]),
      rebalance: () => this.#rebalancer.request(),
      offsets: topic => notedOffsets(this.#offsets.store, this.assignment, topic),
    })
  }

  #makeCore(group: string, codec: Codec<Body>): LitePullCore<Body> {
    const context = { namespace: this.#settings.namespace, codec }
    const queuedTotal = (): number => this.#works.reduce((sum, { process }) => sum + process.count, 0)
    return {
      instance: this.#instance,
      group,
      settings: this.#settings,
      offsets: this.#offsets.store,
      subscriptions: this.#subscriptions,
      isPaused: false,
      inbox: new Inbox(this.#instance.clock),
      toMessage: (view, queue) => new ReceivedMessage<Body>(view, queue, context),
      get queuedTotal() {
        return queuedTotal()
      },
    }
  }

  async #start(): Promise<void> {
    const { clock } = this.#instance
    await this.#offsets.store.load()
    await this.#instance.start()
    this.#instance.join(this.#member)
    await Promise.all([...this.#subscriptions.keys()].map(topic => this.#meet(topic)))
    await this.#checkFilters(this.#subscriptions.values())
    await this.#instance.heartbeat()
    this.#timers.push(clock.every(this.#settings.persistOffsetsMs, () => void this.#persist()))
    this.#rebalancer.start()
    this.#rebalancer.request()
  }

  async #checkFilters(subscriptions: Iterable<SubscriptionData>): Promise<void> {
    await Promise.all([...subscriptions].map(each => checkFilter(this.#instance, this.#claim.group, each)))
  }

  /** Asks for a topic's route. That it is missing now is no error: it may be made later. */
  async #meet(topic: string): Promise<void> {
    const { routes, log } = this.#instance
    await routes.get(topic).catch((error: unknown) => log.info({ topic, error: String(error) }, 'topic not known yet'))
    const watch = routes.watch(topic, () => this.#rebalancer.request())
    this.#watches.get(topic)?.[Symbol.dispose]()
    this.#watches.set(topic, watch)
  }

  #wanted(topic: string, expression: Expression): SubscriptionData {
    const { namespace, clock } = this.#settings
    return subscriptionOf(checkedTopic(namespace, topic), expression, clock.now())
  }

  #queuesChanged(topic: string, all: readonly MessageQueue[], mine: readonly MessageQueue[]): void {
    const { clock, log, options } = this.#instance
    const names = mine.map(({ brokerName, queueId }) => `${brokerName}/${queueId}`)
    log.info({ group: this.group, topic, mine: names }, 'queues')
    const subscription = this.#subscriptions.get(topic)
    // Brokers tell by the version which of two members' subscriptions is newer.
    if (subscription !== undefined) this.#subscriptions.set(topic, { ...subscription, subVersion: clock.now() })
    void this.#instance.heartbeat()
    this.#onQueues?.(unwrapNamespace(options.namespace, topic), all, mine)
  }

  get #works(): LitePullWork<Body>[] {
    return [...this.#rebalancer.held, ...this.#assigned.works]
  }

  // -- Which queues --------------------------------------------------------------------------------------------------

  get clientId(): string {
    return this.#instance.clientId
  }

  /** The queues that it works on now. */
  get assignment(): MessageQueue[] {
    return this.#works.map(({ queue }) => queue)
  }

  /** Adds a topic, or changes what is wanted of it. @throws ClientError BAD_OPTION after `assign`, BAD_NAME, CLOSED */
  async subscribe(topic: string, expression: Expression = '*'): Promise<void> {
    this.#checkOpen()
    if (this.#mode === 'assign') throw exclusive()
    const subscription = this.#wanted(topic, expression)
    this.#mode = 'subscribe'
    await this.#meet(subscription.topic)
    await this.#checkFilters([subscription])
    this.#checkOpen()
    this.#subscriptions.set(subscription.topic, subscription)
    await this.#instance.heartbeat()
    this.#rebalancer.request()
  }

  /** Gives a topic up. @throws ClientError BAD_NAME, CLOSED */
  async unsubscribe(topic: string): Promise<void> {
    this.#checkOpen()
    const wireTopic = checkedTopic(this.#settings.namespace, topic)
    if (!this.#subscriptions.delete(wireTopic)) return
    this.#watches.get(wireTopic)?.[Symbol.dispose]()
    this.#watches.delete(wireTopic)
    this.#rebalancer.request()
    await this.#instance.heartbeat()
  }

  /**
   * Works on these queues and no others, whoever else is in the group. Those that it has already go on as they are.
   * `filters` say what is wanted of a topic; without one all is.
   * @throws ClientError BAD_OPTION after `subscribe` or without queues, BAD_NAME, CLOSED
   */
  async assign(queues: Iterable<MessageQueue>, filters: Readonly<Record<string, Expression>> = {}): Promise<void> {
    this.#checkOpen()
    if (this.#mode === 'subscribe') throw exclusive()
    const wire = [...queues].map(queue => checkedQueue(this.#settings.namespace, queue))
    const wanted = Object.entries(filters).map(each => this.#wanted(...each))
    this.#mode = 'assign'
    for (const topic of new Set(wire.map(each => each.topic))) if (!this.#watches.has(topic)) await this.#meet(topic)
    await this.#checkFilters(wanted)
    this.#checkOpen()
    for (const subscription of wanted) this.#subscriptions.set(subscription.topic, subscription)
    // Brokers commit for groups that they know of.
    await this.#instance.heartbeat()
    this.#checkOpen()
    await this.#assigned.assign(wire)
  }

  /** All queues of a topic that can be read, asked for anew. @throws ClientError ROUTE_MISSING, NO_NAME_SERVER ... */
  async queuesOf(topic: string, options: CallOptions = {}): Promise<readonly MessageQueue[]> {
    this.#checkOpen()
    return (await this.#instance.routes.fresh(checkedTopic(this.#settings.namespace, topic), options)).read
  }

  /**
   * Calls back when the queues of a topic have changed, whoever has them; not with those of now. Looked for every
   * `routeRefreshMs`. Ends with the consumer, or when disposed.
   */
  onTopicQueues(topic: string, listener: (queues: readonly MessageQueue[]) => void): Disposable {
    this.#checkOpen()
    const wireTopic = checkedTopic(this.#settings.namespace, topic)
    let before: string | undefined
    const watch = this.#instance.routes.watch(wireTopic, ({ read }) => {
      const now = read.map(queueKey).toSorted().join()
      if (before !== undefined && before !== now) listener(read)
      before = now
    })
    this.#listeners.add(watch)
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
    this.#checkOpen()
    return await this.#reader.poll(options)
  }

  /** Messages one by one until the consumer closes. Leaving the loop leaves the rest to the next reader. */
  [Symbol.asyncIterator](): AsyncGenerator<ReceivedMessage<Body>, void, undefined> {
    return this.messages()
  }

  /** As `for await` on the consumer. @throws ClientError ABORTED, CLOSED */
  messages({ signal }: Pick<CallOptions, 'signal'> = {}): AsyncGenerator<ReceivedMessage<Body>, void, undefined> {
    this.#checkOpen()
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
    this.#checkOpen()
    return offsetAt(this.#instance, checkedQueue(this.#settings.namespace, queue), Number(time), options)
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
    this.#checkOpen()
    const wire = checkedQueue(this.#settings.namespace, queue)
    const work = this.#assigned.find(wire) ?? this.#rebalancer.find(wire)
    if (work !== undefined && !work.isDropped) return work
    const why = this.#mode === 'subscribe' ? ', may be rebalancing' : ''
    const text = `The message queue is not in assigned list${why}, message queue: ${queueKey(wire)}`
    throw new ClientError('NOT_ASSIGNED', text, { retriable: this.#mode === 'subscribe' })
  }

  // -- Offsets -------------------------------------------------------------------------------------------------------

  /**
   * Commits: without offsets everything that was given out, also what is in hand. Resolves when the brokers have it.
   * @throws ClientError NOT_ASSIGNED, BAD_OPTION, CLOSED, and what the broker says
   */
  async commit(offsets?: Iterable<OffsetToCommit>, options: CallOptions = {}): Promise<void> {
    this.#checkOpen()
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
    this.#checkOpen()
    return await this.#offsets.committed(checkedQueue(this.#settings.namespace, queue))
  }

  async #persist(): Promise<void> {
    await this.#offsets.store.persist(this.assignment)
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  /** Leaves the group: pulls no more, keeps the offsets, ends polls that wait, closes the connections. Idempotent. */
  close(): Promise<void> {
    return (this.#closing ??= this.#shutDown())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #shutDown(): Promise<void> {
    for (const work of this.#works) work.stopPulling()
    this.#reader.close()
    await this.#rebalancer.stop()
    await this.#trace?.close(TRACE_DRAIN_MS)
    for (const owned of [...this.#timers, ...this.#watches.values(), ...this.#listeners]) owned[Symbol.dispose]()
    await this.#persist()
    await this.#assigned.dropAll()
    await this.#rebalancer.dropAll()
    await this.#instance.leave(this.#member)
    await this.#instance.release(this.#claim)
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw closed('this consumer')
  }
}

function exclusive(): ClientError {
  return new ClientError('BAD_OPTION', 'Subscribe and assign are mutually exclusive.')
}
