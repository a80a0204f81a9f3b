import type { SubscriptionData } from '@gantrymq/protocol'
import type { MessageQueue } from '../../message/message.ts'
import type { ConsumerCore } from '../push/context.ts'
import { pop, type PopAsk } from './call.ts'
import type { PopConsumption, PopOwner } from './consumption.ts'
import { ProcessQueue } from '../queue/process-queue.ts'
import { AT_ONCE_MS, QueueLoop } from '../queue/poll-loop.ts'
import type { HeldWork } from '../rebalance/rebalancer.ts'

/** How long a broker may hold a pop that finds nothing, milliseconds. */
const POLL_MS = 15_000
/** How often a queue that may not be popped looks again when nothing wakes it, milliseconds. */
const HOLD_MS = 1000
/** The broker holds too many pops, milliseconds. */
const FULL_MS = 1000

/** One queue, or all of a broker, that a push consumer pops as the broker told it to. Part of Apache's PopMessageService. */
export class PopWork<Body> implements HeldWork, PopOwner {
  readonly queue: MessageQueue
  /** Without messages: popped ones have no order and no offset to wait for. */
  readonly process: ProcessQueue<never>
  readonly #core: ConsumerCore<Body>
  readonly #consumption: PopConsumption<Body>
  readonly #loop: QueueLoop
  #popped = 0

  constructor(core: ConsumerCore<Body>, queue: MessageQueue, consumption: PopConsumption<Body>) {
    this.#core = core
    this.queue = queue
    this.#consumption = consumption
    this.process = new ProcessQueue(core.instance.clock.elapsed(), () => 0)
    this.#loop = new QueueLoop({ core, queue, verb: 'pop', step: signal => this.#step(signal) })
  }

  /** Messages that are neither acknowledged nor given back. */
  get popped(): number {
    return this.#popped
  }

  get isDropped(): boolean {
    return this.process.dropped
  }

  isExpired(now: number): boolean {
    return this.isDropped || this.process.pullExpired(now)
  }

  start(): void {
    this.#loop.start()
  }

  /** What was popped is still consumed: it is this client's until its time is over, whoever has the queue. */
  drop(): Promise<void> {
    this.process.dropped = true
    this.stopPulling()
    return this.#loop.done
  }

  stopPulling(): void {
    this.#loop.stop()
  }

  wake(): void {
    this.#loop.wake()
  }

  settle(count: number): void {
    this.#popped -= count
    this.process.lastConsumeAt = this.#core.instance.clock.elapsed()
    this.wake()
  }

  async #step(signal: AbortSignal): Promise<void> {
    this.process.lastPullAt = this.#core.instance.clock.elapsed()
    const subscription = this.#core.subscriptions.get(this.queue.topic)
    if (subscription === undefined || this.#mustHold) await this.#loop.sleep(HOLD_MS)
    else await this.#pop(subscription, signal)
  }

  get #mustHold(): boolean {
    return this.#core.isPaused || this.#popped > this.#core.settings.maxPopped
  }

  async #pop(subscription: SubscriptionData, signal: AbortSignal): Promise<void> {
    const { instance, stats } = this.#core
    const started = instance.clock.elapsed()
    const { found, isFull } = await pop(this.#core, this.#askOf(subscription), { signal })
    const tookMs = instance.clock.elapsed() - started
    stats.pulled(this.queue.topic, found.length, tookMs)
    this.#popped += found.length
    if (found.length > 0) this.#consumption.submit(this, found)
    else if (isFull) await this.#loop.sleep(FULL_MS)
    // A broker that answers at once with nothing must not be asked without end.
    else if (tookMs < AT_ONCE_MS) await this.#loop.sleep(AT_ONCE_MS)
  }

  #askOf(subscription: SubscriptionData): PopAsk {
    const { settings } = this.#core
    const { brokerName, queueId } = this.queue
    return {
      subscription,
      brokerName,
      queueId,
      max: settings.popBatchSize,
      invisibleMs: settings.popInvisibleMs,
      pollMs: POLL_MS,
      from: settings.consumeFrom === 'first' ? 'oldest' : 'newest',
    }
  }
}
