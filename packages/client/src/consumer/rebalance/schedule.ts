import type { Clock, Logger } from '@gantrymq/remoting'

export interface RoundsOptions {
  readonly clock: Clock
  readonly log: Logger
  /** Longest rest after rounds that leave something open, milliseconds. */
  readonly slowestMs: number
  readonly signal: AbortSignal
  /** One round. False if it leaves something open; what it throws counts as that. */
  readonly round: () => Promise<boolean>
}

/**
 * Rounds are so far apart, unless it is urgent: many notices at once make one more round. Apache's 5.x leaves 1,000
 * (rebalance.minInterval), which is longer than others wait before they begin with a queue that is given up.
 */
const APART_MS = 250
/** The first rest after a round that leaves something open (5.x). */
const SOON_MS = 1000

/**
 * When to go over the queues: one round at a time, another if it is asked for meanwhile, and again after a second, two,
 * four ... as long as something is left open. Apache's RebalanceService, whose rest does not grow.
 */
export class Rounds {
  readonly #options: RoundsOptions
  #running: Promise<void> | undefined
  #wanted = false
  #urgent = false
  #started = false
  #wake: ((urgent: boolean) => void) | undefined
  #failures = 0
  /** Runs out when the next round may begin. */
  #gap: Disposable | undefined
  #soon: Disposable | undefined

  constructor(options: RoundsOptions) {
    this.#options = options
    options.signal.addEventListener('abort', () => this.#end(), { once: true })
  }

  get quiet(): Promise<void> {
    return this.#running ?? Promise.resolve()
  }

  start(): void {
    this.#started = true
    this.request(true)
  }

  request(urgent: boolean): void {
    const { signal } = this.#options
    if (signal.aborted || !this.#started) return
    this.#wanted = true
    if (urgent) this.#urgent = true
    if (this.#running === undefined) this.#running = this.#run()
    else this.#wake?.(urgent)
  }

  /** Another round after a second, whatever the rest of this one. */
  requestSoon(): void {
    const { signal, clock } = this.#options
    if (signal.aborted) return
    this.#soon ??= clock.every(SOON_MS, () => {
      this.#forgetSoon()
      this.request(false)
    })
  }

  #forgetSoon(): void {
    this.#soon?.[Symbol.dispose]()
    this.#soon = undefined
  }

  async #run(): Promise<void> {
    const { signal, round } = this.#options
    while (this.#wanted && !signal.aborted) {
      await this.#untilMayBegin()
      if (signal.aborted) break
      this.#wanted = false
      this.#urgent = false
      this.#openGap()
      const isDone = await this.#survived(round)
      this.#failures = isDone ? 0 : this.#failures + 1
      if (!isDone) await this.#rest()
    }
    // In the same turn as the look at `wanted`, so that no request falls in between.
    this.#running = undefined
  }

  // A round that fails must not be the last one.
  async #survived(round: () => Promise<boolean>): Promise<boolean> {
    try {
      return await round()
    } catch (error) {
      this.#options.log.error({ error: String(error) }, 'round failed')
      return false
    }
  }

  #openGap(): void {
    this.#gap?.[Symbol.dispose]()
    this.#gap = this.#options.clock.every(APART_MS, () => this.#closeGap())
  }

  #closeGap(): void {
    this.#gap?.[Symbol.dispose]()
    this.#gap = undefined
    this.#wake?.(true)
  }

  async #untilMayBegin(): Promise<void> {
    // Always a turn later, so that what asks is done with it.
    await Promise.resolve()
    while (this.#gap !== undefined && !this.#urgent && !this.#options.signal.aborted) {
      await this.#sleep(urgent => urgent)
    }
  }

  async #rest(): Promise<void> {
    const { clock, slowestMs } = this.#options
    const ms = Math.min(slowestMs, SOON_MS * 2 ** Math.min(this.#failures - 1, 20))
    const timer = clock.every(ms, () => {
      this.#wanted = true
      this.#wake?.(true)
    })
    while (!this.#wanted && !this.#options.signal.aborted) await this.#sleep(() => this.#wanted)
    timer[Symbol.dispose]()
  }

  /** Until something is said that counts. */
  async #sleep(counts: (urgent: boolean) => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = urgent => {
      if (counts(urgent) || this.#options.signal.aborted) resolve()
    }
    await promise
    this.#wake = undefined
  }

  #end(): void {
    this.#forgetSoon()
    this.#gap?.[Symbol.dispose]()
    this.#gap = undefined
    this.#wake?.(true)
  }
}
