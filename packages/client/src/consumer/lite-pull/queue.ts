import { responseCodes, type SubscriptionData, subscriptionOf } from '@gantrymq/protocol'
import { type Long, pause } from '@gantrymq/remoting'
import type { MessageQueue } from '../../message/message.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'
import { QueueAge } from '../offsets/new-queue.ts'
import { findStartOffset } from '../offsets/queue-offsets.ts'
import type { OffsetStore } from '../offsets/offset-store.ts'
import { exceededLimit } from '../queue/flow-control.ts'
import type { HeldQueue } from '../queue/held-queue.ts'
import type { PollHealth } from '../queue/poll-health.ts'
import { AT_ONCE_MS, PollLoop } from '../queue/poll-loop.ts'
import { ProcessQueue } from '../queue/process-queue.ts'
import { type PullContext, pullQueue, type PullResult } from '../queue/pull-call.ts'
import type { ArrivedChunks, Discardable } from './arrived-chunks.ts'
import type { LitePullSettings } from './options.ts'
import type { TotalBacklog } from './total-backlog.ts'

/** What the queues of a lite pull consumer share. */
export interface LitePullContext<Body> extends PullContext<Body> {
  readonly settings: LitePullSettings
  readonly offsets: OffsetStore
  /** Takes the pulled messages. */
  readonly chunks: ArrivedChunks<Chunk<Body>>
  readonly backlog: TotalBacklog
  readonly health: PollHealth
}

/** The messages of one pull, or the rest of them. */
export class Chunk<Body> implements Discardable {
  readonly held: LitePullQueue<Body>
  readonly messages: readonly ReceivedMessage<Body>[]
  /** How often the queue had been sought before: messages that were pulled before a seek are not delivered. */
  readonly epoch: number

  constructor(held: LitePullQueue<Body>, messages: readonly ReceivedMessage<Body>[]) {
    this.held = held
    this.messages = messages
    this.epoch = held.epoch
  }

  get isStale(): boolean {
    return this.held.isDropped || this.held.epoch !== this.epoch
  }
}

/** How often a queue that may not be pulled checks again if nothing wakes it, in milliseconds. */
const RECHECK_MS = 1000
/** The same for a queue that waits for messages of other queues to be polled. */
const RECHECK_BACKLOG_MS = 50
/** How long to wait after the start offset could not be found, in milliseconds. */
const START_AGAIN_MS = 3000

/** A queue of a lite pull consumer. It is pulled in advance, and knows how far it was handed out and how far it is done. */
export class LitePullQueue<Body> implements HeldQueue {
  readonly queue: MessageQueue
  readonly process: ProcessQueue<ReceivedMessage<Body>>
  readonly #context: LitePullContext<Body>
  /** Subscriptions by topic. */
  readonly #filters: ReadonlyMap<string, SubscriptionData>
  readonly #loop: PollLoop
  readonly #age: QueueAge
  #nextOffset: number | undefined
  #brokerId: Long = 0
  /** The filter of the last pull. */
  #lastFilter: SubscriptionData | undefined
  #isPaused = false
  #epoch = 0
  /** Messages that were not handed out yet. */
  #waiting = 0
  #handedUpTo: number | undefined
  #doneUpTo: number | undefined
  /** The offset that the user has committed. */
  #committedUpTo = 0

  constructor(context: LitePullContext<Body>, queue: MessageQueue, filters: ReadonlyMap<string, SubscriptionData>) {
    this.#context = context
    this.queue = queue
    this.#filters = filters
    this.#age = new QueueAge(context.instance, queue)
    this.process = new ProcessQueue(context.instance.clock.elapsed(), message => message.view.storedBody.length)
    this.#loop = new PollLoop({
      context,
      queue,
      verb: 'pull',
      step: signal => this.#step(signal),
      // The suggested broker may be down, or may be a slave that refuses what its master would accept.
      onFailure: ({ responseCode, address }) => {
        this.#brokerId = 0
        if (responseCode === responseCodes.TOPIC_NOT_EXIST) this.#age.gone(address)
      },
    })
  }

  get isDropped(): boolean {
    return this.process.dropped
  }

  /** Never because of a missing pull: a user may leave a queue unpolled for as long as they like. */
  isExpired(): boolean {
    return this.isDropped
  }

  /** The offset after the last message that was handed out; undefined if none was and the start offset is unknown. */
  get handedUpTo(): number | undefined {
    return this.#handedUpTo
  }

  get epoch(): number {
    return this.#epoch
  }

  // -- For the consumer ----------------------------------------------------------------------------------------------

  start(): void {
    this.#loop.start()
  }

  drop(): Promise<void> {
    this.process.dropped = true
    this.#context.chunks.dropStale()
    this.stopPulling()
    return this.#loop.done
  }

  /** Also updates the offset to commit, before the offsets are stored. */
  stopPulling(): void {
    if (this.#loop.isStopped) return
    this.updateOffset()
    this.#loop.stop()
  }

  /** Sets the offset to commit to what is done, if `autoCommit` is on. It does not take back what the user has committed. */
  updateOffset(): void {
    const { settings, offsets } = this.#context
    if (!settings.autoCommit || this.#doneUpTo === undefined) return
    offsets.update(this.queue, Math.max(this.#doneUpTo, this.#committedUpTo), false)
  }

  /** Sets the offset to commit to what the user says. */
  commit(offset: number): void {
    this.#committedUpTo = offset
    this.#context.offsets.update(this.queue, offset, false)
  }

  wake(): void {
    this.#loop.wake()
  }

  /** Ends a pull in flight: its messages arrive after `resume`. */
  pause(): void {
    this.#isPaused = true
    this.#loop.interrupt()
  }

  resume(): void {
    this.#isPaused = false
    this.wake()
  }

  /** Continues at another offset. Messages that were pulled before are not delivered. */
  seek(offset: number): void {
    this.#restartAt(offset)
    this.#loop.interrupt()
  }

  #restartAt(offset: number): void {
    this.#epoch++
    this.process.clear()
    this.#waiting = 0
    this.#nextOffset = offset
    this.#handedUpTo = offset
    this.#doneUpTo = offset
    this.#committedUpTo = 0
    this.#context.chunks.dropStale()
  }

  /** Messages were handed to the user. */
  handOut(messages: readonly ReceivedMessage<Body>[]): void {
    this.#waiting -= messages.length
    const last = messages.at(-1)
    // After the last pulled message, `#nextOffset` also covers the filtered messages behind it.
    if (last !== undefined) this.#handedUpTo = this.#waiting === 0 ? this.#nextOffset : last.queueOffset + 1
  }

  /** Returns messages that were taken and not handed out. */
  putBack({ epoch, messages }: Pick<Chunk<Body>, 'epoch' | 'messages'>): void {
    if (messages.length === 0 || epoch !== this.#epoch || this.isDropped) return
    this.#context.chunks.putBack(new Chunk(this, messages))
  }

  /** The user is done with messages. */
  finish({ epoch, messages }: Pick<Chunk<Body>, 'epoch' | 'messages'>): void {
    if (epoch !== this.#epoch || this.isDropped) return
    const offset = this.process.remove(messages, this.#context.instance.clock.elapsed())
    this.#doneUpTo = this.process.count === 0 ? this.#nextOffset : offset
    this.wake()
  }

  // -- The loop ------------------------------------------------------------------------------------------------------

  async #step(signal: AbortSignal): Promise<void> {
    const waitMs = this.#waitMs()
    if (waitMs > 0) await this.#loop.sleep(waitMs)
    else await this.#pull(signal)
  }

  /** How long to wait before the queue may be pulled, in milliseconds; 0 to pull now. */
  #waitMs(): number {
    const { settings, backlog } = this.#context
    const { maxQueuedMessages, maxQueuedMebibytes, maxSpan, maxQueuedTotal } = settings
    if (backlog.count > maxQueuedTotal) return RECHECK_BACKLOG_MS
    const limits = { messagesPerQueue: maxQueuedMessages, mebibytesPerQueue: maxQueuedMebibytes, span: maxSpan }
    return this.#isPaused || exceededLimit(this.process, limits, false) !== null ? RECHECK_MS : 0
  }

  async #pull(signal: AbortSignal): Promise<void> {
    const offset = this.#nextOffset ?? (await this.#startOffset())
    if (signal.aborted) return
    const { clock } = this.#context.instance
    if (offset === undefined) return await pause(clock, START_AGAIN_MS, signal)
    this.#nextOffset = offset
    this.#handedUpTo ??= offset
    const started = clock.elapsed()
    const result = await this.#request(offset, signal)
    this.#loop.answered()
    // The queue was sought, paused or dropped meanwhile. If the messages are still wanted, the next pull returns them again.
    if (signal.aborted) return
    const isMoved = result.status === 'OFFSET_ILLEGAL'
    const movedTo =
      isMoved || this.#age.mayBeOther ? await this.#age.movedTo(offset, { ...result, isMoved }, { signal }) : undefined
    if (signal.aborted) return
    if (movedTo === undefined) this.#take(result)
    else this.#moved(offset, movedTo)
    // Some replies say "retry immediately" all the time: see PulledQueue.
    const isIdle = this.#nextOffset === offset && clock.elapsed() - started < AT_ONCE_MS
    if (isIdle) await pause(clock, AT_ONCE_MS, signal)
  }

  /** The queue continues at another offset. If that is lower, waiting messages belong to a queue that does not exist any more. */
  #moved(from: number, to: number): void {
    const { instance, group } = this.#context
    instance.log.warn({ group, ...this.queue, from, to }, 'the broker moved the offset')
    if (to < from) this.#restartAt(to)
    else this.#goOn(to)
  }

  /** The offset in memory takes precedence over the stored one, as in Apache's RebalanceLitePullImpl. */
  async #startOffset(): Promise<number | undefined> {
    const { offsets } = this.#context
    const inMemory = offsets.peek(this.queue)
    return await findStartOffset(this.#context, this.queue, inMemory >= 0 ? inMemory : await offsets.read(this.queue))
  }

  async #request(offset: number, signal: AbortSignal): Promise<PullResult<Body>> {
    const { settings } = this.#context
    const request = {
      queue: this.queue,
      subscription: this.#filter,
      offset,
      max: settings.pullBatchSize,
      maxBytes: settings.pullBatchBytes,
      suspendMs: settings.suspendMs,
      brokerId: this.#brokerId,
      isLite: true,
    }
    const result = await pullQueue(this.#context, request, { timeoutMs: settings.pullTimeoutMs, signal })
    this.#brokerId = result.suggestedBrokerId
    return result
  }

  /** Assigned queues without a filter return all messages. A queue whose topic was unsubscribed keeps its last filter. */
  get #filter(): SubscriptionData {
    const { topic } = this.queue
    return (this.#lastFilter = this.#filters.get(topic) ?? this.#lastFilter ?? subscriptionOf(topic, '*', 0))
  }

  #take({ nextOffset, messages }: PullResult<Body>): void {
    const newest = messages.at(-1)?.storeTimestamp
    if (newest === undefined) return this.#goOn(nextOffset)
    this.#nextOffset = nextOffset
    this.#age.seen(newest)
    this.process.put(messages)
    this.#waiting += messages.length
    this.#context.chunks.put(new Chunk(this, messages))
  }

  /** Goes on at an offset after messages that the user does not get, such as filtered ones: they are done. */
  #goOn(offset: number): void {
    this.#nextOffset = offset
    if (this.#waiting === 0) this.#handedUpTo = offset
    if (this.process.count === 0) this.#doneUpTo = offset
  }
}
