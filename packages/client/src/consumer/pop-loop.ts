import { pause } from '../deadline.ts'
import { toClientError } from '../errors.ts'
import type { MessageQueue } from '../message.ts'
import type { ConsumerCore } from './consumer-core.ts'
import { pop, type PopAsk } from './pop-call.ts'
import type { PopConsumption, PopOwner } from './pop-consume.ts'
import { ProcessQueue } from './process-queue.ts'
import type { HeldWork } from './rebalance.ts'
import type { SubscriptionData } from './subscription.ts'

/** How long a broker may hold a pop that finds nothing, milliseconds. */
const POLL_MS = 15_000
const FLOW_CONTROL = 215
const FLOW_CONTROL_MS = 20
/** How often a queue that may not be popped looks again when nothing wakes it, milliseconds. */
const HOLD_MS = 1000
/** The broker holds too many pops, or answered at once that it has nothing, milliseconds. */
const FULL_MS = 1000
const EMPTY_MS = 100

/** One queue, or all of a broker, that a push consumer pops as the broker told it to. Part of Apache's PopMessageService. */
export class PopWork<Body> implements HeldWork, PopOwner {
  readonly queue: MessageQueue
  /** Without messages: popped ones have no order and no offset to wait for. */
  readonly process: ProcessQueue<never>
  readonly #core: ConsumerCore<Body>
  readonly #consumption: PopConsumption<Body>
  readonly #stop = new AbortController()
  #popped = 0
  #wake: AbortController | undefined
  #done: Promise<void> = Promise.resolve()

  constructor(core: ConsumerCore<Body>, queue: MessageQueue, consumption: PopConsumption<Body>) {
    this.#core = core
    this.queue = queue
    this.#consumption = consumption
    this.process = new ProcessQueue(core.instance.clock.elapsed(), () => 0)
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
    this.#done = this.#run()
  }

  /** What was popped is still consumed: it is this client's until its time is over, whoever has the queue. */
  drop(): Promise<void> {
    this.process.dropped = true
    this.stopPulling()
    return this.#done
  }

  stopPulling(): void {
    this.#stop.abort()
    this.wake()
  }

  wake(): void {
    this.#wake?.abort()
  }

  settle(count: number): void {
    this.#popped -= count
    this.process.lastConsumeAt = this.#core.instance.clock.elapsed()
    this.wake()
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.process.lastPullAt = this.#core.instance.clock.elapsed()
      const subscription = this.#core.subscriptions.get(this.queue.topic)
      try {
        if (subscription === undefined || this.#mustHold) await this.#sleep(HOLD_MS)
        else await this.#pop(subscription)
      } catch (error) {
        await this.#afterFailure(error)
      }
    }
  }

  get #mustHold(): boolean {
    return this.#core.isPaused || this.#popped > this.#core.settings.maxPopped
  }

  async #sleep(ms: number): Promise<void> {
    this.#wake = new AbortController()
    await pause(this.#core.instance.clock, ms, this.#wake.signal)
    this.#wake = undefined
  }

  async #pop(subscription: SubscriptionData): Promise<void> {
    const { instance, stats } = this.#core
    const started = instance.clock.elapsed()
    const { found, isFull } = await pop(this.#core, this.#askOf(subscription), this.#stop.signal)
    const tookMs = instance.clock.elapsed() - started
    stats.pulled(this.queue.topic, found.length, tookMs)
    this.#popped += found.length
    if (found.length > 0) this.#consumption.submit(this, found)
    else if (isFull) await this.#sleep(FULL_MS)
    // A broker that answers at once with nothing must not be asked without end.
    else if (tookMs < EMPTY_MS) await this.#sleep(EMPTY_MS)
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

  async #afterFailure(cause: unknown): Promise<void> {
    if (this.#stop.signal.aborted) return
    const { instance, group, settings } = this.#core
    const error = toClientError(cause)
    const isFlowControl = error.responseCode === FLOW_CONTROL
    if (!isFlowControl) instance.log.warn({ group, ...this.queue, error: error.message }, 'pop failed')
    if (error.code === 'CONNECT_FAILED' || error.code === 'TIMEOUT') instance.routes.suspect(this.queue.topic)
    await pause(instance.clock, isFlowControl ? FLOW_CONTROL_MS : settings.pullRetryMs, this.#stop.signal)
  }
}
