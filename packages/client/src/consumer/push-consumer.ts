import { type MessageRequestMode, unwrapNamespace, wrapNamespace } from '@gantrymq/protocol'
import { ClientError } from '../errors.ts'
import { bytes, type Codec } from '../message/codec.ts'
import type { CallOptions, MessageQueue } from '../message/message.ts'
import type { MessageMaker } from '../message/received-message.ts'
import { shownQueue } from '../message/shown-queue.ts'
import { badOption, checkedOptions } from '../options.ts'
import { TRACE_DRAIN_MS } from '../trace/start-trace.ts'
import { checkedGroup } from './group/checked-names.ts'
import { Membership, startOrClose } from './group/membership.ts'
import type { Expression } from './group/subscription.ts'
import { type Subscriber, SubscriptionChanges } from './group/subscription-changes.ts'
import type { Subscriptions } from './group/subscriptions.ts'
import { findStartOffset } from './offsets/queue-offsets.ts'
import { PopConsumption } from './pop/consumption.ts'
import { PoppedQueue } from './pop/popped-queue.ts'
import { PopRetryTopics } from './pop/retry-topics.ts'
import { ConcurrentConsumption } from './push/consume-concurrently.ts'
import { OrderlyConsumption } from './push/consume-orderly.ts'
import type { Consumption } from './push/consumption.ts'
import { type PauseState, type PushContext, pushContext } from './push/context.ts'
import { type DeliveredMessage, DeliveredMessages } from './push/delivered-messages.ts'
import { firstSubscriptions } from './push/first-subscriptions.ts'
import { handlerOf, messageMaker } from './push/handler.ts'
import type { MessageHandler } from './push/listener.ts'
import { PushMember } from './push/member.ts'
import type { PushConsumerOptions, PushConsumerStats } from './push/options.ts'
import { PulledQueue } from './push/pulled-queue.ts'
import { pushOptions, readPushSettings } from './push/settings.ts'
import { SharedLimits } from './queue/flow-control.ts'
import type { HeldQueue } from './queue/held-queue.ts'
import { HeldQueues } from './queue/held-queues.ts'
import { type BrokerAssignment, queryAssignment } from './rebalance/broker-assignment.ts'
import { QueueLocks } from './rebalance/queue-locks.ts'
import { Rebalancer } from './rebalance/rebalancer.ts'

export type { PushConsumerOptions, PushConsumerStats }

type PushQueue<Body> = PulledQueue<Body> | PoppedQueue<Body>

const DRAIN_MS = 30_000
/** How often the locks of orderly queues are renewed, in milliseconds (Apache's rocketmq.client.rebalance.lockInterval). */
const LOCK_MS = 20_000
/** How long a queue that is given up waits for its listeners before it is checked again, in milliseconds. */
const IDLE_MS = 500

/**
 * Receives the messages of its subscriptions and hands them to a listener or to `for await` loops: Apache's
 * DefaultMQPushConsumer.
 */
export class PushConsumer<Body = Buffer> implements Subscriber {
  readonly group: string
  readonly #onQueues: PushConsumerOptions<Body>['onQueues']
  readonly #handler: MessageHandler<Body>
  readonly #toMessage: MessageMaker<Body>
  readonly #subscriptions: Subscriptions
  readonly #membership: Membership
  readonly #context: PushContext
  readonly #held = new HeldQueues<PushQueue<Body>>()
  readonly #limits: SharedLimits
  readonly #pauseState: PauseState = { isPaused: false }
  readonly #consumption: Consumption<Body>
  /** Undefined if brokers may not tell this consumer to pop. */
  readonly #popConsumption: PopConsumption<Body> | undefined
  readonly #popRetryTopics: PopRetryTopics
  readonly #rebalancer: Rebalancer<PushQueue<Body>>
  readonly #changes: SubscriptionChanges
  readonly #member: PushMember<Body, PushQueue<Body>>
  #persisting: Promise<void> | undefined

  /**
   * Joins a group and starts to consume. Queues are assigned some moments later.
   * @throws ClientError BAD_OPTION, BAD_NAME, GROUP_TAKEN; UNSUPPORTED if a broker does not filter by SQL92, and for static
   * topics; BAD_BODY if the offset file of a broadcast group cannot be read
   */
  static async start<Body = Buffer>(options: PushConsumerOptions<Body>): Promise<PushConsumer<Body>> {
    return await startOrClose(
      new PushConsumer<Body>(checkedOptions('PushConsumer', options)),
      consumer => consumer.#start(),
      consumer => consumer.close({ drainMs: 0 }),
    )
  }

  private constructor(options: PushConsumerOptions<Body>) {
    const { group, subscriptions, codec = bytes as Codec<never>, onMessage, onMessages, onQueues, ...given } = options
    this.group = checkedGroup(group)
    const settings = readPushSettings(given)
    const { namespace, orderly, broadcast } = settings
    this.#onQueues = onQueues
    this.#handler = handlerOf({ onMessage, onMessages }, settings.batchSize)
    const wireGroup = wrapNamespace(namespace, this.group)
    this.#toMessage = messageMaker(this.#handler, { namespace, group: wireGroup, codec })
    this.#subscriptions = firstSubscriptions(settings, this.group, subscriptions)

    const rebalance = (): void => this.#rebalancer.request()
    this.#membership = new Membership(settings, this.group, rebalance)
    this.#context = pushContext(settings, this.#membership, this.#subscriptions)
    this.#limits = new SharedLimits(settings, this.#held)

    const context = this.#context
    const handler = this.#handler
    const locks = orderly && !broadcast ? new QueueLocks(context.instance, context.group) : undefined
    this.#consumption = orderly
      ? new OrderlyConsumption({ context, handler, locks, onDroppedIdle: rebalance })
      : new ConcurrentConsumption(context, handler)
    const mayPop = settings.serverAssignment && !orderly && !broadcast
    this.#popConsumption = mayPop ? new PopConsumption(context, handler, this.#toMessage) : undefined
    this.#popRetryTopics = new PopRetryTopics(this.#membership, this.#subscriptions, () => this.#announce())

    this.#rebalancer = new Rebalancer({
      context,
      held: this.#held,
      locks,
      open: (queue, mode, offset) => this.#open(queue, mode, offset),
      waitIdle: held => this.#waitIdle(held),
      queryBrokers: mayPop ? (topic, signal) => this.#queryBrokers(topic, signal) : undefined,
      onChange: (topic, all, mine) => this.#queuesChanged(topic, all, mine),
    })
    this.#changes = new SubscriptionChanges({
      membership: this.#membership,
      subscriptions: this.#subscriptions,
      announce: () => this.#announce(),
      onChange: () => this.#rebalancer.request(true),
      onRemove: topic => this.#popRetryTopics.remove(topic),
    })
    this.#member = new PushMember({
      context,
      membership: this.#membership,
      subscriptions: this.#subscriptions,
      held: this.#held,
      rebalancer: this.#rebalancer,
      consumption: this.#consumption,
      handler,
      toMessage: this.#toMessage,
    })
  }

  async #start(): Promise<void> {
    const { list } = this.#subscriptions
    await this.#context.offsets.load()
    await this.#membership.prepare(list)
    await this.#membership.join(this.#member)
    this.#subscriptions.markAnnounced(list)
    this.#membership.every(this.#context.settings.persistOffsetsMs, () => void this.#persist())
    this.#membership.every(LOCK_MS, () => void this.#rebalancer.renewLocks())
    this.#rebalancer.start()
  }

  // -- For the rebalancer --------------------------------------------------------------------------------------------

  async #open(queue: MessageQueue, mode: MessageRequestMode, from?: number): Promise<PushQueue<Body> | undefined> {
    const context = this.#context
    const pauseState = this.#pauseState
    if (mode === 'POP' && this.#popConsumption !== undefined) {
      return new PoppedQueue({ context, queue, consumption: this.#popConsumption, pauseState })
    }
    const offset = from ?? (await findStartOffset(context, queue, await context.offsets.read(queue)))
    if (offset === undefined) return undefined
    return new PulledQueue<Body>({
      context,
      queue,
      offset,
      consumption: this.#consumption,
      limits: this.#limits,
      pauseState,
      toMessage: this.#toMessage,
      onMoved: (held, to) => void this.#rebalancer.restart(held, to),
      onLost: () => this.#rebalancer.request(),
    })
  }

  async #waitIdle(held: PushQueue<Body>): Promise<boolean> {
    if (held instanceof PoppedQueue) return true
    this.#handler.abandon?.(shownQueue(this.#context.settings.namespace, held.queue))
    return await this.#consumption.waitIdle(held, IDLE_MS)
  }

  async #queryBrokers(topic: string, signal: AbortSignal): Promise<BrokerAssignment> {
    const assigned = await queryAssignment(this.#context, topic, signal)
    if (Array.isArray(assigned)) await this.#popRetryTopics.follow(topic, assigned)
    return assigned
  }

  #queuesChanged(topic: string, all: readonly MessageQueue[], mine: readonly MessageQueue[]): unknown {
    const { clock, namespace } = this.#context.settings
    const queues = mine.map(({ brokerName, queueId }) => `${brokerName}/${queueId}`)
    this.#context.instance.log.info({ group: this.group, topic, queues }, 'queues of this member')
    this.#subscriptions.touch(topic, clock.now())
    void this.#announce()
    return this.#onQueues?.(
      unwrapNamespace(namespace, topic),
      this.#membership.shown(all),
      this.#membership.shown(mine),
    )
  }

  /** Announces the subscriptions to the brokers. After that, pulls may name them. */
  async #announce(): Promise<void> {
    const { list } = this.#subscriptions
    await this.#context.instance.heartbeat()
    this.#subscriptions.markAnnounced(list)
  }

  // -- For users -----------------------------------------------------------------------------------------------------

  get clientId(): string {
    return this.#context.instance.clientId
  }

  /** The queues that this consumer reads now. */
  get queues(): MessageQueue[] {
    const active = [...this.#held].filter(({ isDropped }) => !isDropped)
    return this.#membership.shown(active.map(({ queue }) => queue))
  }

  get stats(): PushConsumerStats {
    const { total, skipped } = this.#context.stats
    let queued = 0
    for (const { popped, process } of this.#held as Iterable<HeldQueue>) queued += popped ?? process.count
    const running = this.#consumption.running + (this.#popConsumption?.running ?? 0)
    return { pulled: total.pulled, consumed: total.ok, failed: total.failed, skipped, queued, running }
  }

  get isPaused(): boolean {
    return this.#pauseState.isPaused
  }

  /**
   * Stops pulling until `resume`. Messages that are already here, or arrive with a pull under way, are still consumed. Queues
   * are still assigned.
   */
  pause(): void {
    this.#pauseState.isPaused = true
  }

  resume(): void {
    this.#pauseState.isPaused = false
    for (const held of this.#held) held.wake()
    this.#rebalancer.request(true)
  }

  /** Sets how many listeners may run at a time. @throws ClientError BAD_OPTION */
  updateConcurrency(listeners: number): void {
    const { accepts, expected } = pushOptions.concurrency
    if (!accepts(listeners)) throw badOption('PushConsumer', 'concurrency', listeners, expected)
    this.#consumption.concurrency = listeners
    if (this.#popConsumption !== undefined) this.#popConsumption.concurrency = listeners
  }

  async subscribe(topic: string, expression: Expression = '*', options: CallOptions = {}): Promise<void> {
    await this.#changes.subscribe(topic, expression, options)
  }

  async unsubscribe(topic: string, options: CallOptions = {}): Promise<void> {
    await this.#changes.unsubscribe(topic, options)
  }

  /**
   * The messages one by one, for consumers without a listener. Each has to be settled by `ack` or `retry`; at most
   * `concurrency` messages are unsettled at a time. Closing the consumer ends the loop.
   * @throws ClientError UNSUPPORTED if there is a listener
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<DeliveredMessage<Body>, undefined> {
    if (this.#handler instanceof DeliveredMessages) return (this.#handler as DeliveredMessages<Body>).loop()
    throw new ClientError('UNSUPPORTED', 'messages go to onMessage or onMessages: leave these out to iterate')
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  /** One call at a time, so that a slow broker gets no additional commits and an older offset never follows a newer one. */
  #persist(): Promise<void> {
    return (this.#persisting ??= this.#context.offsets
      .persist(this.#persistedQueues)
      .finally(() => (this.#persisting = undefined)))
  }

  /** Includes queues that are about to be given up, as listeners may still be busy with them. */
  get #persistedQueues(): MessageQueue[] {
    const isReleased = (held: PushQueue<Body>): boolean => held instanceof PulledQueue && held.isReleased
    return [...this.#held].filter(held => !isReleased(held)).map(({ queue }) => queue)
  }

  /**
   * Leaves the group: stops pulling, waits up to `drainMs` (default 30,000) for listeners that run, stores the offsets,
   * unregisters at the brokers, closes the connections. Messages that were not consumed go to the other members. Idempotent.
   */
  close({ drainMs = DRAIN_MS }: { readonly drainMs?: number } = {}): Promise<void> {
    return this.#membership.close({ stop: () => this.#stop(drainMs), release: () => this.#release(drainMs) })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #stop(drainMs: number): Promise<void> {
    if (this.#handler instanceof DeliveredMessages) this.#handler.close()
    await this.#rebalancer.stop()
    await Promise.all([this.#consumption.close(drainMs), this.#popConsumption?.close(drainMs)])
    await this.#member.quiet
  }

  async #release(drainMs: number): Promise<void> {
    await this.#persisting
    await this.#persist()
    await this.#rebalancer.dropAll()
    await this.#context.trace?.close(Math.min(drainMs, TRACE_DRAIN_MS))
  }
}
