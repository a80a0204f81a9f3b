import { responseCodes } from '@gantrymq/protocol'
import { type Clock, ResponseError } from '@gantrymq/remoting'
import type { AnswerTurns } from './answer-turns.ts'

/** How many pulls may wait for the disk, and how long. */
export interface ColdPullLimits {
  readonly pulls: number
  /** Of one connection: fewer than the requests that it may have in progress, so that its other requests are read. */
  readonly pullsPerConnection: number
  /** Milliseconds; undefined: without limit. */
  readonly ms: number | undefined
}

export interface ColdPullsOptions {
  /** Read again at each use. */
  readonly limits: () => ColdPullLimits
  readonly turns: AnswerTurns
  readonly clock: Clock
}

interface ColdPull {
  readonly peerId: number
  /** In the clock's `elapsed`. */
  readonly since: number
  readonly reject: (error: unknown) => void
}

/** How often pulls that wait are looked at, milliseconds. */
const LOOK_MS = 100

/**
 * Pulls whose messages must be read from the disk. Only so many wait, of all connections and of each one; any further pull, and one
 * that has waited too long, is refused with SYSTEM_BUSY, on which consumers pull again a moment later: Apache's queue of its threads
 * that pull, and its BrokerFastFailure. Pulls whose messages are in memory pass.
 */
export class ColdPulls {
  readonly #options: ColdPullsOptions
  readonly #waiting = new Set<ColdPull>()
  readonly #perPeer = new Map<number, number>()
  #timer: Disposable | undefined

  constructor(options: ColdPullsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Whether a pull of a connection may wait. If not, nothing should be read for it. */
  mayWait(peerId: number): boolean {
    const { pulls, pullsPerConnection } = this.#options.limits()
    return this.#waiting.size < pulls && (this.#perPeer.get(peerId) ?? 0) < pullsPerConnection
  }

  /**
   * Reads again when `loading` has resolved, until nothing more must be loaded.
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
    const pull: ColdPull = { peerId, since: clock.elapsed(), reject }
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
    const wait = (load: Promise<void>): void => void load.then(() => turns.run(tryAgain), fail)
    wait(loading)
    return promise
  }

  /** Forgets the pulls of a closed connection. */
  drop(peerId: number): void {
    if (!this.#perPeer.has(peerId)) return
    for (const pull of this.#waiting) if (pull.peerId === peerId) this.#refuse(pull, coldBusy())
  }

  /** Refuses what still waits. */
  close(): void {
    for (const pull of this.#waiting) this.#refuse(pull, coldBusy())
  }

  #tick(): void {
    const { limits, clock } = this.#options
    const { ms } = limits()
    if (ms === undefined) return
    const now = clock.elapsed()
    for (const pull of this.#waiting) {
      const waited = now - pull.since
      if (waited < ms) return
      const why = `[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: ${waited}ms, size of queue: ${this.size - 1}`
      this.#refuse(pull, new ResponseError(responseCodes.SYSTEM_BUSY, why))
    }
  }

  #refuse(pull: ColdPull, error: ResponseError): void {
    this.#remove(pull)
    pull.reject(error)
  }

  #add(pull: ColdPull): void {
    this.#waiting.add(pull)
    this.#perPeer.set(pull.peerId, (this.#perPeer.get(pull.peerId) ?? 0) + 1)
    this.#timer ??= this.#options.clock.every(LOOK_MS, () => this.#tick())
  }

  #remove(pull: ColdPull): void {
    if (!this.#waiting.delete(pull)) return
    const left = (this.#perPeer.get(pull.peerId) ?? 0) - 1
    if (left > 0) this.#perPeer.set(pull.peerId, left)
    else this.#perPeer.delete(pull.peerId)
    if (this.#waiting.size > 0) return
    this.#timer?.[Symbol.dispose]()
    this.#timer = undefined
  }
}

/** The refusal of a pull that may not wait for the disk. */
export function coldBusy(): ResponseError {
  const remark = '[OVERLOAD]system busy, start flow control for a while: too many pulls wait for the disk'
  return new ResponseError(responseCodes.SYSTEM_BUSY, remark)
}
