import { type MessageView, unwrapNamespace, wrapNamespace } from '@gantrymq/protocol'
import { bytes, type Codec } from '../message/codec.ts'
import { ClientError } from '../errors.ts'
import type { CallOptions, MessageQueue } from '../message/message.ts'
import { badOption, checkedOptions } from '../options.ts'
import { Producer } from '../producer/producer.ts'
import { consumerTrace, TRACE_DRAIN_MS } from '../trace/start-trace.ts'
import { ConcurrentConsumption } from './push/consume-concurrently.ts'
import { OrderlyConsumption } from './push/consume-orderly.ts'
import type { Consumption, ConsumerCore } from './push/context.ts'
import { limitsOf, type PullLimits } from './queue/flow-control.ts'
import { type DeliveredMessage, Inbox } from './push/delivered-messages.ts'
import type { Handler } from './push/listener.ts'
import { checkedGroup } from './group/checked-names.ts'
import { shownQueue } from '../message/shown-queue.ts'
import { Membership, started } from './group/membership.ts'
import { offsetStoreOf } from './offsets/readable-offsets.ts'
import { queryAssignment } from './rebalance/broker-assignment.ts'
import { PopConsumption } from './pop/consumption.ts'
import { PopRetryTopics } from './pop/retry-topics.ts'
import { PopWork } from './pop/popped-queue.ts'
import type { PushConsumerOptions, PushConsumerStats } from './push/options.ts'
import { handlerOf, messageMaker } from './push/handler.ts'
import { PushMember, type PushWork } from './push/member.ts'
import { type PushSettings, pushOptions, readPushSettings } from './push/settings.ts'
import { firstSubscriptions } from './push/first-subscriptions.ts'
import { QueueLocks } from './rebalance/queue-locks.ts'
import { findStartOffset } from './offsets/queue-offsets.ts'
import { QueueWork } from './push/pulled-queue.ts'
import { Rebalancer } from './rebalance/rebalancer.ts'
import type { ReceivedMessage } from '../message/received-message.ts'
import { Subscriptions } from './group/subscriptions.ts'
import type { Expression } from './subscription.ts'

export type { PushConsumerOptions, PushConsumerStats }

const DRAIN_MS = 30_000
/** How often the locks of orderly queues are renewed (Apache's lockInterval), milliseconds. */
const LOCK_MS = 20_000
/** How long queues that are given up wait for their listeners, milliseconds. */
const SETTLE_MS = 500

/** Receives the messages of its subscriptions and hands them to a listener, or to `for await` loops. */
export class PushConsumer<Body = Buffer> {
  readonly group: string
  readonly #membership: Membership
  readonly #settings: PushSettings
  readonly #onQueues: PushConsumerOptions<Body>['onQueues']
  readonly #toMessage: (view: MessageView, queue: MessageQueue) => ReceivedMessage<Body>
  readonly #handler: Handler<Body>
  readonly #core: ConsumerCore<Body>
  readonly #rebalancer: Rebalancer<PushWork<Body>>
  readonly #consumption: Consumption<Body>
  /** Where brokers may tell this client to pop. */
  readonly #pops: PopConsumption<Body> | undefined
  readonly #member: PushMember<Body>
  readonly #subscriptions: Subscriptions
  readonly #popRetries: PopRetryTopics
  #limits: PullLimits
  /** How many queues share these limits. */
  #sharers = 0
  #isPaused = false
  #persisting: Promise<void> | undefined

  /**
   * Joins a group and begins to consume. Queues come with the first round, some moments later.
   * @throws ClientError BAD_OPTION, BAD_NAME, GROUP_TAKEN; UNSUPPORTED where a broker does not filter by SQL92, and for
   * static topics; BAD_BODY if the offsets of a broadcast group cannot be read
   */
  static async start<Body = Buffer>(options: PushConsumerOptions<Body>): Promise<PushConsumer<Body>> {
    return await started(
      new PushConsumer<Body>(checkedOptions('PushConsumer', options)),
      consumer => consumer.#start(),
      consumer => consumer.close({ drainMs: 0 }),
    )
  }

  private constructor(options: PushConsumerOptions<Body>) {
    const { group, subscriptions, codec, onMessage, onMessages, onQueues, ...given } = options
    this.group = checkedGroup(group)
    const settings = readPushSettings(given)
    this.#settings = settings
    this.#handler = handlerOf({ onMessage, onMessages }, settings.batchSize)
    this.#onQueues = onQueues
    this.#toMessage = messageMaker<Body>(this.#handler, {
      namespace: settings.namespace,
      group: wrapNamespace(settings.namespace, this.group),
      codec: codec ?? (bytes as Codec<never>),
    })
    this.#subscriptions = firstSubscriptions(settings, this.group, subscriptions)
    this.#membership = new Membership(settings, this.group, () => this.#rebalancer.request())
    const { instance, group: wireGroup } = this.#membership
    this.#limits = limitsOf(settings, 0)
    const locks = settings.orderly && !settings.broadcast ? new QueueLocks(instance, wireGroup) : undefined
    this.#core = this.#makeCore()
    this.#consumption = settings.orderly
      ? new OrderlyConsumption(this.#core, this.#handler, locks)
      : new ConcurrentConsumption(this.#core, this.#handler)
    const { serverAssignment, orderly, broadcast } = settings
    const mayPop = serverAssignment && !orderly && !broadcast
    this.#pops = mayPop ? new PopConsumption(this.#core, this.#handler, this.#toMessage) : undefined
    this.#popRetries = new PopRetryTopics(this.#membership, this.#subscriptions, () => this.#tell())
    this.#rebalancer = this.#makeRebalancer(locks)
    this.#member = new PushMember({
      core: this.#core,
      membership: this.#membership,
      rebalancer: this.#rebalancer,
      subscriptions: this.#subscriptions,
      handler: this.#handler,
      toMessage: this.#toMessage,
    })
  }

  #makeCore(): ConsumerCore<Body> {
    const { instance, group } = this.#membership
    const limits = (): PullLimits => this.#sharedLimits
    const isPaused = (): boolean => this.#isPaused
    const consumption = (): Consumption<Body> => this.#consumption
    return {
      instance,
      group,
      settings: this.#settings,
      offsets: offsetStoreOf({ ...this.#settings, instance, group }),
      stats: this.#membership.stats,
      trace: consumerTrace(this.#settings, group, options => Producer.start(options)),
      subscriptions: this.#subscriptions.pulled,
      get limits() {
        return limits()
      },
      get isPaused() {
        return isPaused()
      },
      get consumption() {
        return consumption()
      },
      rebalance: () => this.#rebalancer.request(),
      moved: (work, offset) => void this.#rebalancer.restart(work, offset),
    }
  }

  get #sharedLimits(): PullLimits {
    const { size } = this.#rebalancer
    if (size !== this.#sharers) this.#limits = limitsOf(this.#settings, size)
    this.#sharers = size
    return this.#limits
  }

  #makeRebalancer(locks: QueueLocks | undefined): Rebalancer<PushWork<Body>> {
    const core = this.#core
    const pops = this.#pops
    return new Rebalancer<PushWork<Body>>({
      core,
      locks,
      work: async (queue, mode, from) => {
        if (mode === 'POP' && pops !== undefined) return new PopWork(core, queue, pops)
        const offset = from ?? (await findStartOffset(core, queue, await core.offsets.read(queue)))
        return offset === undefined ? undefined : new QueueWork(core, queue, offset, this.#toMessage)
      },
      assignedBy: pops === undefined ? undefined : (topic, signal) => this.#assigned(topic, signal),
      settled: async work => work instanceof PopWork || (await this.#settled(work)),
      onChange: (topic, all, mine) => this.#queuesChanged(topic, all, mine),
    })
  }

  #settled(work: QueueWork<Body>): Promise<boolean> {
    this.#handler.leave?.(shownQueue(this.#settings.namespace, work.queue))
    return this.#consumption.settled(work, SETTLE_MS)
  }

  async #assigned(topic: string, signal: AbortSignal): ReturnType<typeof queryAssignment> {
    const assigned = await queryAssignment(this.#core, topic, signal)
    if (Array.isArray(assigned)) await this.#popRetries.follow(topic, assigned)
    return assigned
  }

  // -- Start ---------------------------------------------------------------------------------------------------------

  async #start(): Promise<void> {
    const { told } = this.#subscriptions
    await this.#core.offsets.load()
    await this.#membership.prepare(told)
    await this.#membership.join(this.#member)
    this.#subscriptions.heard(told)
    this.#membership.every(this.#settings.persistOffsetsMs, () => void this.#persist())
    this.#membership.every(LOCK_MS, () => void this.#rebalancer.renewLocks())
    this.#rebalancer.start()
  }

  /** Tells the brokers of the subscriptions. From then on pulls may name them. */
  async #tell(): Promise<void> {
    const { told } = this.#subscriptions
    await this.#membership.instance.heartbeat()
    this.#subscriptions.heard(told)
  }

  #queuesChanged(topic: string, all: readonly MessageQueue[], mine: readonly MessageQueue[]): unknown {
    const { clock, namespace } = this.#settings
    const { log } = this.#membership.instance
    const queues = mine.map(({ brokerName, queueId }) => `${brokerName}/${queueId}`)
    log.info({ group: this.group, topic, queues }, 'queues of this member')
    this.#subscriptions.touch(topic, clock.now())
    void this.#tell()
    return this.#onQueues?.(
      unwrapNamespace(namespace, topic),
      this.#membership.shown(all),
      this.#membership.shown(mine),
    )
  }

  // -- For users -----------------------------------------------------------------------------------------------------

  get clientId(): string {
    return this.#membership.instance.clientId
  }

  /** The queues that this member consumes now. */
  get queues(): MessageQueue[] {
    return this.#membership.shown(this.#queues)
  }

  get #queues(): MessageQueue[] {
    return [...this.#rebalancer.held].filter(({ isDropped }) => !isDropped).map(({ queue }) => queue)
  }

  get stats(): PushConsumerStats {
    const { pulled, ok, failed } = this.#core.stats.total
    let queued = 0
    for (const work of this.#rebalancer.held) queued += work instanceof PopWork ? work.popped : work.process.count
    const { skipped } = this.#core.stats
    return {
      pulled,
      consumed: ok,
      failed,
      skipped,
      queued,
      running: this.#consumption.running + (this.#pops?.running ?? 0),
    }
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /**
   * Pulls no more until `resume`; what is here already is still consumed, and so is what a pull under way brings. Queues
   * are still shared out.
   */
  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    for (const work of this.#rebalancer.held) work.wake()
    this.#rebalancer.request(true)
  }

  /** Listeners that may run at a time from now on. @throws ClientError BAD_OPTION */
  updateConcurrency(listeners: number): void {
    const { accepts, expected } = pushOptions.concurrency
    if (!accepts(listeners)) throw badOption('PushConsumer', 'concurrency', listeners, expected)
    this.#consumption.concurrency = listeners
    if (this.#pops !== undefined) this.#pops.concurrency = listeners
  }

  /**
   * Wants another topic too, or something else of one. Resolves when the brokers know; the queues come some moments later.
   * With ABORTED or TIMEOUT nothing has changed. If only the brokers have not been told yet when the time is up or the
   * signal is aborted, it resolves: the subscription counts, and they are told all the same. `timeoutMs` is by default six
   * times `requestTimeoutMs`, longer than all of it takes.
   * @throws ClientError BAD_OPTION, BAD_NAME, UNSUPPORTED, TIMEOUT, ABORTED, CLOSED
   */
  async subscribe(topic: string, expression: Expression = '*', options: CallOptions = {}): Promise<void> {
    const wireTopic = this.#membership.topic(topic)
    const { clock } = this.#settings
    const trial = new Subscriptions().set(wireTopic, expression, clock.now())
    const deadline = this.#membership.changing('subscribe', options)
    await this.#membership.admit(trial, deadline)
    this.#membership.watch(wireTopic)
    this.#subscriptions.set(wireTopic, expression, clock.now())
    await deadline.upTo(this.#tell().then(() => this.#rebalancer.request(true)))
  }

  /**
   * Wants a topic no more. Its queues are given up; listeners that run finish. Resolves when the brokers know, or when the
   * time is up or the signal aborted: they are told all the same. ABORTED means that it was so before the call, and that
   * nothing has changed. @throws ClientError BAD_OPTION, BAD_NAME, ABORTED, CLOSED
   */
  async unsubscribe(topic: string, options: CallOptions = {}): Promise<void> {
    const wireTopic = this.#membership.topic(topic)
    const deadline = this.#membership.changing('unsubscribe', options)
    if (!this.#subscriptions.delete(wireTopic)) return
    this.#membership.part(wireTopic)
    this.#popRetries.forget(wireTopic)
    this.#rebalancer.request(true)
    await deadline.upTo(this.#tell())
  }

  /**
   * The messages one by one, each to be settled by `ack` or `retry`, for consumers without a listener. At most
   * `concurrency` are not settled at a time. Closing the consumer ends the loop.
   * @throws ClientError UNSUPPORTED if there is a listener
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<DeliveredMessage<Body>, undefined> {
    if (this.#handler instanceof Inbox) return (this.#handler as Inbox<Body>).loop()
    throw new ClientError('UNSUPPORTED', 'messages go to onMessage or onMessages: leave these out to iterate')
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  /** One at a time: brokers that are slow get no more to do, and no older offset comes after a newer one. */
  #persist(): Promise<void> {
    return (this.#persisting ??= this.#core.offsets
      .persist(this.#keptQueues)
      .finally(() => (this.#persisting = undefined)))
  }

  /** Those that are about to be given up too: listeners may still be at them. */
  get #keptQueues(): MessageQueue[] {
    return [...this.#rebalancer.held].filter(work => work instanceof PopWork || !work.isGone).map(({ queue }) => queue)
  }

  /**
   * Leaves the group: pulls no more, lets listeners that run finish within `drainMs` (default 30,000), keeps the offsets,
   * tells the brokers, closes the connections. What was not consumed goes to the other members. Idempotent.
   */
  close({ drainMs = DRAIN_MS }: { readonly drainMs?: number } = {}): Promise<void> {
    return this.#membership.close({ stop: () => this.#stop(drainMs), keep: () => this.#keep(drainMs) })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #stop(drainMs: number): Promise<void> {
    if (this.#handler instanceof Inbox) this.#handler.close()
    await this.#rebalancer.stop()
    await Promise.all([this.#consumption.close(drainMs), this.#pops?.close(drainMs)])
    await this.#member.quiet
  }

  async #keep(drainMs: number): Promise<void> {
    await this.#persisting
    await this.#persist()
    await this.#rebalancer.dropAll()
    await this.#core.trace?.close(Math.min(drainMs, TRACE_DRAIN_MS))
  }
}
