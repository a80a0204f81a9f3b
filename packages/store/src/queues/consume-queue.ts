import type { OpenFiles } from '../files/open-files.ts'
import type { QueueExtension } from './queue-extension.ts'
import { type FileRuns, QueueFiles } from './queue-files.ts'
import {
  extensionOffset,
  fillPreBlank,
  isPreBlank,
  writeExtensionOffset,
  UNIT_BYTES,
  unitPosition,
  unitSize,
  unitTagsCode,
  writeUnit,
} from './queue-unit.ts'
import { SMALLEST_TAIL, type Tail, type TailMemory } from './tail-memory.ts'
import type { UnitBlocks } from './unit-blocks.ts'
import { firstOf, recordEnd, UnitSearch } from './unit-search.ts'

/** The queues with units that are not in their files yet, or not durable there. Both in the order of their oldest such unit. */
export class UnsavedQueues {
  readonly toWrite = new Set<ConsumeQueue>()
  readonly toSync = new Set<ConsumeQueue>()
  /** Bytes of units that are not in the files. */
  bytes = 0
}

/** What all consume queues of a store share. */
export interface SharedByQueues {
  readonly files: OpenFiles
  readonly blocks: UnitBlocks
  readonly unsaved: UnsavedQueues
  readonly tails: TailMemory
  /** Distinguishes the blocks of all queues that the store had since its start. */
  lastSerial: number
  /** Bytes of a file, a multiple of a unit. */
  readonly fileBytes: number
}

export interface ConsumeQueueParts {
  readonly topic: string
  /** The topic in UTF-8. */
  readonly topicBytes: Buffer
  readonly id: number
  /** Hash of `topic#`, with which the hash of each of its index keys begins. */
  readonly keyPrefixHash: number
  readonly folder: string
  readonly shared: SharedByQueues
  /** The files in the folder. Default: none. */
  readonly runs?: FileRuns | undefined
  /** Where the tags of its units are kept. Default: in the units. */
  readonly extension?: QueueExtension | undefined
}

/** A part of a queue in memory; valid within the turn of the event loop in which it was found. Reused for each look-up. */
export interface UnitsView {
  bytes: Buffer
  /** Where the first unit is. */
  at: number
}

/** A unit by itself. */
export interface Unit {
  readonly position: number
  readonly size: number
  /** Undefined if it is not known: the queue had an extension that is lost. */
  readonly tagsCode: number | undefined
}

/** Units that a tail keeps when memory is short: enough for consumers that keep up. */
const KEPT_UNITS = SMALLEST_TAIL / 2
const CLEAN = Number.POSITIVE_INFINITY
const NO_TAILS: readonly Tail[] = []

/**
 * One queue of a topic: where each of its messages is in the log. Apache's ConsumeQueue, in the same files.
 *
 * The newest units are in memory, in a tail that starts small and grows up to one block. From there they are written to the file
 * in pieces, after the records that they point to. Older units are read back in blocks that all queues share.
 */
export class ConsumeQueue {
  readonly topic: string
  /** The topic in UTF-8. */
  readonly topicBytes: Buffer
  readonly id: number
  readonly keyPrefixHash: number
  /** Offset that the next appended record gets. Only the log changes it: it runs ahead of `maxOffset` until the record is safe. */
  nextOffset = 0
  #serial: number
  readonly #shared: SharedByQueues
  readonly #files: QueueFiles
  readonly #extension: QueueExtension | undefined
  readonly #unitsPerBlock: number
  #minOffset = 0
  #maxOffset = 0
  /** Position behind the record of the last unit: Apache's maxPhysicOffset. */
  #logEnd = 0
  #tail: Tail | undefined
  /** Whole blocks before the tail that could not be written yet. */
  #full: readonly Tail[] = NO_TAILS
  /** Units below are in the files. */
  #written = 0
  /** Units below are durable. */
  #synced = 0
  /** Position of the record of the first unit that is not durable. */
  #unsyncedFrom = CLEAN
  #isRemoved = false
  #isDurable: boolean

  constructor({ topic, topicBytes, id, keyPrefixHash, folder, shared, runs = [], extension }: ConsumeQueueParts) {
    this.topic = topic
    this.topicBytes = topicBytes
    this.id = id
    this.keyPrefixHash = keyPrefixHash
    this.#shared = shared
    this.#serial = ++shared.lastSerial
    this.#files = new QueueFiles({
      open: shared.files,
      folder,
      fileBytes: shared.fileBytes,
      runs,
      hasBlanks: true,
    })
    this.#extension = extension
    this.#isDurable = runs.length > 0
    this.#unitsPerBlock = shared.blocks.blockBytes / UNIT_BYTES
  }

  /** The first offset that can be read. */
  get minOffset(): number {
    return this.#minOffset
  }

  /** Behind the last offset that can be read. */
  get maxOffset(): number {
    return this.#maxOffset
  }

  /** Position behind the record of the last unit; 0 if there is none. */
  get logEnd(): number {
    return this.#logEnd
  }

  get unitsPerFile(): number {
    return this.#shared.fileBytes / UNIT_BYTES
  }

  /** Whether no unit was ever put, as far as is known. */
  get isNew(): boolean {
    return this.#tail === undefined && this.#files.starts.length === 0
  }

  get hasFiles(): boolean {
    return this.#files.starts.length > 0
  }

  /** Whether the queue has a file that a power failure leaves. */
  get isDurable(): boolean {
    return this.hasFiles && this.#isDurable
  }

  /** Position of the record of the first unit that is not durable; Infinity if all are. */
  get unsyncedFrom(): number {
    return this.#unsyncedFrom
  }

  /**
   * Adds the unit of a record, unless it was added before. An empty queue begins at the given offset, whatever it is: the records
   * before it were deleted.
   * @returns false if units before this one are missing, or if the queue has later ones; nothing has changed then
   */
  put(offset: number, position: number, size: number, tagsCode: number, storeTimestamp: number): boolean {
    if (position + size <= this.#logEnd || this.#isRemoved) return true
    if (offset !== this.#maxOffset) {
      if (!this.isNew) return false
      this.#beginAt(offset)
    }
    const tail = this.#tailWithRoom()
    const at = placeOf(tail, offset)
    writeUnit(tail.bytes, at, position, size, tagsCode)
    const extension = this.#extension
    if (extension?.isWritten === true) writeExtensionOffset(tail.bytes, at, extension.put(tagsCode, storeTimestamp))
    this.#maxOffset = offset + 1
    this.#logEnd = position + size
    if (this.nextOffset < this.#maxOffset) this.nextOffset = this.#maxOffset
    const { unsaved } = this.#shared
    unsaved.bytes += UNIT_BYTES
    if (this.#written === offset) unsaved.toWrite.add(this)
    if (this.#unsyncedFrom === CLEAN) this.#markUnsynced(position)
    return true
  }

  #markUnsynced(position: number): void {
    this.#unsyncedFrom = position
    this.#shared.unsaved.toSync.add(this)
  }

  #beginAt(offset: number): void {
    this.#minOffset = offset
    this.#maxOffset = offset
    this.#written = offset
    this.#synced = offset
  }

  /** The tail, with room for a unit at `maxOffset`. */
  #tailWithRoom(): Tail {
    const { tails } = this.#shared
    const tail = this.#tail
    const next = this.#maxOffset
    if (tail === undefined) return (this.#tail = tails.take(next, 1))
    const used = next - tail.start
    if (used > 0 && next % this.#unitsPerBlock === 0) {
      this.#full = this.#full.concat(tail)
      return (this.#tail = tails.take(next, tails.isScarce ? 1 : this.#unitsPerBlock))
    }
    if (used < tail.units) return tail
    const kept = used / 2
    if (tails.isScarce && this.#written >= next - kept) {
      copyUnits(tail, next - kept, next, tail)
      tail.start = next - kept
      return tail
    }
    return this.#moveTo(tails.take(tail.start, used * 2), tail)
  }

  /** Moves the units that both have room for to another tail. */
  #moveTo(other: Tail, tail: Tail): Tail {
    copyUnits(tail, other.start, this.#maxOffset, other)
    this.#shared.tails.release(tail)
    return (this.#tail = other)
  }

  #dropTail(): void {
    if (this.#tail !== undefined) this.#shared.tails.release(this.#tail)
    this.#tail = undefined
  }

  /** Gives back the memory of older units of the tail, if the tails of all queues take too much. All units must be in the files. */
  #shortenTail(tail: Tail): void {
    const { tails } = this.#shared
    if (!tails.isScarce || tail.units <= SMALLEST_TAIL) return
    this.#moveTo(tails.take(Math.max(tail.start, this.#maxOffset - KEPT_UNITS), 1), tail)
  }

  /**
   * Finds units in memory.
   * @param view Is set to where the unit of `offset` is
   * @returns How many units follow each other there, at least one; 0 if `load` must read them first, or there are none
   */
  unitsAt(offset: number, view: UnitsView): number {
    if (offset < this.#minOffset || offset >= this.#maxOffset) return 0
    const tail = this.#tail
    if (tail !== undefined && offset >= tail.start) return viewOf(tail, offset, this.#maxOffset, view)
    for (const full of this.#full) {
      const end = this.#blockEndOf(full)
      if (offset >= full.start && offset < end) return viewOf(full, offset, end, view)
    }
    const block = Math.floor(offset / this.#unitsPerBlock)
    const found = this.#shared.blocks.find(this.#serial, block)
    if (found === undefined) return 0
    const at = (offset - block * this.#unitsPerBlock) * UNIT_BYTES
    view.bytes = found.bytes
    view.at = at
    return Math.max(0, Math.floor((found.end - at) / UNIT_BYTES))
  }

  /**
   * The code of the tags of a unit in memory. Undefined if it is not known.
   * @returns `LOADING` if `loadTags` must read it first
   */
  tagsCode(bytes: Buffer, at: number): number | 'LOADING' | undefined {
    const address = extensionOffset(bytes, at)
    return address === undefined ? unitTagsCode(bytes, at) : this.#extension?.tagsCode(address)
  }

  /** Reads what is known of the tags of a unit into memory. @throws the disk's error */
  async loadTags(bytes: Buffer, at: number): Promise<void> {
    const address = extensionOffset(bytes, at)
    if (address !== undefined) await this.#extension?.load(address)
  }

  /** Reads the block with this unit into memory. Resolves in vain if the unit is deleted meanwhile. @throws the disk's error */
  async load(offset: number): Promise<void> {
    const block = Math.floor(offset / this.#unitsPerBlock)
    try {
      await this.#shared.blocks.load(this.#serial, block, into => this.#readBlock(block, into))
    } catch (error) {
      if (offset >= this.#minOffset && !this.#isRemoved) throw error
    }
  }

  async #readBlock(block: number, into: Buffer): Promise<number> {
    const first = block * this.#unitsPerBlock
    // What is written during the read may be missing in it.
    const units = Math.min(this.#written - first, this.#unitsPerBlock)
    await this.#files.read(into, first * UNIT_BYTES)
    return units * UNIT_BYTES
  }

  /** A unit, read if need be; undefined if the queue has none at this offset. @throws the disk's error */
  async unit(offset: number): Promise<Unit | undefined> {
    const view: UnitsView = { bytes: EMPTY, at: 0 }
    while (offset >= this.#minOffset && offset < this.#maxOffset) {
      if (this.unitsAt(offset, view) > 0) {
        const { bytes, at } = view
        const tagsCode = this.tagsCode(bytes, at)
        if (tagsCode !== 'LOADING') return { position: unitPosition(bytes, at), size: unitSize(bytes, at), tagsCode }
        await this.loadTags(bytes, at)
      } else await this.load(offset)
    }
    return undefined
  }

  /**
   * Replaces a unit that is wrong, in memory and in its file. Blocks for the write.
   * @param unit Undefined if there is no message of this offset: it is passed over
   * @throws ENOSPC, EIO
   */
  replace(offset: number, unit: Unit | undefined): void {
    if (offset < this.#minOffset || offset >= this.#maxOffset) return
    const bytes = Buffer.allocUnsafe(UNIT_BYTES)
    if (unit === undefined) fillPreBlank(bytes)
    else writeUnit(bytes, 0, unit.position, unit.size, unit.tagsCode ?? 0)
    const view: UnitsView = { bytes: EMPTY, at: 0 }
    if (this.unitsAt(offset, view) > 0) bytes.copy(view.bytes, view.at)
    if (offset >= this.#written) return
    this.#files.write(bytes, 0, UNIT_BYTES, offset * UNIT_BYTES)
    this.#synced = Math.min(this.#synced, offset)
    if (this.#unsyncedFrom === CLEAN) this.#markUnsynced(this.#logEnd)
  }

  /** Writes all units to the files. @throws ENOSPC, EIO; what was not written stays in memory */
  write(): void {
    const { unsaved } = this.#shared
    if (!unsaved.toWrite.has(this)) return
    this.#extension?.write()
    while (this.#full.length > 0) {
      const full = this.#full[0] as Tail
      this.#writeFrom(full, this.#blockEndOf(full))
      this.#full = this.#full.length === 1 ? NO_TAILS : this.#full.slice(1)
      this.#shared.tails.handOver(full, this.#serial, full.start / this.#unitsPerBlock)
    }
    if (this.#tail !== undefined) {
      this.#writeFrom(this.#tail, this.#maxOffset)
      this.#shortenTail(this.#tail)
    }
    unsaved.toWrite.delete(this)
  }

  /** Where the block ends that a tail is in. */
  #blockEndOf({ start }: Tail): number {
    return start - (start % this.#unitsPerBlock) + this.#unitsPerBlock
  }

  #writeFrom(tail: Tail, end: number): void {
    const from = this.#written
    if (from >= end) return
    this.#files.write(tail.bytes, placeOf(tail, from), placeOf(tail, end), from * UNIT_BYTES)
    this.#written = end
    this.#shared.unsaved.bytes -= (end - from) * UNIT_BYTES
  }

  /** Writes all units and makes them durable. @throws ENOSPC, EIO */
  async sync(): Promise<void> {
    this.write()
    const from = this.#unsyncedFrom
    const to = this.#written
    this.#shared.unsaved.toSync.delete(this)
    this.#unsyncedFrom = CLEAN
    try {
      await this.#extension?.sync()
      await this.#files.sync(this.#synced * UNIT_BYTES, to * UNIT_BYTES)
    } catch (error) {
      this.#unsyncedFrom = from
      this.#shared.unsaved.toSync.add(this)
      throw error
    }
    this.#synced = to
    this.#isDurable = true
  }

  /** Gives back the memory of the tail, if all its units are in the files. */
  releaseTail(): void {
    if (this.#written === this.#maxOffset) this.#dropTail()
    this.#extension?.releaseTail()
  }

  /**
   * Finds out what the files contain, at a start: Apache's ConsumeQueue.recover and truncateDirtyLogicFiles. Blocks.
   * @param limit Log position; units of records at and above it are discarded. Infinity after a clean stop
   * @param logStart Log position; the minimum becomes the first unit of a record at or above it
   * @param logEnd End of the files of the log. Units that lead behind it are damaged; as the last one, such a unit would make the
   *   queue ignore all further ones
   */
  recover(limit: number, logStart: number, logEnd = Number.POSITIVE_INFINITY): void {
    this.#forget()
    do {
      for (let start = this.#files.starts.at(-1); start !== undefined; start = this.#files.starts.at(-1)) {
        const max = new UnitSearch(this.#files, start, this.unitsPerFile, Math.min(limit, logEnd)).end()
        if (max > start / UNIT_BYTES) return this.#continueAt(max, limit, logStart)
        this.#cut(start / UNIT_BYTES, limit)
      }
    } while (this.#files.useOlderRun())
    this.#logEnd = 0
    this.nextOffset = 0
    this.#beginAt(0)
    this.#extension?.restart()
  }

  #continueAt(max: number, limit: number, logStart: number): void {
    const isCut = Number.isFinite(limit)
    this.#beginAt(max)
    this.nextOffset = max
    this.#minOffset = (this.#files.starts[0] as number) / UNIT_BYTES
    this.#logEnd = recordEnd(this.#readSync(max - 1), 0)
    if (isCut) this.#distrust(max, limit)
    else if (!this.#isBlank(max)) this.#cut(max, limit)
    this.#correctMinOffset(logStart)
    if (this.#extension !== undefined) this.#extension.recover(extensionOffset(this.#readSync(max - 1), 0), isCut)
  }

  /** Fills offsets whose messages are missing in the log. */
  skipTo(offset: number): void {
    const { unsaved } = this.#shared
    while (this.#maxOffset < offset) {
      const tail = this.#tailWithRoom()
      const at = placeOf(tail, this.#maxOffset)
      fillPreBlank(tail.bytes.subarray(at, at + UNIT_BYTES))
      this.#maxOffset++
      unsaved.bytes += UNIT_BYTES
    }
    unsaved.toWrite.add(this)
  }

  /**
   * Discards all units. The next one may have any offset.
   * @param limit Log position that the mark must not pass before this is durable
   */
  restart(limit: number): void {
    this.#forget()
    this.#logEnd = limit
    this.#cut(0, limit)
    this.#files.dropOlderRuns()
    this.#extension?.restart()
    this.#logEnd = 0
    this.nextOffset = 0
    this.#beginAt(0)
  }

  #forget(): void {
    const { unsaved } = this.#shared
    unsaved.bytes -= (this.#maxOffset - this.#written) * UNIT_BYTES
    unsaved.toWrite.delete(this)
    this.#dropTail()
    for (const full of this.#full) this.#shared.tails.release(full)
    this.#full = NO_TAILS
    this.#serial = ++this.#shared.lastSerial
  }

  /** After a crash nothing is known to be durable, not even the names of files. The next sync makes it so. */
  #distrust(max: number, limit: number): void {
    this.#cut(max, limit)
    this.#synced = (this.#files.starts[0] as number) / UNIT_BYTES
    this.#files.dropOlderRuns()
    this.#files.distrustNames()
    this.#isDurable = false
  }

  /** Discards units from the files. That must be durable before the mark passes `limit`, or a power failure brings them back. */
  #cut(offset: number, limit: number): void {
    this.#files.truncate(offset * UNIT_BYTES)
    this.#synced = Math.min(this.#synced, Math.max(offset - 1, 0))
    if (this.#unsyncedFrom === CLEAN) this.#markUnsynced(Math.min(limit, this.#logEnd))
  }

  #isBlank(offset: number): boolean {
    const byte = offset * UNIT_BYTES
    return this.#files.startOf(byte) !== this.#files.starts.at(-1) || this.#readSync(offset).every(value => value === 0)
  }

  #readSync(offset: number): Buffer {
    const unit = Buffer.allocUnsafe(UNIT_BYTES)
    this.#files.readSync(unit, offset * UNIT_BYTES)
    return unit
  }

  /**
   * Moves the minimum to the first unit whose record still exists: Apache's ConsumeQueue.correctMinOffset. If none exists the
   * queue is empty, as in Apache 5; Apache 4.9 leaves the minimum where it is.
   */
  #correctMinOffset(logStart: number): void {
    if (existsIn(this.#readSync(this.#minOffset), 0, logStart)) return
    this.#minOffset = firstOf(this.#minOffset, this.#maxOffset, offset => existsIn(this.#readSync(offset), 0, logStart))
  }

  /** Moves the minimum likewise after the log's oldest files were deleted, without blocking. Removes files that it makes superfluous. */
  async deleteBefore(logStart: number): Promise<void> {
    let low = this.#minOffset
    let high = this.#maxOffset
    while (low < high) {
      // The first unit first: mostly it still exists.
      const middle = low === this.#minOffset ? low : Math.floor((low + high) / 2)
      if (await this.#exists(middle, logStart)) high = middle
      else low = middle + 1
    }
    this.#minOffset = Math.max(this.#minOffset, low)
    const { starts } = this.#files
    const firstKept = this.#files.startOf(this.#minOffset * UNIT_BYTES)
    while (starts.length > 1 && (starts[0] as number) < firstKept) this.#files.dropFirst()
    await this.#files.removeDiscarded()
    if (this.#extension !== undefined) await this.#deleteExtensions(this.#extension)
  }

  async #deleteExtensions(extension: QueueExtension): Promise<void> {
    if (this.#minOffset === this.#maxOffset || this.#minOffset >= this.#written) return
    const unit = Buffer.allocUnsafe(UNIT_BYTES)
    await this.#files.read(unit, this.#minOffset * UNIT_BYTES)
    await extension.deleteBefore(extensionOffset(unit, 0) ?? 0)
  }

  async #exists(offset: number, logStart: number): Promise<boolean> {
    const view: UnitsView = { bytes: EMPTY, at: 0 }
    if (this.unitsAt(offset, view) > 0) return existsIn(view.bytes, view.at, logStart)
    const unit = Buffer.allocUnsafe(UNIT_BYTES)
    await this.#files.read(unit, offset * UNIT_BYTES)
    return existsIn(unit, 0, logStart)
  }

  /** Removes files that no longer belong to the queue. */
  async removeDiscarded(): Promise<void> {
    await this.#files.removeDiscarded()
    await this.#extension?.removeDiscarded()
  }

  /** Discards all units in memory. From then on the queue is empty, whatever is put. */
  retire(): void {
    this.#isRemoved = true
    this.#forget()
    this.#shared.unsaved.toSync.delete(this)
    this.#beginAt(0)
  }

  /** Removes the files of a retired queue, with their folder. @throws the disk's error */
  async removeFiles(): Promise<void> {
    await this.#files.remove()
    await this.#extension?.remove()
  }
}

const EMPTY = Buffer.alloc(0)

function viewOf(tail: Tail, offset: number, end: number, view: UnitsView): number {
  view.bytes = tail.bytes
  view.at = placeOf(tail, offset)
  return end - offset
}

/** Where a unit is in the bytes of a tail. */
function placeOf({ at, start }: Tail, offset: number): number {
  return at + (offset - start) * UNIT_BYTES
}

/** Copies units to the start of another tail, or of the same. */
function copyUnits(tail: Tail, from: number, to: number, into: Tail): void {
  tail.bytes.copy(into.bytes, into.at, placeOf(tail, from), placeOf(tail, to))
}

function existsIn(bytes: Buffer, at: number, logStart: number): boolean {
  const position = unitPosition(bytes, at)
  // Only damage makes it negative.
  return !isPreBlank(bytes, at) && (position >= logStart || position < 0)
}
