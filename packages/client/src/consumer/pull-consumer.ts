import { type MessageView, retryTopicOf, type SubscriptionData, unwrapNamespace } from '@gantrymq/protocol'
import { ClientError } from '../errors.ts'
import type { ConsumerMember } from '../instance/instance-members.ts'
import {
  callOptions,
  check,
  flag,
  optional,
  problemWith,
  shown,
  texts,
  time as timeRule,
  whole as wholeRule,
} from '../fields.ts'
import { asJava, type ClientOptions, instanceOptions } from '../instance/instance-options.ts'
import { bytes, type Codec } from '../message/codec.ts'
import type { CallOptions, MessageQueue } from '../message/message.ts'
import { ReceivedMessage } from '../message/received-message.ts'
import { checkedOptions, type GivenOf, readOptions, type OptionValues, whole } from '../options.ts'
import { checkedGroup, checkedTopic } from './group/checked-names.ts'
import { Membership, startOrClose } from './group/membership.ts'
import { pullMember } from './group/pull-member.ts'
import { sendBack } from './group/send-back.ts'
import { type Expression, subscriptionOf } from './group/subscription.ts'
import { checkSuspend, litePullOptions } from './lite-pull/options.ts'
import { maxOffset, minOffset, offsetAt } from './offsets/queue-offsets.ts'
import { ReadableOffsets } from './offsets/readable-offsets.ts'
import { broadcastSettings } from './push/settings.ts'
import { HeldQueues } from './queue/held-queues.ts'
import { type PullContext, pullQueue, type PullResult } from './queue/pull-call.ts'
import { ManualQueue } from './rebalance/manual-queue.ts'
import { Rebalancer } from './rebalance/rebalancer.ts'

const { broadcast, allocate, rebalanceMs, persistOffsetsMs, suspendMs, pullTimeoutMs, unitMode } = litePullOptions
const { offsetsFolder, waitForNameServer, onProblem } = litePullOptions

/** The options of pull consumers besides `instanceOptions`. */
export const pullOptions = {
  broadcast,
  allocate,
  rebalanceMs,
  persistOffsetsMs,
  suspendMs,
  pullTimeoutMs,
  unitMode,
  offsetsFolder,
  waitForNameServer,
  onProblem,
  /** Redeliveries before a message that is sent back becomes a dead letter. Default 16. */
  maxReconsumeTimes: whole(16, 'maxReconsumeTimes', { min: 0 }),
}

/** The options of a pull consumer. */
export interface PullConsumerOptions<Body = Buffer> extends ClientOptions, GivenOf<typeof pullOptions> {
  /** Name of the consumer group, whose offsets are used. */
  readonly group: string
  /** The topics whose queues the members of the group share, for `queuesInBalance`. Default none. */
  readonly topics?: readonly string[] | undefined
  /** Decodes message bodies. Default: bodies stay bytes. */
  readonly codec?: Codec<Body> | undefined
  /** Called when this member's queues of one of `topics` have changed. */
  readonly onQueues?: ((topic: string, all: readonly MessageQueue[], mine: readonly MessageQueue[]) => void) | undefined
}

/** What a pull consumer has done since it started. */
export interface PullConsumerStats {
  /** Messages that pulls have returned. */
  readonly received: number
  /** Messages that could not be read and were skipped. */
  readonly skipped: number
}

export interface PullOptions extends CallOptions {
  /** Whether the broker may hold the pull for up to `suspendMs` until messages arrive. Default false. */
  readonly wait?: boolean | undefined
  /** The most bytes, for brokers of 5.x. The first message is returned whatever its size. */
  readonly maxBytes?: number | undefined
}

const pullCall = callOptions({ wait: optional(flag), maxBytes: optional(wholeRule(1)) })
const fetchCall = callOptions({ fromBroker: optional(flag) })

const table = { ...instanceOptions, ...pullOptions }

/** How long a pull that does not wait may take, in milliseconds (Apache's consumerPullTimeoutMillis). */
const TIMEOUT_MS = 10_000

/**
 * Pulls from the queue and the offset that the user names, and leaves offsets to the user: Apache's DefaultMQPullConsumer.
 * Unless you need that, LitePullConsumer is easier to use.
 */
export class PullConsumer<Body = Buffer> {
  readonly group: string
  readonly #membership: Membership
  readonly #settings: OptionValues<typeof pullOptions> & OptionValues<typeof instanceOptions>
  readonly #context: PullContext<Body>
  readonly #offsets: ReadableOffsets
  readonly #held = new HeldQueues<ManualQueue>()
  readonly #rebalancer: Rebalancer<ManualQueue>
  readonly #member: ConsumerMember
  readonly #subscriptions = new Map<string, SubscriptionData>()

  /** Joins a group. @throws ClientError BAD_OPTION, BAD_NAME, GROUP_TAKEN, UNSUPPORTED for static topics */
  static async start<Body = Buffer>(options: PullConsumerOptions<Body>): Promise<PullConsumer<Body>> {
    return await startOrClose(
      new PullConsumer<Body>(options),
      consumer => consumer.#start(),
      consumer => consumer.close(),
    )
  }

  private constructor(options: PullConsumerOptions<Body>) {
    const {
      group,
      topics = [],
      codec = bytes as Codec<never>,
      onQueues,
      ...given
    } = checkedOptions('PullConsumer', options)
    const wrong = problemWith('option topics', topics, texts)
    if (wrong !== undefined) throw new ClientError('BAD_OPTION', `PullConsumer: ${wrong}`)
    this.group = checkedGroup(group)
    this.#settings = broadcastSettings(asJava(readOptions('PullConsumer', table, given)))
    checkSuspend('PullConsumer', this.#settings)
    const { namespace } = this.#settings
    for (const topic of topics) this.#addTopic(checkedTopic(namespace, topic))
    const membership = new Membership(this.#settings, this.group, () => this.#rebalancer.request())
    const { instance, group: wireGroup } = membership
    this.#membership = membership
    this.#offsets = new ReadableOffsets({
      ...this.#settings,
      instance,
      group: wireGroup,
      onShared: message => membership.health.problems.raise('OFFSETS_SHARED', message),
    })
    const toMessage = (view: MessageView, queue: MessageQueue) => new ReceivedMessage(view, queue, { namespace, codec })
    this.#context = { instance, group: wireGroup, stats: membership.stats, toMessage }
    this.#rebalancer = new Rebalancer({
      context: {
        instance,
        group: wireGroup,
        offsets: this.#offsets.store,
        subscriptions: this.#subscriptions,
        settings: this.#settings,
      },
      held: this.#held,
      locks: undefined,
      open: async queue => new ManualQueue(queue, instance.clock.elapsed()),
      onChange: (topic, all, mine) =>
        onQueues?.(unwrapNamespace(namespace, topic), membership.shown(all), membership.shown(mine)),
    })
    this.#member = pullMember({
      membership,
      settings: this.#settings,
      table,
      subscriptions: () => [...this.#subscriptions.values()],
      queues: { held: this.#held, offsets: this.#offsets.store, rebalance: () => this.#rebalancer.request() },
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
   * Pulls once: at most `max` messages of a queue, from an offset on, that match the expression.
   * @throws ClientError BAD_OPTION, BAD_NAME, BROKER_MISSING, BROKER_REFUSED, CONNECT_FAILED, TIMEOUT, ABORTED, CLOSED
   */
  async pull(
    queue: MessageQueue,
    expression: Expression,
    offset: number,
    max: number,
    options: PullOptions = {},
  ): Promise<PullResult<Body>> {
    check('options of pull', options, pullCall)
    const { wait = false, maxBytes, timeoutMs, signal } = options
    const wire = this.#membership.queue(queue)
    checkWhole('offset', offset, 0)
    checkWhole('max', max, 1)
    const { suspendMs, pullTimeoutMs } = this.#settings
    const subscription = subscriptionOf(wire.topic, expression, 0)
    const wanted = { queue: wire, subscription, offset, max, maxBytes }
    const request = { ...wanted, suspendMs: wait ? suspendMs : 0, brokerId: 0, isLite: false }
    const limits = { timeoutMs: timeoutMs ?? (wait ? pullTimeoutMs : TIMEOUT_MS), signal }
    const { suggestedBrokerId: _, ...result } = await pullQueue(this.#context, request, limits)
    return result
  }

  /**
   * Has a message delivered again later, through the group's retry topic. Level 0 leaves the delay to the broker, -1 makes it a
   * dead letter at once. Half of `timeoutMs`, which is by default 10,000, is for the broker that stores the message, the rest
   * for other brokers. After TIMEOUT or ABORTED a broker may have taken the message all the same: if you send it back again,
   * it is delivered twice.
   * @throws ClientError BAD_OPTION, SEND_FAILED, TIMEOUT, ABORTED, CLOSED ...
   */
  async sendMessageBack(message: ReceivedMessage<Body>, delayLevel = 0, options: CallOptions = {}): Promise<void> {
    this.#membership.checkOpen()
    if (!(message instanceof ReceivedMessage))
      throw new ClientError(
        'BAD_OPTION',
        `message of sendMessageBack must be a received message, not ${shown(message)}`,
      )
    const { maxReconsumeTimes } = this.#settings
    await sendBack({ ...this.#context, maxReconsumeTimes }, message, delayLevel, options)
  }

  // -- Queues --------------------------------------------------------------------------------------------------------

  /**
   * All readable queues of a topic, from a name server instead of the cache.
   * @throws ClientError ROUTE_MISSING, UNSUPPORTED, NO_NAME_SERVER ...
   */
  async queuesOf(topic: string, options: CallOptions = {}): Promise<readonly MessageQueue[]> {
    return await this.#membership.queuesOf(topic, options)
  }

  /** The queues of one of `topics` that the last rebalance assigned to this member. */
  queuesInBalance(topic: string): MessageQueue[] {
    const wireTopic = checkedTopic(this.#settings.namespace, topic)
    return this.#membership.shown(this.#mine.filter(queue => queue.topic === wireTopic))
  }

  get #mine(): MessageQueue[] {
    return [...this.#held].map(({ queue }) => queue)
  }

  /** The topic of messages that were sent back. Pull it like any other topic. */
  get retryTopic(): string {
    return retryTopicOf(this.group)
  }

  // -- Offsets -------------------------------------------------------------------------------------------------------

  /** Sets the group's offset in a queue. For queues in balance it is stored automatically. @throws ClientError BAD_OPTION, BAD_NAME, CLOSED */
  updateOffset(queue: MessageQueue, offset: number): void {
    checkWhole('offset', offset, 0)
    this.#offsets.store.update(this.#membership.queue(queue), offset, false)
  }

  /**
   * The group's offset in a queue: from memory, or from the broker if there is none in memory or with `fromBroker`. Undefined if
   * there is neither. It changes nothing. `timeoutMs` is by default 5,000.
   * @throws ClientError BAD_OPTION, BAD_NAME, CONNECT_FAILED, TIMEOUT, ABORTED, CLOSED
   */
  async fetchOffset(
    queue: MessageQueue,
    given: CallOptions & { readonly fromBroker?: boolean } = {},
  ): Promise<number | undefined> {
    check('options of fetchOffset', given, fetchCall)
    const { fromBroker = false, ...options } = given
    return await this.#offsets.committed(this.#membership.queue(queue), options, fromBroker)
  }

  /** Stores the offset of a queue. When it resolves, the broker has it. @throws ClientError */
  async persist(queue: MessageQueue, options: CallOptions = {}): Promise<void> {
    await this.#offsets.commit([this.#membership.queue(queue)], options)
  }

  async #persistMine(): Promise<void> {
    await this.#offsets.store.persist(this.#mine)
  }

  /** The offset of the oldest message. @throws ClientError */
  async minOffset(queue: MessageQueue, options: CallOptions = {}): Promise<number> {
    return await minOffset(this.#membership.instance, this.#membership.queue(queue), options)
  }

  /** The offset that the next message will get. @throws ClientError */
  async maxOffset(queue: MessageQueue, options: CallOptions = {}): Promise<number> {
    return await maxOffset(this.#membership.instance, this.#membership.queue(queue), options)
  }

  /**
   * The offset of the first message stored at `time` or later; brokers of 4.9 return the nearest one instead.
   * @throws ClientError
   */
  async offsetForTime(queue: MessageQueue, time: Date | number, options: CallOptions = {}): Promise<number> {
    check('time of offsetForTime', time, timeRule)
    return await offsetAt(this.#membership.instance, this.#membership.queue(queue), Number(time), options)
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  /** Leaves the group: stores the offsets of queues in balance, closes the connections. Idempotent. */
  close(): Promise<void> {
    return this.#membership.close({
      stop: () => this.#rebalancer.stop(),
      release: async () => {
        await this.#persistMine()
        await this.#rebalancer.dropAll()
        await this.#offsets.store.close?.()
      },
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function checkWhole(name: string, value: number, min: number): void {
  check(`${name} of a pull`, value, wholeRule(min))
}
