import { StoreError } from '../errors.ts'
import type { Disk, OpenFile } from './disk.ts'
import { FolderNames } from './folder-names.ts'

interface Entry {
  readonly file: OpenFile
  /** Calls under way that the file must stay open for. */
  users: number
  /** True once the file is to be closed as soon as it has no users. */
  dropped: boolean
}

/**
 * Opens files when they are used, and keeps the most recently used ones open. A store has thousands of queues, each with files of
 * its own: opening all of them would use up the process's descriptors, opening one for each write would make the write four
 * times as expensive.
 */
export class OpenFiles {
  readonly disk: Disk
  /** Of the folders in which the files are. */
  readonly folders: FolderNames
  readonly #limit: number
  /** In the order of their last use. */
  readonly #open = new Map<string, Entry>()
  #isClosed = false

  /**
   * @param root The folder of the store, above all files
   * @param limit Number of files that stay open; more only while more are in use
   */
  constructor(disk: Disk, root: string, limit = 1024) {
    this.disk = disk
    this.folders = new FolderNames(disk, root)
    this.#limit = limit
  }

  /** The file, for use within this turn of the event loop. @throws ENOENT */
  get(path: string): OpenFile {
    return this.#entry(path).file
  }

  /** Creates a file of `size` zeros, for use within this turn. @throws EEXIST, ENOSPC */
  create(path: string, size: number): OpenFile {
    this.#checkOpen(path)
    const file = this.disk.create(path, size)
    this.#add(path, file)
    return file
  }

  /** Runs `work` with the file, which stays open until the promise settles. @throws ENOENT */
  async use<T>(path: string, work: (file: OpenFile) => Promise<T>): Promise<T> {
    const entry = this.#entry(path)
    entry.users++
    try {
      return await work(entry.file)
    } finally {
      entry.users--
      if (entry.dropped && entry.users === 0) entry.file.close()
    }
  }

  /** Closes a file that is about to be removed: now, or when the last call on it ended. */
  drop(path: string): void {
    const entry = this.#open.get(path)
    if (entry === undefined) return
    this.#open.delete(path)
    this.#close(entry)
  }

  /** Closes all files, those in use when their last call has ended. None can be opened afterwards. */
  close(): void {
    this.#isClosed = true
    for (const path of this.#open.keys()) this.drop(path)
  }

  #entry(path: string): Entry {
    const found = this.#open.get(path)
    if (found === undefined) {
      this.#checkOpen(path)
      return this.#add(path, this.disk.open(path))
    }
    this.#open.delete(path)
    this.#open.set(path, found)
    return found
  }

  /** What was read or repaired while the store closed must not open its files again: they may be another process's. */
  #checkOpen(path: string): void {
    if (this.#isClosed) throw new StoreError('CLOSED', `${path} belongs to a store that has been closed`)
  }

  #add(path: string, file: OpenFile): Entry {
    for (const [oldest, entry] of this.#open) {
      if (this.#open.size < this.#limit) break
      if (entry.users === 0) this.drop(oldest)
    }
    const entry = { file, users: 0, dropped: false }
    this.#open.set(path, entry)
    return entry
  }

  #close(entry: Entry): void {
    entry.dropped = true
    if (entry.users === 0) entry.file.close()
  }
}
