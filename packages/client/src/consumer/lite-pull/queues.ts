import { type SubscriptionData, unwrapNamespace } from '@gantrymq/protocol'
import { ClientError } from '../../errors.ts'
import type { Codec } from '../../message/codec.ts'
import { type CallOptions, type MessageQueue, queueKey } from '../../message/message.ts'
import { ReceivedMessage } from '../../message/received-message.ts'
import type { Membership } from '../group/membership.ts'
import { type Expression, subscriptionOf } from '../group/subscription.ts'
import { SubscriptionChanges } from '../group/subscription-changes.ts'
import { Subscriptions } from '../group/subscriptions.ts'
import type { OffsetStore } from '../offsets/offset-store.ts'
import { HeldQueues } from '../queue/held-queues.ts'
import { Rebalancer } from '../rebalance/rebalancer.ts'
import { ArrivedChunks } from './arrived-chunks.ts'
import { AssignedQueues } from './assigned-queues.ts'
import type { LitePullConsumerOptions, LitePullSettings } from './options.ts'
import { type Chunk, type LitePullContext, LitePullQueue } from './queue.ts'
import { TotalBacklog } from './total-backlog.ts'

export interface LitePullQueuesOptions<Body> {
  readonly membership: Membership
  readonly settings: LitePullSettings
  readonly offsets: OffsetStore
  readonly codec: Codec<Body>
  readonly onQueues: LitePullConsumerOptions['onQueues']
}

/** The queues that a lite pull consumer holds: its part of subscribed topics, or those that the user assigned. */
export class LitePullQueues<Body> implements Iterable<LitePullQueue<Body>> {
  /** The pulled messages of all queues. */
  readonly chunks: ArrivedChunks<Chunk<Body>>
  readonly #options: LitePullQueuesOptions<Body>
  readonly #membership: Membership
  /** Queues that rebalancing gave to this member. */
  readonly #rebalanced = new HeldQueues<LitePullQueue<Body>>()
  /** Queues that the user assigned. */
  readonly #assigned = new HeldQueues<LitePullQueue<Body>>()
  readonly #backlog = new TotalBacklog(this.#rebalanced, this.#assigned)
  readonly #subscriptions = new Subscriptions()
  /** The filters of all assigned queues, by topic. */
  readonly #filters = new Map<string, SubscriptionData>()
  readonly #changes: SubscriptionChanges
  readonly #assignment: AssignedQueues<Body>
  readonly #rebalancer: Rebalancer<LitePullQueue<Body>>
  #mode: 'none' | 'subscribe' | 'assign' = 'none'

  constructor(options: LitePullQueuesOptions<Body>) {
    const { membership, settings, offsets, codec } = options
    const { instance, group, stats, health } = membership
    this.#options = options
    this.#membership = membership
    this.chunks = new ArrivedChunks(instance.clock)
    const messageContext = { namespace: settings.namespace, codec }
    const context: LitePullContext<Body> = {
      instance,
      group,
      stats,
      settings,
      offsets,
      chunks: this.chunks,
      backlog: this.#backlog,
      health: health.polls,
      toMessage: (view, queue) => new ReceivedMessage<Body>(view, queue, messageContext),
    }
    this.#changes = new SubscriptionChanges({
      membership,
      subscriptions: this.#subscriptions,
      announce: () => instance.heartbeat(),
      onChange: () => this.rebalance(),
    })
    this.#assignment = new AssignedQueues({
      held: this.#assigned,
      offsets,
      open: queue => new LitePullQueue(context, queue, this.#filters),
    })
    const subscriptions = this.#subscriptions.wanted
    this.#rebalancer = new Rebalancer({
      context: { instance, group, offsets, settings, subscriptions },
      held: this.#rebalanced,
      locks: undefined,
      open: async queue => new LitePullQueue(context, queue, subscriptions),
      onChange: (topic, all, mine) => this.#queuesChanged(topic, all, mine),
    })
  }

  #queuesChanged(topic: string, all: readonly MessageQueue[], mine: readonly MessageQueue[]): unknown {
    const { settings, onQueues } = this.#options
    const { instance, group } = this.#membership
    const queues = mine.map(({ brokerName, queueId }) => `${brokerName}/${queueId}`)
    instance.log.info({ group, topic, queues }, 'queues of this member')
    this.#subscriptions.touch(topic, instance.clock.now())
    void instance.heartbeat()
    return onQueues?.(
      unwrapNamespace(settings.namespace, topic),
      this.#membership.shown(all),
      this.#membership.shown(mine),
    )
  }

  // -- What it holds -------------------------------------------------------------------------------------------------

  *[Symbol.iterator](): Generator<LitePullQueue<Body>> {
    yield* this.#rebalanced
    yield* this.#assigned
  }

  /** Messages in memory that are not done. */
  get queued(): number {
    return this.#backlog.count
  }

  /** The subscriptions, as heartbeats list them: none for assigned queues. */
  get subscriptions(): SubscriptionData[] {
    return this.#subscriptions.list
  }

  /** A queue of the user's that this consumer holds. @throws ClientError NOT_ASSIGNED, BAD_NAME, CLOSED */
  find(queue: MessageQueue): LitePullQueue<Body> {
    const wire = this.#membership.queue(queue)
    const held = this.#assigned.find(wire) ?? this.#rebalanced.find(wire)
    if (held !== undefined && !held.isDropped) return held
    const why = this.#mode === 'subscribe' ? ', may be rebalancing' : ''
    const text = `The message queue is not in assigned list${why}, message queue: ${queueKey(queue)}`
    throw new ClientError('NOT_ASSIGNED', text, { retriable: this.#mode === 'subscribe' })
  }

  // -- Changes -------------------------------------------------------------------------------------------------------

  /** Subscribes to a topic before the start. @throws ClientError BAD_OPTION, BAD_NAME */
  subscribeAtStart(topic: string, expression: Expression): void {
    this.#subscriptions.set(this.#membership.topic(topic), expression, this.#membership.instance.clock.now())
    this.#mode = 'subscribe'
  }

  /** True if it reads queues, also of a topic that was just unsubscribed, or will do when they have been assigned. */
  get isReading(): boolean {
    return this.#assigned.size > 0 || this.#rebalanced.size > 0 || this.#subscriptions.wanted.size > 0
  }

  /** True if the queues of subscriptions are assigned. */
  get isBalanced(): boolean {
    return this.#mode !== 'subscribe' || this.#rebalancer.isBalanced
  }

  start(): void {
    this.#rebalancer.start()
  }

  rebalance(): void {
    this.#rebalancer.request()
  }

  async subscribe(topic: string, expression: Expression, options: CallOptions): Promise<void> {
    this.#checkMode('subscribe')
    await this.#changes.subscribe(topic, expression, options, () => this.#enterMode('subscribe'))
  }

  async unsubscribe(topic: string, options: CallOptions): Promise<void> {
    await this.#changes.unsubscribe(topic, options)
  }

  async assign(
    queues: Iterable<MessageQueue>,
    filters: Readonly<Record<string, Expression>>,
    options: CallOptions,
  ): Promise<void> {
    this.#checkMode('assign')
    const wire = [...queues].map(queue => this.#membership.queue(queue))
    if (wire.length === 0) throw new ClientError('BAD_OPTION', 'assign needs at least one queue')
    const now = this.#membership.instance.clock.now()
    const subscriptions = Object.entries(filters).map(([topic, expression]) =>
      subscriptionOf(this.#membership.topic(topic), expression, now),
    )
    const deadline = this.#membership.changeDeadline('assign', options)
    const topics = [...new Set(wire.map(each => each.topic))]
    const missing = await Promise.all(topics.map(topic => this.#membership.lookUp(topic, deadline)))
    for (const topic of topics) this.#membership.refuseStatic(topic)
    await Promise.all(subscriptions.map(each => this.#membership.checkFilter(each, deadline)))
    this.#membership.checkOpen()
    // Brokers accept commits only from groups that they know.
    await deadline.wait(this.#membership.instance.heartbeat(), 'assign')
    this.#enterMode('assign')
    for (const topic of this.#filters.keys()) if (!topics.includes(topic)) this.#membership.unwatch(topic)
    this.#filters.clear()
    for (const [at, topic] of topics.entries()) {
      this.#membership.watch(topic, missing[at])
      this.#filters.set(topic, subscriptionOf(topic, '*', now))
    }
    for (const subscription of subscriptions) this.#filters.set(subscription.topic, subscription)
    await deadline.upTo(this.#assignment.assign(wire))
  }

  /** Called when nothing can fail any more: after a call that was rejected, the consumer may still enter the other mode. */
  #enterMode(mode: 'subscribe' | 'assign'): void {
    this.#checkMode(mode)
    this.#mode = mode
  }

  #checkMode(wanted: 'subscribe' | 'assign'): void {
    this.#membership.checkOpen()
    if (this.#mode === 'none' || this.#mode === wanted) return
    const [did, asked] = this.#mode === 'assign' ? ['assigned queues', 'subscribe'] : ['subscribed to topics', 'assign']
    throw new ClientError('BAD_OPTION', `this consumer has ${did}: it cannot ${asked}; use another consumer`)
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  stopPulling(): void {
    for (const held of this) held.stopPulling()
  }

  /** Stops rebalancing. */
  async stop(): Promise<void> {
    await this.#rebalancer.stop()
  }

  async dropAll(): Promise<void> {
    await this.#assignment.dropAll()
    await this.#rebalancer.dropAll()
  }
}
