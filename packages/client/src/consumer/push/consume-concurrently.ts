import { isPromise, pause } from '@gantrymq/remoting'
import type { Consumption, ConsumerCore } from './context.ts'
import { callListener, type Consumed, type Handler } from './listener.ts'
import { Leavers } from './idle-waits.ts'
import { shownQueue } from '../../message/shown-queue.ts'
import type { QueueWork } from './pulled-queue.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'
import { DEFAULT_RECONSUME_TIMES, sendBack } from '../group/send-back.ts'

/** What one pull brought, and how far the listeners are with it. */
interface Batch<Body> {
  readonly work: QueueWork<Body>
  readonly messages: readonly ReceivedMessage<Body>[]
  at: number
}

/** A listener that did not end at once. */
interface Task<Body> {
  readonly work: QueueWork<Body>
  readonly messages: readonly ReceivedMessage<Body>[]
  startedAt: number
  /** What took too long and was given away: what the listener says of it does not count any more. */
  away: readonly ReceivedMessage<Body>[]
  /** Resolves when a broker has taken what takes too long, or has not. */
  leaving: Promise<void> | undefined
}

/** What could not be taken back by a broker is consumed again here after so long, milliseconds. */
const AGAIN_MS = 5000
const EXPIRED_LEVEL = 3
/** Calls of listeners that end at once in one turn of the event loop, beyond those of one pull. */
const TURN = 256

/**
 * Consumes the messages of all queues side by side, up to `concurrency` listeners at a time, in the order in which they
 * came. Apache's ConsumeMessageConcurrentlyService. What listeners do at once costs neither a promise nor an offset of its
 * own: the offset is noted once a pull, before anybody else has a turn.
 */
export class ConcurrentConsumption<Body> implements Consumption<Body> {
  readonly orderly = false
  readonly #core: ConsumerCore<Body>
  readonly #handler: Handler<Body>
  readonly #running = new Set<Task<Body>>()
  readonly #leavers = new Leavers<QueueWork<Body>>(work => this.#isBusy(work))
  readonly #stop = new AbortController()
  #concurrency: number
  #batches: Batch<Body>[] = []
  #head = 0
  #timer: Disposable | undefined
  #isClosing = false
  #isPumping = false

  constructor(core: ConsumerCore<Body>, handler: Handler<Body>) {
    this.#core = core
    this.#handler = handler
    const { consumeTimeoutMs, concurrency } = core.settings
    this.#concurrency = concurrency
    this.#timer = core.instance.clock.every(consumeTimeoutMs, () => this.#expire())
  }

  get running(): number {
    return this.#running.size
  }

  get concurrency(): number {
    return this.#concurrency
  }

  set concurrency(listeners: number) {
    this.#concurrency = listeners
    this.#pump()
  }

  submit(work: QueueWork<Body>, messages: readonly ReceivedMessage<Body>[]): void {
    this.#batches.push({ work, messages, at: 0 })
    this.#pump()
  }

  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    for (let budget = TURN; this.#running.size < this.#concurrency && !this.#isClosing; ) {
      const batch = this.#batches[this.#head]
      if (batch === undefined) break
      if (budget <= 0) {
        setImmediate(() => this.#pump())
        break
      }
      budget -= this.#advance(batch)
      if (batch.at >= batch.messages.length) this.#forgetFirst()
    }
    this.#isPumping = false
  }

  #forgetFirst(): void {
    this.#head++
    // Cut off what is done when it is half of the list: costs one step a batch, all told.
    if (this.#head * 2 <= this.#batches.length) return
    this.#batches = this.#batches.slice(this.#head)
    this.#head = 0
  }

  /** Calls listeners until one does not end at once, or all are called. Returns how many messages they had. */
  #advance(batch: Batch<Body>): number {
    const { work, messages } = batch
    const { settings } = this.#core
    const context = { queue: shownQueue(settings.namespace, work.queue), signal: this.#stop.signal }
    const size = settings.batchSize
    const from = batch.at
    const started = this.#core.instance.clock.elapsed()
    while (batch.at < messages.length && !work.isDropped && !this.#isClosing) {
      const part = messages.slice(batch.at, batch.at + size)
      const consumed = callListener(this.#core, this.#handler, part, context)
      if (consumed !== undefined) {
        this.#doneAtOnce(work, messages, from, batch.at, started)
        batch.at += part.length
        void this.#follow({ work, messages: part, startedAt: started, away: [], leaving: undefined }, consumed)
        return batch.at - from
      }
      batch.at += part.length
    }
    this.#doneAtOnce(work, messages, from, batch.at, started)
    // Whoever has the queue now gets the rest.
    if (work.isDropped) batch.at = messages.length
    return batch.at - from
  }

  #doneAtOnce(work: QueueWork<Body>, all: Batch<Body>['messages'], from: number, to: number, started: number): void {
    if (to === from) return
    const { stats, instance } = this.#core
    stats.consumed(work.queue.topic, to - from, instance.clock.elapsed() - started, true)
    if (!work.isGone) this.#finish(work, from === 0 && to === all.length ? all : all.slice(from, to))
  }

  async #follow(task: Task<Body>, pending: Consumed | Promise<Consumed | undefined>): Promise<void> {
    this.#running.add(task)
    const consumed = isPromise(pending) ? await pending : pending
    const { stats, instance } = this.#core
    const { work, messages, startedAt } = task
    // Its listener has ended: while a broker takes it back it must not be given away once more.
    task.startedAt = Number.POSITIVE_INFINITY
    const doneCount = consumed?.doneCount ?? messages.length
    if (consumed?.isLeft !== true) {
      const ms = instance.clock.elapsed() - startedAt
      stats.consumed(work.queue.topic, messages.length, ms, doneCount === messages.length)
      if (task.leaving !== undefined) await task.leaving
      await this.#settle(task, doneCount, consumed?.delayLevel ?? 0)
    }
    this.#running.delete(task)
    this.#leavers.look()
    this.#pump()
  }

  async #settle({ work, messages, away }: Task<Body>, doneCount: number, delayLevel: number): Promise<void> {
    const mine = without(messages, away)
    // Whoever has the queue now will get them again anyway.
    if (work.isGone || mine.length === 0) return
    if (doneCount === messages.length) return this.#finish(work, mine)
    const kept = await this.#sendBack(work, without(messages.slice(doneCount), away), delayLevel)
    if (kept.length > 0) void this.#submitAgain(work, kept)
    if (!work.isGone) this.#finish(work, without(mine, kept))
  }

  #finish(work: QueueWork<Body>, messages: readonly ReceivedMessage<Body>[]): void {
    const { instance, offsets } = this.#core
    const offset = work.process.remove(messages, instance.clock.elapsed())
    if (offset >= 0) offsets.update(work.queue, offset, true)
    work.hasRoom()
  }

  /** Has messages delivered again later. Returns those that nobody would take. */
  async #sendBack(work: QueueWork<Body>, messages: readonly ReceivedMessage<Body>[], delayLevel: number) {
    const { instance, group, settings } = this.#core
    if (settings.broadcast) {
      instance.log.warn({ group, messageId: messages[0]?.messageId }, 'failed message of a broadcast group is dropped')
      return []
    }
    const { maxReconsumeTimes: max } = settings
    const context = { instance, group, maxReconsumeTimes: max === -1 ? DEFAULT_RECONSUME_TIMES : max }
    const kept: ReceivedMessage<Body>[] = []
    for (const message of messages) {
      // Somebody else has the queue, and will get the message again with it.
      if (work.isGone) return []
      try {
        await sendBack(context, message, delayLevel)
      } catch (error) {
        instance.log.error({ group, messageId: message.messageId, error: String(error) }, 'cannot send a message back')
        kept.push(message)
      }
    }
    return kept
  }

  async #submitAgain(work: QueueWork<Body>, messages: readonly ReceivedMessage<Body>[]): Promise<void> {
    await pause(this.#core.instance.clock, AGAIN_MS, this.#stop.signal)
    if (work.isDropped || this.#isClosing) return
    this.submit(
      work,
      messages.map(message => message.again()),
    )
  }

  // -- Listeners that take too long ----------------------------------------------------------------------------------

  /** Gives away what takes too long, so that the offset of its queue can go on (Apache's cleanExpiredMsg). */
  #expire(): void {
    const { instance, settings } = this.#core
    const now = instance.clock.elapsed()
    for (const task of this.#running) {
      const [first] = task.messages
      if (first !== undefined && this.#handler.isWaiting?.(first) === true) task.startedAt = now
      const isLate = now - task.startedAt >= settings.consumeTimeoutMs && task.away.length < task.messages.length
      if (isLate && task.leaving === undefined && !settings.broadcast && !task.work.isGone) this.#giveAway(task)
    }
  }

  /** What nobody takes stays the listener's, to be tried again at the next look. */
  #giveAway(task: Task<Body>): void {
    task.leaving = this.#sendAway(task).finally(() => (task.leaving = undefined))
  }

  async #sendAway(task: Task<Body>): Promise<void> {
    const { work, messages } = task
    const { instance, group } = this.#core
    const late = without(messages, task.away)
    instance.log.warn({ group, messageId: late[0]?.messageId }, 'listener takes too long: message given back')
    const kept = await this.#sendBack(work, late, EXPIRED_LEVEL)
    task.away = without(messages, kept)
    if (!work.isGone) this.#finish(work, task.away)
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  #isBusy(work: QueueWork<Body>): boolean {
    for (const task of this.#running) if (task.work === work) return true
    return false
  }

  settled(work: QueueWork<Body>, ms: number): Promise<boolean> {
    return this.#leavers.wait(this.#core.instance.clock, work, ms)
  }

  async close(drainMs: number): Promise<void> {
    this.#isClosing = true
    this.#timer?.[Symbol.dispose]()
    const works = new Set([...this.#running].map(({ work }) => work))
    if (drainMs > 0) await Promise.all([...works].map(work => this.settled(work, drainMs)))
    this.#stop.abort()
    this.#batches = []
    this.#head = 0
  }
}

function without<T>(all: readonly T[], some: readonly T[]): readonly T[] {
  return some.length === 0 ? all : all.filter(each => !some.includes(each))
}
