import type { Clock } from '@gantrymq/remoting'

/** Why a waiting request is checked: a message has arrived, an interval has passed, or its time is over. */
export type CheckReason = 'arrival' | 'tick' | 'last'

/** A request that waits for messages. */
interface Waiting {
  readonly key: string
  readonly peerId: number
  readonly timer: Disposable
  /** Checks the request. True if it was answered. */
  readonly attempt: (reason: CheckReason) => boolean
}

/** The long polls of a broker: Apache's PullRequestHoldService and PopLongPollingService. */
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
   * Holds a request. `key` is the argument of `wake`, `everyMs` the interval of checks without messages. The first check after
   * `timeoutMs` is the last.
   */
  hold(
    { key, peerId, everyMs, timeoutMs }: { key: string; peerId: number; everyMs: number; timeoutMs: number },
    attempt: (reason: CheckReason) => boolean,
  ): void {
    const since = this.#clock.now()
    const tick = (): void => {
      if (waiting.attempt(this.#clock.now() >= since + timeoutMs ? 'last' : 'tick')) this.#forget(waiting)
    }
    const waiting: Waiting = { key, peerId, attempt, timer: this.#clock.every(everyMs, tick) }
    this.#waiting.add(waiting)
  }

  /** Checks the requests with this key because a message has arrived. */
  wake(key: string): void {
    for (const waiting of this.#waiting) {
      if (waiting.key === key && waiting.attempt('arrival')) this.#forget(waiting)
    }
  }

  /** Removes the requests of a closed connection. */
  drop(peerId: number): void {
    for (const waiting of this.#waiting) if (waiting.peerId === peerId) this.#forget(waiting)
  }

  #forget(waiting: Waiting): void {
    waiting.timer[Symbol.dispose]()
    this.#waiting.delete(waiting)
  }
}
