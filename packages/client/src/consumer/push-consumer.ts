import {
  type ConsumerRunningInfo,
  groupProblem,
  type MessageView,
  type QueueOffset,
  retryTopicOf,
  unwrapNamespace,
  wrapNamespace,
  topicProblem,
} from '@gantrymq/protocol'
import { ClientInstance } from '../client-instance.ts'
import { bytes, type Codec } from '../codec.ts'
import { ClientError } from '../errors.ts'
import { type ClientOptions, instanceOptions } from '../instance-options.ts'
import type { ConsumerMember } from '../members.ts'
import type { MessageQueue } from '../message.ts'
import { type GivenOf, readOptions } from '../options.ts'
import { Producer } from '../producer/producer.ts'
import { consumerTrace } from '../trace/start-trace.ts'
import { ConcurrentConsumption } from './consume-concurrently.ts'
import { ConsumeStats } from './consume-stats.ts'
import type { Consumption, ConsumerCore } from './consumer-core.ts'
import { type PullLimits, sharedLimits } from './flow-control.ts'
import { type Listener, type ListenerContext, type Outcome } from './listener.ts'
import { RemoteOffsets } from './offsets.ts'
import { type PushSettings, pushOptions } from './push-options.ts'
import { beginningOf } from './queue-offsets.ts'
import { QueueWork } from './queue-work.ts'
import { Rebalancer } from './rebalance.ts'
import { type MessageContext, ReceivedMessage } from './received-message.ts'
import { type Expression, type SubscriptionData, subscriptionOf } from './subscription.ts'

/** What a push consumer is started with. */
export interface PushConsumerOptions<Body = Buffer> extends ClientOptions, GivenOf<typeof pushOptions> {
  /** Name of the group. Its members share the messages; each group gets all of them. */
  readonly group: string
  /** Topics, each with what is wanted of it: `*`, tags such as `new || paid`, or `{ sql: 'amount > 5' }`. */
  readonly subscriptions: Readonly<Record<string, Expression>>
  /** Makes bodies of bytes. Default: bodies are bytes. */
  readonly codec?: Codec<Body> | undefined
  /** Consumes one message. What it throws means that the message comes again later. */
  readonly onMessage?:
    | ((message: ReceivedMessage<Body>, context: ListenerContext) => Outcome | Promise<Outcome>)
    | undefined
  /** Consumes up to `batchSize` messages of one queue. */
  readonly onMessages?: Listener<Body> | undefined
  /** Told when this member's queues of a topic have changed. */
  readonly onQueues?: ((topic: string, all: readonly MessageQueue[], mine: readonly MessageQueue[]) => void) | undefined
}

const STATS_MS = 10_000
const DRAIN_MS = 30_000
/** How long the message trace may take to leave at the end. */
const TRACE_DRAIN_MS = 5000

/** Receives the messages of its subscriptions and hands them to a listener. */
export class PushConsumer<Body = Buffer> {
  readonly group: string
  readonly #instance: ClientInstance
  readonly #claim: { readonly kind: 'consumer'; readonly group: string }
  readonly #settings: PushSettings
  readonly #options: PushConsumerOptions<Body>
  readonly #core: ConsumerCore<Body>
  readonly #rebalancer: Rebalancer<QueueWork<Body>>
  readonly #consumption: Consumption<Body>
  readonly #member: ConsumerMember
  readonly #subscriptions = new Map<string, SubscriptionData>()
  readonly #watches = new Map<string, Disposable>()
  readonly #timers: Disposable[] = []
  #limits: PullLimits
  #isPaused = false
  #closing: Promise<void> | undefined

  /**
   * Joins a group and begins to consume. Queues come with the first round, some moments later.
   * @throws ClientError BAD_OPTION, BAD_NAME, GROUP_TAKEN
   */
  static async start<Body = Buffer>(options: PushConsumerOptions<Body>): Promise<PushConsumer<Body>> {
    const consumer = new PushConsumer<Body>(options)
    try {
      await consumer.#start()
      return consumer
    } catch (error) {
      await consumer.close({ drainMs: 0 })
      throw error
    }
  }

  private constructor(options: PushConsumerOptions<Body>) {
    const { group, subscriptions, codec, onMessage, onMessages, onQueues, ...given } = options
    this.#options = options
    this.group = checkedGroup(group)
    const settings = readOptions('PushConsumer', { ...instanceOptions, ...pushOptions }, given)
    this.#settings = settings
    const wireGroup = wrapNamespace(settings.namespace, this.group)
    for (const [topic, expression] of Object.entries(subscriptions)) this.#addSubscription(topic, expression)
    if (!settings.broadcast) this.#addSubscription(retryTopicOf(wireGroup), '*')
    this.#claim = { kind: 'consumer', group: wireGroup }
    this.#instance = ClientInstance.acquire(settings, this.#claim)
    this.#limits = this.#ownLimits()
    this.#core = this.#makeCore(wireGroup)
    this.#consumption = new ConcurrentConsumption(this.#core, this.#listener())
    const context: MessageContext<Body> = { namespace: settings.namespace, codec: codec ?? (bytes as Codec<never>) }
    const toMessage = (view: MessageView, queue: MessageQueue) => new ReceivedMessage(view, queue, context)
    this.#rebalancer = new Rebalancer({
      core: this.#core,
      locks: undefined,
      work: async queue => {
        const offset = await beginningOf(this.#core, queue, await this.#core.offsets.read(queue))
        return offset === undefined ? undefined : new QueueWork(this.#core, queue, offset, toMessage)
      },
      onChange: (topic, all, mine) => this.#queuesChanged(topic, all, mine),
    })
    this.#member = this.#makeMember(wireGroup)
  }

  #makeCore(group: string): ConsumerCore<Body> {
    const consumer = this
    return {
      instance: this.#instance,
      group,
      settings: this.#settings,
      offsets: new RemoteOffsets(this.#instance, group),
      stats: new ConsumeStats(),
      trace: consumerTrace(this.#settings, group, options => Producer.start(options)),
      subscriptions: this.#subscriptions,
      get limits() {
        return consumer.#limits
      },
      get isPaused() {
        return consumer.#isPaused
      },
      get consumption() {
        return consumer.#consumption
      },
      rebalance: () => this.#rebalancer.request(),
    }
  }

  #listener(): Listener<Body> {
    const { onMessage, onMessages } = this.#options
    if (onMessages !== undefined) return onMessages
    if (onMessage !== undefined) return ([message], context) => onMessage(message as ReceivedMessage<Body>, context)
    throw new ClientError('BAD_OPTION', 'PushConsumer: give onMessage or onMessages')
  }

  async #start(): Promise<void> {
    const { clock } = this.#instance
    await this.#core.offsets.load()
    await this.#instance.start()
    this.#instance.join(this.#member)
    await Promise.all([...this.#subscriptions.keys()].map(topic => this.#meet(topic)))
    await this.#instance.heartbeat()
    this.#rebalancer.start()
    this.#timers.push(
      clock.every(this.#settings.persistOffsetsMs, () => void this.#persist()),
      clock.every(STATS_MS, () => this.#core.stats.tick(clock.now())),
    )
    this.#rebalancer.request()
  }

  /** Asks for a topic's route. That it is missing now is no error: it may be made later. */
  async #meet(topic: string): Promise<void> {
    const { routes, log } = this.#instance
    await routes.get(topic).catch((error: unknown) => log.info({ topic, error: String(error) }, 'topic not known yet'))
    this.#watches.set(
      topic,
      routes.watch(topic, () => this.#core.rebalance()),
    )
  }

  #addSubscription(topic: string, expression: Expression): void {
    const problem = topicProblem(topic)
    if (problem !== null) throw new ClientError('BAD_NAME', problem)
    const wireTopic = wrapNamespace(this.#settings.namespace, topic)
    this.#subscriptions.set(wireTopic, subscriptionOf(wireTopic, expression, this.#settings.clock.now()))
  }

  #queuesChanged(topic: string, all: readonly MessageQueue[], mine: readonly MessageQueue[]): void {
    const { clock, log, options } = this.#instance
    log.info(
      { group: this.group, topic, mine: mine.map(({ brokerName, queueId }) => `${brokerName}/${queueId}`) },
      'queues',
    )
    const subscription = this.#subscriptions.get(topic)
    // Brokers tell by the version which of two members' subscriptions is newer.
    if (subscription !== undefined) this.#subscriptions.set(topic, { ...subscription, subVersion: clock.now() })
    this.#limits = this.#ownLimits()
    void this.#instance.heartbeat()
    this.#options.onQueues?.(unwrapNamespace(options.namespace, topic), all, mine)
  }

  #ownLimits(): PullLimits {
    const { maxQueuedMessages, maxQueuedMebibytes, maxSpan, maxTopicMessages, maxTopicMebibytes } = this.#settings
    const own = { messagesPerQueue: maxQueuedMessages, mebibytesPerQueue: maxQueuedMebibytes, span: maxSpan }
    const shared = {
      messagesPerTopic: maxTopicMessages === -1 ? undefined : maxTopicMessages,
      mebibytesPerTopic: maxTopicMebibytes === -1 ? undefined : maxTopicMebibytes,
    }
    return sharedLimits(own, shared, this.#rebalancer?.size ?? 0)
  }

  // -- As a member ---------------------------------------------------------------------------------------------------

  #makeMember(group: string): ConsumerMember {
    return {
      kind: 'consumer',
      group,
      describe: () => ({
        groupName: group,
        consumeType: 'CONSUME_PASSIVELY',
        messageModel: this.#settings.broadcast ? 'BROADCASTING' : 'CLUSTERING',
        consumeFromWhere: consumeFromWhere(this.#settings),
        subscriptionDataSet: [...this.#subscriptions.values()],
        unitMode: this.#settings.unitMode,
      }),
      rebalance: () => this.#rebalancer.request(),
      offsets: topic => this.#offsetsOf(topic),
      runningInfo: () => this.#runningInfo(),
    }
  }

  #offsetsOf(topic: string): QueueOffset[] {
    return [...this.#rebalancer.held]
      .filter(({ queue }) => queue.topic === topic)
      .map(({ queue }) => ({ queue, offset: this.#core.offsets.peek(queue) }))
  }

  #runningInfo(): ConsumerRunningInfo {
    return {
      properties: new Map([['PROP_CONSUME_TYPE', 'CONSUME_PASSIVELY']]),
      subscriptionSet: [...this.#subscriptions.values()],
      mqTable: [],
      statusTable: this.#core.stats.statuses(this.#instance.clock.now()),
    }
  }

  // -- For users -----------------------------------------------------------------------------------------------------

  get clientId(): string {
    return this.#instance.clientId
  }

  /** The queues that this member consumes now. */
  get queues(): MessageQueue[] {
    return [...this.#rebalancer.held].map(({ queue }) => queue)
  }

  /** Pulls no more until `resume`; what is here already is still consumed. */
  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    for (const work of this.#rebalancer.held) work.wake()
    this.#rebalancer.request()
  }

  async #persist(): Promise<void> {
    await this.#core.offsets.persist(
      [...this.#rebalancer.held].filter(work => !work.isDropped).map(({ queue }) => queue),
    )
  }

  /**
   * Leaves the group: pulls no more, lets listeners that run finish within `drainMs` (default 30,000), keeps the offsets,
   * tells the brokers, closes the connections. What was not consumed goes to the other members. Idempotent.
   */
  close({ drainMs = DRAIN_MS }: { readonly drainMs?: number } = {}): Promise<void> {
    return (this.#closing ??= this.#shutDown(drainMs))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #shutDown(drainMs: number): Promise<void> {
    await this.#rebalancer.stop()
    await this.#consumption.close(drainMs)
    await this.#core.trace?.close(Math.min(drainMs, TRACE_DRAIN_MS))
    for (const timer of this.#timers) timer[Symbol.dispose]()
    for (const watch of this.#watches.values()) watch[Symbol.dispose]()
    await this.#persist()
    await this.#rebalancer.dropAll()
    await this.#instance.leave(this.#member)
    await this.#instance.release(this.#claim)
  }
}

function consumeFromWhere({ consumeFrom }: PushSettings) {
  if (consumeFrom instanceof Date) return 'CONSUME_FROM_TIMESTAMP'
  return consumeFrom === 'first' ? 'CONSUME_FROM_FIRST_OFFSET' : 'CONSUME_FROM_LAST_OFFSET'
}

function checkedGroup(group: unknown): string {
  if (typeof group !== 'string')
    throw new ClientError('BAD_OPTION', 'option group must be a text: the name of the group')
  const problem = groupProblem(group)
  if (problem !== null) throw new ClientError('BAD_NAME', problem)
  return group
}
