const BUCKETS = 1024

/** Counts times in buckets of 3 % width, so that a request needs no memory. The buckets are those of driver.c. */
export class TimeHistogram {
  readonly #buckets = new Float64Array(BUCKETS)
  #count = 0
  #max = 0

  /** @param us Microseconds. */
  add(us: number): void {
    const tenths = Math.floor(us * 10)
    const shift = tenths < 64 ? 0 : 26 - Math.clz32(tenths)
    const bucket = Math.min(BUCKETS - 1, tenths < 64 ? tenths : (shift << 5) + (tenths >>> shift))
    this.#buckets[bucket] = (this.#buckets[bucket] as number) + 1
    this.#count++
    if (us > this.#max) this.#max = us
  }

  get max(): number {
    return this.#max
  }

  /** The time below which the given part (0 to 1) of all times is, microseconds. */
  quantile(part: number): number {
    const rank = Math.floor(part * this.#count)
    let sum = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      sum += this.#buckets[bucket] as number
      if (sum > rank) return lowerEdge(bucket)
    }
    return 0
  }

  clear(): void {
    this.#buckets.fill(0)
    this.#count = 0
    this.#max = 0
  }
}

function lowerEdge(bucket: number): number {
  if (bucket < 64) return bucket / 10
  const shift = (bucket >> 5) - 1
  return (((bucket & 31) + 32) * 2 ** shift) / 10
}
