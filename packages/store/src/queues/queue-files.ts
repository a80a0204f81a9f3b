import { type OpenFile, readAll, readAllSync, writeAllSync } from '../files/disk.ts'
import type { OpenFiles } from '../files/open-files.ts'
import { StoreError } from '../errors.ts'
import { fillPreBlank } from './queue-unit.ts'

const NAME = /^\d{20}$/
const BLANK_CHUNK = 20_000
const NO_RUNS: readonly number[][] = []

export interface QueueFilesParts {
  readonly open: OpenFiles
  readonly folder: string
  readonly fileBytes: number
  readonly runs: FileRuns
  /** Whether what is before the first unit of the first file is filled with blank units. */
  readonly hasBlanks: boolean
}

/**
 * The files of one consume queue, or of its extension. Each has full size from its creation, and is named after its first byte. A file is created
 * together with its first unit, because Apache takes a file of zeros for one unit.
 */
export class QueueFiles {
  readonly #open: OpenFiles
  readonly #folder: string
  readonly #fileBytes: number
  readonly #hasBlanks: boolean
  /** First bytes of the files, ascending and without gaps. */
  #starts: number[]
  /**
   * Files before a gap. A power failure makes one in two ways: it brings back files that were removed, or it takes the name of a new
   * file. In the second case the newest run is the wrong one.
   */
  #olderRuns: readonly number[][]
  /** Removed from the queue, but still in the folder. Undefined until there is one: a store has thousands of queues. */
  #discarded: Set<number> | undefined
  #namesChanged = false

  constructor({ open, folder, fileBytes, runs, hasBlanks }: QueueFilesParts) {
    this.#open = open
    this.#folder = folder
    this.#fileBytes = fileBytes
    this.#olderRuns = runs.length > 1 ? runs.slice(0, -1).map(run => [...run]) : NO_RUNS
    this.#starts = [...(runs.at(-1) ?? [])]
    this.#hasBlanks = hasBlanks
  }

  /** First bytes of the files, ascending. */
  get starts(): readonly number[] {
    return this.#starts
  }

  pathOf(start: number): string {
    return `${this.#folder}/${fileName(start)}`
  }

  startOf(byte: number): number {
    return byte - (byte % this.#fileBytes)
  }

  /** Writes units that do not cross a file, and creates the file if they are its first. @throws ENOSPC, EIO */
  write(bytes: Buffer, from: number, to: number, byte: number): void {
    const start = this.startOf(byte)
    const file = this.#starts.includes(start) ? this.#open.get(this.pathOf(start)) : this.#create(start, byte - start)
    writeAllSync(file, bytes, from, to, byte - start)
  }

  /** Reads from one file, as much as is asked for. @throws ENOENT, EIO; StoreError READ_FAILED if the file is shorter */
  async read(into: Buffer, byte: number): Promise<void> {
    const start = this.startOf(byte)
    await this.#open.use(this.pathOf(start), file => readAll(file, into, 0, into.length, byte - start))
  }

  /** The same, blocking: for starts only. */
  readSync(into: Buffer, byte: number): void {
    const start = this.startOf(byte)
    readAllSync(this.#open.get(this.pathOf(start)), into, 0, into.length, byte - start)
  }

  /** Makes `[from, to)` durable, with the names of the files. @throws the disk's error; a later call does it all again */
  async sync(from: number, to: number): Promise<void> {
    const namesChanged = this.#namesChanged
    this.#namesChanged = false
    try {
      await this.removeDiscarded()
      await this.#syncFiles(from, to)
      await this.#syncNames(namesChanged)
    } catch (error) {
      this.#namesChanged ||= namesChanged
      throw error
    }
  }

  async #syncFiles(from: number, to: number): Promise<void> {
    for (const start of this.#starts.slice()) {
      // Old files may be removed while a newer one is synced.
      if (start + this.#fileBytes <= from || start >= to || !this.#starts.includes(start)) continue
      await this.#open.use(this.pathOf(start), file => file.datasync())
    }
  }

  async #syncNames(namesChanged: boolean): Promise<void> {
    if (!this.#open.disk.exists(this.#folder)) return
    if (namesChanged) await this.#open.disk.syncFolder(this.#folder)
    await this.#open.folders.sync(this.#folder)
  }

  /** Lets the next sync make the names of all files durable: a process that was killed may have left them in memory only. */
  distrustNames(): void {
    this.#namesChanged = true
  }

  /** Makes zeros of everything from `byte` on, and removes the files behind it. A file that starts at `byte` goes, too. */
  truncate(byte: number): void {
    while (this.#starts.length > 0 && (this.#starts.at(-1) as number) >= byte)
      this.#discard(this.#starts.pop() as number)
    const start = this.#starts.at(-1)
    if (start === undefined || byte - start >= this.#fileBytes) return
    const file = this.#open.get(this.pathOf(start))
    file.truncate(byte - start)
    file.truncate(this.#fileBytes)
  }

  /** Goes on with the files before the gap, after `truncate` discarded those behind it. @returns False if there are none */
  useOlderRun(): boolean {
    const run = this.#olderRuns.at(-1)
    if (run === undefined) return false
    this.#starts = run
    this.#olderRuns = this.#olderRuns.slice(0, -1)
    return true
  }

  /** Discards the files of other runs. */
  dropOlderRuns(): void {
    for (const start of this.#olderRuns.flat()) this.#discard(start)
    this.#olderRuns = NO_RUNS
  }

  /** Takes the first file out of the queue. `removeDiscarded` removes it from the folder. */
  dropFirst(): void {
    this.#discard(this.#starts.shift() as number)
  }

  /** Removes what was taken out of the queue. */
  async removeDiscarded(): Promise<void> {
    for (const start of this.#discarded ?? []) {
      this.#discarded?.delete(start)
      try {
        await this.#open.disk.unlink(this.pathOf(start))
      } catch (error) {
        this.#addDiscarded(start)
        throw error
      }
    }
  }

  /** Removes all files and the folder. */
  async remove(): Promise<void> {
    this.truncate(0)
    await this.removeDiscarded()
    const { disk } = this.#open
    if (disk.list(this.#folder)?.length === 0) await disk.removeFolder(this.#folder)
  }

  #discard(start: number): void {
    this.#open.drop(this.pathOf(start))
    this.#addDiscarded(start)
    this.#namesChanged = true
  }

  #addDiscarded(start: number): void {
    this.#discarded ??= new Set()
    this.#discarded.add(start)
  }

  /** @param first Position of the first unit in the file; units before it are blank if it is the first file of the queue. */
  #create(start: number, first: number): OpenFile {
    const path = this.pathOf(start)
    if (!this.#open.disk.exists(this.#folder)) this.#open.folders.make(this.#folder)
    this.#namesChanged = true
    const file =
      this.#discarded?.delete(start) === true ? this.#emptied(path) : this.#open.create(path, this.#fileBytes)
    try {
      if (this.#hasBlanks) writeBlanks(file, first)
    } catch (error) {
      // Without its blank units it counts for nothing: the next write of the first unit begins it again.
      this.#addDiscarded(start)
      throw error
    }
    // An array that grows by `push` has room for 17 numbers.
    this.#starts = this.#starts.concat(start)
    return file
  }

  #emptied(path: string): OpenFile {
    const file = this.#open.get(path)
    file.truncate(0)
    file.truncate(this.#fileBytes)
    return file
  }
}

/** Fills a file up to its first unit. @throws ENOSPC, EIO */
function writeBlanks(file: OpenFile, end: number): void {
  const blank = Buffer.allocUnsafe(Math.min(end, BLANK_CHUNK))
  fillPreBlank(blank)
  for (let at = 0; at < end; at += blank.length) writeAllSync(file, blank, 0, Math.min(blank.length, end - at), at)
}

/** The first bytes of the files in the folder of a queue, ascending. A gap between files ends a run and begins another. */
export type FileRuns = readonly (readonly number[])[]

/**
 * Finds the files of a queue in its folder. One that a crash left short, while it was created or cut, gets its full size.
 * @param option The name of the option that says how large they are
 * @throws StoreError BAD_FILES if the option was another when they were written
 */
export function findFiles(open: OpenFiles, folder: string, fileBytes: number, option: string): FileRuns {
  const entries = (open.disk.list(folder) ?? []).filter(({ name, isFolder }) => !isFolder && NAME.test(name))
  const runs: number[][] = []
  for (const { name, size } of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = `${folder}/${name}`
    const start = Number(name)
    if (size > fileBytes || start % fileBytes !== 0) throw wrongSize(path, size, fileBytes, option)
    if (size < fileBytes) open.get(path).truncate(fileBytes)
    const run = runs.at(-1)
    if (run?.at(-1) === start - fileBytes) run.push(start)
    else runs.push([start])
  }
  return runs
}

function wrongSize(path: string, size: number, expected: number, option: string): StoreError {
  const found = `${path} has ${size} bytes, but files of ${expected} bytes are expected (${option}).`
  return new StoreError(
    'BAD_FILES',
    `${found} Set the size with which the files were written, or remove the folder: the queue is rebuilt from the log.`,
  )
}

function fileName(start: number): string {
  return String(start).padStart(20, '0')
}
