import { retryTopicOf, type SubscriptionData, type TopicRoute, wrapNamespace } from '@gantrymq/protocol'
import type { ClientInstance } from '../../instance/client-instance.ts'
import { acquireInstance, type InstanceLease } from '../../instance/shared-instances.ts'
import { checkedCall, Deadline } from '../../deadline.ts'
import { ClientError, closed } from '../../errors.ts'
import type { InstanceOptions } from '../../instance/instance-options.ts'
import type { ConsumerMember } from '../../instance/instance-members.ts'
import type { CallOptions, MessageQueue } from '../../message/message.ts'
import { refuseStatic, staticTopicProblem } from '../../routes/routes.ts'
import { ConsumeStats } from '../queue/consume-stats.ts'
import { checkedQueue, checkedTopic } from './checked-names.ts'
import { shownQueue } from '../../message/shown-queue.ts'
import { checkFilter } from './subscriptions.ts'

/** How often the counts are remembered, milliseconds. */
const STATS_MS = 10_000

/** Letters of a group that brokers of 5.5 make by themselves; those of 4.9 make 255. */
const MAX_NEW_GROUP = 120

/** A change asks one after the other for a route, a filter and two heartbeats: by default nothing of it is cut short. */
const CHANGE_STEPS = 6

/** What a consumer does before and after it looks at its topics no more. */
export interface Ending {
  /** Ends what runs. */
  readonly stop: () => Promise<void>
  /** Keeps what is done, and gives the queues up. */
  readonly keep: () => Promise<void>
}

/**
 * A consumer's place in its group: its share of the instance, the topics it watches and its timers, and in which order it
 * leaves. Names go in as users give them and come out as the wire has them.
 */
export class Membership {
  readonly instance: ClientInstance
  /** With its namespace. */
  readonly group: string
  /** What it has done since it started. */
  readonly stats: ConsumeStats
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly #namespace: string
  readonly #onRoute: () => void
  readonly #lease: InstanceLease
  readonly #watches = new Map<string, Disposable>()
  readonly #owned = new Set<Disposable>()
  #member: ConsumerMember | undefined
  #closing: Promise<void> | undefined

  /** @param onRoute the queues of a topic may have changed. @throws ClientError GROUP_TAKEN */
  constructor(settings: InstanceOptions, group: string, onRoute: () => void = () => {}) {
    this.#namespace = settings.namespace
    this.#onRoute = onRoute
    this.group = wrapNamespace(settings.namespace, group)
    this.#lease = acquireInstance(settings, this.group)
    this.instance = this.#lease.instance
    this.stats = new ConsumeStats(settings.clock.elapsed())
    this.startedAt = settings.clock.now()
    if (this.group.length > MAX_NEW_GROUP) {
      this.instance.log.warn(
        { group },
        'brokers of 5.5 make no group with more than 120 letters: it may receive nothing there',
      )
    }
  }

  // -- Names ---------------------------------------------------------------------------------------------------------

  /** A user's topic as the wire has it. @throws ClientError BAD_NAME, CLOSED */
  topic(name: string): string {
    this.checkOpen()
    return checkedTopic(this.#namespace, name)
  }

  /** A user's queue as the wire has it. @throws ClientError BAD_NAME, CLOSED */
  queue(queue: MessageQueue): MessageQueue {
    this.checkOpen()
    return checkedQueue(this.#namespace, queue)
  }

  /** Queues of the wire as users see them. */
  shown(queues: readonly MessageQueue[]): MessageQueue[] {
    return queues.map(queue => shownQueue(this.#namespace, queue))
  }

  // -- Changes -------------------------------------------------------------------------------------------------------

  /**
   * The time of a call that changes what is consumed: by default six times `requestTimeoutMs`.
   * @throws ClientError BAD_OPTION, ABORTED
   */
  changing(what: string, options: CallOptions): Deadline {
    const { clock, options: own } = this.instance
    const { timeoutMs, signal } = checkedCall(what, options, CHANGE_STEPS * own.requestTimeoutMs)
    const deadline = new Deadline(clock, timeoutMs, signal)
    deadline.check(what)
    return deadline
  }

  /** Looks up the topic of a new subscription and has a broker judge its filter. @throws as `checkFilter`, and CLOSED */
  async admit(subscription: SubscriptionData, deadline: Deadline): Promise<void> {
    await this.look(subscription.topic, deadline)
    await this.checkFilter(subscription, deadline)
    this.checkOpen()
  }

  // -- Joining -------------------------------------------------------------------------------------------------------

  /** Looks up the topics and has brokers judge the filters. @throws ClientError BAD_OPTION, UNSUPPORTED, NO_NAME_SERVER */
  async prepare(subscriptions: readonly SubscriptionData[]): Promise<void> {
    await this.instance.start()
    await Promise.all(subscriptions.map(({ topic }) => this.meet(topic)))
    await Promise.all(subscriptions.map(each => this.checkFilter(each)))
  }

  /** Tells the brokers of a member, whose requests reach it from now on. */
  async join(member: ConsumerMember): Promise<void> {
    this.#member = member
    this.instance.join(member)
    await this.instance.heartbeat()
    this.every(STATS_MS, () => this.stats.tick(this.instance.clock.elapsed()))
  }

  /** Of a topic that was looked up. @throws ClientError BAD_OPTION; UNSUPPORTED, also for static topics; ABORTED, TIMEOUT */
  async checkFilter(subscription: SubscriptionData, deadline?: Deadline): Promise<void> {
    this.refuseStatic(subscription.topic)
    await checkFilter(this.instance, this.group, subscription, this.#step(deadline))
    deadline?.check('the check of a filter')
  }

  #step(deadline: Deadline | undefined): CallOptions {
    return deadline?.options(this.instance.options.requestTimeoutMs) ?? {}
  }

  /** Of a topic that was looked up. @throws ClientError UNSUPPORTED for static topics */
  refuseStatic(topic: string): void {
    const known = this.instance.routes.peek(topic)
    if (known !== undefined) refuseStatic(topic, known.route)
  }

  /** Asks for a topic's route, and watches it. That it is missing now is no error: it may be made later. */
  async meet(topic: string): Promise<void> {
    await this.look(topic)
    this.watch(topic)
  }

  /** Asks for a topic's route. @throws ClientError ABORTED, TIMEOUT: those of the call only */
  async look(topic: string, deadline?: Deadline): Promise<void> {
    await this.instance.routes.get(topic, this.#step(deadline)).catch((error: unknown) => {
      deadline?.check(`the route of topic ${topic}`)
      this.#tellUnknown(topic, error)
    })
  }

  /** Watches a topic until `part`, or the end. */
  watch(topic: string): void {
    if (this.#closing !== undefined || this.#watches.has(topic)) return
    this.#watches.set(
      topic,
      this.instance.routes.watch(topic, ({ route }) => this.#routed(topic, route)),
    )
  }

  #routed(topic: string, route: TopicRoute): void {
    const problem = staticTopicProblem(topic, route)
    // Made after the consumer has started: nobody is there to be refused.
    if (problem !== null && this.#member !== undefined) this.instance.log.warn({ topic }, problem)
    this.#onRoute()
  }

  #tellUnknown(topic: string, error: unknown): void {
    const { log } = this.instance
    // Brokers make it with the first heartbeat of a new group: there is nothing to be done about it.
    const isOwn = topic === retryTopicOf(this.group) && error instanceof ClientError && error.code === 'ROUTE_MISSING'
    if (isOwn) log.debug({ topic }, 'the group has no retry topic yet')
    else log.info({ topic, error: String(error) }, 'topic not known yet')
  }

  /** Watches a topic no more. */
  part(topic: string): void {
    this.#watches.get(topic)?.[Symbol.dispose]()
    this.#watches.delete(topic)
  }

  /** Does something every so often, until the end. */
  every(ms: number, work: () => void): void {
    this.own(this.instance.clock.every(ms, work))
  }

  /** Disposes of it at the end, or when what is returned is disposed. */
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

  /** Ends the work, takes leave of the brokers and gives the instance back. Idempotent. */
  close(ending: Ending): Promise<void> {
    return (this.#closing ??= this.#leave(ending))
  }

  async #leave({ stop, keep }: Ending): Promise<void> {
    await stop()
    for (const owned of [...this.#owned, ...this.#watches.values()]) owned[Symbol.dispose]()
    await keep()
    if (this.#member !== undefined) await this.instance.leave(this.#member)
    await this.#lease.release()
  }
}

/** A consumer that has started; one that fails to is closed. @throws what `start` does */
export async function started<C>(consumer: C, start: (consumer: C) => Promise<void>, close: (consumer: C) => unknown) {
  try {
    await start(consumer)
    return consumer
  } catch (error) {
    await close(consumer)
    throw error
  }
}
