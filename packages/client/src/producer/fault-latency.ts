/** How long a broker rests after a slow or failed send. Milliseconds. */
export interface FaultTable {
  /** Latencies from which the rest at the same place applies, rising. */
  readonly latencyMax: readonly number[]
  readonly notAvailableDuration: readonly number[]
  /** The latency that a failed send counts as. */
  readonly isolationLatency: number
}

/** The table of Apache's 5.x client: a failed broker rests 10 s. In that of 4.9 it rests ten minutes. */
export const defaultFaultTable: FaultTable = Object.freeze({
  latencyMax: [50, 100, 550, 1800, 3000, 5000, 15_000],
  notAvailableDuration: [0, 0, 2000, 5000, 6000, 10_000, 30_000],
  isolationLatency: 10_000,
})

interface BrokerHealth {
  readonly name: string
  latency: number
  availableAt: number
  reachable: boolean
  nextCheckAt: number
}

/** How a send to a broker went. */
export interface SendOutcome {
  readonly latencyMs: number
  /** The send failed: the broker rests as after `isolationLatency`. Default false. */
  readonly isolate?: boolean
  /** False if nobody answers there, until a probe says otherwise. Default true. */
  readonly reachable?: boolean
}

/** Which brokers to rest: Apache's MQFaultStrategy and LatencyFaultToleranceImpl. Times are milliseconds of one clock. */
export class FaultLatency {
  readonly #table: FaultTable
  readonly #brokers = new Map<string, BrokerHealth>()

  constructor(table: FaultTable = defaultFaultTable) {
    this.#table = table
  }

  /** Notes an attempt. A rest is only ever made longer, as in 5.x. @returns milliseconds of rest, 0 for none. */
  note(broker: string, { latencyMs, isolate = false, reachable = true }: SendOutcome, now: number): number {
    const duration = this.#duration(isolate ? this.#table.isolationLatency : latencyMs)
    const health = this.#health(broker)
    health.latency = latencyMs
    health.reachable = reachable
    if (duration > 0) health.availableAt = Math.max(health.availableAt, now + duration)
    return duration
  }

  #health(name: string): BrokerHealth {
    let health = this.#brokers.get(name)
    if (health === undefined) {
      health = { name, latency: 0, availableAt: 0, reachable: true, nextCheckAt: 0 }
      this.#brokers.set(name, health)
    }
    return health
  }

  #duration(latencyMs: number): number {
    const at = this.#table.latencyMax.findLastIndex(limit => latencyMs >= limit)
    return this.#table.notAvailableDuration[at] ?? 0
  }

  /** Whether a broker is not resting. Unknown ones are not. */
  isAvailable(broker: string, now: number): boolean {
    return now >= (this.#brokers.get(broker)?.availableAt ?? 0)
  }

  /** Whether somebody answers there as far as known. */
  isReachable(broker: string): boolean {
    return this.#brokers.get(broker)?.reachable ?? true
  }

  /**
   * Names of the better half of the known brokers, at least one: those available first, then by latency, then by the
   * end of their rest. Empty if none is known. What the 4.9 client chooses from when all brokers rest.
   */
  betterHalf(now: number): string[] {
    const sorted = [...this.#brokers.values()].sort((a, b) => compareHealth(a, b, now))
    return sorted.slice(0, Math.max(1, Math.floor(sorted.length / 2))).map(health => health.name)
  }

  /**
   * Unreachable or not: the brokers whose next probe is due. Each is due again after `intervalMs` (5.x: 2000).
   * The caller probes them and reports with `note` or `found`.
   */
  dueForProbe(now: number, intervalMs: number): string[] {
    const due = [...this.#brokers.values()].filter(health => now >= health.nextCheckAt)
    for (const health of due) health.nextCheckAt = now + intervalMs
    return due.map(health => health.name)
  }

  /** A probe was answered. */
  found(broker: string): void {
    const health = this.#brokers.get(broker)
    if (health) health.reachable = true
  }

  /** Forgets a broker, such as one that is in no route any more. */
  forget(broker: string): void {
    this.#brokers.delete(broker)
  }
}

function compareHealth(a: BrokerHealth, b: BrokerHealth, now: number): number {
  const available = Number(now >= b.availableAt) - Number(now >= a.availableAt)
  return available || a.latency - b.latency || a.availableAt - b.availableAt
}
