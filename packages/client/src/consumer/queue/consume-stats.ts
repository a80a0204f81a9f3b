import type { ConsumeStatus } from '@gantrymq/protocol'

/** What happened in a topic, all told. */
interface Totals {
  pulls: number
  pulled: number
  pullMs: number
  ok: number
  failed: number
  consumeMs: number
}

interface Snapshot {
  readonly at: number
  readonly totals: Totals
}

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const EVERY_MS = 10_000

const nothing = (): Totals => ({ pulls: 0, pulled: 0, pullMs: 0, ok: 0, failed: 0, consumeMs: 0 })

/** Counts pulls and consumption by topic, and tells their speed over the last minute: Apache's ConsumerStatsManager. */
export class ConsumeStats {
  /** Messages that could not be read. */
  skipped = 0
  readonly #startedAt: number
  readonly #topics = new Map<string, { readonly totals: Totals; readonly past: Snapshot[] }>()

  /** @param now milliseconds, by the same clock as `tick` and `statuses` */
  constructor(now: number) {
    this.#startedAt = now
  }

  /** A pull was answered. */
  pulled(topic: string, messages: number, ms: number): void {
    const { totals } = this.#of(topic)
    totals.pulls++
    totals.pulled += messages
    totals.pullMs += ms
  }

  /** A listener has returned. */
  consumed(topic: string, messages: number, ms: number, isOk: boolean): void {
    const { totals } = this.#of(topic)
    totals.consumeMs += ms
    if (isOk) totals.ok += messages
    else totals.failed += messages
  }

  /** Everything since the start, of all topics. */
  get total(): { readonly pulled: number; readonly ok: number; readonly failed: number } {
    let [pulled, ok, failed] = [0, 0, 0]
    for (const { totals } of this.#topics.values()) {
      pulled += totals.pulled
      ok += totals.ok
      failed += totals.failed
    }
    return { pulled, ok, failed }
  }

  /** Remembers where the counts are now; to be called every ten seconds or so. */
  tick(now: number): void {
    for (const { totals, past } of this.#topics.values()) {
      past.push({ at: now, totals: { ...totals } })
      while (past.length > HOUR_MS / EVERY_MS + 1) past.shift()
    }
  }

  /** The speed of each topic. */
  statuses(now: number): Map<string, ConsumeStatus> {
    return new Map([...this.#topics.keys()].map(topic => [topic, this.#status(topic, now)]))
  }

  #status(topic: string, now: number): ConsumeStatus {
    const { totals, past } = this.#of(topic)
    const minute = difference(totals, before(past, now - MINUTE_MS))
    const hour = difference(totals, before(past, now - HOUR_MS))
    const seconds = Math.max(1, Math.min(MINUTE_MS, now - this.#startedAt) / 1000)
    const done = minute.ok + minute.failed
    return {
      pullRT: minute.pulls === 0 ? 0 : minute.pullMs / minute.pulls,
      pullTPS: minute.pulled / seconds,
      // A quiet minute says nothing: the hour does.
      consumeRT: done === 0 ? average(hour.consumeMs, hour.ok + hour.failed) : minute.consumeMs / done,
      consumeOKTPS: minute.ok / seconds,
      consumeFailedTPS: minute.failed / seconds,
      consumeFailedMsgs: hour.failed,
    }
  }

  #of(topic: string) {
    let counts = this.#topics.get(topic)
    if (counts === undefined) {
      counts = { totals: nothing(), past: [] }
      this.#topics.set(topic, counts)
    }
    return counts
  }
}

function before(past: readonly Snapshot[], time: number): Totals {
  return past.findLast(({ at }) => at <= time)?.totals ?? nothing()
}

function difference(now: Totals, then: Totals): Totals {
  return {
    pulls: now.pulls - then.pulls,
    pulled: now.pulled - then.pulled,
    pullMs: now.pullMs - then.pullMs,
    ok: now.ok - then.ok,
    failed: now.failed - then.failed,
    consumeMs: now.consumeMs - then.consumeMs,
  }
}

function average(sum: number, count: number): number {
  return count === 0 ? 0 : sum / count
}
