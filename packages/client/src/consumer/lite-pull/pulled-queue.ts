import { type Long, pause } from '@gantrymq/remoting'
import type { SubscriptionData } from '@gantrymq/protocol'
import type { MessageQueue } from '../../message/message.ts'
import { pullHold } from '../queue/flow-control.ts'
import type { Inbox, Parcel } from './arrived-chunks.ts'
import type { LitePullSettings } from './options.ts'
import { ProcessQueue } from '../queue/process-queue.ts'
import { type PullContext, type PullResult, pullQueue } from '../queue/pull-call.ts'
import { AT_ONCE_MS, QueueLoop } from '../queue/poll-loop.ts'
import { findStartOffset } from '../offsets/queue-offsets.ts'
import type { HeldWork, RebalanceCore } from '../rebalance/rebalancer.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'
import { subscriptionOf } from '../subscription.ts'

/** What the parts of a lite pull consumer share. */
export interface LitePullCore<Body> extends RebalanceCore, PullContext<Body> {
  readonly instance: RebalanceCore['instance']
  readonly group: string
  readonly settings: LitePullSettings
  readonly inbox: Inbox<Chunk<Body>>
  /** Messages of all queues that wait or are not done. */
  readonly queuedTotal: number
}

/** The messages of one pull. */
export class Chunk<Body> implements Parcel {
  readonly work: LitePullWork<Body>
  readonly messages: readonly ReceivedMessage<Body>[]
  /** How often the queue was sought before: what was pulled before a seek is not delivered. */
  readonly epoch: number

  constructor(work: LitePullWork<Body>, messages: readonly ReceivedMessage<Body>[]) {
    this.work = work
    this.messages = messages
    this.epoch = work.epoch
  }

  get isStale(): boolean {
    return this.work.isDropped || this.work.epoch !== this.epoch
  }
}

/** How often a queue that may not be pulled looks again when nothing wakes it, milliseconds. */
const HOLD_MS = 1000
/** The same when it waits for other queues to be polled. */
const HOLD_FOR_ALL_MS = 50
/** Where to begin could not be found out: asked again after so long, milliseconds. */
const BEGIN_AGAIN_MS = 3000

/** One queue of a lite pull consumer: pulls it, and knows how far it was handed out and how far it is done. */
export class LitePullWork<Body> implements HeldWork {
  readonly queue: MessageQueue
  readonly process: ProcessQueue<ReceivedMessage<Body>>
  readonly #core: LitePullCore<Body>
  readonly #loop: QueueLoop
  #nextOffset: number | undefined
  #brokerId: Long = 0
  /** What was wanted of its topic last. */
  #filter: SubscriptionData | undefined
  #isPaused = false
  #epoch = 0
  /** Messages that nobody has polled. */
  #waiting = 0
  #handedUpTo: number | undefined
  #doneUpTo: number | undefined

  constructor(core: LitePullCore<Body>, queue: MessageQueue) {
    this.#core = core
    this.queue = queue
    this.process = new ProcessQueue(core.instance.clock.elapsed(), message => message.view.storedBody.length)
    this.#loop = new QueueLoop({
      core,
      queue,
      verb: 'pull',
      step: signal => this.#step(signal),
      // The suggested broker may be away, or a slave that refuses what its master would not.
      onFailure: () => {
        this.#brokerId = 0
      },
    })
  }

  get isDropped(): boolean {
    return this.process.dropped
  }

  /** Never: a user may let a queue rest for as long as he likes. */
  isExpired(): boolean {
    return this.isDropped
  }

  /** Behind the last message that was handed out; undefined if none was, and nothing is known of the queue. */
  get handedUpTo(): number | undefined {
    return this.#handedUpTo
  }

  /** Behind the last message before which all are done. */
  get doneUpTo(): number | undefined {
    return this.#doneUpTo
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
    this.#core.inbox.dropStale()
    this.stopPulling()
    return this.#loop.done
  }

  /** Pulls no more. What is done is noted, for whoever keeps offsets now. */
  stopPulling(): void {
    if (this.#loop.isStopped) return
    this.noteDone()
    this.#loop.stop()
  }

  /** Notes the offset to commit, if that goes by itself. */
  noteDone(): void {
    const { settings, offsets } = this.#core
    if (settings.autoCommit && this.#doneUpTo !== undefined) offsets.update(this.queue, this.#doneUpTo, false)
  }

  /** There may be room: looks again at once. */
  wake(): void {
    this.#loop.wake()
  }

  /** A pull in flight is given up: its messages come after `resume`. */
  pause(): void {
    this.#isPaused = true
    this.#loop.interrupt()
  }

  resume(): void {
    this.#isPaused = false
    this.wake()
  }

  /** Goes on from another offset. Nothing that was pulled before is delivered. */
  seek(offset: number): void {
    this.#epoch++
    this.process.clear()
    this.#waiting = 0
    this.#nextOffset = offset
    this.#handedUpTo = offset
    this.#doneUpTo = offset
    this.#core.inbox.dropStale()
    this.#loop.interrupt()
  }

  /** Messages were given to the user. */
  handOut(messages: readonly ReceivedMessage<Body>[]): void {
    this.#waiting -= messages.length
    const last = messages.at(-1)
    // Behind the last one only filtered messages may have been passed.
    if (last !== undefined) this.#handedUpTo = this.#waiting === 0 ? this.#nextOffset : last.queueOffset + 1
  }

  /** What was taken and not handed out waits again. */
  takeBack({ epoch, messages }: Pick<Chunk<Body>, 'epoch' | 'messages'>): void {
    if (messages.length === 0 || epoch !== this.#epoch || this.isDropped) return
    this.#core.inbox.putBack(new Chunk(this, messages))
  }

  /** The user is done with messages. */
  finish({ epoch, messages }: Pick<Chunk<Body>, 'epoch' | 'messages'>): void {
    if (epoch !== this.#epoch || this.isDropped) return
    const offset = this.process.remove(messages, this.#core.instance.clock.elapsed())
    this.#doneUpTo = this.process.count === 0 ? this.#nextOffset : offset
    this.wake()
  }

  // -- The loop ------------------------------------------------------------------------------------------------------

  async #step(signal: AbortSignal): Promise<void> {
    const holdMs = this.#holdMs()
    if (holdMs > 0) await this.#loop.sleep(holdMs)
    else await this.#pull(signal)
  }

  /** How long not to pull; 0 to pull now. */
  #holdMs(): number {
    const { settings, queuedTotal } = this.#core
    const { maxQueuedMessages, maxQueuedMebibytes, maxSpan, maxQueuedTotal } = settings
    if (queuedTotal > maxQueuedTotal) return HOLD_FOR_ALL_MS
    const limits = { messagesPerQueue: maxQueuedMessages, mebibytesPerQueue: maxQueuedMebibytes, span: maxSpan }
    return this.#isPaused || pullHold(this.process, limits, false) !== null ? HOLD_MS : 0
  }

  async #pull(signal: AbortSignal): Promise<void> {
    const offset = this.#nextOffset ?? (await this.#beginning())
    if (signal.aborted) return
    const { clock } = this.#core.instance
    if (offset === undefined) return await pause(clock, BEGIN_AGAIN_MS, signal)
    this.#nextOffset = offset
    this.#handedUpTo ??= offset
    const started = clock.elapsed()
    const result = await this.#ask(offset, signal)
    // Sought, paused or dropped meanwhile: the next pull brings them again, if they are still wanted.
    if (signal.aborted) return
    this.#take(result)
    // As in QueueWork: some answers say "at once again" without end.
    const isIdle = result.nextOffset === offset && clock.elapsed() - started < AT_ONCE_MS
    if (isIdle) await pause(clock, AT_ONCE_MS, signal)
  }

  /** Where to begin: the offset noted here before the one that is kept (Apache's RebalanceLitePullImpl). */
  async #beginning(): Promise<number | undefined> {
    const { offsets } = this.#core
    const noted = offsets.peek(this.queue)
    return await findStartOffset(this.#core, this.queue, noted >= 0 ? noted : await offsets.read(this.queue))
  }

  async #ask(offset: number, signal: AbortSignal): Promise<PullResult<Body>> {
    const { settings } = this.#core
    const ask = {
      queue: this.queue,
      subscription: this.#subscription,
      offset,
      max: settings.pullBatchSize,
      maxBytes: settings.pullBatchBytes,
      suspendMs: settings.suspendMs,
      brokerId: this.#brokerId,
      isLite: true,
    }
    const result = await pullQueue(this.#core, ask, { timeoutMs: settings.pullTimeoutMs, signal })
    this.#brokerId = result.suggestedBrokerId
    return result
  }

  /** Assigned queues of topics without a filter give everything; those of a topic just given up keep their filter. */
  get #subscription(): SubscriptionData {
    const { topic } = this.queue
    return (this.#filter = this.#core.subscriptions.get(topic) ?? this.#filter ?? subscriptionOf(topic, '*', 0))
  }

  #take({ status, nextOffset, messages }: PullResult<Body>): void {
    const { instance, group } = this.#core
    if (status === 'OFFSET_ILLEGAL') {
      instance.log.warn({ group, ...this.queue, from: this.#nextOffset, to: nextOffset }, 'offset moved by the broker')
    }
    this.#nextOffset = nextOffset
    if (messages.length > 0) {
      this.process.put(messages)
      this.#waiting += messages.length
      this.#core.inbox.put(new Chunk(this, messages))
      return
    }
    // Filtered messages and the end of a queue need nobody to be done with them.
    if (this.#waiting === 0) this.#handedUpTo = nextOffset
    if (this.process.count === 0) this.#doneUpTo = nextOffset
  }
}
