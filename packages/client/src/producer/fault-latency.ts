/** For how long a broker is avoided after a slow or failed send. Milliseconds. */
export interface FaultTable {
  /** Ascending latencies; from each on, the duration at the same index applies. */
  readonly latencyMax: readonly number[]
  readonly notAvailableDuration: readonly number[]
  /** The latency that a failed send counts as. */
  readonly isolationLatency: number
}

/** The table of Apache's 5.x client: a failed broker is avoided for 10 s. In 4.9 that is ten minutes. */
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

/** The outcome of a send to a broker. */
export interface SendOutcome {
  readonly latencyMs: number
  /** True if the send failed: the broker is avoided as after `isolationLatency`. Default false. */
  readonly isolate?: boolean
  /** False if the broker did not answer; it counts as unreachable until a probe succeeds. Default true. */
  readonly reachable?: boolean
}

/** Which brokers to avoid: Apache's MQFaultStrategy and LatencyFaultToleranceImpl. Times are milliseconds of one clock. */
export class FaultLatency {
  readonly #table: FaultTable
  readonly #brokers = new Map<string, BrokerHealth>()

  constructor(table: FaultTable = defaultFaultTable) {
    this.#table = table
  }

  /** Records an outcome. As in 5.x it never shortens the time to avoid a broker. @returns that duration, milliseconds */
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

  /** False while a broker is to be avoided. True for unknown brokers. */
  isAvailable(broker: string, now: number): boolean {
    return now >= (this.#brokers.get(broker)?.availableAt ?? 0)
  }

  /** False if a broker's last request was not answered. */
  isReachable(broker: string): boolean {
    return this.#brokers.get(broker)?.reachable ?? true
  }

  /**
   * The better half of the known brokers, at least one: available ones first, then by latency, then by the time at which
   * they are available again. Empty if none is known. The 4.9 client chooses from these when no broker is available.
   */
  betterHalf(now: number): string[] {
    const sorted = [...this.#brokers.values()].sort((a, b) => compareHealth(a, b, now))
    return sorted.slice(0, Math.max(1, Math.floor(sorted.length / 2))).map(health => health.name)
  }

  /**
   * The brokers whose next probe is due, reachable or not. Each is due again after `intervalMs` (5.x: 2000). The caller
   * reports with `found`.
   */
  dueForProbe(now: number, intervalMs: number): string[] {
    const due = [...this.#brokers.values()].filter(health => now >= health.nextCheckAt)
    for (const health of due) health.nextCheckAt = now + intervalMs
    return due.map(health => health.name)
  }

  /** Records that a probe was answered. */
  found(broker: string): void {
    const health = this.#brokers.get(broker)
    if (health) health.reachable = true
  }

  /** Removes a broker, such as one that no route names any longer. */
  forget(broker: string): void {
    this.#brokers.delete(broker)
  }
}

function compareHealth(a: BrokerHealth, b: BrokerHealth, now: number): number {
  const available = Number(now >= b.availableAt) - Number(now >= a.availableAt)
  return available || a.latency - b.latency || a.availableAt - b.availableAt
}
