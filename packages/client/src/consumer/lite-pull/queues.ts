import { type SubscriptionData, unwrapNamespace } from '@gantrymq/protocol'
import type { Codec } from '../../message/codec.ts'
import { ClientError } from '../../errors.ts'
import { type CallOptions, type MessageQueue, queueKey } from '../../message/message.ts'
import { AssignedQueues } from './assigned-queues.ts'
import { Inbox } from './arrived-chunks.ts'
import type { LitePullConsumerOptions, LitePullSettings } from './options.ts'
import { type LitePullCore, LitePullWork } from './pulled-queue.ts'
import type { Membership } from '../group/membership.ts'
import type { OffsetStore } from '../offsets/offset-store.ts'
import { Rebalancer } from '../rebalance/rebalancer.ts'
import { ReceivedMessage } from '../../message/received-message.ts'
import { type Expression, subscriptionOf } from '../subscription.ts'

export interface LitePullQueuesOptions<Body> {
  readonly membership: Membership
  readonly settings: LitePullSettings
  readonly offsets: OffsetStore
  readonly codec: Codec<Body>
  readonly onQueues: LitePullConsumerOptions['onQueues']
}

/** The queues that a lite pull consumer works on: its share of subscribed topics, or those that it was assigned. */
export class LitePullQueues<Body> {
  readonly core: LitePullCore<Body>
  readonly #options: LitePullQueuesOptions<Body>
  readonly #membership: Membership
  readonly #rebalancer: Rebalancer<LitePullWork<Body>>
  readonly #assigned: AssignedQueues<Body>
  readonly #subscriptions = new Map<string, SubscriptionData>()
  #mode: 'none' | 'subscribe' | 'assign' = 'none'

  constructor(options: LitePullQueuesOptions<Body>) {
    this.#options = options
    this.#membership = options.membership
    this.core = this.#makeCore()
    this.#assigned = new AssignedQueues(this.core)
    this.#rebalancer = new Rebalancer({
      core: this.core,
      locks: undefined,
      work: queue => Promise.resolve(new LitePullWork(this.core, queue)),
      onChange: (topic, all, mine) => this.#changed(topic, all, mine),
    })
  }

  #makeCore(): LitePullCore<Body> {
    const { membership, settings, offsets, codec } = this.#options
    const { instance, group, stats } = membership
    const context = { namespace: settings.namespace, codec }
    const queuedTotal = (): number => this.queued
    return {
      instance,
      group,
      stats,
      settings,
      offsets,
      subscriptions: this.#subscriptions,
      inbox: new Inbox(instance.clock),
      toMessage: (view, queue) => new ReceivedMessage<Body>(view, queue, context),
      get queuedTotal() {
        return queuedTotal()
      },
    }
  }

  #changed(topic: string, all: readonly MessageQueue[], mine: readonly MessageQueue[]): unknown {
    const { settings, onQueues } = this.#options
    const { instance, group } = this.#membership
    const names = mine.map(({ brokerName, queueId }) => `${brokerName}/${queueId}`)
    instance.log.info({ group, topic, mine: names }, 'queues')
    const subscription = this.#subscriptions.get(topic)
    // Brokers tell by the version which of two members' subscriptions is newer.
    if (subscription !== undefined) {
      this.#subscriptions.set(topic, { ...subscription, subVersion: instance.clock.now() })
    }
    void instance.heartbeat()
    return onQueues?.(
      unwrapNamespace(settings.namespace, topic),
      this.#membership.shown(all),
      this.#membership.shown(mine),
    )
  }

  // -- What there is -------------------------------------------------------------------------------------------------

  get works(): LitePullWork<Body>[] {
    return [...this.#rebalancer.held, ...this.#assigned.works]
  }

  /** Messages in memory that are not done. */
  get queued(): number {
    return this.works.reduce((sum, { process }) => sum + process.count, 0)
  }

  /** As heartbeats tell them. */
  get told(): SubscriptionData[] {
    return this.#mode === 'assign' ? [] : [...this.#subscriptions.values()]
  }

  /** The work on a queue of the user's. @throws ClientError NOT_ASSIGNED, BAD_NAME, CLOSED */
  find(queue: MessageQueue): LitePullWork<Body> {
    const wire = this.#membership.queue(queue)
    const work = this.#assigned.find(wire) ?? this.#rebalancer.find(wire)
    if (work !== undefined && !work.isDropped) return work
    const why = this.#mode === 'subscribe' ? ', may be rebalancing' : ''
    const text = `The message queue is not in assigned list${why}, message queue: ${queueKey(queue)}`
    throw new ClientError('NOT_ASSIGNED', text, { retriable: this.#mode === 'subscribe' })
  }

  // -- Changes -------------------------------------------------------------------------------------------------------

  /** Wants a topic from the start on. @throws ClientError BAD_OPTION, BAD_NAME */
  begin(topic: string, expression: Expression): void {
    const subscription = this.#wanted(topic, expression)
    this.#subscriptions.set(subscription.topic, subscription)
    this.#mode = 'subscribe'
  }

  #wanted(topic: string, expression: Expression): SubscriptionData {
    return subscriptionOf(this.#membership.topic(topic), expression, this.#membership.instance.clock.now())
  }

  start(): void {
    this.#rebalancer.start()
    this.rebalance()
  }

  rebalance(): void {
    this.#rebalancer.request()
  }

  async subscribe(topic: string, expression: Expression, options: CallOptions): Promise<void> {
    this.#checkMode('subscribe')
    const subscription = this.#wanted(topic, expression)
    const deadline = this.#membership.changing('subscribe', options)
    await this.#membership.admit(subscription, deadline)
    this.#enter('subscribe')
    this.#membership.watch(subscription.topic)
    this.#subscriptions.set(subscription.topic, subscription)
    await deadline.upTo(this.#membership.instance.heartbeat().then(() => this.rebalance()))
  }

  async unsubscribe(topic: string, options: CallOptions): Promise<void> {
    const wireTopic = this.#membership.topic(topic)
    const deadline = this.#membership.changing('unsubscribe', options)
    if (!this.#subscriptions.delete(wireTopic)) return
    this.#membership.part(wireTopic)
    this.rebalance()
    await deadline.upTo(this.#membership.instance.heartbeat())
  }

  async assign(
    queues: Iterable<MessageQueue>,
    filters: Readonly<Record<string, Expression>>,
    options: CallOptions,
  ): Promise<void> {
    this.#checkMode('assign')
    const wire = [...queues].map(queue => this.#membership.queue(queue))
    if (wire.length === 0) throw new ClientError('BAD_OPTION', 'Message queues can not be null or empty.')
    const wanted = Object.entries(filters).map(each => this.#wanted(...each))
    const deadline = this.#membership.changing('assign', options)
    const topics = [...new Set(wire.map(each => each.topic))]
    await Promise.all(topics.map(topic => this.#membership.look(topic, deadline)))
    for (const topic of topics) this.#membership.refuseStatic(topic)
    await Promise.all(wanted.map(each => this.#membership.checkFilter(each, deadline)))
    this.#membership.checkOpen()
    // Brokers commit for groups that they know of.
    await deadline.wait(this.#membership.instance.heartbeat(), 'assign')
    this.#enter('assign')
    for (const topic of topics) this.#membership.watch(topic)
    for (const subscription of wanted) this.#subscriptions.set(subscription.topic, subscription)
    await deadline.upTo(this.#assigned.assign(wire))
  }

  /** Only when all is well: after a change that failed or was given up the other kind is still free. */
  #enter(mode: 'subscribe' | 'assign'): void {
    this.#checkMode(mode)
    this.#mode = mode
  }

  #checkMode(wanted: 'subscribe' | 'assign'): void {
    this.#membership.checkOpen()
    if (this.#mode === 'none' || this.#mode === wanted) return
    throw new ClientError('BAD_OPTION', 'Subscribe and assign are mutually exclusive.')
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  stopPulling(): void {
    for (const work of this.works) work.stopPulling()
  }

  /** No more rounds. */
  async stop(): Promise<void> {
    await this.#rebalancer.stop()
  }

  async dropAll(): Promise<void> {
    await this.#assigned.dropAll()
    await this.#rebalancer.dropAll()
  }
}
