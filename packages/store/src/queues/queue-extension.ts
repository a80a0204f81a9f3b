import { readLong, writeLong } from '../log/record-layout.ts'
import type { OpenFiles } from '../files/open-files.ts'
import { type FileRuns, QueueFiles } from './queue-files.ts'
import type { UnitBlocks } from './unit-blocks.ts'

/** Size, tags code, store time, size of the bit map; the bit map follows. */
const HEAD_BYTES = 20
const TAGS_AT = 2
const TAGS_END = 10
/** What must be left in a file behind a unit, for the mark of its end. */
const END_BYTES = 4
const END_OF_FILE = -1
const SMALLEST_TAIL = 16 * HEAD_BYTES

/** What all extensions of a store share. */
export interface SharedByExtensions {
  readonly files: OpenFiles
  readonly blocks: UnitBlocks
  /** Bytes of a file [mappedFileSizeConsumeQueueExt]. */
  readonly fileBytes: number
  /** False if extensions of an earlier time are only read [enableConsumeQueueExt]. */
  readonly isWritten: boolean
}

/**
 * More about the units of a consume queue than they have room for: Apache's ConsumeQueueExt. A unit of the queue then has the address
 * of its extension in the place of the tags code. Ours has no bit map: Apache fills it for SQL filters only.
 *
 * Extensions are written before the units that point to them.
 */
export class QueueExtension {
  /** Whether new units get an extension. */
  readonly isWritten: boolean
  readonly #files: QueueFiles
  readonly #blocks: UnitBlocks
  readonly #serial: number
  readonly #fileBytes: number
  readonly #blockBytes: number
  /** The newest extensions, from `#tailStart` on. */
  #tail = Buffer.alloc(0)
  #tailStart = 0
  #end = 0
  #written = 0
  #synced = 0

  constructor(shared: SharedByExtensions, folder: string, serial: number, runs: FileRuns) {
    const { files, blocks, fileBytes, isWritten } = shared
    this.isWritten = isWritten
    this.#files = new QueueFiles({ open: files, folder, fileBytes, runs, hasBlanks: false })
    this.#blocks = blocks
    this.#blockBytes = blocks.blockBytes
    this.#serial = serial
    this.#fileBytes = fileBytes
    this.#begin(this.#nextFile())
  }

  #begin(end: number): void {
    this.#tail = Buffer.alloc(0)
    this.#tailStart = end
    this.#end = end
    this.#written = end
    this.#synced = end
  }

  /** Adds an extension. @returns Its offset */
  put(tagsCode: number, storeTimestamp: number): number {
    const fileEnd = this.#files.startOf(this.#end) + this.#fileBytes
    if (this.#end + HEAD_BYTES > fileEnd - END_BYTES) this.#endFile(fileEnd)
    const offset = this.#end
    const at = this.#room(HEAD_BYTES)
    this.#tail.writeInt16BE(HEAD_BYTES, at)
    writeLong(this.#tail, at + TAGS_AT, tagsCode)
    writeLong(this.#tail, at + TAGS_END, storeTimestamp)
    this.#tail.writeInt16BE(0, at + HEAD_BYTES - 2)
    this.#end = offset + HEAD_BYTES
    return offset
  }

  #endFile(fileEnd: number): void {
    const left = fileEnd - this.#end
    const at = this.#room(left)
    this.#tail.fill(0, at, at + left)
    this.#tail.writeInt16BE(END_OF_FILE, at)
    this.#end = fileEnd
  }

  /** Makes room behind the end. @returns Where it is in the tail */
  #room(bytes: number): number {
    const used = this.#end - this.#tailStart
    if (used + bytes > this.#tail.length) {
      const grown = Buffer.allocUnsafe(Math.max(SMALLEST_TAIL, 2 * used, used + bytes))
      this.#tail.copy(grown, 0, 0, used)
      this.#tail = grown
    }
    return used
  }

  /** The code of the tags at an offset; `LOADING` if `load` must read it first, undefined if there is nothing. */
  tagsCode(offset: number): number | 'LOADING' | undefined {
    if (offset >= this.#end) return undefined
    if (offset >= this.#tailStart) return readLong(this.#tail, offset - this.#tailStart + TAGS_AT)
    if (this.#isLost(offset)) return undefined
    const first = this.#find(offset)
    const last = this.#find(offset + TAGS_END - 1)
    if (first === undefined || last === undefined) return 'LOADING'
    const at = offset % this.#blockBytes
    if (first === last) return codeAt(first, at)
    const both = Buffer.concat([first.subarray(at), last.subarray(0, TAGS_END)])
    return codeAt(both, 0)
  }

  /** Whether the file with an offset is not there any more. */
  #isLost(offset: number): boolean {
    return offset < (this.#files.starts[0] ?? Number.POSITIVE_INFINITY)
  }

  #find(byte: number): Buffer | undefined {
    if (byte >= this.#tailStart) return this.#tail
    const found = this.#blocks.find(this.#serial, Math.floor(byte / this.#blockBytes))
    return found !== undefined && byte % this.#blockBytes < found.end ? found.bytes : undefined
  }

  /** Reads an extension into memory. @throws the disk's error */
  async load(offset: number): Promise<void> {
    await this.#loadBlock(Math.floor(offset / this.#blockBytes))
    const last = Math.floor((offset + TAGS_END - 1) / this.#blockBytes)
    if (this.#find(offset + TAGS_END - 1) === undefined) await this.#loadBlock(last)
  }

  #loadBlock(block: number): Promise<void> {
    return this.#blocks.load(this.#serial, block, async into => {
      const first = block * this.#blockBytes
      const bytes = Math.min(this.#written - first, this.#blockBytes)
      await this.#files.read(into, first)
      return bytes
    })
  }

  /** Writes all extensions. @throws ENOSPC, EIO */
  write(): void {
    while (this.#written < this.#end) {
      const to = Math.min(this.#end, this.#files.startOf(this.#written) + this.#fileBytes)
      this.#files.write(this.#tail, this.#written - this.#tailStart, to - this.#tailStart, this.#written)
      this.#written = to
    }
    if (this.#end - this.#tailStart > this.#blockBytes) this.releaseTail()
  }

  /** Gives back the memory of what is in the files. */
  releaseTail(): void {
    if (this.#written !== this.#end) return
    this.#tailStart = this.#end
    this.#tail = Buffer.alloc(0)
  }

  /** Makes everything that was written durable. @throws EIO */
  async sync(): Promise<void> {
    const to = this.#written
    await this.#files.sync(this.#synced, to)
    this.#synced = to
  }

  #nextFile(): number {
    return (this.#files.starts.at(-1) ?? -this.#fileBytes) + this.#fileBytes
  }

  /**
   * Continues behind the extension of the queue's last unit, at a start. If that unit has none, a new file begins.
   * @param isCut Whether a crash may have left something behind it, which is discarded
   */
  recover(lastOffset: number | undefined, isCut: boolean): void {
    if (lastOffset === undefined) return this.#begin(this.#nextFile())
    if (isCut) this.#useRunWith(lastOffset)
    if (this.#isLost(lastOffset) || lastOffset >= this.#nextFile()) return this.#beginBehind(lastOffset)
    const head = Buffer.alloc(HEAD_BYTES)
    this.#files.readSync(head, lastOffset)
    const size = head.readInt16BE(0)
    if (size < HEAD_BYTES) return this.#begin(this.#nextFile())
    this.#begin(lastOffset + size)
    if (!isCut) return
    this.#files.truncate(lastOffset + size)
    this.#synced = this.#files.starts[0] as number
    this.#files.distrustNames()
  }

  /** Of the files on both sides of a gap those count to which the queue leads. */
  #useRunWith(offset: number): void {
    while (this.#isLost(offset)) {
      this.#files.truncate(0)
      if (!this.#files.useOlderRun()) break
    }
    this.#files.dropOlderRuns()
  }

  /** Files are lost to which units lead. New extensions must not get their offsets. */
  #beginBehind(lastOffset: number): void {
    this.#files.truncate(0)
    this.#files.dropOlderRuns()
    this.#begin(this.#files.startOf(lastOffset) + this.#fileBytes)
  }

  /** Discards everything. */
  restart(): void {
    this.#files.truncate(0)
    this.#files.dropOlderRuns()
    this.#begin(0)
  }

  /** Removes files that are only before an offset. @throws the disk's error */
  async deleteBefore(offset: number): Promise<void> {
    const { starts } = this.#files
    while (starts.length > 1 && (starts[1] as number) <= offset) this.#files.dropFirst()
    await this.#files.removeDiscarded()
  }

  removeDiscarded(): Promise<void> {
    return this.#files.removeDiscarded()
  }

  /** Removes all files and the folder. */
  async remove(): Promise<void> {
    this.#begin(0)
    await this.#files.remove()
  }
}

function codeAt(bytes: Buffer, at: number): number | undefined {
  return bytes.readInt16BE(at) < HEAD_BYTES ? undefined : readLong(bytes, at + TAGS_AT)
}
