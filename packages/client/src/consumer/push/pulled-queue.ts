import {
  consumeRequests,
  type CorruptMessage,
  matchesTags,
  type MessageView,
  readMessages,
  responseCodes,
  type SubscriptionData,
} from '@gantrymq/protocol'
import { type Long, pause, type Reply } from '@gantrymq/remoting'
import { Deadline } from '../../deadline.ts'
import { pullChannel, tracePull } from '../../diagnostics.ts'
import type { ClientError } from '../../errors.ts'
import type { MessageQueue } from '../../message/message.ts'
import type { ConsumerCore } from './context.ts'
import { pullHold } from '../queue/flow-control.ts'
import { findReadAddress } from '../../routes/find-broker.ts'
import { ProcessQueue } from '../queue/process-queue.ts'
import { AT_ONCE_MS, QueueLoop } from '../queue/poll-loop.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'

type PullReply = Reply<typeof consumeRequests.PULL_MESSAGE>

/** How long a broker may hold a pull that finds nothing, and how long the client waits for its answer, milliseconds. */
const SUSPEND_MS = 15_000
const PULL_TIMEOUT_MS = 30_000
/** How often a queue that may not be pulled looks again when nothing wakes it, milliseconds. */
const HOLD_MS = 1000
const UNKNOWN_HERE: ReadonlySet<number> = new Set([
  responseCodes.SUBSCRIPTION_NOT_EXIST,
  responseCodes.SUBSCRIPTION_NOT_LATEST,
])

const COMMIT_OFFSET = 1
const SUSPEND = 2
const WITH_SUBSCRIPTION = 4

/** One queue that a consumer holds: pulls it until it is dropped, and gives what comes to the consumption. */
export class QueueWork<Body> {
  readonly queue: MessageQueue
  readonly process: ProcessQueue<ReceivedMessage<Body>>
  readonly #core: ConsumerCore<Body>
  readonly #toMessage: (view: MessageView, queue: MessageQueue) => ReceivedMessage<Body>
  readonly #loop: QueueLoop
  #nextOffset: number
  #brokerId: Long = 0
  /** It is not pulled as too much of it waits. */
  #isHeldBack = false
  #isGone = false
  #isLost = false

  constructor(
    core: ConsumerCore<Body>,
    queue: MessageQueue,
    offset: number,
    toMessage: (view: MessageView, queue: MessageQueue) => ReceivedMessage<Body>,
  ) {
    this.#core = core
    this.queue = queue
    this.#nextOffset = offset
    this.#toMessage = toMessage
    this.process = new ProcessQueue(core.instance.clock.elapsed(), message => message.view.storedLength)
    this.#loop = new QueueLoop({
      core,
      queue,
      verb: 'pull',
      step: signal => this.#step(signal),
      onFailure: error => this.#failed(error),
    })
  }

  /** Where the next pull begins. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  get isDropped(): boolean {
    return this.process.dropped
  }

  /** Whether it has to be taken up anew: given up, or not pulled for long. */
  isExpired(now: number): boolean {
    return this.isDropped || this.process.pullExpired(now)
  }

  /** What listeners do with its messages does not count any more: another member has it, or other work. */
  get isGone(): boolean {
    return this.#isGone
  }

  /** Its lock went to another client. */
  get isLost(): boolean {
    return this.#isLost
  }

  /** Begins to pull. */
  start(): void {
    this.#loop.start()
  }

  /** Gives the queue up: nothing more is pulled, nothing of it counts any more. Resolves when the last pull has ended. */
  drop(): Promise<void> {
    this.process.dropped = true
    this.#isGone = true
    this.stopPulling()
    return this.#loop.done
  }

  lose(): void {
    this.#isLost = true
    void this.drop()
    this.#core.rebalance()
  }

  /** Pulls no more; what is here is still consumed. */
  stopPulling(): void {
    this.#loop.stop()
  }

  /** There is a lock, or an end to the pause: looks again at once. */
  wake(): void {
    this.#loop.wake()
  }

  /** A message is done. Looks again if there is room for another pull, not for each message. */
  hasRoom(): void {
    if (!this.#loop.isAsleep || !this.#isHeldBack) return
    const { limits, consumption, settings } = this.#core
    const room = Math.min(settings.pullBatchSize, limits.messagesPerQueue / 2)
    const hold = pullHold(this.process, limits, consumption.orderly)
    if (hold === null && this.process.count <= limits.messagesPerQueue - room) this.wake()
  }

  // -- The loop ------------------------------------------------------------------------------------------------------

  async #step(signal: AbortSignal): Promise<void> {
    const holdMs = this.#holdMs()
    if (holdMs > 0) await this.#loop.sleep(holdMs)
    else await this.#pull(signal)
  }

  /** How long not to pull; 0 to pull now. */
  #holdMs(): number {
    const { instance, isPaused, limits, consumption, settings, subscriptions } = this.#core
    this.process.lastPullAt = instance.clock.elapsed()
    if (isPaused || !subscriptions.has(this.queue.topic)) return HOLD_MS
    this.#isHeldBack = pullHold(this.process, limits, consumption.orderly) !== null
    if (this.#isHeldBack) return HOLD_MS
    // An orderly queue is pulled while the broker keeps it for this client, or another may be at it too.
    return consumption.orderly && !settings.broadcast && !this.process.locked ? HOLD_MS : 0
  }

  async #pull(signal: AbortSignal): Promise<void> {
    const { instance, settings, subscriptions, stats } = this.#core
    const subscription = subscriptions.get(this.queue.topic)
    if (subscription === undefined) return
    const started = instance.clock.elapsed()
    const asked = this.#nextOffset
    const reply = await this.#traced(() => this.#ask(subscription, signal))
    if (signal.aborted) return
    const now = instance.clock.elapsed()
    this.process.lastPullAt = now
    this.#brokerId = reply.header.suggestWhichBrokerId
    if (reply.code === responseCodes.PULL_OFFSET_MOVED) return await this.#moved(reply.header.nextBeginOffset, signal)
    const count = this.#take(reply, subscription)
    stats.pulled(this.queue.topic, count, now - started)
    if (count > 0 && settings.pullIntervalMs > 0) {
      await pause(instance.clock, settings.pullIntervalMs, signal)
    }
    // A slave that is behind, and whose master is away, says "at once again" for as long (Apache's PullMessageProcessor).
    else if (this.#nextOffset === asked && now - started < AT_ONCE_MS) await pause(instance.clock, AT_ONCE_MS, signal)
  }

  async #traced(ask: () => Promise<PullReply>): Promise<PullReply> {
    if (!pullChannel.hasSubscribers) return await ask()
    const { instance, group } = this.#core
    const { clientId, options } = instance
    const { namespace } = options
    return await tracePull({ clientId, namespace, group, queue: this.queue, offset: this.#nextOffset }, ask)
  }

  async #ask(subscription: SubscriptionData, signal: AbortSignal): Promise<PullReply> {
    const { instance, group, settings, offsets } = this.#core
    const { topic, queueId, brokerName } = this.queue
    const deadline = Deadline.of(instance.clock, { signal }, instance.options.requestTimeoutMs)
    const where = await findReadAddress(instance, this.queue, this.#brokerId, deadline)
    const commitOffset = settings.broadcast ? 0 : Math.max(0, offsets.peek(this.queue))
    // Unlike Java's, only while nothing is being consumed: the broker may note it late, behind what a close has committed.
    const commits = commitOffset > 0 && !where.isSlave && this.process.count === 0
    const withSubscription = settings.postSubscription
    const header = {
      consumerGroup: group,
      topic,
      queueId,
      queueOffset: this.#nextOffset,
      maxMsgNums: settings.pullBatchSize,
      sysFlag: SUSPEND | (commits ? COMMIT_OFFSET : 0) | (withSubscription ? WITH_SUBSCRIPTION : 0),
      commitOffset,
      suspendTimeoutMillis: SUSPEND_MS,
      subscription: withSubscription ? subscription.subString : undefined,
      subVersion: subscription.subVersion,
      expressionType: subscription.expressionType,
      maxMsgBytes: settings.pullBatchBytes,
      bname: brokerName,
    }
    const options = { timeoutMs: PULL_TIMEOUT_MS, signal }
    return await instance.call(where.address, consumeRequests.PULL_MESSAGE, { header }, options)
  }

  /** Puts what came into the process queue. Returns how many messages those were. */
  #take({ header, body, code }: PullReply, subscription: SubscriptionData): number {
    const asked = this.#nextOffset
    this.#nextOffset = header.nextBeginOffset
    const messages = body === null || code !== 0 ? [] : this.#messagesOf(body, subscription, asked)
    if (messages.length > 0) this.#core.consumption.submit(this, messages, this.process.put(messages))
    // Nothing waits, so all before the next offset is done: filtered or corrupt messages need no other commit.
    else if (this.process.count === 0) this.#core.offsets.update(this.queue, this.#nextOffset, true)
    return messages.length
  }

  #messagesOf(body: Buffer, subscription: SubscriptionData, asked: number): ReceivedMessage<Body>[] {
    let cutOff = false
    const views = readMessages(body, corrupt => {
      this.#report(corrupt)
      if (corrupt.queueOffset === undefined) cutOff = true
    })
    // The rest cannot be read: it is pulled again, and what cannot be read first of all is passed over.
    if (cutOff) this.#nextOffset = Math.min(this.#nextOffset, (views.at(-1)?.queueOffset ?? asked) + 1)
    const wanted =
      subscription.tagsSet.length === 0 ? views : views.filter(view => matchesTags(subscription, view.property('TAGS')))
    return wanted.map(view => this.#toMessage(view, this.queue))
  }

  #report(corrupt: CorruptMessage): void {
    const { instance, group, stats } = this.#core
    stats.skipped++
    instance.log.error({ group, ...this.queue, ...corrupt }, 'corrupt message skipped')
  }

  /** The broker has no such offset: goes on where it says. What waits here is of a queue that is no more. */
  async #moved(offset: number, signal: AbortSignal): Promise<void> {
    const { instance, group } = this.#core
    instance.log.warn({ group, ...this.queue, from: this.#nextOffset, to: offset }, 'offset moved by the broker')
    this.#core.moved(this, offset)
    // Others take it from here; without them the broker is not asked at once again.
    await pause(instance.clock, this.#core.settings.pullRetryMs, signal)
  }

  #failed(error: ClientError): void {
    // The suggested broker may be away, or a slave that refuses what its master would not.
    this.#brokerId = 0
    // The broker does not know this member, or what it wants now.
    if (UNKNOWN_HERE.has(error.responseCode ?? 0)) void this.#core.instance.heartbeat()
  }
}
