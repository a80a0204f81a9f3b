import { StoreError } from '../errors.ts'
import { type Disk, type OpenFile, readAll, writeAllSync } from './disk.ts'

/** One file of fixed size in a folder of such files: Apache's MappedFile. Positions are those within the file. */
export class Segment {
  readonly path: string
  /** Position of its first byte in the whole, which is also its name. */
  readonly start: number
  readonly size: number
  readonly #disk: Disk
  #file: OpenFile | undefined
  #uses = 0
  #isClosed = false

  /** @param file The file if it is open already; otherwise it is opened when it is first used. */
  constructor(disk: Disk, path: string, start: number, size: number, file?: OpenFile) {
    this.#disk = disk
    this.path = path
    this.start = start
    this.size = size
    this.#file = file
  }

  get end(): number {
    return this.start + this.size
  }

  /** As `OpenFile.writeSync`. */
  writeSync(bytes: Uint8Array, from: number, to: number, at: number): number {
    return this.#opened().writeSync(bytes, from, to, at)
  }

  /** As `writeAllSync`. */
  writeAllSync(bytes: Uint8Array, from: number, to: number, at: number): void {
    writeAllSync(this.#opened(), bytes, from, to, at)
  }

  /** As `OpenFile.write`. */
  write(bytes: Uint8Array, from: number, to: number, at: number): Promise<number> {
    return this.#use(file => file.write(bytes, from, to, at))
  }

  readSync(into: Uint8Array, from: number, to: number, at: number): number {
    return this.#opened().readSync(into, from, to, at)
  }

  /** Reads all of `into[from, to)`. @throws StoreError READ_FAILED if the file is shorter, the error of the disk */
  async read(into: Uint8Array, from: number, to: number, at: number): Promise<void> {
    await this.#use(file => readAll(file, into, from, to, at))
  }

  /** Gives a file that is too short its full size. */
  complete(): void {
    this.#opened().truncate(this.size)
  }

  /**
   * Leaves zeros from `at` on. The file is cut and made longer again, because it is mostly empty there: reading a gigabyte of nothing
   * took a fifth of a start. After a crash in between it is too short, which `SegmentList.load` mends.
   */
  clearFrom(at: number): void {
    if (at >= this.size) return
    this.#opened().truncate(at)
    this.complete()
  }

  datasync(): Promise<void> {
    return this.#use(file => file.datasync())
  }

  /** Closes the file as soon as no call is under way. */
  close(): void {
    this.#isClosed = true
    this.#closeUnused()
  }

  #opened(): OpenFile {
    if (this.#isClosed) throw new StoreError('CLOSED', `${this.path} has been closed`)
    return (this.#file ??= this.#disk.open(this.path))
  }

  async #use<T>(call: (file: OpenFile) => Promise<T>): Promise<T> {
    const file = this.#opened()
    this.#uses++
    try {
      return await call(file)
    } finally {
      this.#uses--
      this.#closeUnused()
    }
  }

  #closeUnused(): void {
    if (!this.#isClosed || this.#uses > 0) return
    this.#file?.close()
    this.#file = undefined
  }
}
