import { type Clock, upTo } from '@gantrymq/remoting'

interface IdleWait<Q> {
  readonly queue: Q
  readonly end: () => void
}

/** Waits until no listener is busy with a queue. */
export class IdleWaits<Q> {
  readonly #isBusy: (queue: Q) => boolean
  readonly #waits = new Set<IdleWait<Q>>()

  constructor(isBusy: (queue: Q) => boolean) {
    this.#isBusy = isBusy
  }

  /** Resolves when the queue is idle, or after `ms`, with whether it is idle. */
  async wait(clock: Clock, queue: Q, ms: number): Promise<boolean> {
    if (!this.#isBusy(queue)) return true
    const { promise, resolve } = Promise.withResolvers<void>()
    const wait = { queue, end: resolve }
    this.#waits.add(wait)
    await upTo(clock, promise, { timeoutMs: ms })
    this.#waits.delete(wait)
    return !this.#isBusy(queue)
  }

  /** Has to be called whenever a listener has ended. */
  check(): void {
    for (const { queue, end } of this.#waits) if (!this.#isBusy(queue)) end()
  }
}
