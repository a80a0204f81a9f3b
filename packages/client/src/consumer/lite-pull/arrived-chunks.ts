import { type Clock, giveUpAfter } from '@gantrymq/remoting'
import { aborted } from '../../errors.ts'
import type { CallOptions } from '../../message/message.ts'

/** What of a chunk the inbox looks at. */
export interface Parcel {
  /** What it was pulled for is no more: nobody gets it. */
  readonly isStale: boolean
}

type Waiter<P> = (parcel: P | undefined) => void

/** What was pulled and waits for somebody to poll it, first come first served on both sides. */
export class Inbox<P extends Parcel> {
  readonly #clock: Clock
  #parcels: P[] = []
  readonly #waiters = new Set<Waiter<P>>()
  #isClosed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  put(parcel: P): void {
    const [first] = this.#waiters
    if (first === undefined) this.#parcels.push(parcel)
    else first(parcel)
  }

  /** What was taken and is not wanted now goes before all others. */
  putBack(parcel: P): void {
    const [first] = this.#waiters
    if (first === undefined) this.#parcels.unshift(parcel)
    else first(parcel)
  }

  /** Forgets what nobody gets any more, so that it takes no memory while nobody polls. */
  dropStale(): void {
    this.#parcels = this.#parcels.filter(({ isStale }) => !isStale)
  }

  /**
   * The next; undefined when none has come after so long, or when closed.
   * @throws ClientError ABORTED
   */
  async take({ timeoutMs = 0, signal }: CallOptions): Promise<P | undefined> {
    if (signal?.aborted) throw aborted(signal, 'poll')
    for (let parcel = this.#parcels.shift(); parcel !== undefined; parcel = this.#parcels.shift()) {
      if (!parcel.isStale) return parcel
    }
    if (this.#isClosed || timeoutMs <= 0) return undefined
    return await this.#wait(timeoutMs, signal)
  }

  #wait(timeoutMs: number, signal: AbortSignal | undefined): Promise<P | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<P | undefined>()
    const settle: Waiter<P> = parcel => {
      this.#waiters.delete(settle)
      resolve(parcel)
    }
    this.#waiters.add(settle)
    const wait = giveUpAfter(this.#clock, { timeoutMs, signal }, byUser => {
      this.#waiters.delete(settle)
      if (byUser === undefined) resolve(undefined)
      else reject(aborted(byUser, 'poll'))
    })
    return promise.finally(() => wait[Symbol.dispose]())
  }

  /** Whoever waits gets nothing, and nobody waits any more. */
  close(): void {
    this.#isClosed = true
    this.#parcels = []
    for (const waiter of this.#waiters) waiter(undefined)
  }
}
