import { setImmediate } from 'node:timers'
import { isPromise } from '@gantrymq/remoting'
import type { ReceivedMessage } from '../../message/received-message.ts'
import { shownQueue } from '../../message/shown-queue.ts'
import { DEAD_LETTER_LEVEL, sendBack } from '../group/send-back.ts'
import type { QueueLocks } from '../rebalance/queue-locks.ts'
import type { ConsumedQueue, Consumption } from './consumption.ts'
import type { PushContext } from './context.ts'
import { IdleWaits } from './idle-waits.ts'
import { allDone, callListener, type CallResult, type MessageHandler } from './listener.ts'

/** A queue that was consumed for this long without a rest lets other queues have a turn, in milliseconds. */
const TURN_MS = 1000
/** How many listeners may end at once before the event loop gets a turn. */
const CALLS_PER_TURN = 64
/** How long a queue rests whose lock was not granted, in milliseconds (Apache's tryLockLaterAndReconsume). */
const NO_LOCK_MS = 3000
const LEAST_REST_MS = 10
const LONGEST_REST_MS = 30_000
/** Java's largest int: an orderly message is retried for ever. */
const NO_LIMIT = 2_147_483_647

export interface OrderlyConsumptionOptions<Body> {
  readonly context: PushContext
  readonly handler: MessageHandler<Body>
  /** Undefined for broadcast groups, whose members do not share queues. */
  readonly locks: QueueLocks | undefined
  /** Called when the listener of a dropped queue has ended: the queue can be given up now. */
  readonly onDroppedIdle: () => void
}

/**
 * Consumes each queue in order: one listener per queue, up to `concurrency` queues at a time, and only while the broker's lock
 * is valid. A failed message is retried before the queue goes on. Apache's ConsumeMessageOrderlyService.
 */
export class OrderlyConsumption<Body> implements Consumption<Body> {
  readonly orderly = true
  readonly #options: OrderlyConsumptionOptions<Body>
  readonly #context: PushContext
  readonly #running = new Set<ConsumedQueue<Body>>()
  /** Queues that wait for a listener. */
  readonly #ready = new Set<ConsumedQueue<Body>>()
  /** Timers of queues that rest. */
  readonly #resting = new Set<Disposable>()
  readonly #idleWaits = new IdleWaits<ConsumedQueue<Body>>(source => this.#running.has(source))
  readonly #stop = new AbortController()
  #concurrency: number
  #isClosing = false

  constructor(options: OrderlyConsumptionOptions<Body>) {
    this.#options = options
    this.#context = options.context
    this.#concurrency = options.context.settings.concurrency
  }

  get concurrency(): number {
    return this.#concurrency
  }

  set concurrency(queues: number) {
    this.#concurrency = queues
    this.#pump()
  }

  get running(): number {
    return this.#running.size
  }

  submit(source: ConsumedQueue<Body>, _messages: readonly ReceivedMessage<Body>[], start: boolean): void {
    if (start) this.#enqueue(source)
  }

  #enqueue(source: ConsumedQueue<Body>): void {
    this.#ready.add(source)
    this.#pump()
  }

  #pump(): void {
    for (const source of this.#ready) {
      if (this.#running.size >= this.#concurrency || this.#isClosing) return
      this.#ready.delete(source)
      if (this.#mayConsume(source)) void this.#run(source)
      else void this.#relock(source)
    }
  }

  // Does not count as running: a broker that does not answer must not stop other brokers' queues.
  async #relock(source: ConsumedQueue<Body>): Promise<void> {
    await this.#options.locks?.renew([source])
    if (source.isDropped || this.#isClosing) return
    if (this.#mayConsume(source)) this.#enqueue(source)
    else this.#enqueueLater(source, NO_LOCK_MS)
  }

  async #run(source: ConsumedQueue<Body>): Promise<void> {
    this.#running.add(source)
    const restMs = await this.#consumeQueue(source)
    this.#running.delete(source)
    this.#idleWaits.check()
    if (source.isDropped) this.#options.onDroppedIdle()
    if (restMs === 0) this.#enqueue(source)
    else if (restMs !== undefined) this.#enqueueLater(source, restMs)
    this.#pump()
  }

  #enqueueLater(source: ConsumedQueue<Body>, ms: number): void {
    if (this.#isClosing) return
    const timer = this.#context.instance.clock.every(ms, () => {
      timer[Symbol.dispose]()
      this.#resting.delete(timer)
      if (!source.isDropped) this.#enqueue(source)
    })
    this.#resting.add(timer)
  }

  /** Returns after how many milliseconds to go on with the queue; undefined to wait for `submit`. */
  async #consumeQueue(source: ConsumedQueue<Body>): Promise<number | undefined> {
    const { clock } = this.#context.instance
    const { batchSize } = this.#context.settings
    const started = clock.elapsed()
    for (let calls = 1; !source.isDropped && !this.#isClosing; calls++) {
      if (!this.#mayConsume(source)) return 0
      if (clock.elapsed() - started > TURN_MS && this.#ready.size > 0) return 0
      const messages = source.process.take(batchSize, clock.elapsed())
      if (messages.length === 0) return undefined
      const restMs = await this.#consume(source, messages)
      if (restMs > 0) return restMs
      if (calls % CALLS_PER_TURN === 0) await new Promise(resolve => setImmediate(resolve))
    }
    return undefined
  }

  #mayConsume({ process }: ConsumedQueue<Body>): boolean {
    if (this.#options.locks === undefined) return true
    return process.locked && !process.lockExpired(this.#context.instance.clock.elapsed())
  }

  /** Returns how long the queue has to rest, in milliseconds; 0 to go on. */
  async #consume(source: ConsumedQueue<Body>, messages: readonly ReceivedMessage<Body>[]): Promise<number> {
    const { stats, instance, settings } = this.#context
    const started = instance.clock.elapsed()
    const context = { queue: shownQueue(settings.namespace, source.queue), signal: this.#stop.signal }
    const pending = callListener(this.#context, this.#options.handler, messages, context)
    const result = (isPromise(pending) ? await pending : pending) ?? allDone(messages.length)
    if (result.isAbandoned === true) return this.#putBack(source, messages, LONGEST_REST_MS)
    const isOk = result.doneCount === messages.length
    stats.consumed(source.queue.topic, messages.length, instance.clock.elapsed() - started, isOk)
    if (isOk) return this.#commit(source)
    return await this.#settle(source, messages, result)
  }

  // Messages before the failed one are committed; those after it must not be consumed before it.
  async #settle(
    source: ConsumedQueue<Body>,
    messages: readonly ReceivedMessage<Body>[],
    { doneCount, delayLevel, suspendMs }: CallResult,
  ): Promise<number> {
    const failed = messages.slice(doneCount)
    const deadLetters = await this.#sendDeadLetters(source, failed, delayLevel)
    const again = failed.slice(deadLetters).map(message => message.again())
    if (again.length === 0) return this.#commit(source)
    const restMs = suspendMs ?? this.#context.settings.suspendQueueMs
    return this.#putBack(source, again, Math.min(Math.max(restMs, LEAST_REST_MS), LONGEST_REST_MS))
  }

  #putBack(source: ConsumedQueue<Body>, messages: readonly ReceivedMessage<Body>[], restMs: number): number {
    source.process.putBack(messages)
    this.#commit(source)
    return restMs
  }

  #commit(source: ConsumedQueue<Body>): 0 {
    const offset = source.process.commit()
    if (offset >= 0 && !source.isReleased) this.#context.offsets.update(source.queue, offset, false)
    source.messagesDone()
    return 0
  }

  /** Moves messages that have no deliveries left to the dead letters. Returns how many, counted from the first on. */
  async #sendDeadLetters(
    source: ConsumedQueue<Body>,
    failed: readonly ReceivedMessage<Body>[],
    delayLevel: number,
  ): Promise<number> {
    const { instance, group, settings } = this.#context
    const max = settings.maxReconsumeTimes === -1 ? NO_LIMIT : settings.maxReconsumeTimes
    const context = { instance, group, maxReconsumeTimes: max }
    for (const [at, message] of failed.entries()) {
      const isDeadLetter = delayLevel === DEAD_LETTER_LEVEL || message.reconsumeTimes >= max
      if (!isDeadLetter || settings.broadcast || source.isReleased) return at
      try {
        await sendBack(context, message, DEAD_LETTER_LEVEL)
      } catch (error) {
        instance.log.error({ group, messageId: message.messageId, error: String(error) }, 'cannot send a message back')
        return at
      }
    }
    return failed.length
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  waitIdle(source: ConsumedQueue<Body>, ms: number): Promise<boolean> {
    return this.#idleWaits.wait(this.#context.instance.clock, source, ms)
  }

  async close(drainMs: number): Promise<void> {
    this.#isClosing = true
    for (const timer of this.#resting) timer[Symbol.dispose]()
    this.#resting.clear()
    const busy = [...this.#running]
    if (drainMs > 0) await Promise.all(busy.map(source => this.waitIdle(source, drainMs)))
    this.#stop.abort()
    this.#ready.clear()
  }
}
