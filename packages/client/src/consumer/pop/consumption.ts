import type { MessageView } from '@gantrymq/protocol'
import type { MessageQueue } from '../../message/message.ts'
import { popRetryDelay } from './retry-delay.ts'
import type { ConsumerCore } from '../push/context.ts'
import { callListener, type Consumed, type Handler } from '../push/listener.ts'
import { shownQueue } from '../../message/shown-queue.ts'
import { type Acknowledgement, acknowledgeAll, changeInvisible, popQueueOf } from './call.ts'
import type { PoppedView } from './reply.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'
import { DEAD_LETTER_LEVEL, DEFAULT_RECONSUME_TIMES, sendBack } from '../group/send-back.ts'

/** Whose messages they are. */
export interface PopOwner {
  readonly queue: MessageQueue
  /** So many of its messages are settled, or given up. */
  settle(count: number): void
}

/** A popped message on its way to a listener. */
interface Popped<Body> {
  readonly message: ReceivedMessage<Body>
  readonly acknowledgement: Acknowledgement
}

interface Task<Body> {
  readonly owner: PopOwner
  readonly popped: readonly Popped<Body>[]
  /** When others get the messages, by this client's clock. */
  readonly endsAt: number
}

/** What was popped and not begun when a consumer closes comes to others after so long, milliseconds. */
const RELEASE_MS = 1000

/**
 * Consumes popped messages side by side: what is done is acknowledged, what failed stays hidden for longer each time, and
 * goes to the dead letters after `maxReconsumeTimes`. Apache's ConsumeMessagePopConcurrentlyService, which acknowledges
 * (and so loses) the latter.
 */
export class PopConsumption<Body> {
  #concurrency: number
  readonly #core: ConsumerCore<Body>
  readonly #handler: Handler<Body>
  readonly #toMessage: (view: MessageView, queue: MessageQueue) => ReceivedMessage<Body>
  readonly #tasks: Task<Body>[] = []
  readonly #running = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  #isClosing = false

  constructor(
    core: ConsumerCore<Body>,
    handler: Handler<Body>,
    toMessage: (view: MessageView, queue: MessageQueue) => ReceivedMessage<Body>,
  ) {
    this.#core = core
    this.#handler = handler
    this.#toMessage = toMessage
    this.#concurrency = core.settings.concurrency
  }

  get concurrency(): number {
    return this.#concurrency
  }

  set concurrency(listeners: number) {
    this.#concurrency = listeners
    this.#pump()
  }

  get running(): number {
    return this.#running.size
  }

  submit(owner: PopOwner, found: readonly PoppedView[]): void {
    const { settings, instance } = this.#core
    const endsAt = instance.clock.elapsed() + settings.popInvisibleMs
    const popped = found.map(({ view, receipt }) => {
      const acknowledgement = { topic: owner.queue.topic, receipt }
      return { message: this.#toMessage(view, popQueueOf(this.#core, acknowledgement)), acknowledgement }
    })
    for (let at = 0; at < popped.length; at += settings.batchSize) {
      this.#tasks.push({ owner, popped: popped.slice(at, at + settings.batchSize), endsAt })
    }
    this.#pump()
  }

  #pump(): void {
    while (this.#running.size < this.#concurrency && !this.#isClosing) {
      const task = this.#tasks.shift()
      if (task === undefined) return
      const run: Promise<void> = this.#run(task).finally(() => {
        this.#running.delete(run)
        task.owner.settle(task.popped.length)
        this.#pump()
      })
      this.#running.add(run)
    }
  }

  /** Never rejects. */
  async #run({ owner, popped, endsAt }: Task<Body>): Promise<void> {
    const { instance, settings, stats } = this.#core
    const started = instance.clock.elapsed()
    // Others have them by now.
    if (started >= endsAt) return
    const context = { queue: shownQueue(settings.namespace, owner.queue), signal: this.#stop.signal }
    const messages = popped.map(({ message }) => message)
    const consumed = await callListener(this.#core, this.#handler, messages, context)
    if (consumed?.isLeft === true) return
    const doneCount = consumed?.doneCount ?? popped.length
    stats.consumed(owner.queue.topic, popped.length, instance.clock.elapsed() - started, doneCount === popped.length)
    const failed = popped.slice(doneCount)
    await Promise.all([
      this.#acknowledge(popped.slice(0, doneCount)),
      ...failed.map(each => this.#retry(each, consumed)),
    ])
  }

  async #acknowledge(done: readonly Popped<Body>[]): Promise<void> {
    if (done.length === 0) return
    try {
      await acknowledgeAll(
        this.#core,
        done.map(({ acknowledgement }) => acknowledgement),
      )
    } catch (error) {
      // They come again when their time is over.
      this.#warn(done[0], error, 'popped message not acknowledged')
    }
  }

  async #retry(popped: Popped<Body>, consumed: Consumed | undefined): Promise<void> {
    const { message, acknowledgement } = popped
    const level = consumed?.delayLevel ?? 0
    if ((level < 0 || message.reconsumeTimes >= this.#maxTimes) && (await this.#bury(popped))) return
    try {
      await changeInvisible(this.#core, acknowledgement, popRetryDelay(level, message.reconsumeTimes))
    } catch (error) {
      this.#warn(popped, error, 'popped message comes again when its time is over')
    }
  }

  get #maxTimes(): number {
    const { maxReconsumeTimes } = this.#core.settings
    return maxReconsumeTimes === -1 ? DEFAULT_RECONSUME_TIMES : maxReconsumeTimes
  }

  /** Puts a message among the dead letters. False if nobody took it. */
  async #bury(popped: Popped<Body>): Promise<boolean> {
    const { instance, group } = this.#core
    try {
      await sendBack({ instance, group, maxReconsumeTimes: this.#maxTimes }, popped.message, DEAD_LETTER_LEVEL)
    } catch (error) {
      this.#warn(popped, error, 'message not put among the dead letters')
      return false
    }
    await this.#acknowledge([popped])
    return true
  }

  #warn(popped: Popped<Body> | undefined, error: unknown, text: string): void {
    const { instance, group } = this.#core
    instance.log.warn({ group, messageId: popped?.message.messageId, error: String(error) }, text)
  }

  /** Takes nothing new, waits for listeners that run, `drainMs` at most, and gives back what was not begun. */
  async close(drainMs: number): Promise<void> {
    this.#isClosing = true
    const rest = this.#tasks.splice(0).flatMap(({ popped }) => popped)
    const release = Promise.all(rest.map(each => this.#release(each)))
    if (drainMs > 0) await this.#drain(drainMs)
    this.#stop.abort()
    await release
  }

  async #release({ acknowledgement }: Popped<Body>): Promise<void> {
    await changeInvisible(this.#core, acknowledgement, RELEASE_MS).catch(() => {})
  }

  async #drain(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const late = this.#core.instance.clock.every(ms, resolve)
    await Promise.race([promise, Promise.all(this.#running)])
    late[Symbol.dispose]()
  }
}
