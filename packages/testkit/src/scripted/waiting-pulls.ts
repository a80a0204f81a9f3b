import type { Clock } from '@gantrymq/remoting'

/** Why a waiting request is looked at: something arrived, a while has passed, or it must be answered now. */
export type Look = 'arrival' | 'tick' | 'last'

/** One request that waits for messages. */
interface Waiting {
  readonly key: string
  readonly peerId: number
  readonly timer: Disposable
  /** True if it has answered. */
  readonly attempt: (look: Look) => boolean
}

/** Long polls of a broker: Apache's PullRequestHoldService and PopLongPollingService. */
export class WaitingPulls {
  readonly #clock: Clock
  readonly #waiting = new Set<Waiting>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#waiting.size
  }

  /**
   * Keeps a request.
   * `key` is what `wake` names, `everyMs` how often it is looked at without being woken; after `timeoutMs` the next
   * look is the last.
   */
  hold(
    { key, peerId, everyMs, timeoutMs }: { key: string; peerId: number; everyMs: number; timeoutMs: number },
    attempt: (look: Look) => boolean,
  ): void {
    const since = this.#clock.now()
    const tick = (): void => {
      if (waiting.attempt(this.#clock.now() >= since + timeoutMs ? 'last' : 'tick')) this.#forget(waiting)
    }
    const waiting: Waiting = { key, peerId, attempt, timer: this.#clock.every(everyMs, tick) }
    this.#waiting.add(waiting)
  }

  /** Something arrived. */
  wake(key: string): void {
    for (const waiting of this.#waiting) {
      if (waiting.key === key && waiting.attempt('arrival')) this.#forget(waiting)
    }
  }

  /** A connection ended: nobody waits there any more. */
  drop(peerId: number): void {
    for (const waiting of this.#waiting) if (waiting.peerId === peerId) this.#forget(waiting)
  }

  #forget(waiting: Waiting): void {
    waiting.timer[Symbol.dispose]()
    this.#waiting.delete(waiting)
  }
}
