import { performance } from 'node:perf_hooks'
import type { ConnectionLimits, ConnectionOptions } from './connection-options.ts'
import { type FastConnection, type FastPath, LATER, NOT_TAKEN } from './fast-path.ts'
import type { HeaderView } from './header-view.ts'

/** Counts and limits the requests that a connection has not answered yet, and measures how long the answers take. */
export class Answering {
  readonly #limits: Pick<ConnectionLimits, 'maxAnswering' | 'maxHeld'>
  readonly #onAnswered: ConnectionOptions['onAnswered']
  #count = 0
  #held = 0
  // A run is a series of requests with the same request and response code that were answered at once. They are timed together,
  // because reading the clock costs as much as answering one of them.
  #run = 0
  #runSince = 0
  #requestCode = 0
  #responseCode = 0

  constructor(
    limits: Pick<ConnectionLimits, 'maxAnswering' | 'maxHeld'>,
    onAnswered?: ConnectionOptions['onAnswered'],
  ) {
    this.#limits = limits
    this.#onAnswered = onAnswered
  }

  /** Requests that are being answered; held ones do not count. */
  get count(): number {
    return this.#count
  }

  /** Requests that are held. */
  get held(): number {
    return this.#held
  }

  /** True if the connection must not read further requests. */
  get isFull(): boolean {
    return this.#count >= this.#limits.maxAnswering
  }

  get mayHold(): boolean {
    return this.#held < this.#limits.maxHeld
  }

  /**
   * Offers a request to a fast path. True if the fast path takes it.
   * @throws The error of the fast path; the request is no longer counted then.
   */
  offer(fastPath: FastPath, view: HeaderView, connection: FastConnection): boolean {
    let taken = NOT_TAKEN
    // The request is counted first, because it may be answered before `take` returns.
    this.begin()
    try {
      taken = fastPath.take(view, connection)
    } finally {
      if (taken !== LATER) this.finish()
    }
    if (taken >= 0) this.#answeredAtOnce(view.code, taken)
    return taken !== NOT_TAKEN
  }

  begin(): void {
    this.#count++
  }

  finish(): void {
    this.#count--
  }

  hold(): void {
    this.#held++
  }

  release(): void {
    this.#held--
  }

  // -- Timing, milliseconds ------------------------------------------------------------------------------------------

  answered(requestCode: number, responseCode: number, ms: number): void {
    this.#onAnswered?.(requestCode, responseCode, ms, 1)
  }

  /** A request that is answered at once is timed from `now`. */
  startRun(now: number): void {
    this.#runSince = now
  }

  #answeredAtOnce(requestCode: number, responseCode: number): void {
    if (this.#run > 0 && (requestCode !== this.#requestCode || responseCode !== this.#responseCode)) this.#report(1)
    this.#requestCode = requestCode
    this.#responseCode = responseCode
    this.#run++
  }

  endRun(): void {
    if (this.#run > 0) this.#report(0)
  }

  /** @param more Requests answered since the start of the run that do not belong to it. */
  #report(more: number): void {
    const ms = (performance.now() - this.#runSince) / (this.#run + more)
    this.#onAnswered?.(this.#requestCode, this.#responseCode, ms, this.#run)
    this.#runSince += ms * this.#run
    this.#run = 0
  }
}
