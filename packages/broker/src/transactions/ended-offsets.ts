const BITS = 8

/** Offsets of half messages whose transactions have ended: a bit for each from `start` on, since most of them have. */
export class EndedOffsets {
  readonly #start: number
  #bits = Buffer.alloc(1024)

  constructor(start: number) {
    this.#start = start
  }

  /** Offsets below the start are ignored. */
  add(offset: number): void {
    const bit = offset - this.#start
    if (bit < 0) return
    const at = Math.floor(bit / BITS)
    if (at >= this.#bits.length) this.#bits = Buffer.concat([this.#bits], Math.max(at + 1, this.#bits.length * 2))
    this.#bits[at] = (this.#bits[at] ?? 0) | (1 << (bit % BITS))
  }

  has(offset: number): boolean {
    const bit = offset - this.#start
    return bit >= 0 && ((this.#bits[Math.floor(bit / BITS)] ?? 0) & (1 << (bit % BITS))) !== 0
  }
}
