import { retryTopicOf, type SubscriptionData, type TopicRoute, wrapNamespace } from '@gantrymq/protocol'
import { checkedCall, Deadline } from '../../deadline.ts'
import { ClientError, closed } from '../../errors.ts'
import type { ClientInstance } from '../../instance/client-instance.ts'
import type { ConsumerMember } from '../../instance/instance-members.ts'
import type { InstanceOptions } from '../../instance/instance-options.ts'
import { acquireInstance, type InstanceLease } from '../../instance/shared-instances.ts'
import type { CallOptions, MessageQueue } from '../../message/message.ts'
import { shownQueue } from '../../message/shown-queue.ts'
import type { Problem } from '../../problems.ts'
import { refuseStatic, staticTopicProblem } from '../../routes/routes.ts'
import { ConsumptionStats } from '../queue/consumption-stats.ts'
import { checkedQueue, checkedTopic } from './checked-names.ts'
import { checkFilter } from './filter-check.ts'
import { FIRST_CHECK_MS, GROUP_CHECK_MS, TWICE_AGAIN_MS } from './group-check.ts'
import { MemberHealth } from './member-health.ts'

/** How often the counts of messages are recorded, in milliseconds. */
const STATS_MS = 10_000

/** The longest group name for which brokers of 5.5 create a group automatically. Those of 4.9 accept 255 letters. */
const MAX_NEW_GROUP = 120

/**
 * The default timeout of a change, in request timeouts: it asks for a route, a filter check and two heartbeats one after the
 * other, and none of them is cut short.
 */
const CHANGE_REQUESTS = 6

/** The settings that a member of a group needs. */
export type MembershipSettings = InstanceOptions & {
  readonly waitForNameServer: boolean
  readonly onProblem: ((problem: Problem) => void) | undefined
}

/** What a consumer does when it closes. In between, its timers stop and its topics are no longer watched. */
export interface ClosingSteps {
  /** Stops whatever runs. */
  readonly stop: () => Promise<void>
  /** Stores the offsets and gives up the queues. */
  readonly release: () => Promise<void>
}

/**
 * A consumer as a member of its group: its lease of a client instance, the topics it watches, its timers, and the order in
 * which it closes. Names in arguments and results are the user's; those with namespaces are marked so.
 */
export class Membership {
  readonly instance: ClientInstance
  /** With its namespace. */
  readonly group: string
  /** What the consumer has done since it started. */
  readonly stats: ConsumptionStats
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /** What is wrong with it. */
  readonly health: MemberHealth
  readonly #settings: MembershipSettings
  readonly #namespace: string
  readonly #onRoute: () => void
  readonly #lease: InstanceLease
  readonly #watches = new Map<string, Disposable>()
  readonly #owned = new Set<Disposable>()
  #member: ConsumerMember | undefined
  #closing: Promise<void> | undefined

  /** @param onRoute called when the queues of a watched topic may have changed. @throws ClientError GROUP_TAKEN */
  constructor(settings: MembershipSettings, group: string, onRoute: () => void = () => {}) {
    this.#settings = settings
    this.#namespace = settings.namespace
    this.#onRoute = onRoute
    this.group = wrapNamespace(settings.namespace, group)
    this.#lease = acquireInstance(settings, this.group)
    this.instance = this.#lease.instance
    this.stats = new ConsumptionStats(settings.clock.elapsed())
    this.startedAt = settings.clock.now()
    this.health = new MemberHealth({
      ...settings,
      instance: this.instance,
      group: this.group,
      subscriptions: () => this.#member?.describe().subscriptionDataSet ?? [],
      reads: topic => this.#watches.has(topic),
    })
    if (this.group.length > MAX_NEW_GROUP) {
      this.instance.log.warn(
        { group },
        'brokers of 5.5 create no group whose name has more than 120 letters: it may receive no messages there',
      )
    }
  }

  // -- Names ---------------------------------------------------------------------------------------------------------

  /** The user's topic with its namespace. @throws ClientError BAD_NAME, CLOSED */
  topic(name: string): string {
    this.checkOpen()
    return checkedTopic(this.#namespace, name)
  }

  /** The user's queue, its topic with its namespace. @throws ClientError BAD_NAME, CLOSED */
  queue(queue: MessageQueue): MessageQueue {
    this.checkOpen()
    return checkedQueue(this.#namespace, queue)
  }

  /** Queues as the user names them, without the namespace. */
  shown(queues: readonly MessageQueue[]): MessageQueue[] {
    return queues.map(queue => shownQueue(this.#namespace, queue))
  }

  /**
   * All readable queues of a topic, as the user names them, from a name server instead of the cache.
   * @throws ClientError BAD_NAME, CLOSED, UNSUPPORTED, and as `RouteCache.fresh`
   */
  async queuesOf(name: string, options: CallOptions): Promise<MessageQueue[]> {
    const topic = this.topic(name)
    const { routes, clock, options: own } = this.instance
    const deadline = Deadline.of(clock, options, own.requestTimeoutMs)
    const { read, route } = await routes.fresh(topic, deadline.options()).catch(async (error: unknown) => {
      throw await routes.explained(topic, error, deadline)
    })
    refuseStatic(topic, route)
    return this.shown(read)
  }

  // -- Changes -------------------------------------------------------------------------------------------------------

  /**
   * The deadline of a call that changes what is consumed: by default six times `requestTimeoutMs`.
   * @throws ClientError BAD_OPTION, ABORTED
   */
  changeDeadline(what: string, options: CallOptions): Deadline {
    const { clock, options: own } = this.instance
    const { timeoutMs, signal } = checkedCall(what, options, CHANGE_REQUESTS * own.requestTimeoutMs)
    const deadline = new Deadline(clock, timeoutMs, signal)
    deadline.check(what)
    return deadline
  }

  /**
   * Looks up the topic of a new subscription and has a broker check its filter.
   * @returns as `lookUp`
   * @throws as `checkFilter`, and CLOSED
   */
  async checkSubscription(subscription: SubscriptionData, deadline: Deadline): Promise<unknown> {
    const missing = await this.lookUp(subscription.topic, deadline)
    await this.checkFilter(subscription, deadline)
    this.checkOpen()
    return missing
  }

  // -- Joining -------------------------------------------------------------------------------------------------------

  /** Looks up the topics and has brokers check the filters. @throws ClientError BAD_OPTION, UNSUPPORTED, NO_NAME_SERVER */
  async prepare(subscriptions: readonly SubscriptionData[]): Promise<void> {
    await this.instance.start()
    if (this.#settings.waitForNameServer) await this.#awaitNameServer(subscriptions)
    await Promise.all(subscriptions.map(({ topic }) => this.lookUpAndWatch(topic)))
    await Promise.all(subscriptions.map(each => this.checkFilter(each)))
  }

  // A name server that does not know the topic has answered.
  async #awaitNameServer(subscriptions: readonly SubscriptionData[]): Promise<void> {
    const topic = subscriptions[0]?.topic ?? wrapNamespace(this.#namespace, retryTopicOf(this.group))
    await this.instance.routes.get(topic).catch((error: unknown) => {
      if (!(error instanceof ClientError) || error.code !== 'ROUTE_MISSING') throw error
    })
  }

  /** Announces the member to the brokers. From now on their requests reach it. */
  async join(member: ConsumerMember): Promise<void> {
    this.#member = member
    this.instance.join(member)
    await this.instance.heartbeat()
    this.every(STATS_MS, () => this.stats.tick(this.instance.clock.elapsed()))
    this.every(GROUP_CHECK_MS, () => void this.#lookAtGroup())
    this.#lookIn(FIRST_CHECK_MS)
  }

  #lookIn(ms: number): void {
    const timer = this.every(ms, () => {
      timer[Symbol.dispose]()
      void this.#lookAtGroup()
    })
  }

  async #lookAtGroup(): Promise<void> {
    if (!this.isClosing && (await this.health.lookAtGroup())) this.#lookIn(TWICE_AGAIN_MS)
  }

  /**
   * Has a broker check the filter of a topic that was looked up.
   * @throws ClientError BAD_OPTION; UNSUPPORTED, also for static topics; ABORTED, TIMEOUT
   */
  async checkFilter(subscription: SubscriptionData, deadline?: Deadline): Promise<void> {
    this.refuseStatic(subscription.topic)
    await checkFilter(this.instance, this.group, subscription, this.#requestOptions(deadline))
    deadline?.check('checking a filter')
  }

  #requestOptions(deadline: Deadline | undefined): CallOptions {
    return deadline?.options(this.instance.options.requestTimeoutMs) ?? {}
  }

  /** @param topic with its namespace; it was looked up. @throws ClientError UNSUPPORTED if it is a static topic */
  refuseStatic(topic: string): void {
    const known = this.instance.routes.peek(topic)
    if (known !== undefined) refuseStatic(topic, known.route)
  }

  /** As `lookUp`, and watches the topic. @param topic with its namespace */
  async lookUpAndWatch(topic: string): Promise<void> {
    this.watch(topic, await this.lookUp(topic))
  }

  /**
   * Asks for a topic's route. A missing topic is no error, as it may be created later.
   * @param topic with its namespace
   * @returns why there is no route, for `watch`; undefined if there is one
   * @throws ClientError ABORTED, TIMEOUT, but only if `deadline` is over
   */
  async lookUp(topic: string, deadline?: Deadline): Promise<unknown> {
    try {
      await this.instance.routes.get(topic, this.#requestOptions(deadline))
      return undefined
    } catch (error) {
      deadline?.check(`the route of topic ${topic}`)
      this.#logUnknown(topic, error)
      return error
    }
  }

  /**
   * Watches a topic until `unwatch` or the end. Its problems are problems of the consumer meanwhile.
   * @param topic with its namespace
   * @param missing why it has no route, from `lookUp`
   */
  watch(topic: string, missing?: unknown): void {
    if (this.#closing !== undefined || this.#watches.has(topic)) return
    this.#watches.set(
      topic,
      this.instance.routes.watch(topic, ({ route }) => this.#routed(topic, route)),
    )
    if (missing !== undefined) void this.health.missing(topic, missing)
  }

  #routed(topic: string, route: TopicRoute): void {
    const problem = staticTopicProblem(topic, route)
    // The topic was created after the consumer started, so there is no call that could be refused.
    if (problem !== null && this.#member !== undefined) this.instance.log.warn({ topic }, problem)
    this.health.routed(topic, route)
    this.#onRoute()
  }

  #logUnknown(topic: string, error: unknown): void {
    const { log } = this.instance
    // Expected for a new group: brokers create its retry topic with its first heartbeat.
    const isOwn = topic === retryTopicOf(this.group) && error instanceof ClientError && error.code === 'ROUTE_MISSING'
    if (isOwn) log.debug({ topic }, 'the group has no retry topic yet')
    else log.info({ topic, error: String(error) }, 'topic not known yet')
  }

  /** Stops watching a topic. @param topic with its namespace */
  unwatch(topic: string): void {
    this.#watches.get(topic)?.[Symbol.dispose]()
    this.#watches.delete(topic)
    this.health.unsubscribed(topic)
  }

  /** Calls `action` every `ms` milliseconds until the consumer closes. */
  every(ms: number, action: () => void): Disposable {
    return this.own(this.instance.clock.every(ms, action))
  }

  /** Disposes of `owned` when the consumer closes, or earlier when the result is disposed of. */
  own(owned: Disposable): Disposable {
    if (this.#closing === undefined) this.#owned.add(owned)
    else owned[Symbol.dispose]()
    return {
      [Symbol.dispose]: () => {
        this.#owned.delete(owned)
        owned[Symbol.dispose]()
      },
    }
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  get isClosing(): boolean {
    return this.#closing !== undefined
  }

  /** @throws ClientError CLOSED */
  checkOpen(): void {
    if (this.isClosing) throw closed('this consumer')
  }

  /** Leaves the group: runs the consumer's steps, unregisters at the brokers and releases the instance. Idempotent. */
  close(steps: ClosingSteps): Promise<void> {
    return (this.#closing ??= this.#leave(steps))
  }

  async #leave({ stop, release }: ClosingSteps): Promise<void> {
    this.health.close()
    await stop()
    for (const owned of [...this.#owned, ...this.#watches.values()]) owned[Symbol.dispose]()
    await release()
    if (this.#member !== undefined) await this.instance.leave(this.#member)
    await this.#lease.release()
  }
}

/** Starts a consumer, and closes it if that fails. @throws what `start` throws */
export async function startOrClose<C>(
  consumer: C,
  start: (consumer: C) => Promise<void>,
  close: (consumer: C) => unknown,
): Promise<C> {
  try {
    await start(consumer)
    return consumer
  } catch (error) {
    await close(consumer)
    throw error
  }
}
