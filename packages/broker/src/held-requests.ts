import type { Peer } from '@gantrymq/remoting'
import { DueSets } from './due-sets.ts'
import type { AnswerTurns } from './pulling/answer-turns.ts'

/** Why a held request is tried again. */
export type TryReason =
  /** There may be messages: answer only if there are. */
  | 'arrival'
  /** Its time is over, or the broker closes: answer in any case. */
  | 'last'

/** A request that waits for messages. */
export interface HeldRequest {
  readonly topic: string
  readonly group: string
  /** Below 0: any queue of the topic. */
  readonly queueId: number
  /** Other topics whose messages it takes, from any queue. */
  readonly retryTopics: readonly string[]
  readonly peer: Peer
}

export interface HeldRequestsOptions<R extends HeldRequest, A> {
  /** Tries to answer a request. Undefined: it must wait on. A promise, if messages must be read from the disk first. */
  readonly tryAgain: (request: R, reason: TryReason) => A | undefined | Promise<A | undefined>
  /**
   * Which requests an arrival wakes. `each`: all of the queue, because each request reads all messages. `next`: the oldest one of each
   * group, and the one behind it when that one was answered, because each message is for one request.
   */
  readonly wakes: 'each' | 'next'
  /** The longest time that a request still waits after an attempt that found nothing, milliseconds. Default: the rest of its time. */
  readonly restMs?: (request: R) => number
  /** The size of an answer. */
  readonly bytesOf: (answer: A) => number
  /** Length of the texts that a request keeps and that its peer may make as long as it likes. Default 0. */
  readonly textOf?: (request: R) => number
  readonly turns: AnswerTurns
}

type Waiting<R, A> = R & {
  /** By the broker's elapsed time, milliseconds. */
  due: number
  readonly resolve: (answer: A) => void
  readonly reject: (error: unknown) => void
  /** Why it must be tried: in this turn or a later one, or when the current attempt has ended. Undefined if it need not. */
  next: TryReason | undefined
  isTrying: boolean
  isHeld: boolean
}

/** Longest time that a request is held, whatever its consumer asks for, milliseconds. Clients ask for 15 to 30 s. */
const LONGEST_MS = 600_000
const ANY_QUEUE = -1

/**
 * The requests that wait for messages: Apache's PullRequestHoldService and PopLongPollingService. Knows no clock and no store: the
 * broker tells it what has arrived and what time it is. A request takes no timer and no work until messages arrive or its time is over.
 */
export class HeldRequests<R extends HeldRequest, A> {
  readonly #options: HeldRequestsOptions<R, A>
  /** By topic, queue and group; the oldest first. */
  readonly #lines = new Map<string, Map<number, Map<string, Set<Waiting<R, A>>>>>()
  readonly #byPeer = new Map<number, Set<Waiting<R, A>>>()
  readonly #due = new DueSets<Waiting<R, A>>()
  #size = 0
  #textLength = 0
  #isClosed = false

  constructor(options: HeldRequestsOptions<R, A>) {
    this.#options = options
  }

  get size(): number {
    return this.#size
  }

  /** Of all requests: see `textOf`. */
  get textLength(): number {
    return this.#textLength
  }

  /** How many requests of a group wait for messages of this queue; below 0: of any queue. */
  count(topic: string, group: string, queueId: number): number {
    return this.#lines.get(topic)?.get(lineOf(queueId))?.get(group)?.size ?? 0
  }

  /**
   * Holds a request. Resolves with its answer, or rejects with the error of an attempt.
   * @param now The broker's elapsed time.
   * @param forMs How long its consumer waits, milliseconds.
   */
  hold(request: R, now: number, forMs: number): Promise<A> {
    const { promise, resolve, reject } = Promise.withResolvers<A>()
    const due = now + Math.min(Math.max(forMs, 0), LONGEST_MS)
    const waiting = { ...request, due, resolve, reject, next: undefined, isTrying: false, isHeld: true }
    this.#enter(request.topic, request.queueId, waiting)
    for (const retryTopic of request.retryTopics) this.#enter(retryTopic, ANY_QUEUE, waiting)
    add(this.#byPeer, request.peer.id, waiting)
    this.#due.add(waiting)
    this.#size++
    this.#textLength += this.#options.textOf?.(request) ?? 0
    if (this.#isClosed) this.#tryNow(waiting, 'last', now)
    return promise
  }

  /** Tries the requests that take messages of a queue. */
  arrived(topic: string, queueId: number, now: number): void {
    const queues = this.#lines.get(topic)
    if (queues === undefined) return
    this.#wake(queues.get(queueId), now)
    this.#wake(queues.get(ANY_QUEUE), now)
  }

  /** Answers the requests whose time is over. Call it every DUE_TICK_MS. */
  tick(now: number): void {
    for (const waiting of this.#due.take(now)) this.#plan(waiting, 'last', now)
  }

  /** Forgets the requests of a closed connection. */
  drop(peerId: number): void {
    for (const waiting of this.#byPeer.get(peerId) ?? []) this.#forget(waiting)
  }

  /** Answers all requests, and from now on each new one at once. */
  close(now: number): void {
    this.#isClosed = true
    this.answerAll(now)
  }

  /** Answers all requests; new ones are held. */
  answerAll(now: number): void {
    for (const ofPeer of this.#byPeer.values()) for (const waiting of ofPeer) this.#tryNow(waiting, 'last', now)
  }

  #wake(groups: Map<string, Set<Waiting<R, A>>> | undefined, now: number): void {
    if (groups === undefined) return
    for (const line of groups.values()) {
      for (const waiting of line) {
        if (this.#options.wakes === 'each') this.#plan(waiting, 'arrival', now)
        else if (this.#tryNow(waiting, 'arrival', now)) break
      }
    }
  }

  /** Tries a request in its turn. */
  #plan(waiting: Waiting<R, A>, reason: TryReason, now: number): void {
    const isPlanned = waiting.next !== undefined || waiting.isTrying
    note(waiting, reason)
    if (!isPlanned) this.#options.turns.run(() => this.#attempt(waiting, now))
  }

  /** @returns whether the request still waits */
  #tryNow(waiting: Waiting<R, A>, reason: TryReason, now: number): boolean {
    note(waiting, reason)
    this.#attempt(waiting, now)
    return waiting.isHeld
  }

  /** @returns Bytes of the answer, if there is one already. */
  #attempt(waiting: Waiting<R, A>, now: number): number {
    const { next, isTrying, isHeld } = waiting
    if (next === undefined || isTrying || !isHeld) return 0
    waiting.next = undefined
    try {
      const answer = this.#options.tryAgain(waiting, next)
      if (!(answer instanceof Promise)) return this.#settle(waiting, answer, now)
      void this.#await(waiting, answer, now)
    } catch (error) {
      this.#fail(waiting, error)
    }
    return 0
  }

  /** Never rejects. */
  async #await(waiting: Waiting<R, A>, answer: Promise<A | undefined>, now: number): Promise<void> {
    waiting.isTrying = true
    try {
      this.#settle(waiting, await answer, now)
    } catch (error) {
      this.#fail(waiting, error)
    }
    waiting.isTrying = false
    this.#attempt(waiting, now)
    // The others of its line have waited for this attempt.
    if (waiting.isHeld || this.#options.wakes === 'each') return
    for (const topic of [waiting.topic, ...waiting.retryTopics]) this.arrived(topic, waiting.queueId, now)
  }

  /** @returns Bytes of the answer. */
  #settle(waiting: Waiting<R, A>, answer: A | undefined, now: number): number {
    if (!waiting.isHeld) return 0
    if (answer === undefined) {
      this.#hurry(waiting, now)
      return 0
    }
    this.#forget(waiting)
    waiting.resolve(answer)
    return this.#options.bytesOf(answer)
  }

  #hurry(waiting: Waiting<R, A>, now: number): void {
    const due = now + (this.#options.restMs?.(waiting) ?? Number.POSITIVE_INFINITY)
    if (waiting.due <= due) return
    this.#due.delete(waiting)
    waiting.due = due
    this.#due.add(waiting)
  }

  #fail(waiting: Waiting<R, A>, error: unknown): void {
    this.#forget(waiting)
    waiting.reject(error)
  }

  #enter(topic: string, queueId: number, waiting: Waiting<R, A>): void {
    let queues = this.#lines.get(topic)
    if (queues === undefined) this.#lines.set(topic, (queues = new Map()))
    let groups = queues.get(lineOf(queueId))
    if (groups === undefined) queues.set(lineOf(queueId), (groups = new Map()))
    add(groups, waiting.group, waiting)
  }

  #leave(topic: string, queueId: number, waiting: Waiting<R, A>): void {
    const queues = this.#lines.get(topic)
    const groups = queues?.get(lineOf(queueId))
    if (queues === undefined || groups === undefined) return
    remove(groups, waiting.group, waiting)
    if (groups.size === 0) queues.delete(lineOf(queueId))
    if (queues.size === 0) this.#lines.delete(topic)
  }

  #forget(waiting: Waiting<R, A>): void {
    if (!waiting.isHeld) return
    waiting.isHeld = false
    this.#leave(waiting.topic, waiting.queueId, waiting)
    for (const retryTopic of waiting.retryTopics) this.#leave(retryTopic, ANY_QUEUE, waiting)
    remove(this.#byPeer, waiting.peer.id, waiting)
    this.#due.delete(waiting)
    this.#size--
    this.#textLength -= this.#options.textOf?.(waiting) ?? 0
  }
}

/** A request whose time is over stays so, whatever arrives. */
function note(waiting: { next: TryReason | undefined }, reason: TryReason): void {
  if (waiting.next !== 'last') waiting.next = reason
}

function lineOf(queueId: number): number {
  return Math.max(queueId, ANY_QUEUE)
}

function add<K, V>(table: Map<K, Set<V>>, key: K, value: V): void {
  const set = table.get(key)
  if (set === undefined) table.set(key, new Set([value]))
  else set.add(value)
}

function remove<K, V>(table: Map<K, Set<V>>, key: K, value: V): void {
  const set = table.get(key)
  if (set?.delete(value) && set.size === 0) table.delete(key)
}
