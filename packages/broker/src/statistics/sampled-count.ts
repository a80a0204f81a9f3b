import type { BrokerStats, StatsItem } from '@gantrymq/protocol'

/** A span of time over which a count is shown: how many seconds lie between its samples, and how many of them are kept. */
interface Span {
  readonly everySeconds: number
  readonly samples: number
}

/** The last minute, hour and day, as in Apache's StatsItem. */
const SPANS = [
  { everySeconds: 10, samples: 7 },
  { everySeconds: 600, samples: 7 },
  { everySeconds: 3600, samples: 25 },
] as const satisfies readonly Span[]

/** How many messages and bytes went one way: at some time, or since the start. */
export interface Tally {
  readonly messages: number
  readonly bytes: number
}

/** The samples of a new count. */
const FIRST: readonly Tally[] = [{ messages: 0, bytes: 0 }]

/** A tally with samples of the last minute, hour and day. Knows no clock: `sample` is called every ten seconds. */
export class SampledCount implements Tally {
  messages = 0
  bytes = 0
  /** For each span, the oldest sample first. In arrays of exact length, because a broker has thousands of counts. */
  readonly #samples: (readonly Tally[])[] = [FIRST, FIRST, FIRST]

  add(messages: number, bytes: number): void {
    this.messages += messages
    this.bytes += bytes
  }

  /** @param seconds Since the start of the broker; a multiple of 10. */
  sample(seconds: number): void {
    const last = this.#samples[0]!.at(-1)!
    const isSame = last.messages === this.messages && last.bytes === this.bytes
    const now = isSame ? last : { messages: this.messages, bytes: this.bytes }
    for (const [index, { everySeconds, samples: most }] of SPANS.entries()) {
      if (seconds % everySeconds !== 0) continue
      const samples = this.#samples[index]!
      this.#samples[index] = [...(samples.length < most ? samples : samples.slice(1)), now]
    }
  }

  /** Messages a second over the last minute. */
  get rate(): number {
    return this.#item(0, 'messages').tps
  }

  /** Sums, rates and averages for each message, as VIEW_BROKER_STATS_DATA shows them. */
  stats(unit: keyof Tally): BrokerStats {
    return { statsMinute: this.#item(0, unit), statsHour: this.#item(1, unit), statsDay: this.#item(2, unit) }
  }

  #item(span: 0 | 1 | 2, unit: keyof Tally): StatsItem {
    const samples = this.#samples[span]!
    const [first, last] = [samples[0]!, samples.at(-1)!]
    const seconds = (samples.length - 1) * SPANS[span].everySeconds
    const sum = last[unit] - first[unit]
    const messages = last.messages - first.messages
    return { sum, tps: seconds === 0 ? 0 : sum / seconds, avgpt: messages === 0 ? 0 : sum / messages }
  }
}
