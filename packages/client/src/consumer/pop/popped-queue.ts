import type { SubscriptionData } from '@gantrymq/protocol'
import type { MessageQueue } from '../../message/message.ts'
import type { PauseState, PushContext } from '../push/context.ts'
import type { HeldQueue } from '../queue/held-queue.ts'
import { AT_ONCE_MS, PollLoop } from '../queue/poll-loop.ts'
import { ProcessQueue } from '../queue/process-queue.ts'
import { pop, type PopRequest } from './call.ts'
import type { PopConsumption, PopSource } from './consumption.ts'

/** How long a broker may hold a pop that finds nothing, in milliseconds. */
const POLL_MS = 15_000
/** How often a queue that may not be popped checks again if nothing wakes it, in milliseconds. */
const RECHECK_MS = 1000
/** How long a queue rests if the broker holds too many pops, in milliseconds. */
const FULL_MS = 1000

export interface PoppedQueueOptions<Body> {
  readonly context: Omit<PushContext, 'offsets' | 'trace'>
  readonly queue: MessageQueue
  /** Takes the popped messages. */
  readonly consumption: PopConsumption<Body>
  readonly pauseState: Readonly<PauseState>
}

/**
 * One queue, or all queues of a broker, which a push consumer pops as the broker told it to: part of Apache's
 * PopMessageService.
 */
export class PoppedQueue<Body> implements HeldQueue, PopSource {
  readonly queue: MessageQueue
  /** Always without messages: popped ones have neither an order nor an offset to commit. */
  readonly process: ProcessQueue<never>
  readonly #options: PoppedQueueOptions<Body>
  readonly #loop: PollLoop
  #popped = 0

  constructor(options: PoppedQueueOptions<Body>) {
    const { context, queue } = options
    this.#options = options
    this.queue = queue
    this.process = new ProcessQueue(context.instance.clock.elapsed(), () => 0)
    this.#loop = new PollLoop({ context, queue, verb: 'pop', step: signal => this.#step(signal) })
  }

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

  /** Popped messages are still consumed: they stay invisible to other members until their time is over. */
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

  messagesDone(count: number): void {
    this.#popped -= count
    this.process.lastConsumeAt = this.#options.context.instance.clock.elapsed()
    this.wake()
  }

  async #step(signal: AbortSignal): Promise<void> {
    const { context } = this.#options
    this.process.lastPullAt = context.instance.clock.elapsed()
    const subscription = context.subscriptions.get(this.queue.topic)
    if (subscription === undefined || !this.#mayPop) await this.#loop.sleep(RECHECK_MS)
    else await this.#pop(subscription, signal)
  }

  get #mayPop(): boolean {
    const { context, pauseState } = this.#options
    return !pauseState.isPaused && this.#popped <= context.settings.maxPopped
  }

  async #pop(subscription: SubscriptionData, signal: AbortSignal): Promise<void> {
    const { context, consumption } = this.#options
    const { instance, stats } = context
    const started = instance.clock.elapsed()
    const { found, isFull } = await pop(context, this.#requestOf(subscription), { signal })
    this.#loop.answered()
    const tookMs = instance.clock.elapsed() - started
    stats.pulled(this.queue.topic, found.length, tookMs)
    this.#popped += found.length
    if (found.length > 0) await consumption.submit(this, found)
    else if (isFull) await this.#loop.sleep(FULL_MS)
    else if (tookMs < AT_ONCE_MS) await this.#loop.sleep(AT_ONCE_MS)
  }

  #requestOf(subscription: SubscriptionData): PopRequest {
    const { settings } = this.#options.context
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
