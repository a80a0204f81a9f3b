import { responseCodes } from '@gantrymq/protocol'
import { type Clock, ResponseError } from '@gantrymq/remoting'
import type { AnswerTurns } from './answer-turns.ts'

/** How many requests may wait for the disk, and how long. */
export interface ColdReadLimits {
  readonly requests: number
  /** Of one connection: fewer than the requests that it may have in progress, so that its other requests are read. */
  readonly requestsPerConnection: number
  /** Milliseconds; undefined: without limit. */
  readonly ms: number | undefined
}

export interface ColdReadsOptions {
  /** Read again at each use. */
  readonly limits: () => ColdReadLimits
  readonly turns: AnswerTurns
  readonly clock: Clock
}

interface ColdRead {
  /** Of the request's connection. */
  readonly peerId: number
  /** In the clock's `elapsed`. */
  readonly since: number
  readonly reject: (error: unknown) => void
}

/** How often requests that wait are looked at, milliseconds. */
const LOOK_MS = 100
/** Queries that read at the same time, because each keeps the messages that it has found: as many as the log reads blocks at once. */
const QUERIES_AT_ONCE = 4

/**
 * Requests that must read the disk. Only so many wait, of all connections and of each one; any further one, and one that has waited too
 * long, is refused with SYSTEM_BUSY, on which consumers pull again a moment later: Apache's queues of its threads that pull, that query
 * and that serve operators, and its BrokerFastFailure. Requests whose messages are in memory pass.
 */
export class ColdReads {
  readonly #options: ColdReadsOptions
  readonly #waiting = new Set<ColdRead>()
  readonly #perPeer = new Map<number, number>()
  /** Requests that wait, and those that were refused while the disk still reads for them: they keep memory until it has read. */
  #unended = 0
  #queries = 0
  /** Begin the queries that wait for the end of others, oldest first. */
  readonly #nextQueries = new Set<() => void>()
  #timer: Disposable | undefined

  constructor(options: ColdReadsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Whether a request of a connection may wait. If not, nothing should be read for it. */
  mayWait(peerId: number): boolean {
    const { requests, requestsPerConnection } = this.#options.limits()
    const count = Math.max(this.#waiting.size, this.#unended)
    return count < requests && (this.#perPeer.get(peerId) ?? 0) < requestsPerConnection
  }

  /**
   * Runs a query, which reads the disk as often as it needs and keeps what it has found: a few at the same time.
   * @param work Ends soon after its signal is aborted, with whatever result, unless it waits for the disk.
   * @throws ResponseError SYSTEM_BUSY; what `work` rejects with
   */
  query<T>(peerId: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#run(peerId, signal => this.#inTurn(work, signal))
  }

  /**
   * Runs work that reads a few bytes from the disk, or none: offsets and times. It begins at once.
   * @throws ResponseError SYSTEM_BUSY; what `work` rejects with
   */
  look<T>(peerId: number, work: () => Promise<T>): Promise<T> {
    return this.#run(peerId, work)
  }

  async #run<T>(peerId: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (!this.mayWait(peerId)) throw coldBusy()
    const { promise: refused, reject } = Promise.withResolvers<never>()
    const stop = new AbortController()
    const read: ColdRead = {
      peerId,
      since: this.#options.clock.elapsed(),
      reject(error) {
        stop.abort(error)
        reject(error)
      },
    }
    this.#add(read)
    try {
      return await Promise.race([refused, this.#counted(work(stop.signal))])
    } finally {
      this.#remove(read)
    }
  }

  async #counted<T>(work: Promise<T>): Promise<T> {
    this.#unended++
    try {
      return await work
    } finally {
      this.#unended--
    }
  }

  async #inTurn<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    if (this.#queries < QUERIES_AT_ONCE) this.#queries++
    else await this.#turn(signal)
    try {
      return await work(signal)
    } finally {
      const [next] = this.#nextQueries
      if (next === undefined) this.#queries--
      else {
        this.#nextQueries.delete(next)
        next()
      }
    }
  }

  /** Resolves when another query has ended, and has left its turn to this one. @throws the reason of the signal */
  #turn(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#nextQueries.add(resolve)
    // A query that has begun keeps its turn, because the disk still reads for it.
    signal.addEventListener('abort', () => {
      if (this.#nextQueries.delete(resolve)) reject(signal.reason)
    })
    return promise
  }

  /**
   * Answers a pull: reads again when `loading` has resolved, until nothing more must be loaded.
   * @param read Returns the answer, or a promise for what it needs first.
   * @param bytesOf The size of an answer.
   * @throws ResponseError SYSTEM_BUSY; what `loading` and `read` reject with
   */
  answer<T extends object>(
    peerId: number,
    loading: Promise<void>,
    read: () => T | Promise<void>,
    bytesOf: (answer: T) => number,
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const { clock, turns } = this.#options
    const pull: ColdRead = { peerId, since: clock.elapsed(), reject }
    this.#add(pull)
    const fail = (error: unknown): void => {
      this.#remove(pull)
      reject(error)
    }
    const tryAgain = (): number => {
      if (!this.#waiting.has(pull)) return 0
      try {
        const answer = read()
        if (answer instanceof Promise) {
          wait(answer)
          return 0
        }
        this.#remove(pull)
        resolve(answer)
        return bytesOf(answer)
      } catch (error) {
        fail(error)
        return 0
      }
    }
    const wait = (load: Promise<void>): void => {
      void this.#counted(load).then(() => turns.run(tryAgain), fail)
    }
    wait(loading)
    return promise
  }

  /** Forgets the requests of a closed connection. */
  drop(peerId: number): void {
    if (!this.#perPeer.has(peerId)) return
    for (const each of this.#waiting) if (each.peerId === peerId) this.#refuse(each, coldBusy())
  }

  /** Refuses what still waits. */
  close(): void {
    for (const each of this.#waiting) this.#refuse(each, coldBusy())
  }

  #tick(): void {
    const { limits, clock } = this.#options
    const { ms } = limits()
    if (ms === undefined) return
    const now = clock.elapsed()
    for (const each of this.#waiting) {
      const waited = now - each.since
      if (waited < ms) return
      const why = `[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: ${waited}ms, size of queue: ${this.size - 1}`
      this.#refuse(each, new ResponseError(responseCodes.SYSTEM_BUSY, why))
    }
  }

  #refuse(read: ColdRead, error: ResponseError): void {
    this.#remove(read)
    read.reject(error)
  }

  #add(read: ColdRead): void {
    this.#waiting.add(read)
    this.#perPeer.set(read.peerId, (this.#perPeer.get(read.peerId) ?? 0) + 1)
    this.#timer ??= this.#options.clock.every(LOOK_MS, () => this.#tick())
  }

  #remove(read: ColdRead): void {
    if (!this.#waiting.delete(read)) return
    const left = (this.#perPeer.get(read.peerId) ?? 0) - 1
    if (left > 0) this.#perPeer.set(read.peerId, left)
    else this.#perPeer.delete(read.peerId)
    if (this.#waiting.size > 0) return
    this.#timer?.[Symbol.dispose]()
    this.#timer = undefined
  }
}

/** The refusal of a request that may not wait for the disk. */
export function coldBusy(): ResponseError {
  const remark = '[OVERLOAD]system busy, start flow control for a while: too many requests wait for the disk'
  return new ResponseError(responseCodes.SYSTEM_BUSY, remark)
}
