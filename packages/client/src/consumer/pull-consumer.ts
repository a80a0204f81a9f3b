import { type MessageView, retryTopicOf, type SubscriptionData, unwrapNamespace } from '@gantrymq/protocol'
import { bytes, type Codec } from '../message/codec.ts'
import { ClientError } from '../errors.ts'
import { type ClientOptions, instanceOptions } from '../instance/instance-options.ts'
import type { ConsumerMember } from '../instance/instance-members.ts'
import type { CallOptions, MessageQueue } from '../message/message.ts'
import { type GivenOf, readOptions, type ValuesOf, whole } from '../options.ts'
import { refuseStatic } from '../routes/routes.ts'
import { litePullOptions } from './lite-pull/options.ts'
import { broadcastSettings } from './push/settings.ts'
import { checkedGroup, checkedTopic } from './group/checked-names.ts'
import { Membership, started } from './group/membership.ts'
import { type PullContext, pullQueue, type PullResult } from './queue/pull-call.ts'
import { pullMember } from './group/pull-member.ts'
import { ReadableOffsets } from './offsets/readable-offsets.ts'
import { PullShare } from './rebalance/manual-queue.ts'
import { maxOffset, minOffset, offsetAt } from './offsets/queue-offsets.ts'
import { Rebalancer } from './rebalance/rebalancer.ts'
import { ReceivedMessage } from '../message/received-message.ts'
import { sendBack } from './group/send-back.ts'
import { type Expression, subscriptionOf } from './subscription.ts'

const { broadcast, allocate, rebalanceMs, persistOffsetsMs, suspendMs, pullTimeoutMs, unitMode } = litePullOptions
const { offsetsFolder } = litePullOptions

/** What pull consumers have beside `instanceOptions`. */
export const pullOptions = {
  broadcast,
  allocate,
  rebalanceMs,
  persistOffsetsMs,
  suspendMs,
  pullTimeoutMs,
  unitMode,
  offsetsFolder,
  /** Deliveries of a message that was sent back before it goes to the dead letters. Default 16. */
  maxReconsumeTimes: whole(16, 'maxReconsumeTimes', { min: 0 }),
}

/** What a pull consumer is started with. */
export interface PullConsumerOptions<Body = Buffer> extends ClientOptions, GivenOf<typeof pullOptions> {
  /** Name of the group, whose offsets are used. */
  readonly group: string
  /** Topics whose queues the members of the group share, for `queuesInBalance`. Default none. */
  readonly topics?: readonly string[] | undefined
  /** Makes bodies of bytes. Default: bodies are bytes. */
  readonly codec?: Codec<Body> | undefined
  /** Told when this member's queues of one of `topics` have changed. */
  readonly onQueues?: ((topic: string, all: readonly MessageQueue[], mine: readonly MessageQueue[]) => void) | undefined
}

/** What a pull consumer has done since it started. */
export interface PullConsumerStats {
  /** Messages that pulls have brought. */
  readonly received: number
  /** Could not be read, and were passed over. */
  readonly skipped: number
}

export interface PullOptions extends CallOptions {
  /** Whether the broker may hold the pull until there is something, for `suspendMs`. Default false. */
  readonly wait?: boolean | undefined
  /** Bytes, from brokers of 5.x; the first message comes whatever its size. */
  readonly maxBytes?: number | undefined
}

const table = { ...instanceOptions, ...pullOptions }

/** How long a pull that does not wait may take, milliseconds (Apache's consumerPullTimeoutMillis). */
const TIMEOUT_MS = 10_000

/**
 * Pulls what it is told from where it is told; offsets are the user's business. Apache's DefaultMQPullConsumer. For
 * everything else LitePullConsumer is easier.
 */
export class PullConsumer<Body = Buffer> {
  readonly group: string
  readonly #membership: Membership
  readonly #settings: ValuesOf<typeof pullOptions> & ValuesOf<typeof instanceOptions>
  readonly #context: PullContext<Body>
  readonly #offsets: ReadableOffsets
  readonly #rebalancer: Rebalancer<PullShare>
  readonly #member: ConsumerMember
  readonly #subscriptions = new Map<string, SubscriptionData>()

  /** Joins a group. @throws ClientError BAD_OPTION, BAD_NAME, GROUP_TAKEN, UNSUPPORTED for static topics */
  static async start<Body = Buffer>(options: PullConsumerOptions<Body>): Promise<PullConsumer<Body>> {
    return await started(
      new PullConsumer<Body>(options),
      consumer => consumer.#start(),
      consumer => consumer.close(),
    )
  }

  private constructor(options: PullConsumerOptions<Body>) {
    const { group, topics = [], codec = bytes as Codec<never>, onQueues, ...given } = options
    this.group = checkedGroup(group)
    this.#settings = broadcastSettings(readOptions('PullConsumer', table, given))
    const { namespace } = this.#settings
    for (const topic of topics) this.#addTopic(checkedTopic(namespace, topic))
    const membership = new Membership(this.#settings, this.group, () => this.#rebalancer.request())
    const { instance, group: wireGroup } = membership
    this.#membership = membership
    this.#offsets = new ReadableOffsets({ ...this.#settings, instance, group: wireGroup })
    const toMessage = (view: MessageView, queue: MessageQueue) => new ReceivedMessage(view, queue, { namespace, codec })
    this.#context = { instance, group: wireGroup, stats: membership.stats, toMessage }
    this.#rebalancer = new Rebalancer({
      core: {
        instance,
        group: wireGroup,
        offsets: this.#offsets.store,
        subscriptions: this.#subscriptions,
        settings: this.#settings,
      },
      locks: undefined,
      work: queue => Promise.resolve(new PullShare(queue, instance.clock.elapsed())),
      onChange: (topic, all, mine) =>
        onQueues?.(unwrapNamespace(namespace, topic), membership.shown(all), membership.shown(mine)),
    })
    this.#member = pullMember({
      membership,
      settings: this.#settings,
      table,
      subscriptions: () => [...this.#subscriptions.values()],
      held: {
        works: () => this.#rebalancer.held,
        offsets: this.#offsets.store,
        rebalance: () => this.#rebalancer.request(),
      },
    })
  }

  #addTopic(topic: string): void {
    this.#subscriptions.set(topic, subscriptionOf(topic, '*', 0))
  }

  async #start(): Promise<void> {
    await this.#offsets.store.load()
    await this.#membership.prepare([...this.#subscriptions.values()])
    await this.#membership.join(this.#member)
    this.#membership.every(this.#settings.persistOffsetsMs, () => void this.#persistMine())
    this.#rebalancer.start()
    this.#rebalancer.request()
  }

  get clientId(): string {
    return this.#membership.instance.clientId
  }

  get stats(): PullConsumerStats {
    const { total, skipped } = this.#membership.stats
    return { received: total.pulled, skipped }
  }

  // -- Messages ------------------------------------------------------------------------------------------------------

  /**
   * Pulls once: at most `max` messages of a queue from an offset on, those that the expression wants.
   * @throws ClientError BAD_OPTION, BAD_NAME, BROKER_MISSING, BROKER_REFUSED, CONNECT_FAILED, TIMEOUT, ABORTED, CLOSED
   */
  async pull(
    queue: MessageQueue,
    expression: Expression,
    offset: number,
    max: number,
    { wait = false, maxBytes, timeoutMs, signal }: PullOptions = {},
  ): Promise<PullResult<Body>> {
    const wire = this.#membership.queue(queue)
    checkWhole('offset', offset, 0)
    checkWhole('max', max, 1)
    if (maxBytes !== undefined) checkWhole('maxBytes', maxBytes, 1)
    const { suspendMs, pullTimeoutMs } = this.#settings
    const subscription = subscriptionOf(wire.topic, expression, 0)
    const where = { queue: wire, subscription, offset, max, maxBytes }
    const ask = { ...where, suspendMs: wait ? suspendMs : 0, brokerId: 0, isLite: false }
    const options = { timeoutMs: timeoutMs ?? (wait ? pullTimeoutMs : TIMEOUT_MS), signal }
    const { suggestedBrokerId: _, ...result } = await pullQueue(this.#context, ask, options)
    return result
  }

  /**
   * Has a message delivered again later, to the group's retry topic: level 0 leaves the delay to the broker, -1 means the
   * dead letters at once. Half of `timeoutMs`, by default 10,000, is for the broker that has it, the rest for others. With
   * TIMEOUT or ABORTED a broker may have taken it all the same: given back again it then comes twice.
   * @throws ClientError BAD_OPTION, SEND_FAILED, TIMEOUT, ABORTED, CLOSED ...
   */
  async sendMessageBack(message: ReceivedMessage<Body>, delayLevel = 0, options: CallOptions = {}): Promise<void> {
    this.#membership.checkOpen()
    const { maxReconsumeTimes } = this.#settings
    await sendBack({ ...this.#context, maxReconsumeTimes }, message, delayLevel, options)
  }

  // -- Queues --------------------------------------------------------------------------------------------------------

  /** All queues of a topic that can be read, asked for anew. @throws ClientError ROUTE_MISSING, UNSUPPORTED, NO_NAME_SERVER ... */
  async queuesOf(topic: string, options: CallOptions = {}): Promise<readonly MessageQueue[]> {
    const wireTopic = this.#membership.topic(topic)
    const { read, route } = await this.#membership.instance.routes.fresh(wireTopic, options)
    refuseStatic(wireTopic, route)
    return this.#membership.shown(read)
  }

  /** This member's share of one of `topics`, as of the last round. */
  queuesInBalance(topic: string): MessageQueue[] {
    const wireTopic = checkedTopic(this.#settings.namespace, topic)
    return this.#membership.shown(this.#mine.filter(queue => queue.topic === wireTopic))
  }

  get #mine(): MessageQueue[] {
    return [...this.#rebalancer.held].map(({ queue }) => queue)
  }

  /** The topic that takes messages sent back; pull it as any other. */
  get retryTopic(): string {
    return retryTopicOf(this.group)
  }

  // -- Offsets -------------------------------------------------------------------------------------------------------

  /** Notes how far the group is in a queue. Queues in balance are told to the brokers by themselves. */
  updateOffset(queue: MessageQueue, offset: number): void {
    checkWhole('offset', offset, 0)
    this.#offsets.store.update(this.#membership.queue(queue), offset, false)
  }

  /**
   * How far the group is: as noted here, else, or with `fromBroker`, as the broker has it; undefined if it does not know.
   * Nothing changes by it. `timeoutMs` is by default 5,000.
   * @throws ClientError BAD_OPTION, BAD_NAME, CONNECT_FAILED, TIMEOUT, ABORTED, CLOSED
   */
  async fetchOffset(
    queue: MessageQueue,
    { fromBroker = false, ...options }: CallOptions & { readonly fromBroker?: boolean } = {},
  ): Promise<number | undefined> {
    return await this.#offsets.committed(this.#membership.queue(queue), options, fromBroker)
  }

  /** Tells the broker what is noted of a queue, and waits until it has it. @throws ClientError */
  async persist(queue: MessageQueue, options: CallOptions = {}): Promise<void> {
    await this.#offsets.commit([this.#membership.queue(queue)], options)
  }

  async #persistMine(): Promise<void> {
    await this.#offsets.store.persist(this.#mine)
  }

  /** Offset of the oldest message. @throws ClientError */
  async minOffset(queue: MessageQueue, options: CallOptions = {}): Promise<number> {
    return await minOffset(this.#membership.instance, this.#membership.queue(queue), options)
  }

  /** Offset that the next message will have. @throws ClientError */
  async maxOffset(queue: MessageQueue, options: CallOptions = {}): Promise<number> {
    return await maxOffset(this.#membership.instance, this.#membership.queue(queue), options)
  }

  /** Offset of the first message stored at a time or later; brokers of 4.9 give the nearest. @throws ClientError */
  async offsetForTime(queue: MessageQueue, time: Date | number, options: CallOptions = {}): Promise<number> {
    return await offsetAt(this.#membership.instance, this.#membership.queue(queue), Number(time), options)
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  /** Leaves the group, keeps the offsets of queues in balance, closes the connections. Idempotent. */
  close(): Promise<void> {
    return this.#membership.close({
      stop: () => this.#rebalancer.stop(),
      keep: async () => {
        await this.#persistMine()
        await this.#rebalancer.dropAll()
      },
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function checkWhole(name: string, value: number, min: number): void {
  if (Number.isSafeInteger(value) && value >= min) return
  throw new ClientError('BAD_OPTION', `${name} of a pull must be a whole number from ${min} on, not ${value}`)
}
