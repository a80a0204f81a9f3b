import { pause } from '../deadline.ts'
import type { Consumption, ConsumerCore } from './consumer-core.ts'
import { type Consumed, consume, type Listener } from './listener.ts'
import type { QueueWork } from './queue-work.ts'
import type { ReceivedMessage } from './received-message.ts'
import { sendBack } from './retry.ts'

interface Task<Body> {
  readonly work: QueueWork<Body>
  readonly messages: readonly ReceivedMessage<Body>[]
  /** When a listener began with it; 0 before. */
  startedAt: number
  /** It took too long and was given away: what its listener says does not count any more. */
  expired: boolean
}

/** What could not be taken back by a broker is consumed again here after so long, milliseconds. */
const AGAIN_MS = 5000
const EXPIRED_LEVEL = 3
const DEFAULT_RECONSUME_TIMES = 16

/**
 * Consumes the messages of all queues side by side, up to `concurrency` listeners at a time, in the order in which they
 * came. Apache's ConsumeMessageConcurrentlyService.
 */
export class ConcurrentConsumption<Body> implements Consumption<Body> {
  readonly orderly = false
  readonly #core: ConsumerCore<Body>
  readonly #listener: Listener<Body>
  readonly #running = new Set<Task<Body>>()
  readonly #stop = new AbortController()
  #tasks: Task<Body>[] = []
  #head = 0
  #timer: Disposable | undefined
  #drained: (() => void) | undefined
  #isClosing = false

  constructor(core: ConsumerCore<Body>, listener: Listener<Body>) {
    this.#core = core
    this.#listener = listener
    const { consumeTimeoutMs } = core.settings
    this.#timer = core.instance.clock.every(consumeTimeoutMs, () => this.#expire())
  }

  get running(): number {
    return this.#running.size
  }

  submit(work: QueueWork<Body>, messages: readonly ReceivedMessage<Body>[]): void {
    const { batchSize } = this.#core.settings
    for (let at = 0; at < messages.length; at += batchSize) {
      const part = batchSize === 1 ? [messages[at] as ReceivedMessage<Body>] : messages.slice(at, at + batchSize)
      this.#tasks.push({ work, messages: part, startedAt: 0, expired: false })
    }
    this.#pump()
  }

  #pump(): void {
    while (this.#running.size < this.#core.settings.concurrency && !this.#isClosing) {
      const task = this.#next()
      if (task === undefined) return
      this.#running.add(task)
      void this.#run(task)
    }
  }

  #next(): Task<Body> | undefined {
    const task = this.#tasks[this.#head]
    if (task === undefined) return undefined
    this.#head++
    // Cut off what is done when it is half of the list: costs one step a task, all told.
    if (this.#head > 1024 && this.#head * 2 > this.#tasks.length) {
      this.#tasks = this.#tasks.slice(this.#head)
      this.#head = 0
    }
    return task
  }

  async #run(task: Task<Body>): Promise<void> {
    const { work, messages } = task
    if (!work.isDropped) {
      task.startedAt = this.#core.instance.clock.now()
      const context = { queue: work.queue, signal: this.#stop.signal }
      const consumed = await consume(this.#core, this.#listener, messages, context)
      if (!task.expired) await this.#settle(task, consumed)
    }
    this.#running.delete(task)
    this.#pump()
    if (this.#running.size === 0) this.#drained?.()
  }

  async #settle({ work, messages }: Task<Body>, { doneCount, delayLevel }: Consumed): Promise<void> {
    // Whoever has the queue now will get them again anyway.
    if (work.isDropped) return
    let done = messages
    if (doneCount < messages.length) {
      const kept = await this.#giveBack(work, messages.slice(doneCount), delayLevel)
      if (kept.length > 0) done = messages.filter(message => !kept.includes(message))
    }
    this.#finish(work, done)
  }

  #finish(work: QueueWork<Body>, messages: readonly ReceivedMessage<Body>[]): void {
    const { instance, offsets } = this.#core
    const offset = work.process.remove(messages, instance.clock.now())
    if (offset >= 0 && !work.isDropped) offsets.update(work.queue, offset, true)
    work.wake()
  }

  /** Has messages delivered again later. Returns those that nobody would take: they are consumed again here. */
  async #giveBack(work: QueueWork<Body>, messages: readonly ReceivedMessage<Body>[], delayLevel: number) {
    const { instance, group, settings } = this.#core
    if (settings.broadcast) {
      instance.log.warn({ group, messageId: messages[0]?.messageId }, 'failed message of a broadcast group is dropped')
      return []
    }
    const kept: ReceivedMessage<Body>[] = []
    for (const message of messages) {
      try {
        await sendBack(this.#retryContext(), message, delayLevel)
      } catch (error) {
        instance.log.error({ group, messageId: message.messageId, error: String(error) }, 'message not given back')
        kept.push(message)
      }
    }
    if (kept.length > 0) void this.#submitAgain(work, kept)
    return kept
  }

  #retryContext() {
    const { instance, group, settings } = this.#core
    const { maxReconsumeTimes } = settings
    return {
      instance,
      group,
      maxReconsumeTimes: maxReconsumeTimes === -1 ? DEFAULT_RECONSUME_TIMES : maxReconsumeTimes,
    }
  }

  async #submitAgain(work: QueueWork<Body>, messages: readonly ReceivedMessage<Body>[]): Promise<void> {
    await pause(this.#core.instance.clock, AGAIN_MS, this.#stop.signal)
    if (!work.isDropped && !this.#isClosing) {
      this.submit(
        work,
        messages.map(message => message.again()),
      )
    }
  }

  /** Gives away what takes too long, so that the offset of its queue can go on (Apache's cleanExpiredMsg). */
  #expire(): void {
    const { instance, settings, group } = this.#core
    const limit = instance.clock.now() - settings.consumeTimeoutMs
    for (const task of this.#running) {
      if (task.expired || task.startedAt === 0 || task.startedAt > limit || settings.broadcast) continue
      task.expired = true
      instance.log.warn(
        { group, messageId: task.messages[0]?.messageId },
        'listener takes too long: message given back',
      )
      const given = this.#giveBack(task.work, task.messages, EXPIRED_LEVEL)
      void given.then(kept =>
        this.#finish(
          task.work,
          task.messages.filter(message => !kept.includes(message)),
        ),
      )
    }
  }

  async close(drainMs: number): Promise<void> {
    this.#isClosing = true
    this.#timer?.[Symbol.dispose]()
    if (this.#running.size > 0 && drainMs > 0) await this.#drain(drainMs)
    this.#stop.abort()
    this.#tasks = []
  }

  async #drain(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#drained = resolve
    const late = this.#core.instance.clock.every(ms, resolve)
    await promise
    late[Symbol.dispose]()
  }
}
