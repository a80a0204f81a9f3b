import type { Clock, Logger } from '@gantrymq/remoting'

const PERIOD_MS = 60_000
/** Most lines in a period. */
const LINES = 100

/** A request that was refused. */
export interface RefusedRequest {
  readonly request: string
  /** Address of its sender, without the port: each attempt may come from another one. */
  readonly address: string
  readonly reason: string
  readonly accessKey?: string | undefined
}

/**
 * Logs refused requests: in each minute the first one of an address, request and reason, and at most a hundred. A broker that is
 * refused tries again every 30 seconds, and a stranger as often as it likes.
 */
export class RefusalLog {
  readonly #log: Logger
  readonly #clock: Clock
  readonly #seen = new Set<string>()
  #periodStart = Number.NEGATIVE_INFINITY
  #omitted = 0

  constructor(log: Logger, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  note(refused: RefusedRequest): void {
    this.#startPeriod()
    const key = `${refused.address} ${refused.request} ${refused.reason}`
    if (this.#seen.has(key) || this.#seen.size >= LINES) {
      this.#omitted++
      return
    }
    this.#seen.add(key)
    this.#log.warn(refused, 'request refused by requireSignature')
  }

  #startPeriod(): void {
    const now = this.#clock.elapsed()
    if (now - this.#periodStart < PERIOD_MS) return
    this.#periodStart = now
    this.#seen.clear()
    if (this.#omitted > 0) this.#log.warn({ omitted: this.#omitted }, 'more requests refused by requireSignature')
    this.#omitted = 0
  }
}
