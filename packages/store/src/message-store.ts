import { join } from 'node:path'
import type { Clock, Logger } from '@gantrymq/remoting'
import type { AppendStatus } from './append-status.ts'
import { Checkpoints } from './checkpoints.ts'
import type { DerivedData } from './dispatched-record.ts'
import { Dispatcher } from './dispatcher.ts'
import { StoreError } from './errors.ts'
import { diskErrorCode, makeFolderDurably } from './files/disk.ts'
import { storeErrorOf } from './files/disk-failure.ts'
import { SegmentList } from './files/segment-list.ts'
import { StoreLock } from './files/store-lock.ts'
import { KeyIndex } from './index/key-index.ts'
import { type KeyedRecords, type KeyLimits, recordsOfKey } from './key-query.ts'
import { type Appended, CommitLog } from './log/commit-log.ts'
import { Flusher } from './log/flusher.ts'
import { peek, recordAt, recordInMemory } from './log/log-reads.ts'
import type { NewRecord } from './log/record-writer.ts'
import { type Found, MessageReader, type ReadQuery, type ReadStatus } from './message-reader.ts'
import { type ResolvedOptions, resolveOptions, type StoreOptions } from './options.ts'
import { PendingRecords } from './pending-records.ts'
import { PositionWaits } from './position-waits.ts'
import type { ConsumeQueue, Unit } from './queues/consume-queue.ts'
import { ConsumeQueues } from './queues/consume-queues.ts'
import { UnitRepairs } from './queues/unit-repair.ts'
import { Recovery } from './recovery.ts'
import { Retention } from './retention.ts'
import { offsetByTime, storeTimeAt, storeTimeOf, type TimeBoundary } from './time-search.ts'
import { Writability } from './writability.ts'

/** Milliseconds between two writes of queues and index. */
const DERIVED_INTERVAL_MS = 200
/** How long one turn of the event loop is spent on them. */
const DERIVED_SLICE_MS = 2
/** Bytes of queues and index in memory at which an append waits for them to be written. */
const MAX_UNWRITTEN_DERIVED = 4 << 20

/** What happened to records that were appended. */
export interface CommitListener {
  /** `written` or `safe` has moved. Called at most once for each write and each sync. */
  committed(): void
  /** No record at or above `from` was stored. With a failure of a sync, it is unknown whether they were. */
  lost(from: number, error: StoreError): void
}

/**
 * A store of messages in Apache's file formats: Apache's DefaultMessageStore.
 *
 * `append` gives a record its positions at once. It is stored when `safe` has reached its end: with ASYNC_FLUSH it is then written,
 * with SYNC_FLUSH it is on the disk. From then on consumers can read it.
 */
export class MessageStore {
  readonly #options: ResolvedOptions
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #lock: StoreLock
  readonly #writability = new Writability()
  readonly #pending = new PendingRecords()
  readonly #segments: SegmentList
  readonly #queues: ConsumeQueues
  readonly #index: KeyIndex
  readonly #derived: readonly DerivedData[]
  readonly #dispatcher: Dispatcher
  readonly #flusher: Flusher
  readonly #log: CommitLog
  readonly #reader: MessageReader
  readonly #repairs: UnitRepairs
  readonly #retention: Retention
  readonly #checkpoints: Checkpoints
  readonly #listeners = new Set<CommitListener>()
  readonly #untilSafe = new PositionWaits()
  readonly #untilWritten = new PositionWaits()
  readonly #timers: Disposable[] = []
  /** Deletions of topics that are under way. They do not reject. */
  readonly #deletions = new Set<Promise<void>>()
  #seenWritten = 0
  /** Store time of the first message of the log, which begins at `start`. */
  #earliest: { readonly start: number; readonly time: number } | undefined
  #isWritingDerived = false
  #closing: Promise<void> | undefined

  private constructor(options: ResolvedOptions) {
    const { disk, root, clock, log } = options
    this.#options = options
    this.#clock = clock
    this.#logger = log
    this.#lock = new StoreLock(disk, root)
    this.#segments = new SegmentList(disk, join(root, 'commitlog'), options.logFileBytes)
    this.#queues = new ConsumeQueues({
      disk,
      folder: join(root, 'consumequeue'),
      fileBytes: options.queueFileBytes,
      extension: {
        folder: join(root, 'consumequeue_ext'),
        fileBytes: options.extensionFileBytes,
        isWritten: options.writeExtensions,
      },
      clock,
      log,
    })
    this.#index = new KeyIndex({
      disk,
      folder: join(root, 'index'),
      sizes: { slots: options.indexSlots, entries: options.indexEntries },
      clock,
      log,
    })
    this.#derived = options.indexKeys ? [this.#queues, this.#index] : [this.#queues]
    this.#dispatcher = new Dispatcher(this.#pending, this.#derived)
    this.#flusher = new Flusher({
      segments: this.#segments,
      mode: options.flushMode,
      flushBytes: options.flushBytes,
      written: () => this.#log.written,
      onFlushed: () => this.#advance(),
      onFailed: error => this.#fail(error),
    })
    this.#log = new CommitLog({
      options,
      segments: this.#segments,
      pending: this.#pending,
      writability: this.#writability,
      flushed: () => this.#flusher.flushed,
      onWritten: () => this.#onWritten(),
      onLost: (from, error) => this.#lose(from, error),
      onFailed: error => this.#fail(error),
    })
    this.#reader = new MessageReader({
      log: this.#log,
      limits: options.readLimits,
      hotBytes: options.hotBytes,
      nextFile: position => this.nextFile(position),
      repair: (queue, offset) => this.#repairs.repair(queue, offset),
    })
    this.#repairs = new UnitRepairs({ log: this, delayLevels: options.delayLevels, logger: log })
    this.#retention = new Retention({
      rules: options.retention,
      disk,
      log: this.#log,
      queueFolder: join(root, 'consumequeue'),
      derived: this.#derived,
      writability: this.#writability,
      clock,
      logger: log,
    })
    this.#checkpoints = new Checkpoints({
      options,
      log: this.#log,
      flusher: this.#flusher,
      dispatcher: this.#dispatcher,
      queues: this.#queues,
      index: this.#index,
      derived: this.#derived,
      writability: this.#writability,
      onFailed: error => this.#fail(error),
    })
  }

  /**
   * Opens the store in a folder, or creates one there.
   * @throws StoreError LOCKED, BAD_FILES, BAD_OPTION, NO_ACCESS, DISK_FULL
   */
  static async open(options: StoreOptions): Promise<MessageStore> {
    const store = new MessageStore(resolveOptions(options))
    try {
      await store.#open()
    } catch (error) {
      store.#release()
      throw diskErrorCode(error) === undefined ? error : storeErrorOf(error, options.root)
    }
    return store
  }

  async #open(): Promise<void> {
    const { disk, root, flushIntervalMs, checkpointIntervalMs, retentionIntervalMs } = this.#options
    await makeFolderDurably(disk, root)
    await this.#lock.claim()
    for (const folder of ['commitlog', 'consumequeue']) disk.makeFolder(join(root, folder))
    await disk.syncFolder(root)
    await this.#segments.load(this.#lock.wasAborted)
    const { folder, gaps } = this.#segments
    for (const { from, to } of gaps) {
      this.#options.log.error({ folder, from, to }, 'files of the commit log are missing between others')
    }
    const [start, end] = [this.#segments.first?.start ?? 0, this.#segments.last?.end ?? 0]
    await this.#queues.load({ start, end }, this.#lock.wasAborted)
    if (this.#options.indexKeys) await this.#index.load(end)
    await this.#recover()
    await this.#lock.begin()
    this.#timers.push(
      this.#clock.every(flushIntervalMs, () => this.#flusher.start()),
      this.#clock.every(DERIVED_INTERVAL_MS, () => this.#writeDerivedSoon()),
      this.#clock.every(checkpointIntervalMs, () => this.#checkpoints.start()),
      this.#clock.every(retentionIntervalMs, () => void this.#retention.check()),
    )
    // After another crash an Apache broker goes by the checkpoint: it deletes the index files that are newer, and does not go
    // back to their first message.
    if (this.#checkpoints.mark < this.#log.safe) {
      this.#index.saveNext()
      this.#checkpoints.start()
    }
  }

  async #recover(): Promise<void> {
    const recovery = new Recovery({
      options: this.#options,
      segments: this.#segments,
      checkpoint: this.#checkpoints.open(),
      queues: this.#queues,
      index: this.#options.indexKeys ? this.#index : undefined,
      wasAborted: this.#lock.wasAborted,
      begin: () => this.#lock.begin(),
    })
    const { end, mark, lastStoreTimestamp } = await recovery.run()
    this.#checkpoints.resume(mark)
    this.#dispatcher.resume(lastStoreTimestamp)
    this.#flusher.resume(end)
    await this.#log.resume(end)
  }

  /** Where the last append went; of a batch, its first record. One object is used for all appends. */
  get appended(): Appended {
    return this.#log.appended
  }

  /** Positions of the records of the last batch. */
  get appendedPositions(): readonly number[] {
    return this.#log.appendedPositions
  }

  /** Position behind the last record, whether it is stored or not. */
  get end(): number {
    return this.#log.end
  }

  /** What is below this was written: it survives the end of the process. */
  get written(): number {
    return this.#log.written
  }

  /** What is below this is stored as the flush mode says: it may be acknowledged, and consumers can read it. */
  get safe(): number {
    return this.#log.safe
  }

  /** What is below this was synced: it survives a power failure. */
  get flushed(): number {
    return this.#flusher.flushed
  }

  /** Position of the oldest record that still exists. */
  get start(): number {
    return this.#log.start
  }

  /** Why nothing can be appended; undefined if something can. */
  get whyNotWritable(): StoreError | undefined {
    return this.#writability.problem
  }

  /** Gives a record its positions, which `appended` says, and keeps it for the write of this turn. It is not stored yet: see `safe`. */
  append(record: NewRecord): AppendStatus {
    return this.#log.append(record)
  }

  /** Appends several records of one queue one behind the other, all or none, with consecutive offsets. */
  appendBatch(records: readonly NewRecord[]): AppendStatus {
    return this.#log.appendBatch(records)
  }

  onCommit(listener: CommitListener): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  /** The listener is called when consumers can read more of a queue: once a queue for each write. */
  onArrival(listener: (queue: ConsumeQueue) => void): Disposable {
    return this.#dispatcher.onArrival(listener)
  }

  /** Resolves when everything below `end` is safe. @throws StoreError WRITE_FAILED, DISK_FULL, SYNC_FAILED, CLOSED */
  whenSafe(end: number): Promise<void> {
    return this.safe >= end ? Promise.resolve() : this.#untilSafe.until(end)
  }

  /** Resolves when everything below `end` is written. @throws StoreError WRITE_FAILED, DISK_FULL, CLOSED */
  whenWritten(end: number): Promise<void> {
    return this.written >= end ? Promise.resolve() : this.#untilWritten.until(end)
  }

  /** The queue if it has, or had, messages. */
  queue(topic: string, id: number): ConsumeQueue | undefined {
    return this.#queues.find(topic, id)
  }

  /** The queue; it is created in memory. @throws StoreError BAD_NAME for a topic that cannot be the name of a folder */
  queueFor(topic: string, id: number): ConsumeQueue {
    return this.#queues.findOrMake(topic, id)
  }

  /** The queues of a topic, or all. */
  queues(topic?: string): Iterable<ConsumeQueue> {
    return this.#queues.all(topic)
  }

  /**
   * Reads messages of a queue without waiting.
   * @returns `LOADING` if they must be read from the disk first: `found.loading` resolves then; read again
   */
  read(query: ReadQuery, found: Found): ReadStatus | 'LOADING' {
    return this.#reader.read(query, found)
  }

  /** Where a message of a queue is in the log; undefined if the queue has none at this offset. @throws the error of the disk */
  unitAt(queue: ConsumeQueue, offset: number): Promise<Unit | undefined> {
    return queue.unit(offset)
  }

  /**
   * A copy of the record at a position, which may come from any client; undefined if there is no whole record at it, or consumers
   * cannot see it yet.
   * @throws StoreError READ_FAILED
   */
  messageAt(position: number): Promise<Buffer | undefined> {
    return recordAt(this.#log, position)
  }

  /** The same without waiting: undefined as well if the record must be read from the disk first. */
  messageInMemory(position: number): Buffer | undefined {
    return recordInMemory(this.#log, position)
  }

  /** A copy of bytes of one file of the log, read without taking a place in memory; undefined if they do not exist. */
  peek(position: number, size: number): Promise<Buffer | undefined> {
    return peek(this.#log, position, size)
  }

  /** Bytes of the largest record that can be read: as large as one that can be appended, or larger. */
  get largestRecord(): number {
    return this.#log.largestRecord
  }

  /** Where the file of the log behind the one with this position begins. */
  nextFile(position: number): number {
    const { logFileBytes } = this.#options
    return position - (position % logFileBytes) + logFileBytes
  }

  /** Store time of a message, milliseconds since the epoch; -1 if the queue has none at this offset. @throws the error of the disk */
  storeTimeOf(queue: ConsumeQueue, offset: number): Promise<number> {
    return storeTimeOf(this, queue, offset)
  }

  /**
   * The offset that stands for a time: without a boundary that of the nearest message, as in Apache 4.9; with one as in Apache 5. 0
   * for a queue without messages. @throws the error of the disk
   */
  offsetByTime(queue: ConsumeQueue, time: number, boundary?: TimeBoundary): Promise<number> {
    return offsetByTime(this, queue, time, boundary)
  }

  /** Store time of the first message of a queue, or of the log, milliseconds since the epoch; -1 if there is none. */
  earliestTime(queue?: ConsumeQueue): Promise<number> {
    return queue === undefined ? this.#earliestOfLog() : storeTimeOf(this, queue, queue.minOffset)
  }

  async #earliestOfLog(): Promise<number> {
    const { start } = this
    // Operators ask often, and the first message is long out of memory.
    if (this.#earliest?.start === start) return this.#earliest.time
    const time = await storeTimeAt(this, start)
    if (time >= 0) this.#earliest = { start, time }
    return time
  }

  /** The newest records of a topic that have a key, oldest first; one with another key of the same hash may be among them. */
  queryKey(topic: string, key: string, limits: KeyLimits): Promise<KeyedRecords> {
    return recordsOfKey(this.#index, position => this.messageAt(position), topic, key, limits)
  }

  /**
   * Deletes the queues of a topic. Their messages stay in the log until its files expire, but nothing leads to them any more.
   * Source: Apache's DefaultMessageStore.cleanUnusedTopic.
   * @throws StoreError if the store is closed or cannot be written
   */
  async deleteTopic(topic: string): Promise<void> {
    await this.whenSafe(this.end)
    const deletion = this.#deleteQueues(topic)
    const ended = deletion.catch(() => {}).finally(() => this.#deletions.delete(ended))
    this.#deletions.add(ended)
    await deletion
  }

  async #deleteQueues(topic: string): Promise<void> {
    const queues = this.#queues.takeOut(topic)
    // Messages that the topic got lately are below the end, or lost.
    await this.whenSafe(this.end).catch(() => {})
    // A recovery must not begin before them, or it would make the queues again.
    await this.#checkpoints.reach(this.safe)
    await this.#queues.removeFiles(queues)
  }

  /** Deletes the queues of all topics except these. @returns How many topics that were */
  async deleteUnused(kept: ReadonlySet<string>): Promise<number> {
    const unused = [...this.#queues.topics].filter(topic => !kept.has(topic))
    for (const topic of unused) await this.deleteTopic(topic)
    return unused.length
  }

  /** Deletes files of the log that have expired, at any hour. @returns How many files. @throws the error of the disk */
  async deleteExpired(): Promise<number> {
    // Only what is on the disk is deleted.
    await this.#flusher.flushTo(this.written)
    return await this.#retention.deleteExpired()
  }

  /** Deletes the files of queues, and of the index, that only lead to deleted files of the log. @throws the error of the disk */
  deleteExpiredUnits(): Promise<void> {
    return this.#retention.deleteUnits()
  }

  /** The part of the disk in use, 0 to 1; of the log's or the queues', whichever is fuller. As of the last look. */
  get diskUsed(): number {
    return this.#retention.used
  }

  /**
   * Stores everything that was appended, and lets other processes have the folder. Nothing can be appended or read any more.
   * @throws StoreError DISK_FULL, WRITE_FAILED, SYNC_FAILED; the folder is released, and the next open recovers as after a crash
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    this.#writability.close()
    for (const timer of this.#timers) timer[Symbol.dispose]()
    const stopped = this.#checkpoints.stop()
    try {
      await this.#log.writeAll()
      await stopped
      await Promise.all([this.#retention.close(), ...this.#deletions])
      if (this.#writability.failure === undefined) await this.#closeCleanly()
    } catch (error) {
      throw storeErrorOf(error, this.#options.root)
    } finally {
      const closed = new StoreError('CLOSED', `the store in ${this.#options.root} has been closed`)
      this.#untilSafe.lost(this.safe, closed)
      this.#untilWritten.lost(this.written, closed)
      this.#release()
    }
  }

  /** Closes what is open still. What the disk does not close, the end of the process does. */
  #release(): void {
    const parts = [this.#log, this.#queues, this.#index].map(part => () => part.abandon())
    for (const close of [...parts, () => this.#checkpoints.close(), () => this.#lock.release()]) {
      try {
        close()
      } catch (error) {
        this.#logger.warn({ error }, 'a file of the store could not be closed')
      }
    }
  }

  async #closeCleanly(): Promise<void> {
    await this.#flusher.flushTo(this.#log.written)
    await this.#log.close()
    this.#advance()
    for (const derived of this.#derived) await derived.close()
    // A sync may have failed meanwhile: then this is no clean stop, although the later syncs succeeded.
    const { failure } = this.#writability
    if (failure !== undefined) throw failure
    await this.#checkpoints.writeLast(this.#log.end)
    await this.#lock.end()
  }

  #onWritten(): void {
    this.#flusher.onWritten()
    this.#advance()
    if (this.#log.written - this.#checkpoints.mark >= this.#options.checkpointBytes) this.#checkpoints.start()
  }

  /** Hands on what has become safe, and tells the listeners. */
  #advance(): void {
    const isSafer = this.#log.moveSafe()
    const { written } = this.#log
    if (!isSafer && written === this.#seenWritten) return
    this.#seenWritten = written
    if (isSafer) this.#dispatcher.drain(this.#log.safe)
    this.#untilWritten.reached(written)
    this.#untilSafe.reached(this.#log.safe)
    for (const listener of this.#listeners) listener.committed()
    this.#dispatcher.announce()
    if (this.#unwrittenDerived() > MAX_UNWRITTEN_DERIVED) this.#writeDerived()
  }

  #lose(from: number, error: StoreError): void {
    this.#untilWritten.lost(from, error)
    this.#untilSafe.lost(from, error)
    for (const listener of this.#listeners) listener.lost(from, error)
  }

  #fail(error: StoreError): void {
    if (this.#writability.failure !== undefined) return
    this.#writability.fail(error)
    this.#logger.error({ error }, 'the store accepts nothing until it is opened again')
    this.#lose(this.#log.safe, error)
  }

  #unwrittenDerived(): number {
    let bytes = 0
    for (const derived of this.#derived) bytes += derived.unwritten
    return bytes
  }

  #writeDerivedSoon(): void {
    if (this.#isWritingDerived || this.#unwrittenDerived() === 0) return
    this.#isWritingDerived = true
    this.#options.schedule(() => {
      this.#isWritingDerived = false
      if (this.#closing === undefined && this.#writeDerived()) this.#writeDerivedSoon()
    })
  }

  /** @returns True if more is left */
  #writeDerived(): boolean {
    let isMore = false
    try {
      for (const derived of this.#derived) if (derived.writeSome(DERIVED_SLICE_MS)) isMore = true
      return isMore
    } catch (error) {
      this.#logger.error({ error }, 'the queues or the index cannot be written')
      this.#writability.setFull(storeErrorOf(error, this.#options.root))
      return false
    }
  }
}
