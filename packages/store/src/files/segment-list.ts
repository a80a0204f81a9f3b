import { join } from 'node:path'
import { StoreError } from '../errors.ts'
import { type Disk, diskErrorCode } from './disk.ts'
import { Segment } from './segment.ts'

const NAME_DIGITS = 20

/** The name of the file that begins at `start`: Apache's UtilAll.offset2FileName. */
function segmentName(start: number): string {
  return String(start).padStart(NAME_DIGITS, '0')
}

/** The files of a folder, each of the same size and named after the position at which it begins: Apache's MappedFileQueue. */
export class SegmentList {
  readonly folder: string
  /** Bytes of each file. */
  readonly size: number
  readonly #disk: Disk
  readonly #segments: Segment[] = []

  constructor(disk: Disk, folder: string, size: number) {
    this.#disk = disk
    this.folder = folder
    this.size = size
  }

  /** Oldest first. */
  get all(): readonly Segment[] {
    return this.#segments
  }

  get first(): Segment | undefined {
    return this.#segments[0]
  }

  get last(): Segment | undefined {
    return this.#segments.at(-1)
  }

  /**
   * Finds the files of the folder. A folder inside is ignored, as in Apache 5.x.
   * @param isTorn Whether the store was not closed: then a file that is too short was just being created, and is completed.
   * @throws StoreError BAD_FILES if there is a file of another size or with another kind of name: Apache would not start with it
   */
  async load(isTorn: boolean): Promise<void> {
    const files = (this.#disk.list(this.folder) ?? []).filter(entry => !entry.isFolder)
    files.sort((a, b) => (a.name < b.name ? -1 : 1))
    for (const { name, size } of files) {
      const path = join(this.folder, name)
      const start = /^\d{20}$/.test(name) ? Number(name) : Number.NaN
      if (!Number.isSafeInteger(start)) {
        throw new StoreError('BAD_FILES', `${path} is not a file of the store: move it to another folder`)
      }
      const isUnfinished = isTorn && size < this.size
      if ((size !== this.size && !isUnfinished) || start % this.size !== 0) {
        throw new StoreError(
          'BAD_FILES',
          `${path} has ${size} bytes where files of ${this.size} are expected. Set the size with which the store was created; or, if other files have that size, this one was cut off or extended: after \`truncate -s ${this.size}\` only the messages that it has lost are missing`,
        )
      }
      const segment = new Segment(this.#disk, path, start, this.size)
      if (isUnfinished) await this.#complete(segment)
      this.#segments.push(segment)
    }
  }

  async #complete(segment: Segment): Promise<void> {
    segment.complete()
    await segment.datasync()
  }

  /** The file that contains a position. */
  find(position: number): Segment | undefined {
    const first = this.#segments[0]
    if (first === undefined || position < first.start) return undefined
    const guess = this.#segments[Math.floor((position - first.start) / this.size)]
    if (guess !== undefined && guess.start <= position && position < guess.end) return guess
    // A file in between is missing.
    return this.#segments.find(segment => segment.start <= position && position < segment.end)
  }

  /** Whether the file that contained a position is not there any more: it was deleted, or lost from between others. */
  isGone(position: number): boolean {
    const { first, last } = this
    if (first === undefined || last === undefined || position < first.start) return true
    if (last.end - first.start === this.#segments.length * this.size) return false
    return position < last.end && this.find(position) === undefined
  }

  /** Where files are missing between others, from one position to another. */
  get gaps(): { readonly from: number; readonly to: number }[] {
    const gaps: { from: number; to: number }[] = []
    let end = this.first?.start ?? 0
    for (const segment of this.#segments) {
      if (segment.start > end) gaps.push({ from: end, to: segment.start })
      end = segment.end
    }
    return gaps
  }

  /** The first file that begins at or behind a position. */
  next(position: number): Segment | undefined {
    return this.#segments.find(segment => segment.start >= position)
  }

  /**
   * Creates the file that begins at `start` in the folder, which must exist. It belongs to the list only after `adopt`, and its
   * name is durable only after `makeDurable`.
   * @throws the error of the disk
   */
  create(start: number): Segment {
    const path = join(this.folder, segmentName(start))
    return new Segment(this.#disk, path, start, this.size, this.#disk.create(path, this.size))
  }

  /** Makes a created file the last of the list. */
  adopt(segment: Segment): void {
    this.#segments.push(segment)
  }

  /** Takes a file out of the list. It stays open, and on the disk. */
  release(segment: Segment): void {
    const index = this.#segments.indexOf(segment)
    if (index >= 0) this.#segments.splice(index, 1)
  }

  /** Makes the size and the name of a new file durable. @throws the error of the disk */
  async makeDurable(segment: Segment): Promise<void> {
    await segment.datasync()
    await this.#disk.syncFolder(this.folder)
  }

  /** Removes a file from the list and from the disk; the caller syncs the folder. @throws the error of the disk */
  async remove(segment: Segment): Promise<void> {
    this.release(segment)
    segment.close()
    try {
      await this.#disk.unlink(segment.path)
    } catch (error) {
      if (diskErrorCode(error) !== 'ENOENT') throw error
    }
  }

  syncFolder(): Promise<void> {
    return this.#disk.syncFolder(this.folder)
  }

  close(): void {
    for (const segment of this.#segments) segment.close()
  }
}
