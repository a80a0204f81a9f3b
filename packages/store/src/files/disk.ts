import { dirname } from 'node:path'
import { StoreError } from '../errors.ts'

/**
 * The calls that a store makes of a file system, and nothing else of the store touches files. So a store in memory is the same
 * store on another disk, and a disk that fails on purpose passes through every place where a crash may happen.
 *
 * Errors are those of Node: `code` is `ENOENT`, `EEXIST`, `ENOSPC`, `EIO` and so on. Paths are absolute.
 */
export interface Disk {
  /** Opens an existing file for reading and writing. @throws ENOENT */
  open(path: string): OpenFile
  /** Creates a file of `size` zeros without taking space for them. @throws EEXIST; ENOENT if the folder is missing */
  create(path: string, size: number): OpenFile
  /** Creates a folder and those above it; an existing one is fine. */
  makeFolder(path: string): void
  /** What a folder contains, unordered; undefined if there is no such folder. */
  list(path: string): readonly FolderEntry[] | undefined
  exists(path: string): boolean
  /** Renames a file, replacing one of that name. */
  rename(from: string, to: string): void
  /** Removes a file. In the background, because the file system frees the blocks of a large file slowly. @throws ENOENT */
  unlink(path: string): Promise<void>
  /** Removes an empty folder. @throws ENOTEMPTY, ENOENT */
  removeFolder(path: string): Promise<void>
  /** Makes the names in a folder durable: files created, renamed and removed. */
  syncFolder(path: string): Promise<void>
  /** Bytes of the file system that holds `path`: all of it, and what this user may still take. */
  space(path: string): Promise<DiskSpace>
  /**
   * Claims a file for this process until it is disposed or the process ends, however it ends.
   * @throws EBUSY if another store, in whatever process, has claimed it; the message names the process if it is known
   */
  lock(path: string): Promise<Disposable>
}

export interface FolderEntry {
  readonly name: string
  /** Bytes; 0 for a folder. */
  readonly size: number
  readonly isFolder: boolean
  /** When the content was last changed, milliseconds since the epoch. */
  readonly modified: number
}

export interface DiskSpace {
  readonly total: number
  /** Free for this user, without what is reserved for the superuser. */
  readonly usable: number
  /** Free, including what is reserved for the superuser. */
  readonly free: number
}

/** A file of fixed size. Reads and writes name their position. */
export interface OpenFile {
  readonly path: string
  readonly size: number
  /**
   * Writes `bytes[from, to)` at position `at`.
   * @returns How many bytes were written; it may be fewer than asked. @throws ENOSPC, EIO
   */
  writeSync(bytes: Uint8Array, from: number, to: number, at: number): number
  /** The same in libuv's pool. `bytes` must stay unchanged until it resolves. */
  write(bytes: Uint8Array, from: number, to: number, at: number): Promise<number>
  /** Reads into `into[from, to)` from position `at`; fewer bytes at the end of the file. Blocks: for starts and recovery only. */
  readSync(into: Uint8Array, from: number, to: number, at: number): number
  /** The same in libuv's pool. */
  read(into: Uint8Array, from: number, to: number, at: number): Promise<number>
  /** Resolves when everything written before the call survives a power failure. @throws EIO: nothing is known then */
  datasync(): Promise<void>
  /** Changes the size. Bytes beyond the old size are zeros. */
  truncate(size: number): void
  /** Closes the file. No read, write or sync may be under way. */
  close(): void
}

/** An error as Node's file system throws it. */
export function diskError(code: string, message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${message}`), { code })
}

/** The code of an error of a disk; undefined for any other error. */
export function diskErrorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code
}

/** Whether an error says that there is no space, of the disk or of the user's quota. */
export function isDiskFull(error: unknown): boolean {
  const code = diskErrorCode(error)
  return code === 'ENOSPC' || code === 'EDQUOT'
}

/** Writes all of `bytes[from, to)`, which takes several calls if the disk writes short. @throws ENOSPC, EIO */
export function writeAllSync(file: OpenFile, bytes: Uint8Array, from: number, to: number, at: number): void {
  for (let done = from; done < to; ) {
    const written = file.writeSync(bytes, done, to, at + done - from)
    if (written <= 0) throw diskError('ENOSPC', `no byte of ${to - done} was written to ${file.path}`)
    done += written
  }
}

/** The same in libuv's pool. `bytes` must stay unchanged until it resolves. @throws ENOSPC, EIO */
export async function writeAll(file: OpenFile, bytes: Uint8Array, from: number, to: number, at: number): Promise<void> {
  for (let done = from; done < to; ) {
    const written = await file.write(bytes, done, to, at + done - from)
    if (written <= 0) throw diskError('ENOSPC', `no byte of ${to - done} was written to ${file.path}`)
    done += written
  }
}

/** Reads all of `into[from, to)`. @throws StoreError READ_FAILED if the file is shorter; the error of the disk */
export async function readAll(file: OpenFile, into: Uint8Array, from: number, to: number, at: number): Promise<void> {
  for (let done = from; done < to; ) {
    const count = await file.read(into, done, to, at + done - from)
    if (count === 0) throw endsBefore(file, at + to - from)
    done += count
  }
}

/** The same, blocking: for starts and recovery only. */
export function readAllSync(file: OpenFile, into: Uint8Array, from: number, to: number, at: number): void {
  for (let done = from; done < to; ) {
    const count = file.readSync(into, done, to, at + done - from)
    if (count === 0) throw endsBefore(file, at + to - from)
    done += count
  }
}

function endsBefore({ path }: OpenFile, end: number): StoreError {
  return new StoreError('READ_FAILED', `${path} ends before byte ${end}`)
}

/**
 * Makes a folder, and its name durable, with those above it. Those that exist are synced too: the process that made them may have
 * been killed before it did that. @throws the error of the disk
 */
export async function makeFolderDurably(disk: Disk, path: string): Promise<void> {
  const exists = disk.exists(path)
  if (!exists) disk.makeFolder(path)
  await disk.syncFolder(dirname(path))
  for (let at = dirname(path); dirname(at) !== at; at = dirname(at)) {
    try {
      await disk.syncFolder(dirname(at))
    } catch (error) {
      // A folder far above may belong to another user, who made it long ago.
      if (!ABOVE_OTHERS.has(diskErrorCode(error) ?? '')) throw error
    }
  }
}

const ABOVE_OTHERS = new Set(['EACCES', 'EPERM', 'EINVAL'])
