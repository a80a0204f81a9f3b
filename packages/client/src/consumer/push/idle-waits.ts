import { type Clock, upTo } from '@gantrymq/remoting'

interface Waiting<W> {
  readonly work: W
  readonly done: () => void
}

/** Who waits until nothing of a queue is being consumed. */
export class Leavers<W> {
  readonly #isBusy: (work: W) => boolean
  readonly #waiting = new Set<Waiting<W>>()

  constructor(isBusy: (work: W) => boolean) {
    this.#isBusy = isBusy
  }

  /** Resolves when the work is idle, with true, or after `ms`, with whether it is. */
  async wait(clock: Clock, work: W, ms: number): Promise<boolean> {
    if (!this.#isBusy(work)) return true
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting = { work, done: resolve }
    this.#waiting.add(waiting)
    await upTo(clock, promise, { timeoutMs: ms })
    this.#waiting.delete(waiting)
    return !this.#isBusy(work)
  }

  /** To be called whenever something has ended. */
  look(): void {
    for (const { work, done } of this.#waiting) if (!this.#isBusy(work)) done()
  }
}
