import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { MetricFamily } from './family.ts'

/** Releases of Node's types call it by different names. */
type DelaySampler = ReturnType<typeof monitorEventLoopDelay>

const RESOLUTION_MS = 20
const NANOS = 1e9
/** Seconds. */
const BOUNDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5]

/**
 * How late the event loop runs its timers, sampled fifty times a second by Node itself. Sampling begins with the first
 * scrape, so that it does not wake a server without monitoring.
 */
export class EventLoopDelay {
  readonly #name: string
  readonly #newSampler: () => DelaySampler
  #sampler: DelaySampler | undefined
  readonly #counts = new Float64Array(BOUNDS.length + 1)
  #sum = 0
  #closed = false

  /** @param name The name of the metric, which is in seconds: `rocketmq_nameserver_event_loop_delay_seconds`. */
  constructor(
    name: string,
    newSampler: () => DelaySampler = () => monitorEventLoopDelay({ resolution: RESOLUTION_MS }),
  ) {
    this.#name = name
    this.#newSampler = newSampler
  }

  family(): MetricFamily {
    if (!this.#closed) this.#sample()
    return {
      type: 'histogram',
      name: this.#name,
      help: 'How late the event loop ran a timer, sampled every 20 ms from the first scrape on.',
      bounds: BOUNDS,
      histograms: [{ labels: {}, counts: this.#counts, sum: this.#sum }],
    }
  }

  #sample(): void {
    const sampler = (this.#sampler ??= this.#newSampler())
    if (!sampler.enable()) this.#drain(sampler)
  }

  /**
   * Moves what was sampled since the last scrape into buckets that only grow, so that any number of scrapers can read
   * them.
   */
  #drain(sampler: DelaySampler): void {
    const { count, mean } = sampler
    if (count === 0) return
    let below = 0
    BOUNDS.forEach((bound, bucket) => {
      const upTo = countUpTo(sampler, bound)
      ;(this.#counts[bucket] as number) += upTo - below
      below = upTo
    })
    ;(this.#counts[BOUNDS.length] as number) += count - below
    this.#sum += Math.max(0, mean / NANOS - RESOLUTION_MS / 1000) * count
    sampler.reset()
  }

  close(): void {
    this.#closed = true
    this.#sampler?.disable()
  }
}

/** How many samples are at most `bound` seconds late. Node gives values by rank only, so this searches for the rank. */
function countUpTo(sampler: DelaySampler, bound: number): number {
  // Node records the whole time between two wake-ups.
  const longest = bound * NANOS + RESOLUTION_MS * 1e6
  let low = 0
  let high = sampler.count
  while (low < high) {
    const rank = Math.ceil((low + high) / 2)
    if (sampler.percentile((rank / sampler.count) * 100) <= longest) low = rank
    else high = rank - 1
  }
  return low
}
