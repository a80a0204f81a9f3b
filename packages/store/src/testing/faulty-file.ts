import type { Numbers } from '@gantrymq/remoting/testing'

/** What a disk writes whole or not at all, bytes. */
const SECTOR = 512

interface Change {
  readonly number: number
  readonly at: number
  /** What was written; undefined for a change of the size to `at`. */
  readonly bytes: Uint8Array | undefined
}

/** How much of what was not synced survives a power failure. */
export type Survival = 'all' | 'none' | 'some'

/**
 * The bytes of a file of a FaultyDisk: those that programs see, those that are on the medium, and the changes in between, which
 * a power failure keeps or loses sector by sector.
 */
export class FaultyFile {
  #bytes: Uint8Array
  #durable: Uint8Array
  #changes: Change[] = []
  #numbered = 0
  modified: number

  constructor(size: number, now: number) {
    this.#bytes = new Uint8Array(size)
    this.#durable = new Uint8Array(0)
    this.#note(size, undefined)
    this.modified = now
  }

  get size(): number {
    return this.#bytes.length
  }

  /** The number of the newest change. */
  get newest(): number {
    return this.#numbered
  }

  write(bytes: Uint8Array, at: number, now: number): void {
    if (at + bytes.length > this.size) this.resize(at + bytes.length, now)
    this.#bytes.set(bytes, at)
    this.#note(at, new Uint8Array(bytes))
    this.modified = now
  }

  read(into: Uint8Array, from: number, to: number, at: number): number {
    const count = Math.max(0, Math.min(to - from, this.size - at))
    into.set(this.#bytes.subarray(at, at + count), from)
    return count
  }

  resize(size: number, now: number): void {
    this.#bytes = resized(this.#bytes, size)
    this.#note(size, undefined)
    this.modified = now
  }

  /** Makes the changes up to `number` durable. */
  sync(number: number): void {
    const kept = this.#changes.filter(change => change.number > number)
    for (const change of this.#changes) if (change.number <= number) this.#durable = apply(change, this.#durable)
    this.#changes = kept
  }

  /** A sync failed: as on Linux, a later one succeeds without having written what this one could not write. */
  forget(number: number): void {
    this.#changes = this.#changes.filter(change => change.number > number || change.bytes === undefined)
  }

  /**
   * The power fails. Each sector has its contents after any one of its changes since the last sync, or before all of them; the
   * size is any of the sizes since then.
   */
  loseUnsynced(survival: Survival, numbers: Numbers): void {
    const cuts = new Map<number, number>()
    const keepsSizes = this.#cut(this.#changes.filter(change => change.bytes === undefined).length, survival, numbers)
    const touched = new Map<number, number>()
    for (const { at, bytes } of this.#changes) {
      for (const sector of sectorsOf(at, bytes?.length ?? 0)) touched.set(sector, (touched.get(sector) ?? 0) + 1)
    }
    for (const [sector, count] of touched) cuts.set(sector, this.#cut(count, survival, numbers))
    let sizes = 0
    for (const change of this.#changes) {
      if (change.bytes === undefined) {
        if (sizes++ < keepsSizes) this.#durable = resized(this.#durable, change.at)
        continue
      }
      for (const sector of sectorsOf(change.at, change.bytes.length)) {
        const left = cuts.get(sector) ?? 0
        cuts.set(sector, left - 1)
        if (left > 0) this.#keepSector(change.at, change.bytes, sector)
      }
    }
    this.#changes = []
    this.#bytes = this.#durable.slice()
  }

  #keepSector(at: number, bytes: Uint8Array, sector: number): void {
    const from = Math.max(at, sector * SECTOR)
    const to = Math.min(at + bytes.length, (sector + 1) * SECTOR, this.#durable.length)
    if (from < to) this.#durable.set(bytes.subarray(from - at, to - at), from)
  }

  #cut(count: number, survival: Survival, numbers: Numbers): number {
    if (survival === 'some') return numbers(count + 1)
    return survival === 'all' ? count : 0
  }

  #note(at: number, bytes: Uint8Array | undefined): void {
    this.#changes.push({ number: ++this.#numbered, at, bytes })
  }
}

function* sectorsOf(at: number, length: number): Generator<number> {
  for (let sector = Math.floor(at / SECTOR); sector * SECTOR < at + length; sector++) yield sector
}

function apply({ at, bytes }: Change, durable: Uint8Array): Uint8Array {
  if (bytes === undefined) return resized(durable, at)
  const part = bytes.subarray(0, Math.max(0, durable.length - at))
  durable.set(part, Math.min(at, durable.length))
  return durable
}

function resized(bytes: Uint8Array, size: number): Uint8Array {
  if (size === bytes.length) return bytes
  const next = new Uint8Array(size)
  next.set(bytes.subarray(0, size))
  return next
}
