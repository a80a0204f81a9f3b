import { isPromise } from '@gantrymq/remoting'
import type { Consumption, ConsumerCore } from './context.ts'
import { Leavers } from './idle-waits.ts'
import { allDone, callListener, type Consumed, type Handler } from './listener.ts'
import { shownQueue } from '../../message/shown-queue.ts'
import type { QueueLocks } from '../rebalance/queue-locks.ts'
import type { QueueWork } from './pulled-queue.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'
import { DEAD_LETTER_LEVEL, sendBack } from '../group/send-back.ts'

/** A queue that goes on without a rest for so long lets others have their turn, milliseconds. */
const TURN_MS = 1000
/** Calls of listeners that end at once before the event loop has its turn. */
const AT_ONCE = 64
/** After a lock that was not granted (Apache's tryLockLaterAndReconsume). */
const NO_LOCK_MS = 3000
const LEAST_REST_MS = 10
const LONGEST_REST_MS = 30_000
/** Java's largest int: an orderly message is tried for ever. */
const FOR_EVER = 2_147_483_647

/**
 * Consumes each queue in order: one listener a queue, up to `concurrency` queues at a time, only while the broker's lock
 * holds. What fails is tried again in its place. Apache's ConsumeMessageOrderlyService.
 */
export class OrderlyConsumption<Body> implements Consumption<Body> {
  readonly orderly = true
  #concurrency: number
  readonly #core: ConsumerCore<Body>
  readonly #handler: Handler<Body>
  /** Undefined for broadcasting, where nobody shares a queue. */
  readonly #locks: QueueLocks | undefined
  readonly #running = new Set<QueueWork<Body>>()
  /** Queues whose turn comes. */
  readonly #ready = new Set<QueueWork<Body>>()
  readonly #resting = new Set<Disposable>()
  readonly #leavers = new Leavers<QueueWork<Body>>(work => this.#running.has(work))
  readonly #stop = new AbortController()
  #isClosing = false

  constructor(core: ConsumerCore<Body>, handler: Handler<Body>, locks: QueueLocks | undefined) {
    this.#core = core
    this.#handler = handler
    this.#locks = locks
    this.#concurrency = core.settings.concurrency
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

  submit(work: QueueWork<Body>, _messages: readonly ReceivedMessage<Body>[], start: boolean): void {
    if (start) this.#enqueue(work)
  }

  #enqueue(work: QueueWork<Body>): void {
    this.#ready.add(work)
    this.#pump()
  }

  #pump(): void {
    for (const work of this.#ready) {
      if (this.#running.size >= this.#concurrency || this.#isClosing) return
      this.#ready.delete(work)
      if (this.#mayConsume(work)) void this.#run(work)
      else void this.#relock(work)
    }
  }

  // A broker that does not answer takes no listener's place: queues of others go on.
  async #relock(work: QueueWork<Body>): Promise<void> {
    await this.#locks?.renew([work])
    if (work.isDropped || this.#isClosing) return
    if (this.#mayConsume(work)) this.#enqueue(work)
    else this.#later(work, NO_LOCK_MS)
  }

  async #run(work: QueueWork<Body>): Promise<void> {
    this.#running.add(work)
    const restMs = await this.#consumeQueue(work)
    this.#running.delete(work)
    this.#leavers.look()
    // It is to be given up as soon as its message is done.
    if (work.isDropped) this.#core.rebalance()
    if (restMs === 0) this.#enqueue(work)
    else if (restMs !== undefined) this.#later(work, restMs)
    this.#pump()
  }

  #later(work: QueueWork<Body>, ms: number): void {
    if (this.#isClosing) return
    const timer = this.#core.instance.clock.every(ms, () => {
      timer[Symbol.dispose]()
      this.#resting.delete(timer)
      if (!work.isDropped) this.#enqueue(work)
    })
    this.#resting.add(timer)
  }

  /** Returns after how many milliseconds to go on with the queue; undefined if `put` will say so. */
  async #consumeQueue(work: QueueWork<Body>): Promise<number | undefined> {
    const { clock } = this.#core.instance
    const { batchSize } = this.#core.settings
    const began = clock.elapsed()
    for (let calls = 1; !work.isDropped && !this.#isClosing; calls++) {
      if (!this.#mayConsume(work)) return 0
      if (clock.elapsed() - began > TURN_MS && this.#ready.size > 0) return 0
      const messages = work.process.take(batchSize, clock.elapsed())
      if (messages.length === 0) return undefined
      const restMs = await this.#consume(work, messages)
      if (restMs > 0) return restMs
      if (calls % AT_ONCE === 0) await new Promise(resolve => setImmediate(resolve))
    }
    return undefined
  }

  #mayConsume({ process }: QueueWork<Body>): boolean {
    return this.#locks === undefined || (process.locked && !process.lockExpired(this.#core.instance.clock.elapsed()))
  }

  /** Returns how long the queue has to rest, 0 to go on. */
  async #consume(work: QueueWork<Body>, messages: readonly ReceivedMessage<Body>[]): Promise<number> {
    const { stats, instance, settings } = this.#core
    const started = instance.clock.elapsed()
    const context = { queue: shownQueue(settings.namespace, work.queue), signal: this.#stop.signal }
    const pending = callListener(this.#core, this.#handler, messages, context)
    const consumed = (isPromise(pending) ? await pending : pending) ?? allDone(messages.length)
    if (consumed.isLeft === true) return this.#putBack(work, messages, LONGEST_REST_MS)
    const isOk = consumed.doneCount === messages.length
    stats.consumed(work.queue.topic, messages.length, instance.clock.elapsed() - started, isOk)
    if (isOk) return this.#commit(work)
    return await this.#settle(work, messages, consumed)
  }

  // What was done before the failure is kept; of the rest nothing may be done before what failed.
  async #settle(
    work: QueueWork<Body>,
    messages: readonly ReceivedMessage<Body>[],
    { doneCount, delayLevel, suspendMs }: Consumed,
  ): Promise<number> {
    const failed = messages.slice(doneCount)
    const buried = await this.#bury(work, failed, delayLevel)
    const again = failed.slice(buried).map(message => message.again())
    if (again.length === 0) return this.#commit(work)
    const restMs = suspendMs ?? this.#core.settings.suspendQueueMs
    return this.#putBack(work, again, Math.min(Math.max(restMs, LEAST_REST_MS), LONGEST_REST_MS))
  }

  #putBack(work: QueueWork<Body>, messages: readonly ReceivedMessage<Body>[], restMs: number): number {
    work.process.putBack(messages)
    this.#commit(work)
    return restMs
  }

  #commit(work: QueueWork<Body>): 0 {
    const offset = work.process.commit()
    if (offset >= 0 && !work.isGone) this.#core.offsets.update(work.queue, offset, false)
    work.hasRoom()
    return 0
  }

  /** Puts what was tried often enough among the dead letters. Returns how many from the first on are there. */
  async #bury(work: QueueWork<Body>, failed: readonly ReceivedMessage<Body>[], delayLevel: number): Promise<number> {
    const { instance, group, settings } = this.#core
    const max = settings.maxReconsumeTimes === -1 ? FOR_EVER : settings.maxReconsumeTimes
    const context = { instance, group, maxReconsumeTimes: max }
    for (const [at, message] of failed.entries()) {
      const isOver = delayLevel === DEAD_LETTER_LEVEL || message.reconsumeTimes >= max
      if (!isOver || settings.broadcast || work.isGone) return at
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

  settled(work: QueueWork<Body>, ms: number): Promise<boolean> {
    return this.#leavers.wait(this.#core.instance.clock, work, ms)
  }

  async close(drainMs: number): Promise<void> {
    this.#isClosing = true
    for (const timer of this.#resting) timer[Symbol.dispose]()
    this.#resting.clear()
    const works = [...this.#running]
    if (drainMs > 0) await Promise.all(works.map(work => this.settled(work, drainMs)))
    this.#stop.abort()
    this.#ready.clear()
  }
}
