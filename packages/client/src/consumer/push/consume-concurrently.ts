import { setImmediate } from 'node:timers'
import { isPromise, pause } from '@gantrymq/remoting'
import type { ReceivedMessage } from '../../message/received-message.ts'
import { shownQueue } from '../../message/shown-queue.ts'
import { DEFAULT_RECONSUME_TIMES, sendBack } from '../group/send-back.ts'
import type { ConsumedQueue, Consumption } from './consumption.ts'
import type { PushContext } from './context.ts'
import { IdleWaits } from './idle-waits.ts'
import { callListener, type CallResult, type MessageHandler } from './listener.ts'

/** The messages of one pull, and the index of the next one to hand to a listener. */
interface PulledBatch<Body> {
  readonly source: ConsumedQueue<Body>
  readonly messages: readonly ReceivedMessage<Body>[]
  next: number
}

/** A call of a listener that did not end at once. */
interface RunningCall<Body> {
  readonly source: ConsumedQueue<Body>
  readonly messages: readonly ReceivedMessage<Body>[]
  /** Infinity once the listener has ended. */
  startedAt: number
  /** Messages that were sent back because the listener takes too long: its result does not count for them. */
  sentBack: readonly ReceivedMessage<Body>[]
  /** Settles when the late messages have been sent back, or could not be. */
  sendingBack: Promise<void> | undefined
}

/** Messages that no broker takes back are consumed again after this time, in milliseconds. */
const AGAIN_MS = 5000
/** The delay level of messages whose listener takes too long (Apache's cleanExpiredMsg): 10 s. */
const EXPIRED_LEVEL = 3
/** How many messages listeners may finish at once in a turn of the event loop, not counting the rest of a pull. */
const MESSAGES_PER_TURN = 256

/**
 * Consumes the messages of all queues concurrently, with up to `concurrency` listeners, in the order in which they arrived:
 * Apache's ConsumeMessageConcurrentlyService. Calls of listeners that return at once cost neither a promise nor an update of
 * the offset: the offset is updated once per pull, before any other code runs.
 */
export class ConcurrentConsumption<Body> implements Consumption<Body> {
  readonly orderly = false
  readonly #context: PushContext
  readonly #handler: MessageHandler<Body>
  readonly #running = new Set<RunningCall<Body>>()
  readonly #idleWaits = new IdleWaits<ConsumedQueue<Body>>(source => this.#isBusy(source))
  readonly #stop = new AbortController()
  #concurrency: number
  #batches: PulledBatch<Body>[] = []
  /** Index of the first batch that is not finished. */
  #head = 0
  #timer: Disposable | undefined
  #isClosing = false
  #isPumping = false

  constructor(context: PushContext, handler: MessageHandler<Body>) {
    this.#context = context
    this.#handler = handler
    const { consumeTimeoutMs, concurrency } = context.settings
    this.#concurrency = concurrency
    this.#timer = context.instance.clock.every(consumeTimeoutMs, () => this.#sendBackExpired())
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

  submit(source: ConsumedQueue<Body>, messages: readonly ReceivedMessage<Body>[]): void {
    this.#batches.push({ source, messages, next: 0 })
    this.#pump()
  }

  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    for (let budget = MESSAGES_PER_TURN; this.#running.size < this.#concurrency && !this.#isClosing; ) {
      const batch = this.#batches[this.#head]
      if (batch === undefined) break
      if (budget <= 0) {
        setImmediate(() => this.#pump())
        break
      }
      budget -= this.#advance(batch)
      if (batch.next >= batch.messages.length) this.#removeFirst()
    }
    this.#isPumping = false
  }

  #removeFirst(): void {
    this.#head++
    // Finished batches are cut off when they are half of the list, so each batch is copied about once.
    if (this.#head * 2 <= this.#batches.length) return
    this.#batches = this.#batches.slice(this.#head)
    this.#head = 0
  }

  /** Calls listeners until one does not end at once, or until all messages are handed out. Returns how many were. */
  #advance(batch: PulledBatch<Body>): number {
    const { source, messages } = batch
    const { settings, instance } = this.#context
    const context = { queue: shownQueue(settings.namespace, source.queue), signal: this.#stop.signal }
    const first = batch.next
    const started = instance.clock.elapsed()
    while (batch.next < messages.length && !source.isDropped && !this.#isClosing) {
      const part = messages.slice(batch.next, batch.next + settings.batchSize)
      const result = callListener(this.#context, this.#handler, part, context)
      if (result !== undefined) {
        this.#finishCalled(batch, first, started)
        batch.next += part.length
        const call = { source, messages: part, startedAt: started, sentBack: [], sendingBack: undefined }
        void this.#follow(call, result)
        return batch.next - first
      }
      batch.next += part.length
    }
    this.#finishCalled(batch, first, started)
    // The next owner of the queue gets the rest.
    if (source.isDropped) batch.next = messages.length
    return batch.next - first
  }

  /** Finishes the messages of a batch from `first` on whose listeners ended at once. */
  #finishCalled({ source, messages, next }: PulledBatch<Body>, first: number, started: number): void {
    if (next === first) return
    const { stats, instance } = this.#context
    stats.consumed(source.queue.topic, next - first, instance.clock.elapsed() - started, true)
    const isWhole = first === 0 && next === messages.length
    if (!source.isReleased) this.#finish(source, isWhole ? messages : messages.slice(first, next))
  }

  /** Waits for a listener and settles its messages. Never rejects. */
  async #follow(call: RunningCall<Body>, pending: CallResult | Promise<CallResult | undefined>): Promise<void> {
    this.#running.add(call)
    const result = isPromise(pending) ? await pending : pending
    const { stats, instance } = this.#context
    const { source, messages, startedAt } = call
    // The listener has ended, so its messages must not be sent back as late while they are settled.
    call.startedAt = Number.POSITIVE_INFINITY
    const doneCount = result?.doneCount ?? messages.length
    if (result?.isAbandoned !== true) {
      const ms = instance.clock.elapsed() - startedAt
      stats.consumed(source.queue.topic, messages.length, ms, doneCount === messages.length)
      if (call.sendingBack !== undefined) await call.sendingBack
      await this.#settle(call, doneCount, result?.delayLevel ?? 0)
    }
    this.#running.delete(call)
    this.#idleWaits.check()
    this.#pump()
  }

  async #settle(call: RunningCall<Body>, doneCount: number, delayLevel: number): Promise<void> {
    const { source, messages, sentBack } = call
    const own = without(messages, sentBack)
    // The next owner of the queue gets its messages anyway.
    if (source.isReleased || own.length === 0) return
    if (doneCount === messages.length) return this.#finish(source, own)
    const kept = await this.#sendBack(source, without(messages.slice(doneCount), sentBack), delayLevel)
    if (kept.length > 0) void this.#consumeAgain(source, kept)
    if (!source.isReleased) this.#finish(source, without(own, kept))
  }

  #finish(source: ConsumedQueue<Body>, messages: readonly ReceivedMessage<Body>[]): void {
    const { instance, offsets } = this.#context
    const offset = source.process.remove(messages, instance.clock.elapsed())
    if (offset >= 0) offsets.update(source.queue, offset, true)
    source.messagesDone()
  }

  /** Has messages redelivered. Returns those that no broker takes. */
  async #sendBack(
    source: ConsumedQueue<Body>,
    messages: readonly ReceivedMessage<Body>[],
    delayLevel: number,
  ): Promise<readonly ReceivedMessage<Body>[]> {
    const { instance, group, settings } = this.#context
    if (settings.broadcast) {
      instance.log.warn({ group, messageId: messages[0]?.messageId }, 'failed message of a broadcast group is dropped')
      return []
    }
    const { maxReconsumeTimes: max } = settings
    const context = { instance, group, maxReconsumeTimes: max === -1 ? DEFAULT_RECONSUME_TIMES : max }
    const kept: ReceivedMessage<Body>[] = []
    for (const message of messages) {
      // Another member has the queue and gets the message with it.
      if (source.isReleased) return []
      try {
        await sendBack(context, message, delayLevel)
      } catch (error) {
        instance.log.error({ group, messageId: message.messageId, error: String(error) }, 'cannot send a message back')
        kept.push(message)
      }
    }
    return kept
  }

  async #consumeAgain(source: ConsumedQueue<Body>, messages: readonly ReceivedMessage<Body>[]): Promise<void> {
    await pause(this.#context.instance.clock, AGAIN_MS, this.#stop.signal)
    if (source.isDropped || this.#isClosing) return
    this.submit(
      source,
      messages.map(message => message.again()),
    )
  }

  // -- Listeners that take too long ----------------------------------------------------------------------------------

  /** Sends back the messages of listeners that take too long, so that the offset can advance (Apache's cleanExpiredMsg). */
  #sendBackExpired(): void {
    const { instance, settings } = this.#context
    const now = instance.clock.elapsed()
    for (const call of this.#running) {
      const [first] = call.messages
      if (first !== undefined && this.#handler.isWaiting?.(first) === true) call.startedAt = now
      const isLate = now - call.startedAt >= settings.consumeTimeoutMs && call.sentBack.length < call.messages.length
      const mayAct = call.sendingBack === undefined && !settings.broadcast && !call.source.isReleased
      if (isLate && mayAct) call.sendingBack = this.#sendLateBack(call).finally(() => (call.sendingBack = undefined))
    }
  }

  /** Messages that no broker takes stay with the listener, and are tried again at the next check. */
  async #sendLateBack(call: RunningCall<Body>): Promise<void> {
    const { source, messages } = call
    const { instance, group } = this.#context
    const late = without(messages, call.sentBack)
    instance.log.warn({ group, messageId: late[0]?.messageId }, 'listener takes too long: sending its messages back')
    const kept = await this.#sendBack(source, late, EXPIRED_LEVEL)
    call.sentBack = without(messages, kept)
    if (!source.isReleased) this.#finish(source, call.sentBack)
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  #isBusy(source: ConsumedQueue<Body>): boolean {
    for (const call of this.#running) if (call.source === source) return true
    return false
  }

  waitIdle(source: ConsumedQueue<Body>, ms: number): Promise<boolean> {
    return this.#idleWaits.wait(this.#context.instance.clock, source, ms)
  }

  async close(drainMs: number): Promise<void> {
    this.#isClosing = true
    this.#timer?.[Symbol.dispose]()
    const busy = new Set([...this.#running].map(({ source }) => source))
    if (drainMs > 0) await Promise.all([...busy].map(source => this.waitIdle(source, drainMs)))
    this.#stop.abort()
    this.#batches = []
    this.#head = 0
  }
}

function without<T>(all: readonly T[], some: readonly T[]): readonly T[] {
  return some.length === 0 ? all : all.filter(each => !some.includes(each))
}
