/** Random numbers that depend only on a seed and an index (Chris Doty-Humphrey's sfc32). */
export class Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number, index: number) {
    this.#a = seed | 0
    this.#b = index | 0
    this.#c = Math.floor(index / 0x1_0000_0000) | 0
    for (let i = 0; i < 12; i++) this.uint32()
  }

  uint32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** A whole number from 0, below the limit. */
  below(limit: number): number {
    return this.uint32() % limit
  }

  /** Mostly small numbers below the limit, sometimes large ones. */
  mostlySmall(limit: number): number {
    return this.below(Math.max(1, Math.min(limit, 2 ** this.below(17))))
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let at = 0; at < length; at++) bytes[at] = this.uint32()
    return bytes
  }
}
