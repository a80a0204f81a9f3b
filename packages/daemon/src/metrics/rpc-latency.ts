import { bucketOf, OTHER } from './counters.ts'
import type { HistogramSample, Labels, MetricFamily } from './family.ts'

/** Replaces the response code of a request without a reply. */
export const ONEWAY = -1

// Apache's bounds (RemotingMetricsManager), so that dashboards for its brokers work, and finer ones below a millisecond,
// in which a name server answers.
const BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 3, 5, 7, 10, 100, 1000, 2000, 3000]
/** Counts of a pair of codes; the last number is the sum of their times. */
const SUM = BOUNDS.length + 1

/** Request and response codes by number, with the names they get in labels. */
export type CodeNames = Iterable<readonly [code: number, name: string]>

/**
 * Counts and times requests by request and response code. It is made for the fast path: it needs no object, no string
 * and no lookup by name per request, and requests that were answered together are added together.
 */
export class RpcLatency {
  readonly #requests: CodeIndex
  readonly #responses: CodeIndex
  /** For each pair of codes that was seen, by the index of the request and then of the response. */
  readonly #rows: ((Float64Array | undefined)[] | undefined)[]

  /** @param requests Codes that have their own label, as do `responses`; all others share the label `other`. */
  constructor(requests: CodeNames, responses: CodeNames) {
    this.#requests = new CodeIndex(requests)
    this.#responses = new CodeIndex([[ONEWAY, 'none'], ...responses])
    this.#rows = this.#requests.labels.map(() => undefined)
  }

  /**
   * Adds `count` requests that took `ms` milliseconds each.
   * @param responseCode The reply's code, or ONEWAY.
   */
  observe(requestCode: number, responseCode: number, ms: number, count = 1): void {
    const row = (this.#rows[this.#requests.at(requestCode)] ??= this.#responses.labels.map(() => undefined))
    const counts = (row[this.#responses.at(responseCode)] ??= new Float64Array(SUM + 1))
    ;(counts[bucketOf(BOUNDS, ms)] as number) += count
    ;(counts[SUM] as number) += ms * count
  }

  family(): MetricFamily {
    return {
      type: 'histogram',
      name: 'rocketmq_rpc_latency_milliseconds',
      help: 'Time from a request read to its reply handed to the socket, by request and response code.',
      bounds: BOUNDS,
      histograms: this.#seen(),
    }
  }

  #seen(): HistogramSample[] {
    return this.#rows.flatMap((row, request) =>
      (row ?? []).flatMap((counts, column) => {
        if (counts === undefined) return []
        const labels = this.#labels(this.#requests.labels[request] as string, column)
        return [{ labels, counts: counts.subarray(0, SUM), sum: counts[SUM] as number }]
      }),
    )
  }

  /** Apache's labels, including those that never vary here. */
  #labels(requestCode: string, column: number): Labels {
    return {
      protocol_type: 'remoting',
      request_code: requestCode,
      response_code: this.#responses.labels[column] as string,
      is_long_polling: 'false',
      result: column === this.#responses.at(ONEWAY) ? 'oneway' : 'success',
    }
  }
}

/** An index for each known code; 0 for all others. */
class CodeIndex {
  readonly labels: string[] = [OTHER]
  // Starts at code ONEWAY. RocketMQ's codes are far below the end.
  readonly #indexes = new Uint16Array(4096)

  constructor(names: CodeNames) {
    for (const [code, name] of names) {
      this.#indexes[code - ONEWAY] = this.labels.length
      this.labels.push(name.toLowerCase())
    }
  }

  at(code: number): number {
    return this.#indexes[code - ONEWAY] ?? 0
  }
}
