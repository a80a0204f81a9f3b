import { upTo } from '@gantrymq/remoting'
import type { MessageQueue } from '../../message/message.ts'
import type { MessageMaker, ReceivedMessage } from '../../message/received-message.ts'
import { shownQueue } from '../../message/shown-queue.ts'
import { DEAD_LETTER_LEVEL, DEFAULT_RECONSUME_TIMES, sendBack } from '../group/send-back.ts'
import type { PushContext } from '../push/context.ts'
import { callListener, type CallResult, type MessageHandler } from '../push/listener.ts'
import { type Acknowledgement, acknowledgeAll, changeInvisible, popQueueOf } from './acknowledge.ts'
import type { PoppedView } from './reply.ts'
import { popRetryDelay } from './retry-delay.ts'

/** The queue that messages were popped from. */
export interface PopSource {
  readonly queue: MessageQueue
  /** Has to be called when messages are acknowledged, sent back or left to others. */
  messagesDone(count: number): void
}

interface PoppedMessage<Body> {
  readonly message: ReceivedMessage<Body>
  readonly acknowledgement: Acknowledgement
}

/** Popped messages for one call of a listener. */
interface PoppedBatch<Body> {
  readonly source: PopSource
  readonly popped: readonly PoppedMessage<Body>[]
  /** When the messages become visible to other members, by `Clock.elapsed`. */
  readonly visibleAt: number
}

/** After how long messages that no listener got become visible to others when the consumer closes, in milliseconds. */
const RELEASE_MS = 1000

/**
 * Consumes popped messages concurrently: acknowledges those that are done, keeps failed ones invisible for longer each time,
 * and makes them dead letters after `maxReconsumeTimes`. Apache's ConsumeMessagePopConcurrentlyService acknowledges the latter
 * and so loses them.
 */
export class PopConsumption<Body> {
  readonly #context: PushContext
  readonly #handler: MessageHandler<Body>
  readonly #toMessage: MessageMaker<Body>
  readonly #waiting: PoppedBatch<Body>[] = []
  readonly #running = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  #concurrency: number
  #isClosing = false

  constructor(context: PushContext, handler: MessageHandler<Body>, toMessage: MessageMaker<Body>) {
    this.#context = context
    this.#handler = handler
    this.#toMessage = toMessage
    this.#concurrency = context.settings.concurrency
  }

  get concurrency(): number {
    return this.#concurrency
  }

  set concurrency(listeners: number) {
    this.#concurrency = listeners
    this.#pump()
  }

  /** Running listeners. */
  get running(): number {
    return this.#running.size
  }

  /** Takes popped messages. The result is for a consumer that is closing: it resolves when they are released. */
  async submit(source: PopSource, found: readonly PoppedView[]): Promise<void> {
    const { settings, instance } = this.#context
    const visibleAt = instance.clock.elapsed() + settings.popInvisibleMs
    const popped = found.map(({ view, receipt }) => {
      const acknowledgement = { topic: source.queue.topic, receipt }
      return { message: this.#toMessage(view, popQueueOf(this.#context, acknowledgement)), acknowledgement }
    })
    for (let at = 0; at < popped.length; at += settings.batchSize) {
      this.#waiting.push({ source, popped: popped.slice(at, at + settings.batchSize), visibleAt })
    }
    if (this.#isClosing) await this.#releaseWaiting()
    else this.#pump()
  }

  #pump(): void {
    while (this.#running.size < this.#concurrency && !this.#isClosing) {
      const batch = this.#waiting.shift()
      if (batch === undefined) return
      const run: Promise<void> = this.#run(batch).finally(() => {
        this.#running.delete(run)
        batch.source.messagesDone(batch.popped.length)
        this.#pump()
      })
      this.#running.add(run)
    }
  }

  /** Never rejects. */
  async #run({ source, popped, visibleAt }: PoppedBatch<Body>): Promise<void> {
    const { instance, settings, stats } = this.#context
    const started = instance.clock.elapsed()
    // Other members have them by now.
    if (started >= visibleAt) return
    const context = { queue: shownQueue(settings.namespace, source.queue), signal: this.#stop.signal }
    const messages = popped.map(({ message }) => message)
    const result = await callListener(this.#context, this.#handler, messages, context)
    if (result?.isAbandoned === true) return
    const doneCount = result?.doneCount ?? popped.length
    stats.consumed(source.queue.topic, popped.length, instance.clock.elapsed() - started, doneCount === popped.length)
    const failed = popped.slice(doneCount)
    await Promise.all([this.#acknowledge(popped.slice(0, doneCount)), ...failed.map(each => this.#retry(each, result))])
  }

  async #acknowledge(done: readonly PoppedMessage<Body>[]): Promise<void> {
    if (done.length === 0) return
    try {
      await acknowledgeAll(
        this.#context,
        done.map(({ acknowledgement }) => acknowledgement),
      )
    } catch (error) {
      this.#warn(done[0], error, 'cannot acknowledge a popped message: it is redelivered after popInvisibleMs')
    }
  }

  async #retry(popped: PoppedMessage<Body>, result: CallResult | undefined): Promise<void> {
    const { message, acknowledgement } = popped
    const level = result?.delayLevel ?? 0
    const isDeadLetter = level < 0 || message.reconsumeTimes >= this.#maxReconsumeTimes
    if (isDeadLetter && (await this.#sendDeadLetter(popped))) return
    try {
      await changeInvisible(this.#context, acknowledgement, popRetryDelay(level, message.reconsumeTimes))
    } catch (error) {
      this.#warn(popped, error, 'cannot delay a failed popped message: it is redelivered after popInvisibleMs')
    }
  }

  get #maxReconsumeTimes(): number {
    const { maxReconsumeTimes } = this.#context.settings
    return maxReconsumeTimes === -1 ? DEFAULT_RECONSUME_TIMES : maxReconsumeTimes
  }

  /** Moves a message to the dead letters. False if no broker took it. */
  async #sendDeadLetter(popped: PoppedMessage<Body>): Promise<boolean> {
    const { instance, group } = this.#context
    try {
      const context = { instance, group, maxReconsumeTimes: this.#maxReconsumeTimes }
      await sendBack(context, popped.message, DEAD_LETTER_LEVEL)
    } catch (error) {
      this.#warn(popped, error, 'cannot move a message to the dead letters')
      return false
    }
    await this.#acknowledge([popped])
    return true
  }

  #warn(popped: PoppedMessage<Body> | undefined, error: unknown, text: string): void {
    const { instance, group } = this.#context
    instance.log.warn({ group, messageId: popped?.message.messageId, error: String(error) }, text)
  }

  /** Starts no more listeners, waits up to `drainMs` for those that run, and releases the messages that none got. */
  async close(drainMs: number): Promise<void> {
    this.#isClosing = true
    const release = this.#releaseWaiting()
    if (drainMs > 0) await this.#drain(drainMs)
    this.#stop.abort()
    await release
  }

  async #releaseWaiting(): Promise<void> {
    const rest = this.#waiting.splice(0).flatMap(({ popped }) => popped)
    await Promise.all(rest.map(each => this.#release(each)))
  }

  async #release({ acknowledgement }: PoppedMessage<Body>): Promise<void> {
    await changeInvisible(this.#context, acknowledgement, RELEASE_MS).catch(() => {})
  }

  #drain(ms: number): Promise<void> {
    const idle = Promise.all(this.#running).then(() => {})
    return upTo(this.#context.instance.clock, idle, { timeoutMs: ms })
  }
}
