import { dirname } from 'node:path'
import { stringHash } from '@gantrymq/protocol'
import { type Clock, type Logger, silent } from '@gantrymq/remoting'
import type { DerivedData, DispatchedRecord } from '../dispatched-record.ts'
import { StoreError } from '../errors.ts'
import type { Disk } from '../files/disk.ts'
import { OpenFiles } from '../files/open-files.ts'
import { takesOffset } from '../log/record-writer.ts'
import { ConsumeQueue, type SharedByQueues, UnsavedQueues } from './consume-queue.ts'
import { QueueExtension, type SharedByExtensions } from './queue-extension.ts'
import { findFiles, type FileRuns } from './queue-files.ts'
import { UNIT_BYTES } from './queue-unit.ts'
import { TailMemory } from './tail-memory.ts'
import { blockBytesFor, UnitBlocks } from './unit-blocks.ts'

export interface ConsumeQueuesOptions {
  readonly disk: Disk
  /** The folder `consumequeue`. */
  readonly folder: string
  /** Bytes of a file, a multiple of 20 [mappedFileSizeConsumeQueue]. */
  readonly fileBytes: number
  /** Bytes of older units in memory, all queues together, and half as many of the newest ones. Default 8 MiB. */
  readonly cacheBytes?: number
  /** Where the tags of units are kept beside the units. Default: in the units only. */
  readonly extension?: ExtensionOptions
  readonly clock: Clock
  readonly log?: Logger
}

export interface ExtensionOptions {
  /** The folder `consumequeue_ext`. */
  readonly folder: string
  /** Bytes of a file [mappedFileSizeConsumeQueueExt]. */
  readonly fileBytes: number
  /** Whether new units get an extension [enableConsumeQueueExt]. Otherwise those of an earlier time are read. */
  readonly isWritten: boolean
}

/** Queues that one call of `sync` makes durable; 1,000 in ten seconds cost 2 % of a core. */
const SYNCED_AT_ONCE = 1_000
/** The same if the oldest unsaved unit is so far behind that a recovery would take long. */
const SYNCED_AT_ONCE_IF_LATE = 10_000
/** Syncs under way at the same time: few, because the log's own waits behind them. */
const SYNCS_UNDER_WAY = 2
const SYNCS_AT_THE_END = 8
const LATE_BYTES = 2 * 2 ** 30

const CACHE_BYTES = 8 * 2 ** 20
/** Bytes of a block in memory, at most: of 1,000 units, and of Apache's files of extensions a part without rest. */
const UNIT_BLOCK = 20_000
const EXTENSION_BLOCK = 16_384

/** Bytes of topics that are allocated together. */
const NAMES_BYTES = 16 * 1024

const QUEUE_ID = /^\d{1,10}$/

/** Units that may be missing between two of a queue after damage to the log; a larger gap is taken for damage to the offset. */
const LARGEST_GAP = 1_000_000

/** All consume queues of a store, by topic and id: Apache's DefaultMessageStore.consumeQueueTable, with the files below it. */
export class ConsumeQueues implements DerivedData {
  readonly #folder: string
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #log: Logger
  readonly #shared: SharedByQueues
  readonly #extensionFolder: string
  readonly #sharedByExtensions: SharedByExtensions | undefined
  /** By topic, and by id: a map for each topic would take as much memory as a queue. */
  readonly #topics = new Map<string, ConsumeQueue[]>()
  /** Memory for the bytes of further topics. */
  #names = Buffer.alloc(0)
  /** Queues that had no units lately, with their maximum then. They give back their tails if it is still the same. */
  readonly #settling = new Map<ConsumeQueue, number>()
  /** Topics whose files are being removed. */
  readonly #leaving = new Set<string>()
  readonly #incomplete = new Set<ConsumeQueue>()
  #rebuilding = false
  #logStart = 0
  #found = 0

  constructor(options: ConsumeQueuesOptions) {
    const { disk, folder, fileBytes, cacheBytes = CACHE_BYTES, extension, clock, log = silent } = options
    this.#folder = folder
    this.#disk = disk
    this.#clock = clock
    this.#log = log
    const blocks = new UnitBlocks(blockBytesFor(fileBytes, UNIT_BYTES, UNIT_BLOCK), cacheBytes)
    this.#shared = {
      files: new OpenFiles(disk, dirname(folder)),
      blocks,
      tails: new TailMemory(blocks, cacheBytes / 2),
      unsaved: new UnsavedQueues(),
      lastSerial: 0,
      fileBytes,
    }
    this.#extensionFolder = extension?.folder ?? ''
    this.#sharedByExtensions = extension && {
      files: this.#shared.files,
      blocks: new UnitBlocks(blockBytesFor(extension.fileBytes, 1, EXTENSION_BLOCK), cacheBytes),
      fileBytes: extension.fileBytes,
      isWritten: extension.isWritten,
    }
  }

  /**
   * Finds the queues that have files, and after a clean stop what they contain. Blocks.
   * @param log Its files: units of records before them are expired, and there are none of records behind them
   * @param wasAborted Whether the store was not closed: then only `cut` says what of the files counts
   * @throws StoreError BAD_FILES
   */
  async load(log: { readonly start: number; readonly end: number }, wasAborted: boolean): Promise<void> {
    this.#logStart = log.start
    for (const topic of this.#foldersIn(this.#folder)) {
      for (const id of this.#foldersIn(`${this.#folder}/${topic}`)) {
        if (!QUEUE_ID.test(id)) continue
        const folder = `${this.#folder}/${topic}/${id}`
        const { files, fileBytes } = this.#shared
        const runs = findFiles(files, folder, fileBytes, 'mappedFileSizeConsumeQueue')
        if (runs.length === 0) continue
        const queue = this.#add(topic, Number(id), runs)
        if (runs.length > 1 && !wasAborted) {
          // Somebody removed a file in between: the queue counts as lost, and is rebuilt from the log.
          queue.restart(0)
        } else {
          this.#found++
          if (!wasAborted) queue.recover(Number.POSITIVE_INFINITY, log.start, log.end)
        }
        await queue.removeDiscarded()
      }
    }
  }

  #foldersIn(path: string): string[] {
    return (this.#disk.list(path) ?? []).filter(entry => entry.isFolder).map(entry => entry.name)
  }

  find(topic: string, id: number): ConsumeQueue | undefined {
    return this.#topics.get(topic)?.[id]
  }

  /**
   * The queue, which is made if there is none: in memory only, its first unit makes the first file.
   * @throws StoreError BAD_NAME for a topic or an id that cannot be the name of a folder, BEING_DELETED
   */
  findOrMake(topic: string, id: number): ConsumeQueue {
    const found = this.find(topic, id)
    if (found !== undefined) return found
    if (this.#leaving.has(topic))
      throw new StoreError('BEING_DELETED', `the topic ${topic} is being deleted: try again`)
    if (!isFolderName(topic))
      throw new StoreError('BAD_NAME', `a topic named ${JSON.stringify(topic)} cannot have a folder`)
    if (!Number.isInteger(id) || id < 0 || id > 0x7fff_ffff) throw new StoreError('BAD_NAME', `there is no queue ${id}`)
    return this.#add(topic, id)
  }

  #add(topic: string, id: number, runs?: FileRuns): ConsumeQueue {
    const queues = this.#topics.get(topic)
    const [sibling] = this.all(topic)
    const keyPrefixHash = stringHash(`${topic}#`)
    const folder = `${this.#folder}/${topic}/${id}`
    const queue = new ConsumeQueue({
      topic,
      topicBytes: sibling?.topicBytes ?? this.#bytesOf(topic),
      id,
      keyPrefixHash,
      folder,
      shared: this.#shared,
      runs,
      extension: this.#extensionOf(topic, id),
    })
    if (queues !== undefined) queues[id] = queue
    else this.#topics.set(topic, id === 0 ? [queue] : sparse(id, queue))
    return queue
  }

  /**
   * A topic in UTF-8. Node would put it among short-lived buffers, each piece of 64 KiB of which would stay for the sake of a name.
   */
  #bytesOf(topic: string): Buffer {
    const size = Buffer.byteLength(topic)
    if (size > this.#names.length) this.#names = Buffer.allocUnsafeSlow(NAMES_BYTES)
    const bytes = this.#names.subarray(0, size)
    bytes.write(topic)
    this.#names = this.#names.subarray(size)
    return bytes
  }

  #extensionOf(topic: string, id: number): QueueExtension | undefined {
    const shared = this.#sharedByExtensions
    if (shared === undefined) return undefined
    const folder = `${this.#extensionFolder}/${topic}/${id}`
    const runs = findFiles(shared.files, folder, shared.fileBytes, 'mappedFileSizeConsumeQueueExt')
    if (!shared.isWritten && runs.length === 0) return undefined
    return new QueueExtension(shared, folder, ++this.#shared.lastSerial, runs)
  }

  get topics(): Iterable<string> {
    return this.#topics.keys()
  }

  /** The queues of a topic, or all. */
  *all(topic?: string): Generator<ConsumeQueue> {
    // An id may be any number, so not each index has a queue.
    if (topic !== undefined) yield* Object.values(this.#topics.get(topic) ?? [])
    else for (const queues of this.#topics.values()) yield* Object.values(queues)
  }

  /** How many queues had files at the start. Fewer than the last checkpoint counted: somebody removed some. */
  get found(): number {
    return this.#found
  }

  /** How many queues have files that a power failure leaves. For the checkpoint. */
  get countDurable(): number {
    let count = 0
    for (const queue of this.all()) if (queue.isDurable) count++
    return count
  }

  /** Units of all queues together that lead to the log. */
  get countUnits(): number {
    let count = 0
    for (const queue of this.all()) count += queue.maxOffset - queue.minOffset
    return count
  }

  put(record: DispatchedRecord): void {
    const { queue, queueOffset, position, size, tagsCode, storeTimestamp, sysFlag } = record
    if (!takesOffset(sysFlag)) return
    // A queue begins at 0. If it does not, its files are lost, or the start of the log was deleted, which the whole log shows.
    if (queueOffset > 0 && queue.isNew && !this.#rebuilding) this.#incomplete.add(queue)
    else if (!queue.put(queueOffset, position, size, tagsCode, storeTimestamp)) this.#putElsewhere(record)
  }

  #putElsewhere({ queue, queueOffset, position, size, tagsCode, storeTimestamp }: DispatchedRecord): void {
    const { topic, id, maxOffset } = queue
    if (queueOffset < maxOffset) {
      // The topic was deleted and made again. Apache would ignore the messages until the offset is reached.
      queue.restart(position)
      queue.put(queueOffset, position, size, tagsCode, storeTimestamp)
    } else if (!this.#rebuilding) this.#incomplete.add(queue)
    else if (queueOffset - maxOffset <= LARGEST_GAP) {
      this.#log.error({ topic, queue: id, from: maxOffset, to: queueOffset }, 'messages are missing in the log')
      queue.skipTo(queueOffset)
      queue.put(queueOffset, position, size, tagsCode, storeTimestamp)
    } else this.#log.error({ topic, queue: id, offset: queueOffset, position }, 'a queue offset is impossible')
  }

  /** Queues that lack units of records before those that were put. Only after a recovery in which files had been lost. */
  get incomplete(): ReadonlySet<ConsumeQueue> {
    return this.#incomplete
  }

  /**
   * Discards the incomplete queues, so that putting the whole log again rebuilds them; other queues ignore what they have. From
   * then on messages that are missing in the log leave a gap in their queue.
   */
  async rebuildIncomplete(): Promise<void> {
    this.#rebuilding = true
    for (const queue of this.#incomplete) {
      queue.restart(0)
      await queue.removeDiscarded()
    }
    this.#incomplete.clear()
  }

  /** Discards all queues in the same way. */
  rebuild(): Promise<void> {
    for (const queue of this.all()) this.#incomplete.add(queue)
    return this.rebuildIncomplete()
  }

  get unwritten(): number {
    return this.#shared.unsaved.bytes
  }

  writeSome(ms: number): boolean {
    const { toWrite } = this.#shared.unsaved
    const until = this.#clock.elapsed() + ms
    for (const queue of toWrite) {
      queue.write()
      if (this.#clock.elapsed() >= until) break
    }
    return toWrite.size > 0
  }

  async sync(position: number): Promise<number> {
    const { toSync } = this.#shared.unsaved
    this.#releaseTails()
    const oldest: ConsumeQueue[] = []
    const behind = position - this.#unsyncedFrom(position)
    const most = behind > LATE_BYTES ? SYNCED_AT_ONCE_IF_LATE : SYNCED_AT_ONCE
    for (const queue of toSync) {
      if (oldest.length === most || queue.unsyncedFrom >= position) break
      oldest.push(queue)
    }
    await syncAll(oldest, SYNCS_UNDER_WAY)
    for (const queue of oldest) this.#settling.set(queue, queue.maxOffset)
    return this.#unsyncedFrom(position)
  }

  /** The log position below which all units are durable, at most `position`. */
  #unsyncedFrom(position: number): number {
    let first = position
    for (const queue of this.#shared.unsaved.toSync) first = Math.min(first, queue.unsyncedFrom)
    return first
  }

  #releaseTails(): void {
    for (const [queue, maxOffset] of this.#settling) {
      if (queue.maxOffset === maxOffset) queue.releaseTail()
    }
    this.#settling.clear()
  }

  async cut(position: number): Promise<void> {
    for (const queue of this.all()) {
      if (!queue.hasFiles) continue
      queue.recover(position, this.#logStart)
      await queue.removeDiscarded()
    }
  }

  /** @throws the error of the disk, the first one; the other queues are done nevertheless */
  async dropBefore(start: number): Promise<void> {
    const failures: unknown[] = []
    for (const queue of this.all()) await queue.deleteBefore(start).catch((error: unknown) => failures.push(error))
    if (failures.length > 0) throw failures[0]
  }

  /**
   * Takes the queues of a topic out of the store; what is still put into them is ignored. Until `removeFiles` has removed their
   * files the topic cannot be made again.
   */
  takeOut(topic: string): ConsumeQueue[] {
    const queues = [...this.all(topic)]
    if (queues.length === 0) return queues
    this.#topics.delete(topic)
    this.#leaving.add(topic)
    for (const queue of queues) {
      this.#settling.delete(queue)
      queue.retire()
    }
    return queues
  }

  /** Removes the files of queues that were taken out, all of one topic. @throws the error of the disk */
  async removeFiles(queues: readonly ConsumeQueue[]): Promise<void> {
    const topic = queues[0]?.topic
    if (topic === undefined) return
    try {
      for (const queue of queues) await queue.removeFiles()
      await this.#removeTopicFolder(this.#folder, topic)
      if (this.#sharedByExtensions !== undefined) await this.#removeTopicFolder(this.#extensionFolder, topic)
    } finally {
      this.#leaving.delete(topic)
    }
  }

  async #removeTopicFolder(parent: string, topic: string): Promise<void> {
    const folder = `${parent}/${topic}`
    if (this.#disk.list(folder)?.length === 0) await this.#disk.removeFolder(folder)
    if (this.#disk.exists(parent)) await this.#disk.syncFolder(parent)
  }

  async close(): Promise<void> {
    try {
      await syncAll([...this.#shared.unsaved.toSync], SYNCS_AT_THE_END)
    } finally {
      this.#shared.files.close()
    }
  }

  abandon(): void {
    this.#shared.files.close()
  }
}

/** Makes queues durable, several at the same time. @throws the error of the disk, when it comes */
async function syncAll(queues: readonly ConsumeQueue[], atOnce: number): Promise<void> {
  const left = queues.values()
  const worker = async () => {
    for (const queue of left) await queue.sync()
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

function sparse(id: number, queue: ConsumeQueue): ConsumeQueue[] {
  const queues: ConsumeQueue[] = []
  queues[id] = queue
  return queues
}

/** Whether a topic can be a folder of its own below the folder of the queues. */
function isFolderName(topic: string): boolean {
  return topic !== '' && topic !== '.' && topic !== '..' && !/[/\\\0]/.test(topic) && Buffer.byteLength(topic) <= 255
}
