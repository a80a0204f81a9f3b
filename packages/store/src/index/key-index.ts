import { dirname } from 'node:path'
import { type Clock, type Logger, silent } from '@gantrymq/remoting'
import type { DerivedData, DispatchedRecord } from '../dispatched-record.ts'
import { StoreError } from '../errors.ts'
import type { Disk } from '../files/disk.ts'
import { OpenFiles } from '../files/open-files.ts'
import { IndexFile, indexFileBytes, type IndexSizes } from './index-file.ts'

export interface KeyIndexOptions {
  readonly disk: Disk
  /** The folder `index`. */
  readonly folder: string
  readonly sizes: IndexSizes
  readonly clock: Clock
  readonly log?: Logger
}

/** What to look for in the index. Times in milliseconds since the epoch, both included. */
export interface KeySearch {
  /** `stringHash(topic + '#' + key)`. */
  readonly keyHash: number
  readonly max: number
  readonly begin: number
  readonly end: number
  /** Ends the search, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** Records that may have the key. Another key with the same hash is found, too. */
export interface FoundKeys {
  /** Positions in the log, newest first. */
  readonly positions: number[]
  /** Of the newest record of the index: store time, milliseconds since the epoch, and position. */
  readonly lastUpdate: number
  readonly lastPosition: number
}

/**
 * Saving changes pages all over the file, so it is done rarely: after this time, or after so many bytes of log. The time is a little
 * below that between two checkpoints, so that each of them can move the mark.
 */
const SAVE_EVERY_MS = 9_000
const SAVE_EVERY_BYTES = 256 * 2 ** 20

const NAME = /^\d{17}$/
const TRANSACTION_BITS = 0xc
const ROLLBACK = 0xc

/** Finds records by their keys, over all index files: Apache's IndexService. */
export class KeyIndex implements DerivedData {
  readonly #folder: string
  readonly #sizes: IndexSizes
  readonly #clock: Clock
  readonly #log: Logger
  readonly #files: OpenFiles
  /** Oldest first. Entries are put into the last. */
  #indexFiles: IndexFile[] = []
  readonly #unsaved = new Set<IndexFile>()
  /** Position of the last record that was put. */
  #lastPosition = -1
  /** Log position below which all entries are durable. */
  #saved = 0
  #savedAt: number
  #namesChanged = false
  #fullUntil = 0
  #isComplete = true
  #found = 0
  /** Files whose damage was reported. */
  readonly #damaged = new WeakSet<IndexFile>()

  constructor({ disk, folder, sizes, clock, log = silent }: KeyIndexOptions) {
    this.#folder = folder
    this.#sizes = sizes
    this.#clock = clock
    this.#log = log
    this.#files = new OpenFiles(disk, dirname(folder), 64)
    this.#savedAt = clock.elapsed()
  }

  /**
   * Finds the files. Blocks.
   * @param logEnd End of the files of the log. A file that claims records behind it is damaged, and would take no further ones
   * @throws StoreError BAD_FILES if a file has another size than the options say
   */
  async load(logEnd = Number.POSITIVE_INFINITY): Promise<void> {
    const { disk } = this.#files
    const bytes = indexFileBytes(this.#sizes)
    const entries = (disk.list(this.#folder) ?? []).filter(({ name, isFolder }) => !isFolder && NAME.test(name))
    entries.sort((a, b) => (a.name < b.name ? -1 : 1))
    let hasEmpty = false
    let hasGap = false
    for (const { name, size } of entries) {
      const path = `${this.#folder}/${name}`
      if (size !== bytes && size !== 0) throw wrongSize(path, size, bytes)
      const file = new IndexFile(this.#files, path, this.#sizes, true)
      file.readHeader()
      if (file.isEmpty) {
        await file.remove()
        this.#namesChanged = true
        hasEmpty = true
      } else {
        this.#indexFiles.push(file)
        // A crash leaves only the newest files without entries.
        hasGap ||= hasEmpty
      }
    }
    this.#found = this.#indexFiles.length
    this.#isComplete = !hasGap && this.#indexFiles.every(({ endPosition }) => endPosition < logEnd)
    const last = this.#indexFiles.at(-1)
    if (last === undefined) return
    if (!last.isFull) await last.load()
    this.#setLastPosition()
  }

  #setLastPosition(): void {
    this.#lastPosition = this.#indexFiles.at(-1)?.endPosition ?? -1
  }

  async #removeLast(): Promise<void> {
    const last = this.#indexFiles.pop()
    await last?.remove()
    this.#namesChanged = true
  }

  /** How many files there were at the start. Fewer than the last checkpoint counted: somebody removed them. */
  get found(): number {
    return this.#found
  }

  /** How many files there are. */
  get count(): number {
    return this.#indexFiles.length
  }

  /** How many files certainly survive a power failure: the last one is never removed. For the checkpoint. */
  get countDurable(): number {
    return this.#namesChanged || this.#indexFiles.length === 0 ? 0 : 1
  }

  /** Whether all records that were put are in the index, as far as is known. If not, the log must be put again from its start. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  /**
   * Compares the headers of the files with their entries, with each other and with the log. What contradicts makes the index
   * incomplete: entries would not be found.
   * @param storeTimeAt Store time of the record at a position of the log, milliseconds since the epoch; undefined if there is none
   * @throws EIO
   */
  async check(storeTimeAt: (position: number) => Promise<number | undefined>): Promise<void> {
    let end = 0
    for (const file of this.#indexFiles) {
      const isLast = file === this.#indexFiles.at(-1)
      const isRight =
        file.beginPosition >= end &&
        (isLast || file.isFull) &&
        (await file.agrees()) &&
        (await timesAgree(file, storeTimeAt))
      if (!isRight) {
        this.#isComplete = false
        this.#log.error({ file: file.path }, 'the header of an index file is damaged')
      }
      end = file.endPosition
    }
  }

  /** Store time of the last record of the newest file that is full and durable: Apache's StoreCheckpoint.indexMsgTimestamp. */
  get fullUntil(): number {
    return this.#fullUntil
  }

  put({ position, storeTimestamp, sysFlag, keyHashes, keyCount }: DispatchedRecord): void {
    if (position <= this.#lastPosition || keyCount === 0 || (sysFlag & TRANSACTION_BITS) === ROLLBACK) return
    for (let index = 0; index < keyCount; index++) {
      this.#fileWithRoom().put(positiveHash(keyHashes[index] as number), position, storeTimestamp)
    }
    this.#lastPosition = position
  }

  #fileWithRoom(): IndexFile {
    const last = this.#indexFiles.at(-1)
    if (last !== undefined && !last.isFull) {
      this.#unsaved.add(last)
      return last
    }
    const file = new IndexFile(this.#files, this.#nextPath(), this.#sizes, false)
    file.begin()
    this.#indexFiles.push(file)
    this.#unsaved.add(file)
    this.#namesChanged = true
    return file
  }

  /** Files are named by the local time of their creation, and sorted by it, although the clock may be set back. */
  #nextPath(): string {
    const last = this.#indexFiles.at(-1)?.path.slice(this.#folder.length + 1) ?? ''
    const name = timeName(this.#clock.now())
    return `${this.#folder}/${name > last ? name : BigInt(last) + 1n}`
  }

  get unwritten(): number {
    let bytes = 0
    for (const file of this.#unsaved) bytes += file.unwritten
    return bytes
  }

  writeSome(ms: number): boolean {
    const until = this.#clock.elapsed() + ms
    for (const file of this.#unsaved) {
      while (file.unwritten > 0) {
        this.#makeFolder()
        file.writeSome()
        if (this.#clock.elapsed() >= until) return this.unwritten > 0
      }
    }
    return false
  }

  #makeFolder(): void {
    const { disk, folders } = this.#files
    if (this.#namesChanged && !disk.exists(this.#folder)) folders.make(this.#folder)
  }

  async sync(position: number): Promise<number> {
    if (this.#unsaved.size > 0 || this.#namesChanged) {
      const isDue = this.#clock.elapsed() - this.#savedAt >= SAVE_EVERY_MS || position - this.#saved >= SAVE_EVERY_BYTES
      if (!isDue) return this.#saved
      await this.#save()
    }
    this.#saved = position
    return position
  }

  /** Makes the next `sync` save, however little there is. */
  saveNext(): void {
    this.#savedAt = Number.NEGATIVE_INFINITY
  }

  /** What is put meanwhile, into these files or a new one, belongs to the next save: a busy index would never be saved. */
  async #save(): Promise<void> {
    this.#savedAt = this.#clock.elapsed()
    this.#makeFolder()
    const files = [...this.#unsaved]
    const namesChanged = this.#namesChanged
    this.#namesChanged = false
    try {
      for (const file of files) await this.#saveFile(file)
      if (namesChanged) await this.#syncNames()
    } catch (error) {
      this.#namesChanged ||= namesChanged
      throw error
    }
  }

  async #saveFile(file: IndexFile): Promise<void> {
    // It was removed meanwhile.
    if (!this.#unsaved.delete(file)) return
    try {
      await file.save()
    } catch (error) {
      this.#unsaved.add(file)
      throw error
    }
    if (file.isFull) this.#fullUntil = Math.max(this.#fullUntil, file.endTimestamp)
  }

  async #syncNames(): Promise<void> {
    const { disk, folders } = this.#files
    if (!disk.exists(this.#folder)) return
    await disk.syncFolder(this.#folder)
    await folders.sync(this.#folder)
  }

  async cut(position: number): Promise<void> {
    this.#isComplete = true
    for (let last = this.#indexFiles.at(-1); last !== undefined; last = this.#indexFiles.at(-1)) {
      if (last.beginPosition < position) break
      await this.#removeLast()
    }
    const last = this.#indexFiles.at(-1)
    if (last !== undefined) {
      this.#isComplete = await last.rebuild(position)
      if (!this.#isComplete)
        this.#log.error({ file: last.path }, 'an index file is damaged and is rebuilt from the log')
      if (last.isEmpty) await this.#removeLast()
    }
    // After a crash nothing is known to be durable, not even the names of files.
    for (const file of this.#indexFiles) this.#unsaved.add(file)
    this.#namesChanged = true
    this.#setLastPosition()
    this.#saved = position
  }

  /** Discards all entries, so that putting the whole log again rebuilds them. */
  async rebuild(): Promise<void> {
    this.#unsaved.clear()
    while (this.#indexFiles.length > 0) await this.#removeLast()
    this.#lastPosition = -1
    this.#saved = 0
    this.#isComplete = true
  }

  async dropBefore(start: number): Promise<void> {
    while (this.#indexFiles.length > 1 && (this.#indexFiles[0] as IndexFile).endPosition < start) {
      const file = this.#indexFiles.shift() as IndexFile
      this.#unsaved.delete(file)
      await file.remove()
      this.#namesChanged = true
    }
  }

  /** Looks for a key, newest records first: Apache's IndexService.queryOffset. @throws the disk's error */
  async search({ keyHash, max, begin, end, signal }: KeySearch): Promise<FoundKeys> {
    const hash = positiveHash(keyHash)
    const newest = this.#indexFiles.at(-1)
    const found = {
      positions: [] as number[],
      lastUpdate: newest?.endTimestamp ?? 0,
      lastPosition: newest?.endPosition ?? 0,
    }
    for (const file of this.#indexFiles.toReversed()) {
      if (found.positions.length >= max) break
      if (file.beginTimestamp <= end && file.endTimestamp >= begin) {
        try {
          const isWhole = await collect(file, { keyHash: hash, max, begin, end, signal }, found.positions)
          if (!isWhole) this.#reportDamage(file)
        } catch (error) {
          // Otherwise it was deleted meanwhile.
          if (this.#indexFiles.includes(file)) throw error
        }
      }
      if (file.beginTimestamp < begin) break
    }
    return found
  }

  #reportDamage(file: IndexFile): void {
    if (this.#damaged.has(file)) return
    this.#damaged.add(file)
    const advice = 'stop the broker and remove the folder of the index: the next start builds it again'
    this.#log.error({ file: file.path, advice }, 'an index file is damaged: not all messages are found by their keys')
  }

  async close(): Promise<void> {
    try {
      if (this.#unsaved.size > 0 || this.#namesChanged) await this.#save()
    } finally {
      this.#files.close()
    }
  }

  abandon(): void {
    this.#files.close()
  }
}

/** Whether the times of a header are those of its first and its last record, as far as the log still has them. */
async function timesAgree(
  { beginPosition, endPosition, beginTimestamp, endTimestamp }: IndexFile,
  storeTimeAt: (position: number) => Promise<number | undefined>,
): Promise<boolean> {
  const begin = (await storeTimeAt(beginPosition)) ?? beginTimestamp
  const end = (await storeTimeAt(endPosition)) ?? endTimestamp
  // After a crash the last time is computed from an entry, which has seconds since the first one, and none if the clock was set back.
  return begin === beginTimestamp && endTimestamp <= Math.max(end, begin) && endTimestamp > end - 1000
}

/**
 * Apache's IndexFile.selectPhyOffset.
 * @returns False if the chain of the key leads to an entry that belongs to another
 * @throws the error of the disk, the reason of the signal
 */
async function collect(file: IndexFile, search: KeySearch, positions: number[]): Promise<boolean> {
  const { keyHash, max, begin, end, signal } = search
  for await (const entry of file.chain(await file.newestOf(keyHash))) {
    // A key of many messages has a long chain.
    signal?.throwIfAborted()
    if (!file.areChained(entry.keyHash, keyHash)) return false
    if (entry.seconds < 0 || positions.length >= max) return true
    const time = file.beginTimestamp + entry.seconds * 1000
    // The entry's time is cut to seconds, so its record may be up to a second younger.
    if (entry.keyHash === keyHash && time + 999 >= begin && time <= end) positions.push(entry.position)
    if (time + 999 < begin) return true
  }
  return true
}

/** Apache's IndexFile.indexKeyHashMethod: the absolute value, and 0 for the one that has none. */
function positiveHash(hash: number): number {
  return hash === -0x8000_0000 ? 0 : Math.abs(hash)
}

/** Apache's UtilAll.timeMillisToHumanString: yyyyMMddHHmmssSSS in local time. */
function timeName(time: number): string {
  const date = new Date(time)
  const parts = [date.getMonth() + 1, date.getDate(), date.getHours(), date.getMinutes(), date.getSeconds()]
  const padded = parts.map(part => String(part).padStart(2, '0')).join('')
  return `${date.getFullYear()}${padded}${String(date.getMilliseconds()).padStart(3, '0')}`
}

function wrongSize(path: string, size: number, expected: number): StoreError {
  const found = `${path} has ${size} bytes, but an index file has ${expected} (maxHashSlotNum, maxIndexNum).`
  return new StoreError(
    'BAD_FILES',
    `${found} Set the numbers with which the files were written, or remove the folder: the index is rebuilt from the log.`,
  )
}
