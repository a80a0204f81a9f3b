import { type Clock, giveUpAfter, type Logger } from '@gantrymq/remoting'

export interface RebalanceScheduleOptions {
  readonly clock: Clock
  readonly log: Logger
  /** The longest pause after a rebalance that was incomplete, in milliseconds. */
  readonly slowestMs: number
  readonly signal: AbortSignal
  /** Rebalances once. False if it is incomplete and has to be repeated; so is one that throws. */
  readonly rebalance: () => Promise<boolean>
}

/**
 * The least time between two rebalances, unless one is urgent, in milliseconds: many notices at once cause one more. Apache's
 * 5.x waits 1,000 (rocketmq.client.rebalance.minInterval), which is longer than other members wait before they start on a
 * queue that is given up.
 */
const MIN_INTERVAL_MS = 250
/** The first pause after an incomplete rebalance, in milliseconds (5.x). */
const SOON_MS = 1000

/**
 * When to rebalance: once at a time, once more if it is requested meanwhile, and again after 1, 2, 4 ... seconds while it is
 * incomplete. Apache's RebalanceService, whose pause does not grow.
 */
export class RebalanceSchedule {
  readonly #options: RebalanceScheduleOptions
  #running: Promise<void> | undefined
  #isRequested = false
  #isUrgent = false
  #isStarted = false
  #wake: ((urgent: boolean) => void) | undefined
  /** Incomplete rebalances in a row. */
  #failures = 0
  /** Runs until the next rebalance may begin. */
  #interval: Disposable | undefined
  #soon: Disposable | undefined

  constructor(options: RebalanceScheduleOptions) {
    this.#options = options
    options.signal.addEventListener('abort', () => this.#end(), { once: true })
  }

  /** Resolves when no rebalance is running or waiting. */
  get quiet(): Promise<void> {
    return this.#running ?? Promise.resolve()
  }

  start(): void {
    this.#isStarted = true
    this.request(true)
  }

  /** Requests a rebalance. Ignored before the start, which rebalances anyway. */
  request(urgent: boolean): void {
    const { signal } = this.#options
    if (signal.aborted || !this.#isStarted) return
    this.#isRequested = true
    if (urgent) this.#isUrgent = true
    if (this.#running === undefined) this.#running = this.#run()
    else this.#wake?.(urgent)
  }

  /** Requests a rebalance after one second, however long the current pause is. */
  requestSoon(): void {
    const { signal, clock } = this.#options
    if (signal.aborted) return
    this.#soon ??= clock.every(SOON_MS, () => {
      this.#cancelSoon()
      this.request(false)
    })
  }

  #cancelSoon(): void {
    this.#soon?.[Symbol.dispose]()
    this.#soon = undefined
  }

  async #run(): Promise<void> {
    const { signal, rebalance } = this.#options
    while (this.#isRequested && !signal.aborted) {
      await this.#untilNext()
      if (signal.aborted) break
      this.#isRequested = false
      this.#isUrgent = false
      this.#startInterval()
      const isComplete = await this.#withoutThrowing(rebalance)
      this.#failures = isComplete ? 0 : this.#failures + 1
      if (!isComplete) await this.#pause()
    }
    // In the same turn as the check of `#isRequested`, so that no request is lost in between.
    this.#running = undefined
  }

  // An error must not end the schedule.
  async #withoutThrowing(rebalance: () => Promise<boolean>): Promise<boolean> {
    try {
      return await rebalance()
    } catch (error) {
      this.#options.log.error({ error: String(error) }, 'rebalance failed')
      return false
    }
  }

  #startInterval(): void {
    this.#interval?.[Symbol.dispose]()
    this.#interval = this.#options.clock.every(MIN_INTERVAL_MS, () => this.#endInterval())
  }

  #endInterval(): void {
    this.#interval?.[Symbol.dispose]()
    this.#interval = undefined
    this.#wake?.(true)
  }

  async #untilNext(): Promise<void> {
    // Always a turn later, so that the caller of `request` finishes first.
    await Promise.resolve()
    while (this.#interval !== undefined && !this.#isUrgent && !this.#options.signal.aborted) {
      await this.#sleep(urgent => urgent)
    }
  }

  async #pause(): Promise<void> {
    const { clock, slowestMs } = this.#options
    const ms = Math.min(slowestMs, SOON_MS * 2 ** Math.min(this.#failures - 1, 20))
    const timer = giveUpAfter(clock, { timeoutMs: ms }, () => {
      this.#isRequested = true
      this.#wake?.(true)
    })
    while (!this.#isRequested && !this.#options.signal.aborted) await this.#sleep(() => this.#isRequested)
    timer[Symbol.dispose]()
  }

  /** Sleeps until it is woken and `mayEnd` returns true, or the signal is aborted. */
  async #sleep(mayEnd: (urgent: boolean) => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = urgent => {
      if (mayEnd(urgent) || this.#options.signal.aborted) resolve()
    }
    await promise
    this.#wake = undefined
  }

  #end(): void {
    this.#cancelSoon()
    this.#endInterval()
  }
}
