import { bucketOf, OTHER } from './counters.ts'
import type { HistogramSample, Labels, MetricFamily } from './family.ts'

/** Replaces the response code of a request without a reply. */
export const ONEWAY = -1

// Apache's bounds (RemotingMetricsManager), so that dashboards for its brokers work, and finer ones below a millisecond,
// in which a name server answers.
const BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 3, 5, 7, 10, 100, 1000, 2000, 3000]
const WIDTH = BOUNDS.length + 1

/** Request and response codes by number, with the names they get in labels. */
export type CodeNames = Iterable<readonly [code: number, name: string]>

/**
 * Counts and times requests by request and response code. It is made for the fast path: it needs no object, no string
 * and no lookup by name per request, and requests that were answered together are added together.
 */
export class RpcLatency {
  readonly #requests: CodeIndex
  readonly #responses: CodeIndex
  readonly #counts: Float64Array
  readonly #sums: Float64Array

  /** @param requests Codes that have their own label, as do `responses`; all others share the label `other`. */
  constructor(requests: CodeNames, responses: CodeNames) {
    this.#requests = new CodeIndex(requests)
    this.#responses = new CodeIndex([[ONEWAY, 'none'], ...responses])
    const cells = this.#requests.labels.length * this.#responses.labels.length
    this.#counts = new Float64Array(cells * WIDTH)
    this.#sums = new Float64Array(cells)
  }

  /**
   * Adds `count` requests that took `ms` milliseconds each.
   * @param responseCode The reply's code, or ONEWAY.
   */
  observe(requestCode: number, responseCode: number, ms: number, count = 1): void {
    const cell = this.#requests.at(requestCode) * this.#responses.labels.length + this.#responses.at(responseCode)
    ;(this.#counts[cell * WIDTH + bucketOf(BOUNDS, ms)] as number) += count
    ;(this.#sums[cell] as number) += ms * count
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
    const seen: HistogramSample[] = []
    const columns = this.#responses.labels.length
    for (let cell = 0; cell < this.#sums.length; cell++) {
      const counts = this.#counts.subarray(cell * WIDTH, (cell + 1) * WIDTH)
      if (counts.every(count => count === 0)) continue
      const request = this.#requests.labels[Math.floor(cell / columns)] as string
      seen.push({ labels: this.#labels(request, cell % columns), counts, sum: this.#sums[cell] as number })
    }
    return seen
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
