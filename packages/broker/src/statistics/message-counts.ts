import type { BrokerStats } from '@gantrymq/protocol'
import { SampledCounts } from './sampled-counts.ts'

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

/** Seconds between two samples of a topic or group. */
const SAMPLE_SECONDS = 10
const LONGEST_SECONDS = 600
// The keys of the counts of the whole broker.
const PUT = 'put'
const GOT = 'got'

/**
 * How many messages a broker has stored and delivered: in all, by topic, and by topic and group. Knows no clock: `tick` is called
 * every second. Source: Apache's StoreStatsService, BrokerStatsManager and BrokerStats.
 */
export class MessageCounts {
  readonly put = new TotalCount()
  readonly got = new TotalCount()
  /** Pulls that found messages. */
  readonly found = new TotalCount()
  /** Pulls that found no message. */
  readonly missed = new TotalCount()
  /** Pulls of both kinds. */
  readonly asked = new TotalCount()
  /** What was stored by topic since the start. */
  readonly putByTopic = new SampledCounts()
  /** What was delivered by `topic@group` since the start. */
  readonly gotByGroup = new SampledCounts()
  readonly #sentBackByGroup = new SampledCounts()
  readonly #byBroker = new SampledCounts()
  #failed = 0
  #seconds = 0

  constructor() {
    for (const key of [PUT, GOT]) this.#byBroker.add(key, 0, 0)
  }

  /** Messages were stored. @param bytes Of their records. */
  stored(topic: string, messages: number, bytes: number): void {
    this.put.add(messages, bytes)
    this.#byBroker.add(PUT, messages, bytes)
    this.putByTopic.add(topic, messages, bytes)
  }

  /** The store has refused a message, or lost it before it was acknowledged. */
  notStored(): void {
    this.#failed++
  }

  /** How often a message was not stored. */
  get failed(): number {
    return this.#failed
  }

  /** A pull has delivered messages to a group. @param bytes Of their records. */
  delivered(topic: string, group: string, messages: number, bytes: number): void {
    this.got.add(messages, bytes)
    this.found.add(1, bytes)
    this.asked.add(1, bytes)
    this.#byBroker.add(GOT, messages, bytes)
    this.gotByGroup.add(keyOf(topic, group), messages, bytes)
  }

  /** A pull has found no message. */
  foundNone(): void {
    this.missed.add(1, 0)
    this.asked.add(1, 0)
  }

  /** A group has sent a message of a topic back. */
  sentBack(topic: string, group: string, bytes: number): void {
    this.#sentBackByGroup.add(keyOf(topic, group), 1, bytes)
  }

  /**
   * A counter by Apache's name and key (BrokerStatsManager): a topic, or `topic@group`. Those of the broker have the name of its
   * cluster as key, which the caller checks.
   * @returns undefined if nothing was counted
   */
  counter(name: string, key: string): BrokerStats | undefined {
    switch (name) {
      case 'BROKER_PUT_NUMS':
        return this.#byBroker.stats(PUT, 'messages')
      case 'BROKER_GET_NUMS':
        return this.#byBroker.stats(GOT, 'messages')
      case 'TOPIC_PUT_NUMS':
        return this.putByTopic.stats(key, 'messages')
      case 'TOPIC_PUT_SIZE':
        return this.putByTopic.stats(key, 'bytes')
      case 'GROUP_GET_NUMS':
        return this.gotByGroup.stats(key, 'messages')
      case 'GROUP_GET_SIZE':
        return this.gotByGroup.stats(key, 'bytes')
      case 'SNDBCK_PUT_NUMS':
        return this.#sentBackByGroup.stats(key, 'messages')
      default:
        return undefined
    }
  }

  /** Messages stored in a topic, per second over the last minute. */
  putRate(topic: string): number {
    return this.putByTopic.rate(topic)
  }

  /** Messages of a topic delivered to a group, per second over the last minute. */
  getRate(topic: string, group: string): number {
    return this.gotByGroup.rate(keyOf(topic, group))
  }

  /** Forgets a deleted topic. */
  forgetTopic(topic: string): void {
    this.putByTopic.delete(topic)
    for (const table of [this.gotByGroup, this.#sentBackByGroup]) {
      for (const key of table.keys()) if (key.startsWith(`${topic}@`)) table.delete(key)
    }
  }

  /** Forgets a deleted group. */
  forgetGroup(group: string): void {
    for (const table of [this.gotByGroup, this.#sentBackByGroup]) {
      for (const key of table.keys()) if (key.endsWith(`@${group}`)) table.delete(key)
    }
  }

  /** Takes samples. Call it every second. @param day A number that changes at midnight. */
  tick(day: number): void {
    this.put.tick(day)
    this.got.tick(day)
    this.found.tick(day)
    this.missed.tick(day)
    this.asked.tick(day)
    if (++this.#seconds % SAMPLE_SECONDS !== 0) return
    for (const counts of [this.#byBroker, this.putByTopic, this.gotByGroup, this.#sentBackByGroup]) {
      counts.sample(this.#seconds)
    }
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

function keyOf(topic: string, group: string): string {
  return `${topic}@${group}`
}
