import { type Clock, giveUpAfter } from '@gantrymq/remoting'
import { aborted } from '../../errors.ts'
import type { CallOptions } from '../../message/message.ts'

/** What has arrived, until it is not wanted any more. */
export interface Discardable {
  /** Whether it must not be delivered, because its queue was given up or continues at another offset. */
  readonly isStale: boolean
}

type WaitingPoll<C> = (chunk: C | undefined) => void

/** Pulled messages that wait for a poll, and polls that wait for messages; both in the order of their arrival. */
export class ArrivedChunks<C extends Discardable> {
  readonly #clock: Clock
  #chunks: C[] = []
  readonly #waiters = new Set<WaitingPoll<C>>()
  #isClosed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  put(chunk: C): void {
    const [first] = this.#waiters
    if (first === undefined) this.#chunks.push(chunk)
    else first(chunk)
  }

  /** Returns a chunk that was taken and is still wanted. It goes before all others. */
  putBack(chunk: C): void {
    const [first] = this.#waiters
    if (first === undefined) this.#chunks.unshift(chunk)
    else first(chunk)
  }

  /** Removes stale chunks, so that they take up no memory if no poll comes. */
  dropStale(): void {
    this.#chunks = this.#chunks.filter(({ isStale }) => !isStale)
  }

  /**
   * The next chunk that is not stale; undefined if none arrives within `timeoutMs`, or when closed.
   * @throws ClientError ABORTED
   */
  async take({ timeoutMs = 0, signal }: CallOptions): Promise<C | undefined> {
    if (signal?.aborted) throw aborted(signal, 'poll')
    for (let chunk = this.#chunks.shift(); chunk !== undefined; chunk = this.#chunks.shift()) {
      if (!chunk.isStale) return chunk
    }
    if (this.#isClosed || timeoutMs <= 0) return undefined
    return await this.#wait(timeoutMs, signal)
  }

  #wait(timeoutMs: number, signal: AbortSignal | undefined): Promise<C | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<C | undefined>()
    const waiter: WaitingPoll<C> = chunk => {
      this.#waiters.delete(waiter)
      resolve(chunk)
    }
    this.#waiters.add(waiter)
    const wait = giveUpAfter(this.#clock, { timeoutMs, signal }, byUser => {
      this.#waiters.delete(waiter)
      if (byUser === undefined) resolve(undefined)
      else reject(aborted(byUser, 'poll'))
    })
    return promise.finally(() => wait[Symbol.dispose]())
  }

  /** Ends all waits, without a chunk. */
  close(): void {
    this.#isClosed = true
    this.#chunks = []
    for (const waiter of this.#waiters) waiter(undefined)
  }
}
