import type { Peer } from '@gantrymq/remoting'
import type { ConsumeQueue } from '@gantrymq/store'
import { DueSets } from '../due-sets.ts'
import type { AnswerTurns } from './answer-turns.ts'
import { bodyBytes, type PullAnswer, type PullHeader } from './pull-reply.ts'

/** Why a held pull is tried again. */
export type TryReason =
  /** The queue has got messages: answer only if there is one for this consumer. */
  | 'arrival'
  /** Its time is over, or the broker closes: answer in any case. */
  | 'last'

/** A pull that waits for messages. */
export interface HeldPull {
  readonly header: PullHeader
  readonly peer: Peer
  readonly queue: ConsumeQueue
  /** Where to look for messages: behind those that the consumer does not want. Begins at the offset of the header. */
  scanFrom: number
}

/** Tries to answer a held pull. Undefined: it must wait on. A promise, if messages must be read from the disk first. */
export type TryPull = (pull: HeldPull, reason: TryReason) => PullAnswer | undefined | Promise<PullAnswer | undefined>

interface Waiting extends HeldPull {
  /** By the broker's elapsed time, milliseconds. */
  due: number
  readonly done: PromiseWithResolvers<PullAnswer>
  isTrying: boolean
  /** Why it is about to be tried, in this turn or a later one; undefined if it is not. */
  planned: TryReason | undefined
  /** Why it must be tried again when the current attempt has ended; undefined if it need not. */
  again: TryReason | undefined
}

/**
 * A pull that has passed over messages is answered after this long, so that its consumer commits its progress: Apache's
 * PullRequestHoldService looks at each pull every 5 s.
 */
const PASSED_OVER_MS = 5000
/** Longest time that a pull is held, whatever its consumer asks for, milliseconds. Clients ask for 15 to 30 s. */
const LONGEST_MS = 600_000

/**
 * The pulls that wait for messages: Apache's PullRequestHoldService. Knows no clock and no store: the broker tells it what has
 * arrived and what time it is. A pull takes no timer and no work until messages arrive or its time is over.
 */
export class HeldPulls {
  readonly #tryPull: TryPull
  readonly #turns: AnswerTurns
  readonly #byQueue = new Map<ConsumeQueue, Set<Waiting>>()
  readonly #byPeer = new Map<number, Set<Waiting>>()
  readonly #due = new DueSets<Waiting>()
  #size = 0
  #isClosed = false

  constructor(tryPull: TryPull, turns: AnswerTurns) {
    this.#tryPull = tryPull
    this.#turns = turns
  }

  get size(): number {
    return this.#size
  }

  /**
   * Holds a pull. Resolves with its answer, or rejects with the ResponseError of a check that fails meanwhile.
   * @param forMs How long its consumer waits, milliseconds.
   */
  hold(pull: HeldPull, now: number, forMs: number): Promise<PullAnswer> {
    const done = Promise.withResolvers<PullAnswer>()
    const due = now + Math.min(Math.max(forMs, 0), LONGEST_MS)
    const waiting: Waiting = { ...pull, due, done, isTrying: false, planned: undefined, again: undefined }
    add(this.#byQueue, pull.queue, waiting)
    add(this.#byPeer, pull.peer.id, waiting)
    this.#due.add(waiting)
    this.#size++
    if (this.#isClosed) this.#attempt(waiting, 'last', now)
    return done.promise
  }

  /** Tries the pulls of a queue that has got messages. */
  arrived(queue: ConsumeQueue, now: number): void {
    for (const waiting of this.#byQueue.get(queue) ?? []) this.#plan(waiting, 'arrival', now)
  }

  /** Answers the pulls whose time is over. Call it every DUE_TICK_MS. */
  tick(now: number): void {
    for (const waiting of this.#due.take(now)) this.#plan(waiting, 'last', now)
  }

  /** Forgets the pulls of a closed connection. */
  drop(peerId: number): void {
    for (const waiting of this.#byPeer.get(peerId) ?? []) this.#forget(waiting)
  }

  /** Answers all pulls, and from now on each new one at once. */
  close(now: number): void {
    this.#isClosed = true
    for (const queue of this.#byQueue.values()) for (const waiting of queue) this.#attempt(waiting, 'last', now)
  }

  #isHeld(waiting: Waiting): boolean {
    return this.#byPeer.get(waiting.peer.id)?.has(waiting) === true
  }

  /** Tries a pull in its turn. */
  #plan(waiting: Waiting, reason: TryReason, now: number): void {
    const { planned } = waiting
    if (planned !== 'last') waiting.planned = reason
    if (planned !== undefined) return
    this.#turns.run(() => {
      const why = waiting.planned ?? reason
      waiting.planned = undefined
      return this.#isHeld(waiting) ? this.#attempt(waiting, why, now) : 0
    })
  }

  /** @returns Bytes of the answer, if there is one already. */
  #attempt(waiting: Waiting, reason: TryReason, now: number): number {
    if (waiting.isTrying) {
      if (waiting.again !== 'last') waiting.again = reason
      return 0
    }
    try {
      const answer = this.#tryPull(waiting, reason)
      if (answer instanceof Promise) void this.#await(waiting, answer, now)
      else this.#settle(waiting, answer, now)
      return answer === undefined || answer instanceof Promise ? 0 : bodyBytes(answer)
    } catch (error) {
      this.#fail(waiting, error)
      return 0
    }
  }

  async #await(waiting: Waiting, answer: Promise<PullAnswer | undefined>, now: number): Promise<void> {
    waiting.isTrying = true
    try {
      const settled = await answer
      const { again } = waiting
      waiting.isTrying = false
      waiting.again = undefined
      if (!this.#isHeld(waiting)) return
      this.#settle(waiting, settled, now)
      if (settled === undefined && again !== undefined) this.#attempt(waiting, again, now)
    } catch (error) {
      this.#fail(waiting, error)
    }
  }

  #settle(waiting: Waiting, answer: PullAnswer | undefined, now: number): void {
    if (answer !== undefined) {
      this.#forget(waiting)
      waiting.done.resolve(answer)
      return
    }
    if (waiting.scanFrom === waiting.header.queueOffset || waiting.due <= now + PASSED_OVER_MS) return
    this.#due.delete(waiting)
    waiting.due = now + PASSED_OVER_MS
    this.#due.add(waiting)
  }

  #fail(waiting: Waiting, error: unknown): void {
    this.#forget(waiting)
    waiting.done.reject(error)
  }

  #forget(waiting: Waiting): void {
    if (!remove(this.#byPeer, waiting.peer.id, waiting)) return
    remove(this.#byQueue, waiting.queue, waiting)
    this.#due.delete(waiting)
    this.#size--
  }
}

function add<K>(table: Map<K, Set<Waiting>>, key: K, waiting: Waiting): void {
  const set = table.get(key)
  if (set === undefined) table.set(key, new Set([waiting]))
  else set.add(waiting)
}

function remove<K>(table: Map<K, Set<Waiting>>, key: K, waiting: Waiting): boolean {
  const set = table.get(key)
  if (set === undefined || !set.delete(waiting)) return false
  if (set.size === 0) table.delete(key)
  return true
}
