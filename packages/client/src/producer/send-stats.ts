/** Counters and latencies of a producer since its start. */
export interface ProducerStats {
  /** Messages that a broker has stored, and one-way messages that were handed to a connection. */
  readonly sent: number
  /** Messages whose send failed. */
  readonly failed: number
  /** Retries: attempts after the first of a message. */
  readonly retried: number
  /** Messages in flight now. */
  readonly inFlight: number
  /** Messages that wait because of option `maxInFlight` or `maxInFlightBytes`. */
  readonly waiting: number
  /** Bytes of the bodies sent, after compression. */
  readonly bytes: number
  /** Of successful sends, without the wait for `maxInFlight`, milliseconds. The percentiles are at most a quarter too high. */
  readonly latency: { readonly mean: number; readonly p50: number; readonly p99: number; readonly max: number }
}

const BUCKETS = 64
/** Each bucket's bound is a quarter above the previous one: 64 buckets reach beyond twenty minutes. */
const GROWTH = 1.25
const LOG_GROWTH = Math.log(GROWTH)

/** Counts the messages of a producer. */
export class SendStats {
  retried = 0
  #sent = 0
  #failed = 0
  #bytes = 0
  #count = 0
  #sum = 0
  #max = 0
  readonly #buckets = new Float64Array(BUCKETS)

  /** Records messages that were stored `ms` milliseconds after they entered the in-flight limit. */
  sent(count: number, bytes: number, ms: number): void {
    this.sentOneway(count, bytes)
    this.#count++
    this.#sum += ms
    if (ms > this.#max) this.#max = ms
    const bucket = ms <= 1 ? 0 : Math.min(BUCKETS - 1, Math.ceil(Math.log(ms) / LOG_GROWTH))
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1
  }

  /** Records messages sent one-way. */
  sentOneway(count: number, bytes: number): void {
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
