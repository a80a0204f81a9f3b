/** Finds the index of a name by its bytes, without creating a string. The names are few, in ASCII, and known in advance. */
export class NameTable {
  readonly #names: readonly Buffer[]
  /** Index of a name by its slot, -1 where none is; a name whose slot is taken has the next free one. */
  readonly #slots: Int16Array
  readonly #mask: number

  constructor(names: readonly string[]) {
    this.#names = names.map(name => Buffer.from(name))
    let size = 64
    while (size < names.length * 4) size *= 2
    this.#mask = size - 1
    this.#slots = new Int16Array(size).fill(-1)
    for (const [index, name] of this.#names.entries()) {
      let slot = this.#slotOf(name, 0, name.length)
      while (this.#slots[slot] !== -1) slot = (slot + 1) & this.#mask
      this.#slots[slot] = index
    }
  }

  /** The index of the name in `bytes[start, end)`, or -1. */
  find(bytes: Buffer, start: number, end: number): number {
    if (end <= start) return -1
    for (let slot = this.#slotOf(bytes, start, end); ; slot = (slot + 1) & this.#mask) {
      const index = this.#slots[slot] as number
      if (index < 0 || isEqual(this.#names[index] as Buffer, bytes, start, end)) return index
    }
  }

  #slotOf(bytes: Buffer, start: number, end: number): number {
    return ((end - start) * 5 + (bytes[start] as number) * 3 + (bytes[end - 1] as number)) & this.#mask
  }
}

/** Whether `bytes[start, end)` are these. */
export function isEqual(known: Buffer, bytes: Buffer, start: number, end: number): boolean {
  return known.length === end - start && areSame(known, 0, bytes, start, known.length)
}

/** Whether `length` bytes of `a` from `atA` are those of `b` from `atB`. */
export function areSame(a: Buffer, atA: number, b: Buffer, atB: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[atA + i] !== b[atB + i]) return false
  return true
}
