/** How many messages and bytes went one way. */
interface Tally {
  messages: number
  bytes: number
}

/** A tally with its values of the last minute. */
interface Sampled extends Tally {
  /** `messages` at each of the last samples, the oldest first. */
  readonly samples: number[]
}

/** Messages a second over the last seconds, minute and ten minutes; undefined where there was not enough time yet. */
export interface Rates {
  readonly last10: number | undefined
  readonly last60: number | undefined
  readonly last600: number | undefined
}

/** Totals at two midnights and now: Apache's BrokerStats. A restart begins at 0. */
export interface DayTotals {
  readonly yesterdayMorning: number
  readonly todayMorning: number
  readonly now: number
}

/** Seconds between two samples of a topic or group, and how many of them make a minute (Apache's StatsItem). */
const SAMPLE_SECONDS = 10
const SAMPLES = 7
const LONGEST_SECONDS = 600

/**
 * How many messages a broker has stored and delivered: in all, by topic, and by topic and group. Knows no clock: `tick` is called
 * every second. Source: Apache's StoreStatsService, BrokerStatsManager and BrokerStats.
 */
export class MessageCounts {
  readonly put = new TotalCount()
  readonly got = new TotalCount()
  readonly #putByTopic = new Map<string, Sampled>()
  readonly #gotByGroup = new Map<string, Sampled>()
  #seconds = 0

  /** Messages were stored. */
  stored(topic: string, messages: number, bytes: number): void {
    this.put.add(messages, bytes)
    add(this.#putByTopic, topic, messages, bytes)
  }

  /** Messages were delivered to a group. */
  delivered(topic: string, group: string, messages: number, bytes: number): void {
    this.got.add(messages, bytes)
    add(this.#gotByGroup, keyOf(topic, group), messages, bytes)
  }

  /** Messages stored in a topic, per second over the last minute. */
  putRate(topic: string): number {
    return rateOf(this.#putByTopic.get(topic))
  }

  /** Messages of a topic delivered to a group, per second over the last minute. */
  getRate(topic: string, group: string): number {
    return rateOf(this.#gotByGroup.get(keyOf(topic, group)))
  }

  /** What was stored by topic since the start. */
  get putByTopic(): ReadonlyMap<string, Readonly<Tally>> {
    return this.#putByTopic
  }

  /** What was delivered by `topic@group` since the start. */
  get gotByGroup(): ReadonlyMap<string, Readonly<Tally>> {
    return this.#gotByGroup
  }

  /** Forgets a deleted topic. */
  forgetTopic(topic: string): void {
    this.#putByTopic.delete(topic)
    for (const key of this.#gotByGroup.keys()) if (key.startsWith(`${topic}@`)) this.#gotByGroup.delete(key)
  }

  /** Forgets a deleted group. */
  forgetGroup(group: string): void {
    for (const key of this.#gotByGroup.keys()) if (key.endsWith(`@${group}`)) this.#gotByGroup.delete(key)
  }

  /** Takes samples. Call it every second. @param day A number that changes at midnight. */
  tick(day: number): void {
    this.put.tick(day)
    this.got.tick(day)
    if (++this.#seconds % SAMPLE_SECONDS !== 0) return
    for (const table of [this.#putByTopic, this.#gotByGroup]) for (const sampled of table.values()) sample(sampled)
  }
}

/** All messages that went one way, with samples of every second. */
class TotalCount {
  messages = 0
  bytes = 0
  /** `messages` at each of the last seconds, the oldest first. */
  readonly #samples: number[] = []
  #day: number | undefined
  #yesterdayMorning = 0
  #todayMorning = 0

  add(messages: number, bytes: number): void {
    this.messages += messages
    this.bytes += bytes
  }

  get rates(): Rates {
    return { last10: this.#rate(10), last60: this.#rate(60), last600: this.#rate(LONGEST_SECONDS) }
  }

  get days(): DayTotals {
    return { yesterdayMorning: this.#yesterdayMorning, todayMorning: this.#todayMorning, now: this.messages }
  }

  tick(day: number): void {
    this.#samples.push(this.messages)
    if (this.#samples.length > LONGEST_SECONDS + 1) this.#samples.shift()
    if (this.#day !== undefined && this.#day !== day) {
      this.#yesterdayMorning = this.#todayMorning
      this.#todayMorning = this.messages
    }
    this.#day = day
  }

  #rate(seconds: number): number | undefined {
    const last = this.#samples.at(-1)
    const first = this.#samples.at(-1 - seconds)
    return last === undefined || first === undefined ? undefined : (last - first) / seconds
  }
}

function add(table: Map<string, Sampled>, key: string, messages: number, bytes: number): void {
  const known = table.get(key)
  if (known === undefined) table.set(key, { messages, bytes, samples: [0] })
  else {
    known.messages += messages
    known.bytes += bytes
  }
}

function sample({ messages, samples }: Sampled): void {
  samples.push(messages)
  if (samples.length > SAMPLES) samples.shift()
}

function rateOf(sampled: Sampled | undefined): number {
  if (sampled === undefined || sampled.samples.length < 2) return 0
  const { samples } = sampled
  return ((samples.at(-1) ?? 0) - (samples[0] ?? 0)) / ((samples.length - 1) * SAMPLE_SECONDS)
}

function keyOf(topic: string, group: string): string {
  return `${topic}@${group}`
}
