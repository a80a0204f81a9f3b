import type { ConsumeStatus } from '@gantrymq/protocol'

/** Everything counted for a topic since the start. */
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
const TICK_MS = 10_000

const nothing = (): Totals => ({ pulls: 0, pulled: 0, pullMs: 0, ok: 0, failed: 0, consumeMs: 0 })

/** Counts pulls and consumed messages per topic, and derives the rates of the last minute: Apache's ConsumerStatsManager. */
export class ConsumptionStats {
  /** Messages that could not be read. */
  skipped = 0
  readonly #startedAt: number
  readonly #topics = new Map<string, { readonly totals: Totals; readonly past: Snapshot[] }>()

  /** @param now milliseconds, by the same clock as for `tick` and `statuses` */
  constructor(now: number) {
    this.#startedAt = now
  }

  /** Counts an answered pull. */
  pulled(topic: string, messages: number, ms: number): void {
    const { totals } = this.#of(topic)
    totals.pulls++
    totals.pulled += messages
    totals.pullMs += ms
  }

  /** Counts the messages of a listener that has returned. */
  consumed(topic: string, messages: number, ms: number, isOk: boolean): void {
    const { totals } = this.#of(topic)
    totals.consumeMs += ms
    if (isOk) totals.ok += messages
    else totals.failed += messages
  }

  /** The messages of all topics since the start. */
  get total(): { readonly pulled: number; readonly ok: number; readonly failed: number } {
    let [pulled, ok, failed] = [0, 0, 0]
    for (const { totals } of this.#topics.values()) {
      pulled += totals.pulled
      ok += totals.ok
      failed += totals.failed
    }
    return { pulled, ok, failed }
  }

  /** Takes a snapshot of the counts. To be called about every ten seconds. */
  tick(now: number): void {
    for (const { totals, past } of this.#topics.values()) {
      past.push({ at: now, totals: { ...totals } })
      while (past.length > HOUR_MS / TICK_MS + 1) past.shift()
    }
  }

  /** The rates of each topic. */
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
      // If nothing was consumed in the last minute, the average of the last hour is shown.
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
