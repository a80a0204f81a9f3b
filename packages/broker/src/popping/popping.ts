import { popTopic, type TopicConfig } from '@gantrymq/protocol'
import type { Clock, Logger } from '@gantrymq/remoting'
import type { MessageStore } from '@gantrymq/store'
import type { Groups } from '../groups/groups.ts'
import { type HeldRequest, HeldRequests, type TryReason } from '../held-requests.ts'
import type { OffsetTable } from '../offsets/offset-table.ts'
import type { BrokerOptions } from '../options.ts'
import type { AnswerTurns } from '../pulling/answer-turns.ts'
import type { MessageWriter } from '../sending/message-writer.ts'
import type { MessageCounts } from '../statistics/message-counts.ts'
import type { Topics } from '../topics/topics.ts'
import { type OrderedAck, OrderedPops } from './ordered-pops.ts'
import { PopLedger, type PopQueue } from './pop-ledger.ts'
import { PopReader } from './pop-reader.ts'
import type { PopAnswer } from './pop-reply.ts'
import { RequestModes } from './request-modes.ts'
import { Revival } from './revival.ts'

export interface PoppingParts {
  readonly store: MessageStore
  readonly writer: MessageWriter
  readonly topics: Topics
  readonly groups: Groups
  readonly offsets: OffsetTable
  readonly counts: MessageCounts
  readonly turns: AnswerTurns
  /** Read again at each use. */
  readonly options: () => BrokerOptions
  /** Bytes at the end of the log that are likely in the machine's memory. */
  readonly memoryBytes: number
  readonly random: () => number
  readonly clock: Clock
  readonly log: Logger
}

/** A waiting NOTIFICATION is answered with whether there are messages. */
export interface NotificationAnswer {
  readonly header: { readonly hasMsg: boolean; readonly pollingFull?: boolean }
}

/** A pop, or a NOTIFICATION, that waits for messages. */
export interface HeldPop<A> extends HeldRequest {
  /** Undefined: it must wait on. A promise, if messages must be read from the disk first. */
  readonly attempt: (reason: TryReason) => A | undefined | Promise<A | undefined>
}

/** Popped messages of all groups together: each takes about 300 bytes. Apache keeps them on the disk, without a limit. */
const MAX_POPPED = 262_144
/** Requests that wait for the same topic, group and queue id at most (Apache's popPollingSize). */
const MAX_HELD_ALIKE = 1024
/** Apache's maxPopPollingSize. */
const MAX_HELD = 100_000

/** How often ordered queues that no one pops any more are looked for, milliseconds. */
const SWEEP_MS = 600_000

/**
 * Consumption by pop, with its state in memory: Apache's PopMessageProcessor and the services around it. What is popped and not
 * acknowledged is forgotten when the broker ends, so only a broker that keeps its messages in memory as well has it.
 */
export class Popping {
  readonly reader: PopReader
  readonly pops: HeldRequests<HeldPop<PopAnswer>, PopAnswer>
  readonly notifications: HeldRequests<HeldPop<NotificationAnswer>, NotificationAnswer>
  readonly modes = new RequestModes()
  readonly #clock: Clock
  readonly #options: () => BrokerOptions
  readonly #ledger: PopLedger
  readonly #ordered = new OrderedPops()
  readonly #revival: Revival
  #sweptAt: number

  constructor(parts: PoppingParts) {
    const { store, writer, topics, groups, offsets, counts, turns, options, memoryBytes, random, clock, log } = parts
    this.#clock = clock
    this.#options = options
    this.#sweptAt = clock.elapsed()
    this.pops = heldPops(turns, ({ body }) => body?.length ?? 0)
    this.notifications = heldPops(turns, () => 0)
    this.#ledger = new PopLedger(() => ({ perQueue: options().popInflightMessageThreshold, total: MAX_POPPED }))
    this.reader = new PopReader({
      store,
      offsets,
      ledger: this.#ledger,
      ordered: this.#ordered,
      topic: (name): TopicConfig | undefined => topics.get(name),
      settings: options,
      memoryBytes,
      random,
      onPopped: (topic, group, messages, bytes) => counts.delivered(topic, group, messages, bytes),
    })
    this.#revival = new Revival({
      ledger: this.#ledger,
      store,
      writer,
      topics,
      groups,
      offsets,
      usesV2: () => options().enableRetryTopicV2,
      onRevived: (topic, bytes) => counts.stored(topic, 1, bytes),
      onFreed: ({ topic, queueId }) => this.arrived(topic, queueId),
      clock,
      log,
    })
  }

  /** Messages of a queue that a group has popped and not acknowledged; without those of ordered pops, whose offsets do not move on. */
  poppedOf(queue: PopQueue): number {
    return this.#ledger.sizeOf(queue)
  }

  /** The topics from which a group gets messages of a topic that were not acknowledged. */
  retryTopicsOf(topic: string, group: string): string[] {
    const first = popTopic('1', topic, group)
    return this.#options().enableRetryTopicV2 ? [first, popTopic('2', topic, group)] : [first]
  }

  /** Acknowledges a message. @returns false for a late acknowledgement, which has no effect */
  acknowledge(queue: PopQueue, offset: number, popTime: number): boolean {
    const wasFull = this.#ledger.room(queue) === 0
    const isKnown = this.#ledger.acknowledge(queue, offset, popTime)
    if (isKnown && wasFull) this.arrived(queue.topic, queue.queueId)
    return isKnown
  }

  /** Makes a message visible `invisibleMs` from now. @returns as `acknowledge` */
  postpone(
    queue: PopQueue,
    offset: number,
    popTime: number,
    to: { readonly popTime: number; readonly invisibleMs: number },
  ): boolean {
    const due = this.#clock.elapsed() + Math.max(to.invisibleMs, 0)
    return this.#ledger.postpone(queue, offset, popTime, { popTime: to.popTime, due })
  }

  /** Acknowledges a message of an ordered pop. The caller commits the offset, and then calls `freed`. */
  acknowledgeOrdered(queue: PopQueue, offset: number, popTime: number): OrderedAck {
    return this.#ordered.acknowledge(queue, offset, popTime, this.#clock.elapsed())
  }

  /** Makes a message of an ordered pop visible `invisibleMs` from now. */
  postponeOrdered(queue: PopQueue, offset: number, popTime: number, invisibleMs: number): void {
    const now = this.#clock.elapsed()
    this.#ordered.postpone(queue, offset, popTime, now + Math.max(invisibleMs, 0), now)
  }

  /** Wakes the ordered pops of a queue, unless messages of it are still being consumed. */
  freed(queue: PopQueue): void {
    if (!this.#ordered.isBlocked(queue, undefined, this.#clock.elapsed())) this.arrived(queue.topic, queue.queueId)
  }

  /** Tries the requests that wait for messages of a queue. */
  arrived(topic: string, queueId: number): void {
    const now = this.#clock.elapsed()
    this.pops.arrived(topic, queueId, now)
    this.notifications.arrived(topic, queueId, now)
  }

  /** Stores what has expired again, and answers the requests whose time is over. Call it every DUE_TICK_MS. */
  tick(): void {
    const now = this.#clock.elapsed()
    this.#revival.tick()
    for (const { topic, queueId } of this.#ordered.takeFreed(now)) this.arrived(topic, queueId)
    this.pops.tick(now)
    this.notifications.tick(now)
    if (now - this.#sweptAt < SWEEP_MS) return
    this.#sweptAt = now
    this.#ordered.sweep(now)
  }

  /** Forgets the requests of a closed connection. */
  drop(peerId: number): void {
    this.pops.drop(peerId)
    this.notifications.drop(peerId)
  }

  /** Forgets what was popped from a deleted topic. */
  removeTopic(topic: string): void {
    this.#remove(queue => queue.topic === topic)
    this.modes.removeTopic(topic)
  }

  /** Forgets what a deleted group has popped. */
  removeGroup(group: string): void {
    this.#remove(queue => queue.group === group)
    this.modes.removeGroup(group)
  }

  #remove(matches: (queue: PopQueue) => boolean): void {
    this.#ledger.remove(matches)
    this.#ordered.remove(matches)
  }

  /** Answers all waiting requests, and begins nothing more; before the store closes. */
  stop(): void {
    const now = this.#clock.elapsed()
    this.pops.close(now)
    this.notifications.close(now)
    this.#revival.stop()
  }

  /** Waits for messages that are being stored again. */
  close(): Promise<void> {
    return this.#revival.close()
  }
}

/** Whether any further request like this one is refused. */
export function isFull<A>(held: HeldRequests<HeldPop<A>, A>, { topic, group, queueId }: HeldRequest): boolean {
  return held.size >= MAX_HELD || held.count(topic, group, queueId) >= MAX_HELD_ALIKE
}

function heldPops<A>(turns: AnswerTurns, bytesOf: (answer: A) => number): HeldRequests<HeldPop<A>, A> {
  return new HeldRequests({ tryAgain: (pop, reason) => pop.attempt(reason), wakes: 'next', bytesOf, turns })
}
