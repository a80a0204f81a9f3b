import type { SegmentList } from '../files/segment-list.ts'
import { RecordReader } from './record-check.ts'
import { FIXED_BYTES, readInt, readLong } from './record-layout.ts'

/** Reads under way at the same time. More only wait for each other, and syncs wait behind them in libuv's pool. */
const READS_AT_ONCE = 4
/**
 * A reader that goes on, and had to wait for a block, gets this many further ones, while no more reads than this are under way. It
 * soon waits again, so that others, which read the same part of the log, catch up with it, and blocks are read once for all of them.
 * With more, or with reads that begin before the reader has to wait, eight readers drifted apart by more than is kept in memory.
 */
const READ_AHEAD = 2
/**
 * Of so many forgotten blocks it is remembered which records were found whole, 2 KiB for a block of 1 MiB: the CRC is a third of the
 * work of a pull, and groups that are behind read the same blocks one after the other.
 */
const REMEMBERED_BLOCKS = 1_024

/** A piece of the log in memory. It never crosses the end of a file. */
export class Block {
  readonly number: number
  /** Position of its first byte in the log. */
  readonly start: number
  /** Behind its last byte. */
  readonly end: number
  readonly bytes: Buffer
  /** Whether it was read from the file, and so may be damaged. */
  readonly isFromDisk: boolean
  /** A bit for each 64 bytes, in which at most one record begins: whether that record was found whole. */
  whole: Uint8Array | undefined

  constructor(number: number, start: number, end: number, bytes: Buffer, isFromDisk: boolean) {
    this.isFromDisk = isFromDisk
    this.number = number
    this.start = start
    this.end = end
    this.bytes = bytes
  }

  /** Whether the record at `at` was found whole before. It does not say that a record begins there. */
  isWhole(at: number): boolean {
    return this.whole !== undefined && ((this.whole[at >> 9] as number) & (1 << ((at >> 6) & 7))) !== 0
  }

  /** Notes that the record at `at`, all of which is in this block, is whole. */
  noteWhole(at: number): void {
    this.whole ??= new Uint8Array((this.bytes.length >> 9) + 1)
    this.whole[at >> 9] = (this.whole[at >> 9] as number) | (1 << ((at >> 6) & 7))
  }
}

export interface LogBlocksOptions {
  readonly segments: SegmentList
  readonly blockBytes: number
  /** Blocks at most, at least 16. */
  readonly count: number
  /** Position of the first byte that is not in the file yet: its block, and those behind it, stay. */
  readonly pinnedFrom: () => number
}

/**
 * The log in memory: the block that is being filled, and those that were filled or read last. The memory of a block that is
 * forgotten serves the next one, so that the store never takes more than `count` blocks, those being read included.
 */
export class LogBlocks {
  readonly #segments: SegmentList
  readonly #blockBytes: number
  readonly #count: number
  readonly #pinnedFrom: () => number
  /** Blocks of a file; the last one may be smaller. */
  readonly #perFile: number
  /** By number, the one that was not used for the longest time in front. */
  readonly #blocks = new Map<number, Block>()
  /** Memory for blocks, and for reads under way. */
  readonly #free: Buffer[] = []
  readonly #reader = new RecordReader()
  #last: Block | undefined
  /** `Block.whole` of blocks that were forgotten, by their number, the one that was forgotten first in front. */
  readonly #whole = new Map<number, Uint8Array>()
  readonly #loading = new Map<number, Promise<void>>()
  #reading = 0
  readonly #waiting: (() => void)[] = []

  constructor({ segments, blockBytes, count, pinnedFrom }: LogBlocksOptions) {
    this.#segments = segments
    this.#blockBytes = blockBytes
    this.#count = count
    this.#pinnedFrom = pinnedFrom
    this.#perFile = Math.ceil(segments.size / blockBytes)
  }

  /** The block in memory that holds a position. */
  find(position: number): Block | undefined {
    const last = this.#last
    if (last !== undefined && last.start <= position && position < last.end) return last
    const block = this.#blocks.get(this.#numberOf(position))
    if (block === undefined) return undefined
    this.#blocks.delete(block.number)
    this.#blocks.set(block.number, block)
    this.#last = block
    return block
  }

  has(position: number, size: number): boolean {
    const end = position + size
    for (let at = position; at < end; ) {
      const block = this.find(at)
      if (block === undefined) return false
      at = block.end
    }
    return true
  }

  /** Whether a record of this size, which is in memory, begins at a position. */
  isRecord(position: number, size: number): boolean {
    const block = this.find(position)
    if (block === undefined || size < FIXED_BYTES) return false
    if (position + size > block.end) return this.#isRecordAcross(position, size)
    const at = position - block.start
    if (!isHead(block.bytes, at, position, size)) return false
    // What was appended here is right. What comes from the disk may not be, and is checked once: consumers read it again and again.
    if (!block.isFromDisk || block.isWhole(at)) return true
    if (!this.#isWhole(block.bytes, at, position, size)) return false
    block.noteWhole(at)
    return true
  }

  #isRecordAcross(position: number, size: number): boolean {
    const bytes = this.#copyOf(position, size)
    return isHead(bytes, 0, position, size) && this.#isWhole(bytes, 0, position, size)
  }

  #isWhole(bytes: Buffer, at: number, position: number, size: number): boolean {
    return this.#reader.read(bytes, at, at + size, position, Number.POSITIVE_INFINITY, true) === 'record'
  }

  #copyOf(position: number, size: number): Buffer {
    const bytes = Buffer.allocUnsafe(size)
    this.copy(position, size, bytes, 0)
    return bytes
  }

  copy(position: number, size: number, out: Uint8Array, at: number): void {
    const end = position + size
    for (let from = position; from < end; ) {
      const block = this.find(from)
      if (block === undefined) throw new RangeError(`position ${from} of the log is not in memory`)
      const to = Math.min(end, block.end)
      block.bytes.copy(out, at + from - position, from - block.start, to - block.start)
      from = to
    }
  }

  /** The block that holds a position; a new one if it is not in memory, whose bytes are those of an older block. */
  take(position: number): Block {
    return (
      this.find(position) ?? this.#insert(this.#numberOf(position), this.#evictedBytes() ?? this.#freeBytes(), false)
    )
  }

  /** Writes bytes across blocks, which are taken as needed. */
  place(bytes: Buffer, from: number, to: number, position: number): void {
    for (let done = from; done < to; ) {
      const block = this.take(position + done - from)
      const at = position + done - from - block.start
      done += bytes.copy(block.bytes, at, done, Math.min(to, done + block.end - block.start - at))
    }
  }

  /** Reads the blocks of `size` bytes at `position`, which must be in files. Some may not exist any more: see `has`. */
  async load(position: number, size: number): Promise<void> {
    const first = this.#numberOf(position)
    const last = this.#numberOf(position + size - 1)
    const loads: Promise<void>[] = []
    for (let number = first; number <= last; number++) {
      if (!this.#blocks.has(number)) loads.push(this.#load(number))
    }
    if (this.#blocks.has(first - 1)) this.#readAhead(last)
    await Promise.all(loads)
  }

  /**
   * Begins to read the blocks of `size` bytes at `position`, which must be in files, unless as many reads are under way as read
   * ahead.
   */
  loadSoon(position: number, size: number): void {
    const last = this.#numberOf(position + size - 1)
    for (let number = this.#numberOf(position); number <= last && this.#reading < READ_AHEAD; number++) {
      if (!this.#blocks.has(number)) this.#loadForLater(number)
    }
  }

  /** Forgets the blocks that begin at or behind `position`. */
  dropFrom(position: number): void {
    for (const block of this.#blocks.values()) {
      if (block.end > position) block.whole = undefined
      if (block.start >= position) this.#forget(block)
    }
    const first = this.#numberOf(position)
    for (const number of this.#whole.keys()) if (number >= first) this.#whole.delete(number)
  }

  /** Forgets the blocks that end at or before `start`: their files are gone. */
  dropBefore(start: number): void {
    for (const block of this.#blocks.values()) if (block.end <= start) this.#forget(block)
    const first = this.#numberOf(start)
    for (const number of this.#whole.keys()) if (number < first) this.#whole.delete(number)
  }

  #numberOf(position: number): number {
    const file = Math.floor(position / this.#segments.size)
    return file * this.#perFile + Math.floor((position - file * this.#segments.size) / this.#blockBytes)
  }

  #startOf(number: number): number {
    const file = Math.floor(number / this.#perFile)
    return file * this.#segments.size + (number - file * this.#perFile) * this.#blockBytes
  }

  #insert(number: number, bytes: Buffer, isFromDisk: boolean): Block {
    const start = this.#startOf(number)
    const fileEnd = start - (start % this.#segments.size) + this.#segments.size
    const block = new Block(number, start, Math.min(start + this.#blockBytes, fileEnd), bytes, isFromDisk)
    block.whole = this.#whole.get(number)
    this.#whole.delete(number)
    this.#blocks.set(number, block)
    return block
  }

  #freeBytes(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#blockBytes)
  }

  /** The memory of the block that is forgotten for a new one; undefined if there may be one more. */
  #evictedBytes(): Buffer | undefined {
    if (this.#blocks.size < this.#count - READS_AT_ONCE) return undefined
    const pinnedFrom = this.#pinnedFrom()
    for (const block of this.#blocks.values()) {
      if (block.end > pinnedFrom) continue
      this.#forget(block)
      return this.#free.pop()
    }
    throw new RangeError('all blocks of the log wait to be written')
  }

  #forget(block: Block): void {
    this.#blocks.delete(block.number)
    this.#free.push(block.bytes)
    if (this.#last === block) this.#last = undefined
    if (block.whole === undefined) return
    this.#whole.set(block.number, block.whole)
    if (this.#whole.size > REMEMBERED_BLOCKS) this.#whole.delete(this.#whole.keys().next().value as number)
  }

  #load(number: number): Promise<void> {
    const under = this.#loading.get(number)
    if (under !== undefined) return under
    const load = this.#read(number).finally(() => this.#loading.delete(number))
    this.#loading.set(number, load)
    return load
  }

  async #read(number: number): Promise<void> {
    while (this.#reading >= READS_AT_ONCE) await new Promise<void>(resolve => void this.#waiting.push(resolve))
    this.#reading++
    try {
      const start = this.#startOf(number)
      const segment = this.#segments.find(start)
      if (segment === undefined || this.#blocks.has(number)) return
      const bytes = this.#freeBytes()
      try {
        const at = start - segment.start
        await segment.read(bytes, 0, Math.min(this.#blockBytes, segment.size - at), at)
      } catch (error) {
        this.#free.push(bytes)
        throw error
      }
      const isGone = this.#segments.find(start) !== segment
      if (isGone || this.#blocks.has(number)) this.#free.push(bytes)
      else {
        // Not before the read has ended: who found something in memory may use it until then.
        const evicted = this.#evictedBytes()
        if (evicted !== undefined) this.#free.push(evicted)
        this.#insert(number, bytes, true)
      }
    } finally {
      this.#reading--
      this.#waiting.shift()?.()
    }
  }

  #readAhead(last: number): void {
    for (let number = last + 1; number <= last + READ_AHEAD && this.#reading < READ_AHEAD; number++) {
      const end = this.#startOf(number) + this.#blockBytes
      if (this.#blocks.has(number) || end > this.#pinnedFrom()) return
      this.#loadForLater(number)
    }
  }

  #loadForLater(number: number): void {
    // If it fails, the reader gets the error when it comes there.
    this.#load(number).catch(() => {})
  }
}

/** Whether the head of a record says this size and this position. */
function isHead(bytes: Buffer, at: number, position: number, size: number): boolean {
  return readInt(bytes, at) === size && readLong(bytes, at + 28) === position
}
