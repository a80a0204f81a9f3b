import { DueSets } from '../due-sets.ts'

/** Why a waiting request is tried again. */
export type TryReason =
  /** There may be messages: answer only if there are. */
  | 'arrival'
  /** Its time is over, or the broker closes: answer in any case. */
  | 'last'

/** A request that waits for messages. */
export interface WaitingPop<A> {
  readonly topic: string
  readonly group: string
  /** Below 0: any queue of the topic. */
  readonly queueId: number
  /** Topics of the group whose messages it takes as well. */
  readonly retryTopics: readonly string[]
  readonly peerId: number
  /** Undefined: it must wait on. A promise, if messages must be read from the disk first. */
  readonly attempt: (reason: TryReason) => A | undefined | Promise<A | undefined>
}

export interface HeldPopLimits {
  /** Requests for the same topic, group and queue id (Apache's popPollingSize). */
  readonly perKey: number
  /** Apache's maxPopPollingSize. */
  readonly total: number
}

interface Waiting<A> extends WaitingPop<A> {
  /** By the broker's elapsed time, milliseconds. */
  readonly due: number
  readonly done: PromiseWithResolvers<A>
  isTrying: boolean
  /** Why it must be tried again when the current attempt has ended; undefined if it need not. */
  again: TryReason | undefined
}

/** The requests of one group with the same topic and queue id, the oldest first. */
interface Line<A> {
  readonly topic: string
  readonly queueId: number
  readonly retryTopics: readonly string[]
  readonly waiting: Set<Waiting<A>>
}

/** Longest time that a request is held, whatever its consumer asks for, milliseconds. */
const LONGEST_MS = 600_000

/**
 * The requests that wait for messages to pop: Apache's PopLongPollingService. The requests of a line are tried one after another
 * until one finds nothing, so that a message wakes the consumers that can have it, and not all of them.
 */
export class HeldPops<A> {
  readonly #limits: HeldPopLimits
  readonly #lines = new Map<string, Line<A>>()
  /** By the topics whose messages the requests take. */
  readonly #byTopic = new Map<string, Set<Line<A>>>()
  readonly #byPeer = new Map<number, Set<Waiting<A>>>()
  readonly #due = new DueSets<Waiting<A>>()
  #size = 0
  #isClosed = false

  constructor(limits: HeldPopLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#size
  }

  /** How many requests wait with this topic, group and queue id. */
  count(topic: string, group: string, queueId: number): number {
    return this.#lines.get(lineKey(topic, group, queueId))?.waiting.size ?? 0
  }

  isFull({ topic, group, queueId }: WaitingPop<A>): boolean {
    return this.#size >= this.#limits.total || this.count(topic, group, queueId) >= this.#limits.perKey
  }

  /** Holds a request. Resolves with its answer, or rejects with the error of an attempt. @param due By the broker's elapsed time. */
  hold(request: WaitingPop<A>, due: number, now: number): Promise<A> {
    const done = Promise.withResolvers<A>()
    const waiting = { ...request, due: Math.min(due, now + LONGEST_MS), done, isTrying: false, again: undefined }
    this.#line(request).waiting.add(waiting)
    const ofPeer = this.#byPeer.get(request.peerId)
    if (ofPeer === undefined) this.#byPeer.set(request.peerId, new Set([waiting]))
    else ofPeer.add(waiting)
    this.#due.add(waiting)
    this.#size++
    if (this.#isClosed) this.#attempt(waiting, 'last')
    return done.promise
  }

  /** Tries the requests that take messages of this queue. */
  arrived(topic: string, queueId: number): void {
    for (const line of this.#byTopic.get(topic) ?? []) {
      if (line.topic !== topic || line.queueId < 0 || line.queueId === queueId) this.#tryLine(line)
    }
  }

  /** Answers the requests whose time is over. */
  tick(now: number): void {
    for (const waiting of this.#due.take(now)) this.#attempt(waiting, 'last')
  }

  /** Forgets the requests of a closed connection. */
  drop(peerId: number): void {
    for (const waiting of this.#byPeer.get(peerId) ?? []) this.#forget(waiting)
  }

  /** Answers all requests, and from now on each new one at once. */
  close(): void {
    this.#isClosed = true
    for (const { waiting } of this.#lines.values()) for (const each of waiting) this.#attempt(each, 'last')
  }

  #line({ topic, group, queueId, retryTopics }: WaitingPop<A>): Line<A> {
    const key = lineKey(topic, group, queueId)
    const known = this.#lines.get(key)
    if (known !== undefined) return known
    const line = { topic, queueId, retryTopics, waiting: new Set<Waiting<A>>() }
    this.#lines.set(key, line)
    for (const each of [topic, ...retryTopics]) {
      const lines = this.#byTopic.get(each)
      if (lines === undefined) this.#byTopic.set(each, new Set([line]))
      else lines.add(line)
    }
    return line
  }

  #tryLine({ waiting }: Line<A>): void {
    for (const each of waiting) if (!this.#attempt(each, 'arrival')) return
  }

  /** @returns whether the request was answered at once */
  #attempt(waiting: Waiting<A>, reason: TryReason): boolean {
    if (waiting.isTrying) {
      if (waiting.again !== 'last') waiting.again = reason
      return false
    }
    try {
      const answer = waiting.attempt(reason)
      if (answer instanceof Promise) {
        void this.#await(waiting, answer)
        return false
      }
      if (answer !== undefined) this.#settle(waiting, answer)
      return answer !== undefined
    } catch (error) {
      this.#fail(waiting, error)
      return true
    }
  }

  /** Never rejects. */
  async #await(waiting: Waiting<A>, answer: Promise<A | undefined>): Promise<void> {
    waiting.isTrying = true
    try {
      const settled = await answer
      const { again } = waiting
      waiting.isTrying = false
      waiting.again = undefined
      // What would be popped for a closed connection stays invisible to the others for a while.
      if (!this.#isHeld(waiting)) return
      if (settled !== undefined) this.#settle(waiting, settled)
      else if (again !== undefined) this.#attempt(waiting, again)
    } catch (error) {
      this.#fail(waiting, error)
    }
  }

  #isHeld(waiting: Waiting<A>): boolean {
    return this.#byPeer.get(waiting.peerId)?.has(waiting) === true
  }

  #settle(waiting: Waiting<A>, answer: A): void {
    this.#forget(waiting)
    waiting.done.resolve(answer)
  }

  #fail(waiting: Waiting<A>, error: unknown): void {
    this.#forget(waiting)
    waiting.done.reject(error)
  }

  #forget(waiting: Waiting<A>): void {
    const key = lineKey(waiting.topic, waiting.group, waiting.queueId)
    const line = this.#lines.get(key)
    if (!line?.waiting.delete(waiting)) return
    this.#due.delete(waiting)
    this.#size--
    const ofPeer = this.#byPeer.get(waiting.peerId)
    if (ofPeer?.delete(waiting) && ofPeer.size === 0) this.#byPeer.delete(waiting.peerId)
    if (line.waiting.size > 0) return
    this.#lines.delete(key)
    for (const topic of [line.topic, ...line.retryTopics]) {
      const lines = this.#byTopic.get(topic)
      if (lines?.delete(line) && lines.size === 0) this.#byTopic.delete(topic)
    }
  }
}

function lineKey(topic: string, group: string, queueId: number): string {
  return `${topic}@${group}@${queueId}`
}
