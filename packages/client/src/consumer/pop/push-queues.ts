import type { MessageRequestMode } from '@gantrymq/protocol'
import type { MessageQueue } from '../../message/message.ts'
import type { MessageMaker } from '../../message/received-message.ts'
import { shownQueue } from '../../message/shown-queue.ts'
import type { Membership } from '../group/membership.ts'
import type { Subscriptions } from '../group/subscriptions.ts'
import { findStartOffset } from '../offsets/queue-offsets.ts'
import { ConcurrentConsumption } from '../push/consume-concurrently.ts'
import { OrderlyConsumption } from '../push/consume-orderly.ts'
import type { Consumption } from '../push/consumption.ts'
import type { PauseState, PushContext } from '../push/context.ts'
import type { MessageHandler } from '../push/listener.ts'
import { PulledQueue } from '../push/pulled-queue.ts'
import { SharedLimits } from '../queue/flow-control.ts'
import type { HeldQueue } from '../queue/held-queue.ts'
import { HeldQueues } from '../queue/held-queues.ts'
import { type BrokerAssignment, queryAssignment } from '../rebalance/broker-assignment.ts'
import { QueueLocks } from '../rebalance/queue-locks.ts'
import { Rebalancer } from '../rebalance/rebalancer.ts'
import { PopConsumption } from './consumption.ts'
import { PoppedQueue } from './popped-queue.ts'
import { PopRetryTopics } from './retry-topics.ts'

export type PushQueue<Body> = PulledQueue<Body> | PoppedQueue<Body>

export interface PushQueuesOptions<Body> {
  readonly context: PushContext
  readonly membership: Membership
  readonly subscriptions: Subscriptions
  readonly handler: MessageHandler<Body>
  readonly toMessage: MessageMaker<Body>
  /** Announces the subscriptions to the brokers. */
  readonly announce: () => Promise<void>
  /** Called when the queues of a topic, or this member's part of them, have changed. */
  readonly onChange: (topic: string, all: readonly MessageQueue[], mine: readonly MessageQueue[]) => unknown
}

/** How long a queue that is given up waits for its listeners before it is checked again, in milliseconds. */
const IDLE_MS = 500

/** The queues of a push consumer, pulled or popped, and the consumption of their messages. */
export class PushQueues<Body> {
  readonly held = new HeldQueues<PushQueue<Body>>()
  readonly consumption: Consumption<Body>
  readonly rebalancer: Rebalancer<PushQueue<Body>>
  readonly #options: PushQueuesOptions<Body>
  readonly #limits: SharedLimits
  readonly #pauseState: PauseState = { isPaused: false }
  /** Undefined if brokers may not tell this consumer to pop. */
  readonly #popConsumption: PopConsumption<Body> | undefined
  readonly #popRetryTopics: PopRetryTopics

  constructor(options: PushQueuesOptions<Body>) {
    const { context, membership, subscriptions, handler, toMessage, announce, onChange } = options
    const { settings, instance, group } = context
    const { orderly, broadcast } = settings
    this.#options = options
    this.#limits = new SharedLimits(settings, this.held)
    const locks = orderly && !broadcast ? new QueueLocks(instance, group) : undefined
    this.consumption = orderly
      ? new OrderlyConsumption({ context, handler, locks, onDroppedIdle: () => this.rebalancer.request() })
      : new ConcurrentConsumption(context, handler)
    const mayPop = settings.serverAssignment && !orderly && !broadcast
    this.#popConsumption = mayPop ? new PopConsumption(context, handler, toMessage) : undefined
    this.#popRetryTopics = new PopRetryTopics(membership, subscriptions, announce)
    this.rebalancer = new Rebalancer({
      context,
      held: this.held,
      locks,
      open: (queue, mode, offset) => this.#open(queue, mode, offset),
      waitIdle: held => this.#waitIdle(held),
      queryBrokers: mayPop ? (topic, signal) => this.#queryBrokers(topic, signal) : undefined,
      onChange,
    })
  }

  // -- For the rebalancer --------------------------------------------------------------------------------------------

  async #open(queue: MessageQueue, mode: MessageRequestMode, from?: number): Promise<PushQueue<Body> | undefined> {
    const { context, toMessage } = this.#options
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
      consumption: this.consumption,
      limits: this.#limits,
      pauseState,
      toMessage,
      onMoved: (held, to) => void this.rebalancer.restart(held, to),
      onLost: () => this.rebalancer.request(),
    })
  }

  async #waitIdle(held: PushQueue<Body>): Promise<boolean> {
    if (held instanceof PoppedQueue) return true
    const { handler, context } = this.#options
    handler.abandon?.(shownQueue(context.settings.namespace, held.queue))
    return await this.consumption.waitIdle(held, IDLE_MS)
  }

  async #queryBrokers(topic: string, signal: AbortSignal): Promise<BrokerAssignment> {
    const assigned = await queryAssignment(this.#options.context, topic, signal)
    if (Array.isArray(assigned)) await this.#popRetryTopics.follow(topic, assigned)
    return assigned
  }

  // -- For the consumer ----------------------------------------------------------------------------------------------

  /** Messages in memory that are not done. */
  get queued(): number {
    let queued = 0
    for (const { popped, process } of this.held as Iterable<HeldQueue>) queued += popped ?? process.count
    return queued
  }

  /** Running listeners; for orderly consumers, queues that are being consumed. */
  get running(): number {
    return this.consumption.running + (this.#popConsumption?.running ?? 0)
  }

  /** Queues whose offsets have to be stored: also those that are about to be given up, as listeners may be busy with them. */
  get stored(): MessageQueue[] {
    const isReleased = (held: PushQueue<Body>): boolean => held instanceof PulledQueue && held.isReleased
    return [...this.held].filter(held => !isReleased(held)).map(({ queue }) => queue)
  }

  get isPaused(): boolean {
    return this.#pauseState.isPaused
  }

  pause(): void {
    this.#pauseState.isPaused = true
  }

  resume(): void {
    this.#pauseState.isPaused = false
    for (const held of this.held) held.wake()
    this.rebalancer.request(true)
  }

  setConcurrency(listeners: number): void {
    this.consumption.concurrency = listeners
    if (this.#popConsumption !== undefined) this.#popConsumption.concurrency = listeners
  }

  /** The topic was unsubscribed. @param topic with its namespace */
  removeTopic(topic: string): void {
    this.#popRetryTopics.remove(topic)
  }

  /** Stops rebalancing and pulling, and waits up to `drainMs` for listeners that run. */
  async stop(drainMs: number): Promise<void> {
    await this.rebalancer.stop()
    await Promise.all([this.consumption.close(drainMs), this.#popConsumption?.close(drainMs)])
  }
}
