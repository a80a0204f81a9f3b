/** Capacities are powers of two, so that a mask finds the place. */
const SMALLEST = 16

function marks<T>(count: number): (T | undefined)[] {
  return Array.from({ length: count }, () => undefined)
}

/**
 * Items by offset, for offsets that mostly come in rising order and leave in nearly the same: a growing ring with marks
 * where items have left. Adding behind the last and removing take constant time; only what comes out of order costs more.
 */
export class OffsetRing<T> {
  #offsets = new Float64Array(SMALLEST)
  /** Undefined marks an item that has left. */
  #items = marks<T>(SMALLEST)
  /** Place of the first item. Never a mark, unless the ring is empty. */
  #head = 0
  /** Places in use, marks included. The last is never a mark. */
  #length = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Smallest offset; undefined if empty. */
  get firstOffset(): number | undefined {
    return this.#size === 0 ? undefined : this.#offsets[this.#head]
  }

  /** Largest offset; undefined if empty. */
  get lastOffset(): number | undefined {
    return this.#size === 0 ? undefined : this.#offsets[this.#place(this.#length - 1)]
  }

  first(): T | undefined {
    return this.#items[this.#head]
  }

  /** @returns false if the offset is there already; its item stays. */
  add(offset: number, item: T): boolean {
    const last = this.lastOffset
    if (last === undefined || offset > last) this.#append(offset, item)
    else if (offset < (this.firstOffset ?? 0)) this.#prepend(offset, item)
    else return this.#insert(offset, item)
    return true
  }

  get(offset: number): T | undefined {
    const at = this.#find(offset)
    return at < 0 ? undefined : this.#items[this.#place(at)]
  }

  /** @returns the item, if it was there. */
  delete(offset: number): T | undefined {
    const at = this.#find(offset)
    if (at < 0) return undefined
    const place = this.#place(at)
    const item = this.#items[place]
    if (item === undefined) return undefined
    this.#items[place] = undefined
    this.#size--
    this.#trim()
    return item
  }

  clear(): void {
    this.#reset(SMALLEST)
  }

  /** Items in the order of their offsets. */
  *values(): Generator<T> {
    for (let at = 0; at < this.#length; at++) {
      const item = this.#items[this.#place(at)]
      if (item !== undefined) yield item
    }
  }

  #place(at: number): number {
    return (this.#head + at) & (this.#items.length - 1)
  }

  /**
   * Which of the places in use has an offset, -1 if none. Offsets rise by one at least, so both ends bound the search;
   * without gaps they leave a single place.
   */
  #find(offset: number): number {
    if (this.#length === 0) return -1
    const end = this.#length - 1
    let low = Math.max(0, end - (this.#at(end) - offset))
    let high = Math.min(end, offset - this.#at(0))
    while (low <= high) {
      const middle = (low + high) >>> 1
      const found = this.#at(middle)
      if (found === offset) return middle
      if (found < offset) low = middle + 1
      else high = middle - 1
    }
    return -1
  }

  #at(at: number): number {
    return this.#offsets[this.#place(at)] ?? 0
  }

  #append(offset: number, item: T): void {
    if (this.#length === this.#items.length) this.#makeRoom()
    this.#set(this.#place(this.#length++), offset, item)
  }

  #prepend(offset: number, item: T): void {
    if (this.#length === this.#items.length) this.#makeRoom()
    this.#head = this.#place(-1)
    this.#length++
    this.#set(this.#head, offset, item)
  }

  #set(place: number, offset: number, item: T): void {
    this.#offsets[place] = offset
    this.#items[place] = item
    this.#size++
  }

  /** Between others: on its own mark, or by writing all anew. */
  #insert(offset: number, item: T): boolean {
    const at = this.#find(offset)
    if (at < 0) {
      this.#rewrite([...this.#entries(), [offset, item] as const].sort(([a], [b]) => a - b))
      return true
    }
    const place = this.#place(at)
    if (this.#items[place] !== undefined) return false
    this.#set(place, offset, item)
    return true
  }

  #entries(): (readonly [number, T])[] {
    const entries: (readonly [number, T])[] = []
    for (let at = 0; at < this.#length; at++) {
      const item = this.#items[this.#place(at)]
      if (item !== undefined) entries.push([this.#at(at), item])
    }
    return entries
  }

  /** Drops the marks; doubles the ring unless that made room enough. */
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
    this.#items = marks<T>(capacity)
    this.#head = 0
    this.#length = 0
    this.#size = 0
  }

  /** Drops the marks at both ends. */
  #trim(): void {
    if (this.#size === 0) {
      this.#head = 0
      this.#length = 0
      return
    }
    while (this.#items[this.#head] === undefined) {
      this.#head = this.#place(1)
      this.#length--
    }
    while (this.#items[this.#place(this.#length - 1)] === undefined) this.#length--
  }
}
