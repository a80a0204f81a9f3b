/** Capacities are powers of two, so that a mask turns an index into a slot. */
const SMALLEST = 16

function emptySlots<T>(count: number): (T | undefined)[] {
  return Array.from({ length: count }, () => undefined)
}

/**
 * Items by offset, for offsets that mostly arrive in rising order and leave in nearly the same order: a growing ring with
 * holes where items were removed. Appending and removing take constant time; only offsets out of order cost more.
 */
export class OffsetRing<T> {
  #offsets = new Float64Array(SMALLEST)
  /** Undefined marks a hole. */
  #items = emptySlots<T>(SMALLEST)
  /** Slot of the first item. Never a hole, unless the ring is empty. */
  #head = 0
  /** Slots in use, holes included. The last is never a hole. */
  #length = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The smallest offset; undefined if the ring is empty. */
  get firstOffset(): number | undefined {
    return this.#size === 0 ? undefined : this.#offsets[this.#head]
  }

  /** The largest offset; undefined if the ring is empty. */
  get lastOffset(): number | undefined {
    return this.#size === 0 ? undefined : this.#offsets[this.#slot(this.#length - 1)]
  }

  first(): T | undefined {
    return this.#items[this.#head]
  }

  /** @returns false if the offset is already there; its item stays. */
  add(offset: number, item: T): boolean {
    const last = this.lastOffset
    if (last === undefined || offset > last) this.#append(offset, item)
    else if (offset < (this.firstOffset ?? 0)) this.#prepend(offset, item)
    else return this.#insert(offset, item)
    return true
  }

  get(offset: number): T | undefined {
    const index = this.#find(offset)
    return index < 0 ? undefined : this.#items[this.#slot(index)]
  }

  /** @returns the removed item; undefined if there was none. */
  delete(offset: number): T | undefined {
    const index = this.#find(offset)
    if (index < 0) return undefined
    const slot = this.#slot(index)
    const item = this.#items[slot]
    if (item === undefined) return undefined
    this.#items[slot] = undefined
    this.#size--
    this.#trim()
    return item
  }

  clear(): void {
    this.#reset(SMALLEST)
  }

  /** The items in the order of their offsets. */
  *values(): Generator<T> {
    for (let index = 0; index < this.#length; index++) {
      const item = this.#items[this.#slot(index)]
      if (item !== undefined) yield item
    }
  }

  #slot(index: number): number {
    return (this.#head + index) & (this.#items.length - 1)
  }

  /**
   * The index of an offset, counted from the head; -1 if it is not there. Offsets rise by at least one per slot, so both ends
   * bound the search. If no offset is missing in between, the bounds meet in a single slot.
   */
  #find(offset: number): number {
    if (this.#length === 0) return -1
    const end = this.#length - 1
    let low = Math.max(0, end - (this.#offsetAt(end) - offset))
    let high = Math.min(end, offset - this.#offsetAt(0))
    while (low <= high) {
      const middle = (low + high) >>> 1
      const found = this.#offsetAt(middle)
      if (found === offset) return middle
      if (found < offset) low = middle + 1
      else high = middle - 1
    }
    return -1
  }

  #offsetAt(index: number): number {
    return this.#offsets[this.#slot(index)] ?? 0
  }

  #append(offset: number, item: T): void {
    if (this.#length === this.#items.length) this.#makeRoom()
    this.#set(this.#slot(this.#length++), offset, item)
  }

  #prepend(offset: number, item: T): void {
    if (this.#length === this.#items.length) this.#makeRoom()
    this.#head = this.#slot(-1)
    this.#length++
    this.#set(this.#head, offset, item)
  }

  #set(slot: number, offset: number, item: T): void {
    this.#offsets[slot] = offset
    this.#items[slot] = item
    this.#size++
  }

  /** Adds an item between others: into the hole that has its offset, or by rewriting the ring. */
  #insert(offset: number, item: T): boolean {
    const index = this.#find(offset)
    if (index < 0) {
      this.#rewrite([...this.#entries(), [offset, item] as const].sort(([a], [b]) => a - b))
      return true
    }
    const slot = this.#slot(index)
    if (this.#items[slot] !== undefined) return false
    this.#set(slot, offset, item)
    return true
  }

  #entries(): (readonly [number, T])[] {
    const entries: (readonly [number, T])[] = []
    for (let index = 0; index < this.#length; index++) {
      const item = this.#items[this.#slot(index)]
      if (item !== undefined) entries.push([this.#offsetAt(index), item])
    }
    return entries
  }

  /** Removes the holes, and doubles the ring unless that made enough room. */
  #makeRoom(): void {
    this.#rewrite(this.#entries())
  }

  #rewrite(entries: readonly (readonly [number, T])[]): void {
    let capacity = SMALLEST
    while (capacity < entries.length * 2) capacity *= 2
    this.#reset(capacity)
    for (const [offset, item] of entries) this.#append(offset, item)
  }

  #reset(capacity: number): void {
    this.#offsets = new Float64Array(capacity)
    this.#items = emptySlots<T>(capacity)
    this.#head = 0
    this.#length = 0
    this.#size = 0
  }

  /** Removes the holes at both ends. */
  #trim(): void {
    if (this.#size === 0) {
      this.#head = 0
      this.#length = 0
      return
    }
    while (this.#items[this.#head] === undefined) {
      this.#head = this.#slot(1)
      this.#length--
    }
    while (this.#items[this.#slot(this.#length - 1)] === undefined) this.#length--
  }
}
