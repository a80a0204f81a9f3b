import { endianness } from 'node:os'
import { type OpenFile, readAll, readAllSync, writeAll, writeAllSync } from '../files/disk.ts'
import type { OpenFiles } from '../files/open-files.ts'
import { readLong, writeLong } from '../log/record-layout.ts'

/** How large an index file is. */
export interface IndexSizes {
  /** Hash slots of a file [maxHashSlotNum]. */
  readonly slots: number
  /** Entries of a file [maxIndexNum]; the first of them is never used. */
  readonly entries: number
}

/** An entry of the index: a record that has a key with this hash. */
export interface IndexEntry {
  keyHash: number
  position: number
  /** Seconds after the file's first record. */
  seconds: number
  /** Number of the entry before it in the same slot; 0 for none. */
  previous: number
}

const HEADER_BYTES = 40
const SLOT_BYTES = 4
const ENTRY_BYTES = 20

/** Entries of a piece of memory from which they are written. */
const CHUNK_ENTRIES = 3_276
/** Slots are written by pages of this size, those that changed. */
const PAGE_BYTES = 4_096
/** Entries that are read from the file at once: chains of a frequent key pass through neighbours. */
const WINDOW_ENTRIES = 800
/** Bytes that a recovery reads at once. */
const SCAN_BYTES = 52_428 * ENTRY_BYTES
const MAX_INT = 0x7fff_ffff

export function indexFileBytes({ slots, entries }: IndexSizes): number {
  return HEADER_BYTES + slots * SLOT_BYTES + entries * ENTRY_BYTES
}

/**
 * One file of the key index: a header, a table of hash slots, and entries that are chained from their slots, newest first. Apache's
 * IndexFile and IndexHeader.
 *
 * While a file is filled, its slots and its newest entries are in memory. They are written later, the header last.
 */
export class IndexFile {
  readonly path: string
  readonly #files: OpenFiles
  readonly #sizes: IndexSizes
  /** Store time of the first and the last record, milliseconds since the epoch; 0 if there is none. */
  beginTimestamp = 0
  endTimestamp = 0
  /** Position of the first and the last record in the log. */
  beginPosition = 0
  endPosition = 0
  #usedSlots = 0
  /** Number of the next entry. Entry 0 is not used. */
  #count = 1
  /** All slots, as they are in the file; undefined once the file is full and saved. */
  #slots: Buffer | undefined
  /** One for each page of slots that changed. */
  #changedPages: Uint8Array | undefined
  /** Pieces of memory with the entries from `#chunksStart` on. */
  #chunks: Buffer[] = []
  #chunksStart = 1
  /** Entries below are in the file. */
  #written = 1
  #exists: boolean

  constructor(files: OpenFiles, path: string, sizes: IndexSizes, exists: boolean) {
    this.#files = files
    this.path = path
    this.#sizes = sizes
    this.#exists = exists
  }

  get isFull(): boolean {
    return this.#count >= this.#sizes.entries
  }

  get isEmpty(): boolean {
    return this.#count <= 1
  }

  get count(): number {
    return this.#count
  }

  /** Bytes of entries that are not in the file. */
  get unwritten(): number {
    return (this.#count - this.#written) * ENTRY_BYTES
  }

  /** Whether `put` is possible: a file that was opened needs its slots in memory first. */
  get isLoaded(): boolean {
    return this.#slots !== undefined
  }

  /** Makes an empty file ready for `put`. */
  begin(): void {
    this.#setSlots(Buffer.alloc(this.#sizes.slots * SLOT_BYTES))
  }

  #setSlots(slots: Buffer): void {
    this.#slots = slots
    this.#changedPages = new Uint8Array(Math.ceil(slots.length / PAGE_BYTES))
  }

  /** Adds an entry: Apache's IndexFile.putKey. The file must be loaded and not full. @param keyHash Not negative */
  put(keyHash: number, position: number, storeTimestamp: number): void {
    const slots = this.#slots as Buffer
    const slotAt = (keyHash % this.#sizes.slots) * SLOT_BYTES
    const previous = this.#checkedNumber(slots.readInt32BE(slotAt))
    const number = this.#count
    if (number === 1) {
      this.beginTimestamp = storeTimestamp
      this.beginPosition = position
    }
    const seconds = Math.min(Math.max(Math.floor((storeTimestamp - this.beginTimestamp) / 1000), 0), MAX_INT)
    const chunk = this.#chunkFor(number)
    const at = ((number - this.#chunksStart) % CHUNK_ENTRIES) * ENTRY_BYTES
    chunk.writeInt32BE(keyHash, at)
    writeLong(chunk, at + 4, position)
    chunk.writeInt32BE(seconds, at + 12)
    chunk.writeInt32BE(previous, at + 16)
    slots.writeInt32BE(number, slotAt)
    ;(this.#changedPages as Uint8Array)[Math.floor(slotAt / PAGE_BYTES)] = 1
    if (previous === 0) this.#usedSlots++
    this.#count = number + 1
    this.endTimestamp = storeTimestamp
    this.endPosition = position
  }

  #checkedNumber(number: number): number {
    return number > 0 && number < this.#count ? number : 0
  }

  #chunkFor(number: number): Buffer {
    const index = Math.floor((number - this.#chunksStart) / CHUNK_ENTRIES)
    return (this.#chunks[index] ??= Buffer.allocUnsafeSlow(CHUNK_ENTRIES * ENTRY_BYTES))
  }

  /** The newest entry of a key's slot; 0 if there is none. @throws the disk's error */
  async newestOf(keyHash: number): Promise<number> {
    const slotAt = (keyHash % this.#sizes.slots) * SLOT_BYTES
    if (this.#slots !== undefined) return this.#checkedNumber(this.#slots.readInt32BE(slotAt))
    const slot = Buffer.allocUnsafe(SLOT_BYTES)
    await this.#files.use(this.path, file => readAll(file, slot, 0, SLOT_BYTES, HEADER_BYTES + slotAt))
    return this.#checkedNumber(slot.readInt32BE(0))
  }

  /** Whether keys with these hashes are in one chain. */
  areChained(keyHash: number, other: number): boolean {
    const { slots } = this.#sizes
    return keyHash % slots === other % slots
  }

  /** Entries of a chain, newest first. @throws the disk's error */
  async *chain(newest: number): AsyncGenerator<IndexEntry> {
    const entry: IndexEntry = { keyHash: 0, position: 0, seconds: 0, previous: 0 }
    const window = Buffer.allocUnsafe(WINDOW_ENTRIES * ENTRY_BYTES)
    let windowStart = 0
    let windowEnd = 0
    for (let number = newest; number > 0; ) {
      if (number >= this.#chunksStart && this.#chunks.length > 0) {
        const at = (number - this.#chunksStart) % CHUNK_ENTRIES
        readEntry(this.#chunkFor(number), at * ENTRY_BYTES, entry)
      } else {
        if (number < windowStart || number >= windowEnd) {
          windowEnd = number + 1
          windowStart = Math.max(1, windowEnd - WINDOW_ENTRIES)
          await this.#readEntries(window, windowStart, windowEnd)
        }
        readEntry(window, (number - windowStart) * ENTRY_BYTES, entry)
      }
      yield entry
      // A chain leads to ever older entries; damage must not lead it in circles.
      number = entry.previous < number ? entry.previous : 0
    }
  }

  async #readEntries(into: Buffer, from: number, to: number): Promise<void> {
    await this.#files.use(this.path, file => readAll(file, into, 0, (to - from) * ENTRY_BYTES, this.#entryAt(from)))
  }

  #entryAt(number: number): number {
    return HEADER_BYTES + this.#sizes.slots * SLOT_BYTES + number * ENTRY_BYTES
  }

  /** Writes the newest entries, up to a piece of 64 KiB. @throws ENOSPC, EIO */
  writeSome(): void {
    const from = this.#written
    if (from === this.#count) return
    const index = Math.floor((from - this.#chunksStart) / CHUNK_ENTRIES)
    const chunkStart = this.#chunksStart + index * CHUNK_ENTRIES
    const to = Math.min(this.#count, chunkStart + CHUNK_ENTRIES)
    const chunk = this.#chunks[index] as Buffer
    const file = this.#file()
    writeAllSync(file, chunk, (from - chunkStart) * ENTRY_BYTES, (to - chunkStart) * ENTRY_BYTES, this.#entryAt(from))
    this.#written = to
    if (to === chunkStart + CHUNK_ENTRIES) this.#dropChunks()
  }

  #dropChunks(): void {
    while (this.#chunks.length > 0 && this.#chunksStart + CHUNK_ENTRIES <= this.#written) {
      this.#chunks.shift()
      this.#chunksStart += CHUNK_ENTRIES
    }
  }

  #file(): OpenFile {
    if (this.#exists) return this.#files.get(this.path)
    const file = this.#files.create(this.path, indexFileBytes(this.#sizes))
    this.#exists = true
    writeAllSync(file, unsavedHeader(), 0, HEADER_BYTES, 0)
    return file
  }

  /** Writes all that was put, and makes it durable; the name of the file is not. @throws ENOSPC, EIO */
  async save(): Promise<void> {
    const header = this.#header()
    const until = this.#count
    while (this.#written < until) this.writeSome()
    this.#file()
    await this.#files.use(this.path, async file => {
      await this.#writeSlots(file)
      await writeAll(file, header, 0, HEADER_BYTES, 0)
      await file.datasync()
    })
    if (!this.isFull || this.#count !== until) return
    this.#slots = undefined
    this.#changedPages = undefined
    this.#chunks = []
  }

  #header(): Buffer {
    const header = Buffer.alloc(HEADER_BYTES)
    writeLong(header, 0, this.beginTimestamp)
    writeLong(header, 8, this.endTimestamp)
    writeLong(header, 16, this.beginPosition)
    writeLong(header, 24, this.endPosition)
    header.writeInt32BE(this.#usedSlots, 32)
    header.writeInt32BE(this.#count, 36)
    return header
  }

  /**
   * Slots that change while their page is written make it changed again. What half of such a change leaves in the file is not used:
   * after a crash the slots are computed from the entries.
   */
  async #writeSlots(file: OpenFile): Promise<void> {
    const [slots, changed] = [this.#slots, this.#changedPages]
    if (slots === undefined || changed === undefined) return
    for (let from = changed.indexOf(1); from >= 0; from = changed.indexOf(1, from)) {
      let to = from
      while (changed[to] === 1) changed[to++] = 0
      const end = Math.min(to * PAGE_BYTES, slots.length)
      try {
        await writeAll(file, slots, from * PAGE_BYTES, end, HEADER_BYTES + from * PAGE_BYTES)
      } catch (error) {
        changed.fill(1, from, to)
        throw error
      }
      from = to
    }
  }

  /** Reads the header. Blocks, at a start. @throws EIO */
  readHeader(): void {
    const header = Buffer.alloc(HEADER_BYTES)
    const file = this.#files.get(this.path)
    // A crash came while it was created.
    if (file.size === 0) file.truncate(indexFileBytes(this.#sizes))
    readAllSync(file, header, 0, HEADER_BYTES, 0)
    this.beginTimestamp = readLong(header, 0)
    this.endTimestamp = readLong(header, 8)
    this.beginPosition = readLong(header, 16)
    this.endPosition = readLong(header, 24)
    this.#usedSlots = header.readInt32BE(32)
    this.#setCount(Math.min(Math.max(header.readInt32BE(36), 1), this.#sizes.entries))
  }

  /** Whether the first and the last entry are those that the header describes. @throws EIO */
  async agrees(): Promise<boolean> {
    if (this.beginPosition > this.endPosition) return false
    const entry = { keyHash: 0, position: 0, seconds: 0, previous: 0 }
    const bytes = Buffer.allocUnsafe(ENTRY_BYTES)
    for (const [number, position] of [
      [1, this.beginPosition],
      [this.#count - 1, this.endPosition],
    ] as const) {
      await this.#readEntries(bytes, number, number + 1)
      readEntry(bytes, 0, entry)
      if (entry.position !== position) return false
    }
    return true
  }

  #setCount(count: number): void {
    this.#count = count
    this.#written = count
    this.#chunks = []
    this.#chunksStart = count
  }

  /** Reads the slots, so that entries can be added after a clean stop. @throws EIO */
  async load(): Promise<void> {
    const slots = Buffer.allocUnsafeSlow(this.#sizes.slots * SLOT_BYTES)
    await this.#files.use(this.path, file => readAll(file, slots, 0, slots.length, HEADER_BYTES))
    this.#setSlots(slots)
  }

  /**
   * Discards the entries of records at and above a log position after a crash, and computes slots and header from the entries before
   * them, because either may be newer or older than those.
   * @returns False if entries before that position are damaged; then the file ends before them
   */
  async rebuild(limit: number): Promise<boolean> {
    const last = this.#count
    const endPosition = this.endPosition
    const bytes = Buffer.allocUnsafe(Math.min(SCAN_BYTES, last * ENTRY_BYTES))
    const slots = new SlotTable(this.#sizes.slots)
    // A file has up to 20 million entries, and a start waits for them: a DataView is read several times as fast as a Buffer.
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    let number = 1
    let kept = 1
    let position = this.beginPosition
    let seconds = 0
    let isDamaged = false
    let follower = 0
    scan: while (number < last) {
      const end = Math.min(last, number + Math.floor(bytes.length / ENTRY_BYTES))
      await this.#readEntries(bytes, number, end)
      for (let at = 0; number < end; at += ENTRY_BYTES, number++) {
        const entryPosition = view.getInt32(at + 4) * 2 ** 32 + view.getUint32(at + 8)
        if (entryPosition >= limit) break scan
        if (entryPosition < position || !isPossible(view, at, number)) continue
        if (kept !== number) {
          // An impossible entry came before. It was lost above the limit, and so were those behind it, except for one that is half
          // lost. Two good ones in a row show that it is damaged.
          isDamaged = follower === number - 1
          if (isDamaged) break scan
          follower = number
          continue
        }
        slots.set(view.getInt32(at), number)
        kept = number + 1
        position = entryPosition
        seconds = view.getInt32(at + 12)
      }
    }
    this.#setCount(kept)
    this.#usedSlots = slots.used
    this.#setSlots(slots.toBytes())
    this.endPosition = position
    this.endTimestamp = this.beginTimestamp + seconds * 1000
    ;(this.#changedPages as Uint8Array).fill(1)
    if (endPosition < limit) return kept === last && position === endPosition
    return !isDamaged
  }

  /** Removes the file. */
  async remove(): Promise<void> {
    this.#files.drop(this.path)
    if (this.#exists) await this.#files.disk.unlink(this.path)
    this.#exists = false
  }
}

/**
 * The header of a file until its first save: it has no entries, and it is newer than every checkpoint. Apache's IndexService.load
 * deletes such a file after a crash. It would continue a file without a header, and add keys to it that other files have already.
 */
function unsavedHeader(): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  writeLong(header, 8, Number.MAX_SAFE_INTEGER)
  header.writeInt32BE(1, 36)
  return header
}

function readEntry(bytes: Buffer, at: number, entry: IndexEntry): void {
  entry.keyHash = bytes.readInt32BE(at)
  entry.position = readLong(bytes, at + 4)
  entry.seconds = bytes.readInt32BE(at + 12)
  entry.previous = bytes.readInt32BE(at + 16)
}

/** Whether the entry at `at` can have been written; zeros are what a power failure leaves. */
function isPossible(view: DataView, at: number, number: number): boolean {
  const keyHash = view.getInt32(at)
  const previous = view.getInt32(at + 16)
  if (keyHash < 0 || previous < 0 || previous >= number) return false
  if (keyHash !== 0 || previous !== 0) return true
  return view.getInt32(at + 4) !== 0 || view.getInt32(at + 8) !== 0 || view.getInt32(at + 12) !== 0
}

/** Slots while they are computed: in the byte order of this machine, because each access is to another page of 20 MB. */
class SlotTable {
  readonly #numbers: Int32Array<ArrayBuffer>
  /** How many slots have an entry. */
  used = 0

  constructor(slots: number) {
    this.#numbers = new Int32Array(slots)
  }

  set(keyHash: number, number: number): void {
    const numbers = this.#numbers
    const slot = keyHash % numbers.length
    if (numbers[slot] === 0) this.used++
    numbers[slot] = number
  }

  /** As in the file. The table must not be used any more. */
  toBytes(): Buffer {
    const bytes = Buffer.from(this.#numbers.buffer)
    return endianness() === 'LE' ? bytes.swap32() : bytes
  }
}
