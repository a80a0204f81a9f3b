import type { BrokerStats, StatsItem } from '@gantrymq/protocol'

/** How many messages and bytes went one way since the start. */
interface Tally {
  readonly messages: number
  readonly bytes: number
}

/** The tallies of all counts at one time, by index. One that began later has none. */
interface Column {
  readonly messages: Float64Array
  readonly bytes: Float64Array
}

/** A span of time over which counts are shown, with its last columns. */
interface Span {
  readonly everySeconds: number
  readonly most: number
  /** That of sample `n` is at `n % most`. */
  readonly columns: Column[]
}

const FIRST_CAPACITY = 16
const MINUTE = 0
const HOUR = 1
const DAY = 2

/**
 * Counts by key, with samples of the last minute, hour and day, as in Apache's StatsItem. Knows no clock: `sample` is called every ten
 * seconds.
 *
 * A broker has thousands of counts, and each has up to 39 samples. They are in columns, because objects would take several times as
 * much, and would have to be made for each count at each sample.
 */
export class SampledCounts {
  readonly #indexes = new Map<string, number>()
  /** Indexes of counts that were deleted. */
  readonly #free: number[] = []
  #messages = new Float64Array(FIRST_CAPACITY)
  #bytes = new Float64Array(FIRST_CAPACITY)
  /** The time of the last sample before each count began; it was zero then. */
  #since = new Float64Array(FIRST_CAPACITY)
  #seconds = 0
  readonly #spans: readonly [Span, Span, Span] = [
    { everySeconds: 10, most: 7, columns: [] },
    { everySeconds: 600, most: 7, columns: [] },
    { everySeconds: 3600, most: 25, columns: [] },
  ]

  add(key: string, messages: number, bytes: number): void {
    const index = this.#indexes.get(key) ?? this.#begin(key)
    this.#messages[index] = (this.#messages[index] as number) + messages
    this.#bytes[index] = (this.#bytes[index] as number) + bytes
  }

  #begin(key: string): number {
    const index = this.#free.pop() ?? this.#indexes.size
    if (index === this.#messages.length) this.#grow()
    this.#messages[index] = 0
    this.#bytes[index] = 0
    this.#since[index] = this.#seconds
    this.#indexes.set(key, index)
    return index
  }

  #grow(): void {
    const grown = (column: Float64Array): Float64Array<ArrayBuffer> => {
      const larger = new Float64Array(column.length * 2)
      larger.set(column)
      return larger
    }
    this.#messages = grown(this.#messages)
    this.#bytes = grown(this.#bytes)
    this.#since = grown(this.#since)
  }

  keys(): Iterable<string> {
    return this.#indexes.keys()
  }

  *[Symbol.iterator](): Generator<readonly [key: string, tally: Tally]> {
    for (const [key, index] of this.#indexes) yield [key, tallyAt(this.#messages, this.#bytes, index)]
  }

  delete(key: string): void {
    const index = this.#indexes.get(key)
    if (index === undefined) return
    this.#indexes.delete(key)
    this.#free.push(index)
  }

  /** @param seconds Since the start of the broker; a multiple of 10. */
  sample(seconds: number): void {
    this.#seconds = seconds
    const used = this.#indexes.size + this.#free.length
    for (const { everySeconds, most, columns } of this.#spans) {
      if (seconds % everySeconds !== 0) continue
      const slot = (seconds / everySeconds) % most
      const old = columns[slot]
      const column = old?.messages.length === used ? old : { messages: new Float64Array(used), bytes: new Float64Array(used) } // biome-ignore format: one thought
      column.messages.set(this.#messages.subarray(0, used))
      column.bytes.set(this.#bytes.subarray(0, used))
      columns[slot] = column
    }
  }

  /** Messages a second over the last minute; 0 if nothing was counted. */
  rate(key: string): number {
    const index = this.#indexes.get(key)
    return index === undefined ? 0 : this.#item(index, MINUTE, 'messages').tps
  }

  /** Sums, rates and averages for each message, as VIEW_BROKER_STATS_DATA shows them; undefined if nothing was counted. */
  stats(key: string, unit: keyof Tally): BrokerStats | undefined {
    const index = this.#indexes.get(key)
    if (index === undefined) return undefined
    return {
      statsMinute: this.#item(index, MINUTE, unit),
      statsHour: this.#item(index, HOUR, unit),
      statsDay: this.#item(index, DAY, unit),
    }
  }

  #item(index: number, which: 0 | 1 | 2, unit: keyof Tally): StatsItem {
    const span = this.#spans[which]
    const newest = Math.floor(this.#seconds / span.everySeconds)
    const begun = Math.floor((this.#since[index] as number) / span.everySeconds)
    const oldest = Math.max(begun, newest - span.most + 1)
    const first = this.#sampleOf(span, oldest, begun, index)
    const last = this.#sampleOf(span, newest, begun, index)
    const seconds = (newest - oldest) * span.everySeconds
    const sum = last[unit] - first[unit]
    const messages = last.messages - first.messages
    return { sum, tps: seconds === 0 ? 0 : sum / seconds, avgpt: messages === 0 ? 0 : sum / messages }
  }

  #sampleOf({ columns, most }: Span, sample: number, begun: number, index: number): Tally {
    const column = columns[sample % most]
    // The column before a count began may have that of a deleted one.
    return sample === begun || column === undefined ? NONE : tallyAt(column.messages, column.bytes, index)
  }
}

const NONE: Tally = { messages: 0, bytes: 0 }

function tallyAt(messages: Float64Array, bytes: Float64Array, index: number): Tally {
  return { messages: messages[index] as number, bytes: bytes[index] as number }
}
