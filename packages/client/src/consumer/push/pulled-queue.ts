import { consumeRequests, pullFlags, responseCodes, type SubscriptionData } from '@gantrymq/protocol'
import { type Long, pause } from '@gantrymq/remoting'
import { Deadline } from '../../deadline.ts'
import { pullChannel, tracePull } from '../../diagnostics.ts'
import type { ClientError } from '../../errors.ts'
import type { MessageQueue } from '../../message/message.ts'
import type { MessageMaker, ReceivedMessage } from '../../message/received-message.ts'
import { findReadAddress } from '../../routes/find-broker.ts'
import { exceededLimit, type SharedLimits } from '../queue/flow-control.ts'
import { QueueAge } from '../offsets/new-queue.ts'
import type { HeldQueue } from '../queue/held-queue.ts'
import { AT_ONCE_MS, PollLoop } from '../queue/poll-loop.ts'
import { ProcessQueue } from '../queue/process-queue.ts'
import { type PullReply, readPulled } from '../queue/pull-call.ts'
import type { ConsumedQueue, Consumption } from './consumption.ts'
import type { PauseState, PushContext } from './context.ts'

export interface PulledQueueOptions<Body> {
  readonly context: Omit<PushContext, 'trace'>
  readonly queue: MessageQueue
  /** Where to start. */
  readonly offset: number
  /** Takes the pulled messages. */
  readonly consumption: Consumption<Body>
  readonly limits: SharedLimits
  readonly pauseState: Readonly<PauseState>
  readonly toMessage: MessageMaker<Body>
  /** Called when the broker says that the queue continues at another offset: it has to restart there. */
  readonly onMoved: (held: PulledQueue<Body>, offset: number) => void
  /** Called when the queue's lock is lost: it has to be dropped and added again. */
  readonly onLost: () => void
}

/** How long a broker may hold a pull that finds nothing, in milliseconds. */
const SUSPEND_MS = 15_000
/** How long the client waits for the reply to a pull, in milliseconds. */
const PULL_TIMEOUT_MS = 30_000
/** How often a queue that may not be pulled checks again if nothing wakes it, in milliseconds. */
const RECHECK_MS = 1000
/** The broker does not know this member or its subscription. */
const UNKNOWN_SUBSCRIPTION: ReadonlySet<number> = new Set([
  responseCodes.SUBSCRIPTION_NOT_EXIST,
  responseCodes.SUBSCRIPTION_NOT_LATEST,
])

/**
 * A queue that a push consumer pulls until it is dropped: Apache's DefaultMQPushConsumerImpl.pullMessage. It hands the
 * messages to the consumption, which reports back when they are done.
 */
export class PulledQueue<Body> implements HeldQueue, ConsumedQueue<Body> {
  readonly queue: MessageQueue
  readonly process: ProcessQueue<ReceivedMessage<Body>>
  readonly #options: PulledQueueOptions<Body>
  readonly #loop: PollLoop
  readonly #age: QueueAge
  #nextOffset: number
  #brokerId: Long = 0
  /** Too many messages wait, so the queue is not pulled. */
  #isFull = false
  #isReleased = false
  #isLost = false

  constructor(options: PulledQueueOptions<Body>) {
    const { context, queue, offset } = options
    this.#options = options
    this.queue = queue
    this.#nextOffset = offset
    this.#age = new QueueAge(context.instance, queue)
    this.process = new ProcessQueue(context.instance.clock.elapsed(), message => message.view.storedLength)
    this.#loop = new PollLoop({
      context,
      queue,
      verb: 'pull',
      step: signal => this.#step(signal),
      onFailure: error => this.#failed(error),
    })
  }

  get isDropped(): boolean {
    return this.process.dropped
  }

  isExpired(now: number): boolean {
    return this.isDropped || this.process.pullExpired(now)
  }

  /** The results of listeners do not count any more: another member has the queue, or it was restarted. */
  get isReleased(): boolean {
    return this.#isReleased
  }

  get isLost(): boolean {
    return this.#isLost
  }

  start(): void {
    this.#loop.start()
  }

  drop(): Promise<void> {
    this.process.dropped = true
    this.#isReleased = true
    this.stopPulling()
    return this.#loop.done
  }

  lose(): void {
    this.#isLost = true
    void this.drop()
    this.#options.onLost()
  }

  stopPulling(): void {
    this.#loop.stop()
  }

  wake(): void {
    this.#loop.wake()
  }

  // Wakes the loop once there is room for a whole pull, not after every message.
  messagesDone(): void {
    if (!this.#loop.isAsleep || !this.#isFull) return
    const { pullBatchSize } = this.#options.context.settings
    const { messagesPerQueue } = this.#options.limits.perQueue
    const room = Math.min(pullBatchSize, messagesPerQueue / 2)
    if (!this.#exceedsLimit() && this.process.count <= messagesPerQueue - room) this.wake()
  }

  #exceedsLimit(): boolean {
    const { limits, consumption } = this.#options
    return exceededLimit(this.process, limits.perQueue, consumption.orderly) !== null
  }

  // -- The loop ------------------------------------------------------------------------------------------------------

  async #step(signal: AbortSignal): Promise<void> {
    if (this.#mayPull()) await this.#pull(signal)
    else await this.#loop.sleep(RECHECK_MS)
  }

  #mayPull(): boolean {
    const { context, consumption, pauseState } = this.#options
    this.process.lastPullAt = context.instance.clock.elapsed()
    if (pauseState.isPaused || !context.subscriptions.has(this.queue.topic)) return false
    this.#isFull = this.#exceedsLimit()
    if (this.#isFull) return false
    // An orderly queue is pulled only under its lock: without it another client may be consuming the queue.
    return !consumption.orderly || context.settings.broadcast || this.process.locked
  }

  async #pull(signal: AbortSignal): Promise<void> {
    const { instance, settings, subscriptions, stats } = this.#options.context
    const subscription = subscriptions.get(this.queue.topic)
    if (subscription === undefined) return
    const started = instance.clock.elapsed()
    const asked = this.#nextOffset
    const reply = await this.#traced(() => this.#request(subscription, signal))
    this.#loop.answered()
    if (signal.aborted) return
    const now = instance.clock.elapsed()
    this.process.lastPullAt = now
    this.#brokerId = reply.header.suggestWhichBrokerId
    const isMoved = reply.code === responseCodes.PULL_OFFSET_MOVED
    if (isMoved || this.#age.mayBeOther) {
      const { nextBeginOffset: nextOffset, minOffset } = reply.header
      const offset = await this.#age.movedTo(asked, { isMoved, nextOffset, minOffset }, { signal })
      if (signal.aborted) return
      if (offset !== undefined) return await this.#moved(offset, signal)
    }
    const count = this.#take(reply, subscription)
    stats.pulled(this.queue.topic, count, now - started)
    if (count > 0 && settings.pullIntervalMs > 0) {
      await pause(instance.clock, settings.pullIntervalMs, signal)
    }
    // A slave that lags behind a master that is down answers "retry immediately" all the time (Apache's PullMessageProcessor).
    else if (this.#nextOffset === asked && now - started < AT_ONCE_MS) await pause(instance.clock, AT_ONCE_MS, signal)
  }

  async #traced(request: () => Promise<PullReply>): Promise<PullReply> {
    if (!pullChannel.hasSubscribers) return await request()
    const { instance, group } = this.#options.context
    const { clientId, options } = instance
    const { namespace } = options
    return await tracePull({ clientId, namespace, group, queue: this.queue, offset: this.#nextOffset }, request)
  }

  async #request(subscription: SubscriptionData, signal: AbortSignal): Promise<PullReply> {
    const { instance, group, settings, offsets } = this.#options.context
    const { topic, queueId, brokerName } = this.queue
    const deadline = Deadline.of(instance.clock, { signal }, instance.options.requestTimeoutMs)
    const where = await findReadAddress(instance, this.queue, this.#brokerId, deadline)
    const commitOffset = settings.broadcast ? 0 : Math.max(0, offsets.peek(this.queue))
    // Unlike Java, we commit only while no message is being consumed: the broker may process a held pull late and overwrite
    // what the consumer has committed when it closed.
    const commits = commitOffset > 0 && !where.isSlave && this.process.count === 0
    const withSubscription = settings.postSubscription
    const header = {
      consumerGroup: group,
      topic,
      queueId,
      queueOffset: this.#nextOffset,
      maxMsgNums: settings.pullBatchSize,
      sysFlag:
        pullFlags.suspend | (commits ? pullFlags.commitOffset : 0) | (withSubscription ? pullFlags.subscription : 0),
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

  /** Puts the messages of a reply into the process queue. Returns how many there were. */
  #take(reply: PullReply, subscription: SubscriptionData): number {
    const { consumption, context, toMessage } = this.#options
    const from = { queue: this.queue, subscription, offset: this.#nextOffset }
    const { views, nextOffset } = readPulled(context, from, reply)
    const messages = views.map(view => toMessage(view, this.queue))
    this.#nextOffset = nextOffset
    const newest = messages.at(-1)?.storeTimestamp
    if (newest !== undefined) this.#age.seen(newest)
    if (messages.length > 0) consumption.submit(this, messages, this.process.put(messages))
    // No message waits, so everything before the next offset is done, including filtered and corrupt messages.
    else if (this.process.count === 0) context.offsets.update(this.queue, this.#nextOffset, true)
    return messages.length
  }

  /** The queue continues at another offset. Waiting messages belong to a queue that does not exist any more. */
  async #moved(offset: number, signal: AbortSignal): Promise<void> {
    const { context, onMoved } = this.#options
    const { instance, group, settings } = context
    instance.log.warn({ group, ...this.queue, from: this.#nextOffset, to: offset }, 'the broker moved the offset')
    onMoved(this, offset)
    // The restart ends this loop. If it does not come, the broker is at least not asked again at once.
    await pause(instance.clock, settings.pullRetryMs, signal)
  }

  #failed(error: ClientError): void {
    // The suggested broker may be down, or may be a slave that refuses what its master would accept.
    this.#brokerId = 0
    if (error.responseCode === responseCodes.TOPIC_NOT_EXIST) this.#age.gone(error.address)
    if (UNKNOWN_SUBSCRIPTION.has(error.responseCode ?? 0)) void this.#options.context.instance.heartbeat()
  }
}
