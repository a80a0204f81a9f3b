import { basename, dirname } from 'node:path'
import { type Disk, type DiskSpace, diskError, type FolderEntry, type OpenFile } from './disk.ts'

/** Files above this size are kept in large chunks: logs, not queues, of which there may be thousands. */
const LARGE_FILE = 32 << 20
const LARGE_CHUNK = 256 << 10
const SMALL_CHUNK = 4 << 10

export interface MemoryDiskOptions {
  /** Bytes after which a write fails with ENOSPC. Default: no limit. */
  readonly capacity?: number
  /** The time of day, for the times of files. Default: the machine's. */
  readonly now?: () => number
}

/** Files in memory, which take as much of it as was written to them. For tests, and for brokers that keep nothing. */
export class MemoryDisk implements Disk {
  #files = new Map<string, Content>()
  #folders = new Set<string>(['/'])
  readonly #claims = new Set<string>()
  #volume: Volume
  readonly #user: DiskUser = { isAlive: true }

  constructor({ capacity = Number.POSITIVE_INFINITY, now = Date.now }: MemoryDiskOptions = {}) {
    this.#volume = { capacity, used: 0, now }
  }

  /**
   * Ends the use of this disk, as kill -9 ends a process: all that is done with it from now on fails.
   * @returns The disk as the next process finds it, with everything that was written
   */
  afterKill(): MemoryDisk {
    this.#user.isAlive = false
    const next = new MemoryDisk()
    next.#files = this.#files
    next.#folders = this.#folders
    next.#volume = this.#volume
    return next
  }

  open(path: string): OpenFile {
    checkAlive(this.#user)
    const content = this.#files.get(path)
    if (content === undefined) throw diskError('ENOENT', `no such file: ${path}`)
    return new MemoryFile(path, content, this.#user)
  }

  create(path: string, size: number): OpenFile {
    checkAlive(this.#user)
    if (this.exists(path)) throw diskError('EEXIST', `the file exists: ${path}`)
    if (!this.#folders.has(dirname(path))) throw diskError('ENOENT', `no such folder: ${dirname(path)}`)
    const content = new Content(size, this.#volume)
    this.#files.set(path, content)
    return new MemoryFile(path, content, this.#user)
  }

  makeFolder(path: string): void {
    checkAlive(this.#user)
    for (let at = path; !this.#folders.has(at); at = dirname(at)) this.#folders.add(at)
  }

  list(path: string): readonly FolderEntry[] | undefined {
    checkAlive(this.#user)
    if (!this.#folders.has(path)) return undefined
    const entries: FolderEntry[] = []
    for (const [file, { size, modified }] of this.#files) {
      if (dirname(file) === path) entries.push({ name: basename(file), size, isFolder: false, modified })
    }
    for (const folder of this.#folders) {
      if (folder === path || dirname(folder) !== path) continue
      entries.push({ name: basename(folder), size: 0, isFolder: true, modified: 0 })
    }
    return entries
  }

  exists(path: string): boolean {
    checkAlive(this.#user)
    return this.#files.has(path) || this.#folders.has(path)
  }

  rename(from: string, to: string): void {
    checkAlive(this.#user)
    const content = this.#files.get(from)
    if (content === undefined) throw diskError('ENOENT', `no such file: ${from}`)
    if (from === to) return
    this.#files.get(to)?.resize(0)
    this.#files.delete(from)
    this.#files.set(to, content)
  }

  async unlink(path: string): Promise<void> {
    checkAlive(this.#user)
    const content = this.#files.get(path)
    if (content === undefined) throw diskError('ENOENT', `no such file: ${path}`)
    this.#files.delete(path)
    content.resize(0)
  }

  async removeFolder(path: string): Promise<void> {
    const entries = this.list(path)
    if (entries === undefined) throw diskError('ENOENT', `no such folder: ${path}`)
    if (entries.length > 0) throw diskError('ENOTEMPTY', `the folder is not empty: ${path}`)
    this.#folders.delete(path)
  }

  async syncFolder(): Promise<void> {
    checkAlive(this.#user)
  }

  async space(): Promise<DiskSpace> {
    const { capacity, used } = this.#volume
    const total = Number.isFinite(capacity) ? capacity : Number.MAX_SAFE_INTEGER
    return { total, usable: total - used, free: total - used }
  }

  async lock(path: string): Promise<Disposable> {
    checkAlive(this.#user)
    if (this.#claims.has(path)) throw diskError('EBUSY', `${path} is claimed by another store on this disk`)
    this.#claims.add(path)
    return { [Symbol.dispose]: () => void this.#claims.delete(path) }
  }
}

/** The process that uses a disk. */
interface DiskUser {
  isAlive: boolean
}

function checkAlive(user: DiskUser): void {
  if (!user.isAlive) throw diskError('EIO', 'the process that used this disk has been killed')
}

/** What all files of a disk share. */
interface Volume {
  readonly capacity: number
  used: number
  readonly now: () => number
}

/** The bytes of a file. A chunk exists once something was written to it; all else is zeros. */
class Content {
  size: number
  modified: number
  readonly #chunkSize: number
  readonly #chunks = new Map<number, Uint8Array>()
  readonly #volume: Volume

  constructor(size: number, volume: Volume) {
    this.size = size
    this.#volume = volume
    this.#chunkSize = size > LARGE_FILE ? LARGE_CHUNK : SMALL_CHUNK
    this.modified = volume.now()
  }

  write(bytes: Uint8Array, from: number, to: number, at: number): number {
    let done = from
    while (done < to) {
      const position = at + done - from
      const chunk = this.#chunkFor(Math.floor(position / this.#chunkSize))
      if (chunk === undefined) break
      const start = position % this.#chunkSize
      const count = Math.min(to - done, this.#chunkSize - start)
      chunk.set(bytes.subarray(done, done + count), start)
      done += count
    }
    if (done === from && to > from) throw diskError('ENOSPC', 'the memory disk is full')
    this.size = Math.max(this.size, at + done - from)
    this.modified = this.#volume.now()
    return done - from
  }

  read(into: Uint8Array, from: number, to: number, at: number): number {
    const end = Math.min(to, from + Math.max(this.size - at, 0))
    for (let done = from; done < end; ) {
      const position = at + done - from
      const start = position % this.#chunkSize
      const count = Math.min(end - done, this.#chunkSize - start)
      const chunk = this.#chunks.get(Math.floor(position / this.#chunkSize))
      if (chunk === undefined) into.fill(0, done, done + count)
      else into.set(chunk.subarray(start, start + count), done)
      done += count
    }
    return Math.max(end - from, 0)
  }

  resize(size: number): void {
    const last = Math.floor(size / this.#chunkSize)
    for (const [number, chunk] of this.#chunks) {
      if (number * this.#chunkSize >= size) {
        this.#chunks.delete(number)
        this.#volume.used -= this.#chunkSize
      } else if (number === last) chunk.fill(0, size % this.#chunkSize)
    }
    this.size = size
  }

  /** Undefined if the disk is full. */
  #chunkFor(number: number): Uint8Array | undefined {
    const found = this.#chunks.get(number)
    if (found !== undefined) return found
    if (this.#volume.used + this.#chunkSize > this.#volume.capacity) return undefined
    const chunk = new Uint8Array(this.#chunkSize)
    this.#chunks.set(number, chunk)
    this.#volume.used += this.#chunkSize
    return chunk
  }
}

class MemoryFile implements OpenFile {
  readonly path: string
  readonly #content: Content
  readonly #user: DiskUser

  constructor(path: string, content: Content, user: DiskUser) {
    this.path = path
    this.#content = content
    this.#user = user
  }

  get size(): number {
    return this.#content.size
  }

  writeSync(bytes: Uint8Array, from: number, to: number, at: number): number {
    checkAlive(this.#user)
    return this.#content.write(bytes, from, to, at)
  }

  async write(bytes: Uint8Array, from: number, to: number, at: number): Promise<number> {
    checkAlive(this.#user)
    return this.#content.write(bytes, from, to, at)
  }

  readSync(into: Uint8Array, from: number, to: number, at: number): number {
    checkAlive(this.#user)
    return this.#content.read(into, from, to, at)
  }

  async read(into: Uint8Array, from: number, to: number, at: number): Promise<number> {
    checkAlive(this.#user)
    return this.#content.read(into, from, to, at)
  }

  async datasync(): Promise<void> {
    checkAlive(this.#user)
  }

  truncate(size: number): void {
    checkAlive(this.#user)
    this.#content.resize(size)
  }

  close(): void {}
}
