import { basename } from 'node:path'
import type { Clock, Logger } from '@gantrymq/remoting'
import {
  APPENDED,
  type AppendStatus,
  BAD_PROPERTIES,
  BATCH_TOO_LARGE,
  BUSY,
  NOT_WRITABLE,
  PROPERTIES_TOO_LONG,
  TOO_LARGE,
  TOPIC_TOO_LONG,
} from '../append-status.ts'
import { ReusedRecord } from '../dispatched-record.ts'
import { StoreError } from '../errors.ts'
import { isDiskFull } from '../files/disk.ts'
import type { Segment } from '../files/segment.ts'
import type { SegmentList } from '../files/segment-list.ts'
import type { ResolvedOptions } from '../options.ts'
import type { PendingRecords } from '../pending-records.ts'
import type { ConsumeQueue } from '../queues/consume-queue.ts'
import type { Writability } from '../writability.ts'
import type { LogBytes } from './log-bytes.ts'
import { type Block, LogBlocks } from './log-blocks.ts'
import { NewFiles } from './new-files.ts'
import { BLANK_BYTES, BLANK_MAGIC, MAX_TOPIC_BYTES, writeInt } from './record-layout.ts'
import { mostBytes, type NewRecord, RecordWriter, takesOffset } from './record-writer.ts'

/** A write on the event loop that takes longer than this shows a slow disk, milliseconds. */
const SLOW_WRITE_MS = 5
/** After a slow write the pool writes, until no write was slow for so long. */
const SLOW_DISK_MS = 1000
/** The next file is created when this part of the current one is filled, so that no append waits for its name to be durable. */
const PREPARE_AT = 1 / 2

/** Where the last append went. One object is used for all appends. */
export interface Appended {
  readonly position: number
  readonly size: number
  readonly queueOffset: number
  /** Milliseconds since the epoch. */
  readonly storeTimestamp: number
  /** Behind the record: it is stored when the store's `safe` has reached this. */
  readonly end: number
  /** False if the sender said by the property WAIT that it does not wait for the disk. */
  readonly waits: boolean
}

export interface CommitLogParts {
  readonly options: ResolvedOptions
  readonly segments: SegmentList
  /** Where appended records wait until they are safe. */
  readonly pending: PendingRecords
  readonly writability: Writability
  /** Position below which everything is on the disk. */
  readonly flushed: () => number
  /** Called after each write, and when more became durable. */
  readonly onWritten: () => void
  /** Nothing at or above `from` was stored. */
  readonly onLost: (from: number, error: StoreError) => void
  /** It is unknown what is on the disk: nothing may be accepted any more. */
  readonly onFailed: (error: StoreError) => void
}

/**
 * The commit log: records are encoded in memory when they are appended, and all records of a turn of the event loop leave in one
 * write. Source: Apache's CommitLog.
 *
 * Only this class moves `end` and `written`. The memory of a record may be used again once it is written and the turn has ended.
 */
export class CommitLog implements LogBytes {
  readonly blocks: LogBlocks
  readonly segments: SegmentList
  readonly appended: Appended = { position: 0, size: 0, queueOffset: 0, storeTimestamp: 0, end: 0, waits: true }
  /** Positions of the records of the last batch. */
  readonly appendedPositions: number[] = []
  readonly #options: ResolvedOptions
  readonly #clock: Clock
  readonly #log: Logger
  readonly #pending: PendingRecords
  readonly #writability: Writability
  readonly #flushed: () => number
  readonly #onWritten: () => void
  readonly #onLost: (from: number, error: StoreError) => void
  readonly #onFailed: (error: StoreError) => void
  readonly #writer: RecordWriter
  readonly #maxUnwritten: number
  readonly #record = new ReusedRecord()
  /** For records that cross from one block to the next: about one in three thousand. */
  #scratch = Buffer.alloc(0)
  #end = 0
  #written = 0
  #safe = 0
  #tail: Block | undefined
  /** End of the file that is being filled; `end` itself when the next append begins a file. */
  #fileEnd = 0
  /** The rest of files behind their blank record, where nothing is written: not yet written ones. */
  #skips: { readonly from: number; readonly to: number }[] = []
  readonly #newFiles: NewFiles
  #now = 0
  #isScheduled = false
  #writing: Promise<void> | undefined
  #slowUntil = 0

  constructor(parts: CommitLogParts) {
    const { options, segments, pending } = parts
    this.segments = segments
    this.#options = options
    this.#clock = options.clock
    this.#log = options.log
    this.#pending = pending
    this.#writability = parts.writability
    this.#flushed = parts.flushed
    this.#onWritten = parts.onWritten
    this.#onLost = parts.onLost
    this.#onFailed = parts.onFailed
    this.#writer = new RecordWriter(options.delayLevels)
    this.#maxUnwritten = (options.logBlocks / 2) * options.blockBytes
    this.#newFiles = new NewFiles(segments, parts.onWritten, (segment, error) =>
      parts.onFailed(new StoreError('SYNC_FAILED', `${segment.path} cannot be synced`, { cause: error })),
    )
    this.blocks = new LogBlocks({
      segments,
      blockBytes: options.blockBytes,
      count: options.logBlocks,
      pinnedFrom: () => this.#written,
    })
  }

  /** Position behind the last record, written or not. */
  get end(): number {
    return this.#end
  }

  /** Everything below this is in the files: only a failure of the machine can take it. */
  get written(): number {
    return this.#written
  }

  get safe(): number {
    return this.#safe
  }

  get start(): number {
    return this.segments.first?.start ?? this.#end
  }

  /**
   * Moves `safe` to where the flush mode allows it, but not into a file whose name a power failure may take.
   * @returns Whether it moved
   */
  moveSafe(): boolean {
    const safe = this.#newFiles.durableUpTo(this.#options.flushMode === 'SYNC_FLUSH' ? this.#flushed() : this.#written)
    if (safe <= this.#safe) return false
    this.#safe = safe
    return true
  }

  /** Store time of the newest record, milliseconds since the epoch; 0 before the first append. */
  get lastStoreTimestamp(): number {
    return this.appended.storeTimestamp
  }

  has(position: number, size: number): boolean {
    return this.exists(position, size) && this.blocks.has(position, size)
  }

  isRecord(position: number, size: number): boolean {
    return this.blocks.isRecord(position, size)
  }

  copy(position: number, size: number, out: Uint8Array, at: number): void {
    this.blocks.copy(position, size, out, at)
  }

  exists(position: number, size: number): boolean {
    return size > 0 && position + size <= this.#end && !this.isGone(position)
  }

  isGone(position: number): boolean {
    return position < this.start || this.segments.isGone(position)
  }

  async load(position: number, size: number): Promise<void> {
    if (!this.exists(position, size)) return
    try {
      await this.blocks.load(position, size)
    } catch (error) {
      if (error instanceof StoreError) throw error
      throw new StoreError('READ_FAILED', `position ${position} of the log in ${this.segments.folder} cannot be read`, {
        cause: error,
      })
    }
  }

  loadSoon(position: number, size: number): void {
    if (this.exists(position, size)) this.blocks.loadSoon(position, size)
  }

  get largestRecord(): number {
    return this.#maxUnwritten
  }

  get folder(): string {
    return this.segments.folder
  }

  /** The names of the files that may be deleted, oldest first: all but the one that is being filled, if they are on the disk. */
  get finishedFiles(): readonly string[] {
    const flushed = this.#flushed()
    return this.segments.all
      .filter(({ end }) => end <= flushed && end < this.#fileEnd)
      .map(({ path }) => basename(path))
  }

  /** Removes the oldest of the finished files. The caller syncs the folder. @throws the error of the disk */
  async removeOldest(): Promise<void> {
    const oldest = this.segments.first
    if (oldest === undefined || this.finishedFiles.length === 0) return
    const removed = this.segments.remove(oldest)
    this.blocks.dropBefore(oldest.end)
    await removed
  }

  /** Continues a log that ends at `end`, which the recovery found. */
  async resume(end: number): Promise<void> {
    this.#end = this.#written = this.#safe = end
    const segment = this.segments.find(end)
    this.#fileEnd = segment?.end ?? end
    if (segment === undefined) return
    if (end > segment.start) await this.blocks.load(end - 1, 1)
    this.#tail = this.blocks.take(end)
  }

  /** Encodes a record. It leaves in the write of this turn. `appended` says where it went. */
  append(record: NewRecord): AppendStatus {
    const problem = this.#check(record)
    if (problem !== APPENDED) return problem
    const status = this.#makeRoom(mostBytes(record))
    if (status !== APPENDED) return status
    return this.#encode(record)
  }

  /** Encodes several records one behind the other in one file: all or none. `appended` describes the first one. */
  appendBatch(records: readonly NewRecord[]): AppendStatus {
    let most = 0
    for (const record of records) {
      const problem = this.#check(record)
      if (problem !== APPENDED) return problem
      most += mostBytes(record)
    }
    if (most > this.#options.maxMessageBytes) return BATCH_TOO_LARGE
    const status = this.#makeRoom(most)
    if (status !== APPENDED) return status
    const before = this.#end
    this.appendedPositions.length = 0
    let first: Appended | undefined
    for (const record of records) {
      const result = this.#encode(record)
      if (result !== APPENDED) {
        this.#undoTo(before)
        return result
      }
      first ??= { ...this.appended }
      this.appendedPositions.push(this.appended.position)
    }
    Object.assign(this.appended, first)
    return APPENDED
  }

  /** Writes what is appended without waiting for the end of the turn. Resolves when everything is written, or lost. */
  async writeAll(): Promise<void> {
    while (this.#written < this.#end && this.#writability.failure === undefined) {
      if (this.#writing === undefined) this.#turn()
      await this.#writing
    }
    await this.#writing
  }

  /** Resolves when no file is being made durable. The file that was created ahead is removed. */
  async close(): Promise<void> {
    await this.writeAll()
    await this.#newFiles.settled()
    if (this.#writability.failure === undefined) await this.#newFiles.remove()
    this.abandon()
  }

  /** Closes the files and writes nothing, after a failure. */
  abandon(): void {
    this.#newFiles.close()
    this.segments.close()
  }

  #check({ queue, body, bodyStart, bodyEnd }: NewRecord): AppendStatus {
    const topicSize = queue.topicBytes.length
    if (topicSize === 0 || topicSize > MAX_TOPIC_BYTES) return TOPIC_TOO_LONG
    const bodySize = bodyEnd - bodyStart
    if (bodySize < 0 || bodyEnd > body.length) throw new RangeError(`a body from ${bodyStart} to ${bodyEnd}`)
    return bodySize > this.#options.maxMessageBytes ? TOO_LARGE : APPENDED
  }

  /** Makes room for `most` bytes in one file. */
  #makeRoom(most: number): AppendStatus {
    if (!this.#writability.isWritable) return NOT_WRITABLE
    if (most + BLANK_BYTES > this.segments.size) return TOO_LARGE
    if (this.#end - this.#flushed() + most > this.#options.maxUnflushedBytes && this.#end > this.#flushed()) return BUSY
    if (this.#end - this.#written + most > this.#maxUnwritten) {
      if (this.#writing !== undefined || this.#usePool()) return BUSY
      this.#writeNow()
      if (!this.#writability.isWritable) return NOT_WRITABLE
    }
    if (!this.#isScheduled) {
      this.#isScheduled = true
      // Records of one write need not differ in their store times.
      this.#now = this.#clock.now()
      this.#options.schedule(this.#turn)
    }
    return most + BLANK_BYTES > this.#fileEnd - this.#end && !this.#roll() ? NOT_WRITABLE : APPENDED
  }

  #encode(record: NewRecord): AppendStatus {
    const most = mostBytes(record)
    const position = this.#end
    const block = (this.#tail ??= this.blocks.take(position))
    const fits = position + most <= block.end
    const out = fits ? block.bytes : this.#scratchFor(most)
    const writer = this.#writer
    const size = writer.write(record, out, fits ? position - block.start : 0, position, this.#now)
    if (size < 0) return size === -1 ? PROPERTIES_TOO_LONG : BAD_PROPERTIES
    if (!fits) this.blocks.place(out, 0, size, position)
    const { queue } = record
    const { queueOffset } = writer
    const end = position + size
    if (takesOffset(writer.sysFlag)) queue.nextOffset = queueOffset + 1
    this.#remember(queue, position, size)
    this.#moveEnd(end)

    const appended = this.appended as { -readonly [K in keyof Appended]: Appended[K] }
    appended.position = position
    appended.size = size
    appended.queueOffset = queueOffset
    appended.storeTimestamp = this.#now
    appended.end = end
    appended.waits = writer.properties.waits
    return APPENDED
  }

  /** Keeps the record for queues and index until it is safe. */
  #remember(queue: ConsumeQueue, position: number, size: number): void {
    const record = this.#record
    const writer = this.#writer
    record.queue = queue
    record.position = position
    record.size = size
    record.queueOffset = writer.queueOffset
    record.tagsCode = writer.tagsCode
    record.storeTimestamp = this.#now
    record.sysFlag = writer.sysFlag
    record.keyHashes = writer.properties.keyHashes
    record.keyCount = writer.properties.keyCount
    this.#pending.push(record)
  }

  #moveEnd(end: number): void {
    this.#end = end
    if (this.#tail !== undefined && end >= this.#tail.end) this.#tail = undefined
  }

  #scratchFor(bytes: number): Buffer {
    if (this.#scratch.length < bytes) this.#scratch = Buffer.allocUnsafeSlow(bytes)
    return this.#scratch
  }

  /** Ends the file with a blank record, and begins the next one. */
  #roll(): boolean {
    const segment = this.#beginFile(this.#fileEnd)
    if (segment === undefined) return false
    const left = this.#fileEnd - this.#end
    if (left > 0) {
      const blank = this.#scratchFor(BLANK_BYTES)
      writeInt(blank, 0, left)
      writeInt(blank, 4, BLANK_MAGIC)
      this.blocks.place(blank, 0, BLANK_BYTES, this.#end)
      const from = this.#end + BLANK_BYTES
      const block = this.blocks.find(from)
      block?.bytes.fill(0, from - block.start)
      this.#skips.push({ from, to: segment.start })
    }
    this.#tail = undefined
    this.#end = segment.start
    this.#fileEnd = segment.end
    return true
  }

  #beginFile(start: number): Segment | undefined {
    try {
      return this.#newFiles.take(start)
    } catch (error) {
      const problem = new StoreError(
        isDiskFull(error) ? 'DISK_FULL' : 'WRITE_FAILED',
        `no file can be created in ${this.segments.folder}: ${(error as Error).message}`,
        { cause: error },
      )
      this.#log.error({ error: problem }, 'the commit log cannot begin its next file')
      this.#writability.setFull(problem)
      return undefined
    }
  }

  #prepareNextFile(): void {
    if (this.#fileEnd - this.#end > this.segments.size * (1 - PREPARE_AT)) return
    if (this.segments.find(this.#end) === undefined || !this.#writability.isWritable) return
    try {
      this.#newFiles.prepare(this.#fileEnd)
    } catch {
      // The append that needs the file tries again, and reports it.
    }
  }

  readonly #turn = (): void => {
    this.#isScheduled = false
    if (this.#writing !== undefined) return
    if (this.#written < this.#end) {
      if (this.#usePool()) {
        this.#writing = this.#writeByPool().finally(() => {
          this.#writing = undefined
          if (this.#written < this.#end && this.#writability.failure === undefined) this.#turn()
        })
        return
      }
      this.#writeNow()
    }
    this.#prepareNextFile()
    this.#onWritten()
  }

  #usePool(): boolean {
    const { writeWay } = this.#options
    return writeWay === 'pool' || (writeWay === 'adaptive' && this.#clock.elapsed() < this.#slowUntil)
  }

  #noteTime(began: number): void {
    const now = this.#clock.elapsed()
    if (now - began > SLOW_WRITE_MS) this.#slowUntil = now + SLOW_DISK_MS
  }

  #writeNow(): void {
    const began = this.#clock.elapsed()
    let at = this.#written
    try {
      for (let piece = this.#pieceAt(at, this.#end); piece !== undefined; piece = this.#pieceAt(at, this.#end)) {
        const { segment, block, from, to } = piece
        const count = segment.writeSync(block.bytes, from - block.start, to - block.start, from - segment.start)
        if (count <= 0) throw new StoreError('DISK_FULL', `no byte could be written to ${segment.path}`)
        at = from + count
      }
      this.#wrote(this.#end)
    } catch (error) {
      this.#lose(at, error)
    }
    this.#noteTime(began)
  }

  async #writeByPool(): Promise<void> {
    const began = this.#clock.elapsed()
    const end = this.#end
    let at = this.#written
    try {
      for (let piece = this.#pieceAt(at, end); piece !== undefined; piece = this.#pieceAt(at, end)) {
        const { segment, block, from, to } = piece
        const count = await segment.write(block.bytes, from - block.start, to - block.start, from - segment.start)
        if (count <= 0) throw new StoreError('DISK_FULL', `no byte could be written to ${segment.path}`)
        at = from + count
      }
      this.#wrote(end)
    } catch (error) {
      this.#lose(at, error)
    }
    this.#noteTime(began)
    this.#prepareNextFile()
    this.#onWritten()
  }

  #wrote(to: number): void {
    this.#written = to
    if (this.#skips.length > 0) this.#skips = this.#skips.filter(skip => skip.to > to)
  }

  /** What to write next of `[at, end)`: in one file and one block, and not in the unused rest of a file. */
  #pieceAt(at: number, end: number): { segment: Segment; block: Block; from: number; to: number } | undefined {
    let from = at
    let to = end
    for (const skip of this.#skips) {
      if (from >= skip.from && from < skip.to) from = skip.to
      else if (from < skip.from) {
        to = Math.min(to, skip.from)
        break
      }
    }
    if (from >= to) return undefined
    const segment = this.segments.find(from)
    const block = this.blocks.find(from)
    if (segment === undefined || block === undefined)
      throw new RangeError(`position ${from} of the log is not in memory`)
    return { segment, block, from, to: Math.min(to, block.end) }
  }

  /**
   * A write failed behind `at`: nothing that is not written counts. What is in the files of it is zeroed, because records are
   * valid wherever they are found, and new ones will have the same positions.
   */
  #lose(at: number, cause: unknown): void {
    const isFull = isDiskFull(cause) || (cause instanceof StoreError && cause.code === 'DISK_FULL')
    const from = this.#written
    const error = new StoreError(
      isFull ? 'DISK_FULL' : 'WRITE_FAILED',
      `${at - from} of ${this.#end - from} bytes were written to the commit log in ${this.segments.folder}: ${(cause as Error).message}`,
      { cause },
    )
    this.#log.error({ error }, 'a write to the commit log failed')
    const isClean = isFull && this.#zero(from, at)
    this.#undoTo(from)
    this.#onLost(from, error)
    if (!isClean) return this.#onFailed(error)
    this.#writability.setFull(error)
    this.#writability.setUnsettled(error)
    void this.#syncZeros(from, at)
  }

  /** Before anything is written there again: a power failure could bring back an end of file that was taken back, but not what follows it. */
  async #syncZeros(from: number, to: number): Promise<void> {
    try {
      const touched = [...this.segments.all, ...this.#newFiles.ahead].filter(each => each.start < to && each.end > from)
      for (const segment of touched) await segment.datasync()
      this.#writability.setUnsettled(undefined)
    } catch (cause) {
      const { message } = cause as Error
      this.#onFailed(
        new StoreError('SYNC_FAILED', `the commit log in ${this.segments.folder} cannot be synced: ${message}`, {
          cause,
        }),
      )
    }
  }

  #zero(from: number, to: number): boolean {
    try {
      for (let piece = this.#pieceAt(from, to); piece !== undefined; piece = this.#pieceAt(piece.to, to)) {
        const { segment } = piece
        segment.writeAllSync(Buffer.alloc(piece.to - piece.from), 0, piece.to - piece.from, piece.from - segment.start)
      }
      return true
    } catch (error) {
      this.#log.error({ error }, 'what a failed write left in the commit log cannot be removed')
      return false
    }
  }

  /** Forgets the records at and above `position`, which is not below `written`. */
  #undoTo(position: number): void {
    this.#pending.dropFrom(position)
    this.#end = position
    this.#skips = this.#skips.filter(skip => skip.from <= position)
    this.#newFiles.takeBack(position)
    this.#fileEnd = this.segments.find(position)?.end ?? position
    this.blocks.dropFrom(position + 1)
    this.#tail = this.blocks.find(position)
  }
}
