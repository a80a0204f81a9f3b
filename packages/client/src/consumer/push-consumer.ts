import { unwrapNamespace, wrapNamespace } from '@gantrymq/protocol'
import { ClientError } from '../errors.ts'
import { bytes, type Codec } from '../message/codec.ts'
import type { CallOptions, MessageQueue } from '../message/message.ts'
import { badOption, checkedOptions } from '../options.ts'
import { TRACE_DRAIN_MS } from '../trace/start-trace.ts'
import { checkedGroup } from './group/checked-names.ts'
import type { Readiness } from './group/member-health.ts'
import { Membership, startOrClose } from './group/membership.ts'
import type { Expression } from './group/subscription.ts'
import { type Subscriber, SubscriptionChanges } from './group/subscription-changes.ts'
import type { Subscriptions } from './group/subscriptions.ts'
import { type PushQueue, PushQueues } from './pop/push-queues.ts'
import { type PushContext, pushContext } from './push/context.ts'
import { type DeliveredMessage, DeliveredMessages } from './push/delivered-messages.ts'
import { firstSubscriptions } from './push/first-subscriptions.ts'
import { handlerOf, messageMaker } from './push/handler.ts'
import type { MessageHandler } from './push/listener.ts'
import { PushMember } from './push/member.ts'
import type { PushConsumerOptions, PushConsumerStats } from './push/options.ts'
import { pushOptions, readPushSettings } from './push/settings.ts'

export type { PushConsumerOptions, PushConsumerStats }

const DRAIN_MS = 30_000
/** How often the locks of orderly queues are renewed, in milliseconds (Apache's rocketmq.client.rebalance.lockInterval). */
const LOCK_MS = 20_000

/**
 * Receives the messages of its subscriptions and hands them to a listener or to `for await` loops: Apache's
 * DefaultMQPushConsumer.
 */
export class PushConsumer<Body = Buffer> implements Subscriber {
  readonly group: string
  readonly #onQueues: PushConsumerOptions<Body>['onQueues']
  readonly #handler: MessageHandler<Body>
  readonly #subscriptions: Subscriptions
  readonly #membership: Membership
  readonly #context: PushContext
  readonly #queues: PushQueues<Body>
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
    const { namespace } = settings
    this.#onQueues = onQueues
    const handler = handlerOf({ onMessage, onMessages }, settings.batchSize)
    this.#handler = handler
    const toMessage = messageMaker(handler, { namespace, group: wrapNamespace(namespace, this.group), codec })
    const subscribed = firstSubscriptions(settings, this.group, subscriptions)
    this.#subscriptions = subscribed

    const membership = new Membership(settings, this.group, () => this.#queues.rebalancer.request())
    this.#membership = membership
    const context = pushContext(settings, membership, subscribed)
    this.#context = context
    const shared = { context, membership, subscriptions: subscribed, handler, toMessage }
    const announce = (): Promise<void> => this.#announce()
    const queues = new PushQueues({ ...shared, announce, onChange: (...all) => this.#queuesChanged(...all) })
    this.#queues = queues
    const { held, rebalancer, consumption } = queues
    this.#member = new PushMember({ ...shared, held, rebalancer, consumption })
    this.#changes = new SubscriptionChanges({
      membership,
      subscriptions: subscribed,
      announce,
      onChange: () => rebalancer.request(true),
      onRemove: topic => queues.removeTopic(topic),
    })
  }

  async #start(): Promise<void> {
    const { list } = this.#subscriptions
    await this.#context.offsets.load()
    await this.#membership.prepare(list)
    await this.#membership.join(this.#member)
    this.#subscriptions.markAnnounced(list)
    this.#membership.every(this.#context.settings.persistOffsetsMs, () => void this.#persist())
    this.#membership.every(LOCK_MS, () => void this.#queues.rebalancer.renewLocks())
    this.#queues.rebalancer.start()
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
    const active = [...this.#queues.held].filter(({ isDropped }) => !isDropped)
    return this.#membership.shown(active.map(({ queue }) => queue))
  }

  get stats(): PushConsumerStats {
    const { total, skipped } = this.#context.stats
    const { queued, running } = this.#queues
    return { pulled: total.pulled, consumed: total.ok, failed: total.failed, skipped, queued, running }
  }

  /** Whether it gets messages, as far as it knows, and what is wrong: for the readiness probe of a service. */
  get readiness(): Readiness {
    return this.#membership.health.readiness(this.#queues.rebalancer.isBalanced)
  }

  get isPaused(): boolean {
    return this.#queues.isPaused
  }

  /**
   * Stops pulling until `resume`. Messages that are already here, or arrive with a pull under way, are still consumed. Queues
   * are still assigned.
   */
  pause(): void {
    this.#queues.pause()
  }

  resume(): void {
    this.#queues.resume()
  }

  /** Sets how many listeners may run at a time. @throws ClientError BAD_OPTION */
  updateConcurrency(listeners: number): void {
    const { accepts, expected } = pushOptions.concurrency
    if (!accepts(listeners)) throw badOption('PushConsumer', 'concurrency', listeners, expected)
    this.#queues.setConcurrency(listeners)
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
      .persist(this.#queues.stored)
      .finally(() => (this.#persisting = undefined)))
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
    await this.#queues.stop(drainMs)
    await this.#member.quiet
  }

  async #release(drainMs: number): Promise<void> {
    await this.#persisting
    await this.#persist()
    await this.#queues.rebalancer.dropAll()
    await this.#context.offsets.close?.()
    await this.#context.trace?.close(Math.min(drainMs, TRACE_DRAIN_MS))
  }
}
