/** What a producer has done so far, in plain numbers. */
export interface ProducerStats {
  /** Messages that a broker has stored, or one-way ones that left. */
  readonly sent: number
  /** Messages that were given up. */
  readonly failed: number
  /** Attempts after a first one that failed. */
  readonly retried: number
  /** Messages on their way now. */
  readonly inFlight: number
  /** Messages that wait to be let in, see option `maxInFlight`. */
  readonly waiting: number
  /** Bytes of the bodies sent, as they went over the wire. */
  readonly bytes: number
  /** Of sends that succeeded, milliseconds from being let in to the answer; the percentiles at most a fifth too high. */
  readonly latency: { readonly mean: number; readonly p50: number; readonly p99: number; readonly max: number }
}

const BUCKETS = 64
/** Bounds grow by a fifth: sixty-four reach beyond half an hour. */
const GROWTH = 1.25
const LOG_GROWTH = Math.log(GROWTH)

/** Counts sends. */
export class SendStats {
  retried = 0
  #sent = 0
  #failed = 0
  #bytes = 0
  #count = 0
  #sum = 0
  #max = 0
  readonly #buckets = new Float64Array(BUCKETS)

  sent(count: number, bytes: number, ms: number): void {
    this.left(count, bytes)
    this.#count++
    this.#sum += ms
    if (ms > this.#max) this.#max = ms
    const bucket = ms <= 1 ? 0 : Math.min(BUCKETS - 1, Math.ceil(Math.log(ms) / LOG_GROWTH))
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1
  }

  /** Sent without an answer to wait for. */
  left(count: number, bytes: number): void {
    this.#sent += count
    this.#bytes += bytes
  }

  failed(count: number): void {
    this.#failed += count
  }

  read(inFlight: number, waiting: number): ProducerStats {
    const latency = {
      mean: this.#count === 0 ? 0 : this.#sum / this.#count,
      p50: this.#percentile(0.5),
      p99: this.#percentile(0.99),
      max: this.#max,
    }
    return {
      sent: this.#sent,
      failed: this.#failed,
      retried: this.retried,
      inFlight,
      waiting,
      bytes: this.#bytes,
      latency,
    }
  }

  #percentile(share: number): number {
    let left = this.#count * share
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#buckets[bucket] ?? 0
      if (left <= 0) return this.#count === 0 ? 0 : Math.min(this.#max, Math.round(GROWTH ** bucket))
    }
    return this.#max
  }
}
