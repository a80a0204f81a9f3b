import { basename, dirname } from 'node:path'
import { type Disk, type DiskSpace, diskError, type FolderEntry, type OpenFile } from '../files/disk.ts'
import { FaultyFile, type Survival } from './faulty-file.ts'
import type { Numbers } from '@gantrymq/remoting/testing'

export type OperationKind =
  | 'create'
  | 'datasync'
  | 'makeFolder'
  | 'removeFolder'
  | 'rename'
  | 'syncFolder'
  | 'truncate'
  | 'unlink'
  | 'write'

/** Something that changes the disk, or makes changes durable. */
export interface Operation {
  readonly kind: OperationKind
  readonly path: string
  /** 1 for the first operation of the disk. */
  readonly number: number
}

/**
 * What happens instead: the process ends before the operation, after it, or in the middle of a write; the operation fails; a
 * write writes only a part; nothing is done, although the operation reports success.
 */
export type DiskFault =
  | 'crash before'
  | 'crash within'
  | 'crash after'
  | 'write short'
  | 'pretend'
  | { readonly fails: 'EDQUOT' | 'EIO' | 'ENOSPC' }

export interface FaultyDiskOptions {
  readonly numbers: Numbers
  /** The time of day. Default: always 0. */
  readonly now?: () => number
  /** Asked before each operation. Default: no fault ever. */
  readonly fault?: (operation: Operation) => DiskFault | undefined
  /** Completes an operation that runs in the background. Default: in a microtask. */
  readonly complete?: (completion: () => void) => void
}

/** What each operation throws after the crash. */
export class DiskCrash extends Error {
  override readonly name = 'DiskCrash'
}

type Entry = FaultyFile | 'folder'

/** As in the errors of Node. */
const SYSCALLS: Readonly<Partial<Record<OperationKind, string>>> = { datasync: 'fdatasync', syncFolder: 'fsync' }

interface NameChange {
  readonly folder: string
  apply(names: Map<string, Entry>): void
}

/**
 * A disk in memory that loses what was not synced. It knows for each file which bytes are durable, and for each folder which names:
 * what `restarted` returns has everything after a killed process; after a power failure chance decides for each sector and each name
 * that was changed since the last sync.
 *
 * It is stricter than real file systems: a new file may be lost although it was synced, if its folder was not; of two changes of
 * names the later may survive alone.
 */
export class FaultyDisk implements Disk {
  #names = new Map<string, Entry>([['/', 'folder']])
  #durableNames = new Map<string, Entry>([['/', 'folder']])
  #nameChanges: NameChange[] = []
  readonly #claims = new Set<string>()
  #operations = 0
  #hasCrashed = false
  readonly #options: FaultyDiskOptions

  constructor(options: FaultyDiskOptions) {
    this.#options = options
  }

  get operations(): number {
    return this.#operations
  }

  get hasCrashed(): boolean {
    return this.#hasCrashed
  }

  /** Ends the process that uses the disk: everything fails from now on. */
  crash(): void {
    this.#hasCrashed = true
  }

  /**
   * The disk as the next process finds it; this one stays crashed. `power`: what was not synced is lost; how much of it, says
   * `survival`.
   */
  restarted(
    how: { readonly power: false } | { readonly power: true; readonly survival: Survival },
    options: FaultyDiskOptions = this.#options,
  ): FaultyDisk {
    this.#hasCrashed = true
    const next = new FaultyDisk(options)
    next.#names = this.#names
    next.#durableNames = this.#durableNames
    next.#nameChanges = this.#nameChanges
    if (how.power) next.#loseUnsynced(how.survival)
    return next
  }

  #loseUnsynced(survival: Survival): void {
    const { numbers } = this.#options
    const names = new Map(this.#durableNames)
    for (const change of this.#nameChanges) {
      const keeps = survival === 'some' ? numbers(2) === 0 : survival === 'all'
      if (keeps) change.apply(names)
    }
    for (const path of names.keys()) if (!isReachable(path, names)) names.delete(path)
    for (const entry of new Set(names.values())) if (entry !== 'folder') entry.loseUnsynced(survival, numbers)
    this.#names = names
    this.#durableNames = new Map(names)
    this.#nameChanges = []
  }

  open(path: string): OpenFile {
    this.#checkAlive()
    return this.#opened(path, this.#file(path))
  }

  create(path: string, size: number): OpenFile {
    return this.#run('create', path, () => {
      if (this.#names.has(path)) throw diskError('EEXIST', `the file exists: ${path}`)
      if (this.#names.get(dirname(path)) !== 'folder') throw diskError('ENOENT', `no such folder: ${dirname(path)}`)
      const file = new FaultyFile(size, this.#now())
      this.#change(dirname(path), names => names.set(path, file))
      return this.#opened(path, file)
    })
  }

  makeFolder(path: string): void {
    this.#checkAlive()
    const missing: string[] = []
    for (let at = path; !this.#names.has(at); at = dirname(at)) missing.unshift(at)
    for (const folder of missing) {
      this.#run('makeFolder', folder, () => this.#change(dirname(folder), names => names.set(folder, 'folder')))
    }
  }

  list(path: string): readonly FolderEntry[] | undefined {
    this.#checkAlive()
    if (this.#names.get(path) !== 'folder') return undefined
    const entries: FolderEntry[] = []
    for (const [at, entry] of this.#names) {
      if (at === path || dirname(at) !== path) continue
      entries.push(
        entry === 'folder'
          ? { name: basename(at), size: 0, isFolder: true, modified: 0 }
          : { name: basename(at), size: entry.size, isFolder: false, modified: entry.modified },
      )
    }
    return entries
  }

  exists(path: string): boolean {
    this.#checkAlive()
    return this.#names.has(path)
  }

  rename(from: string, to: string): void {
    this.#run('rename', from, () => {
      const file = this.#file(from)
      this.#change(dirname(to), names => {
        names.delete(from)
        names.set(to, file)
      })
    })
  }

  unlink(path: string): Promise<void> {
    return this.#runLater('unlink', path, () => {
      this.#file(path)
      this.#change(dirname(path), names => names.delete(path))
    })
  }

  removeFolder(path: string): Promise<void> {
    return this.#runLater('removeFolder', path, () => {
      const entries = this.list(path)
      if (entries === undefined) throw diskError('ENOENT', `no such folder: ${path}`)
      if (entries.length > 0) throw diskError('ENOTEMPTY', `the folder is not empty: ${path}`)
      this.#change(dirname(path), names => names.delete(path))
    })
  }

  syncFolder(path: string): Promise<void> {
    const changes = this.#nameChanges.filter(change => change.folder === path)
    return this.#runLater('syncFolder', path, fault => {
      if (this.#names.get(path) !== 'folder') throw diskError('ENOENT', `no such folder: ${path}`)
      if (fault === 'pretend') return
      for (const change of changes) {
        const index = this.#nameChanges.indexOf(change)
        if (index < 0) continue
        this.#nameChanges.splice(index, 1)
        change.apply(this.#durableNames)
      }
    })
  }

  async space(): Promise<DiskSpace> {
    this.#checkAlive()
    return { total: 2 ** 40, usable: 2 ** 39, free: 2 ** 39 }
  }

  async lock(path: string): Promise<Disposable> {
    this.#checkAlive()
    if (this.#claims.has(path)) throw diskError('EBUSY', `${path} is claimed by another store on this disk`)
    const claims = this.#claims.add(path)
    return { [Symbol.dispose]: () => void claims.delete(path) }
  }

  #opened(path: string, file: FaultyFile): OpenFile {
    const write = (bytes: Uint8Array, from: number, to: number, at: number, fault: DiskFault | undefined): number => {
      const isPart = fault === 'write short' || fault === 'crash within'
      // A disk that writes nothing says why; stores take it for a full one.
      const least = fault === 'write short' ? 1 : 0
      const end = isPart ? Math.min(from + least + this.#options.numbers(to - from), to) : to
      if (fault !== 'pretend') file.write(bytes.subarray(from, end), at, this.#now())
      return end - from
    }
    return {
      path,
      get size() {
        return file.size
      },
      writeSync: (bytes, from, to, at) => this.#run('write', path, fault => write(bytes, from, to, at, fault)),
      write: (bytes, from, to, at) => this.#runLater('write', path, fault => write(bytes, from, to, at, fault)),
      readSync: (into, from, to, at) => {
        this.#checkAlive()
        return file.read(into, from, to, at)
      },
      read: (into, from, to, at) => this.#later(() => file.read(into, from, to, at)),
      datasync: () => {
        const { newest } = file
        return this.#runLater(
          'datasync',
          path,
          fault => {
            if (fault !== 'pretend') file.sync(newest)
          },
          () => file.forget(newest),
        )
      },
      truncate: size => this.#run('truncate', path, () => file.resize(size, this.#now())),
      close: () => this.#checkAlive(),
    }
  }

  #file(path: string): FaultyFile {
    const entry = this.#names.get(path)
    if (entry === undefined || entry === 'folder') throw diskError('ENOENT', `no such file: ${path}`)
    return entry
  }

  #change(folder: string, apply: (names: Map<string, Entry>) => void): void {
    apply(this.#names)
    this.#nameChanges.push({ folder, apply })
  }

  #now(): number {
    return this.#options.now?.() ?? 0
  }

  #checkAlive(): void {
    if (this.#hasCrashed) throw new DiskCrash('the process that used this disk has ended')
  }

  #crashNow(): never {
    this.#hasCrashed = true
    throw new DiskCrash('the process ends here')
  }

  /** @param failed What a failure leaves behind. */
  #run<T>(kind: OperationKind, path: string, act: (fault: DiskFault | undefined) => T, failed?: () => void): T {
    this.#checkAlive()
    const fault = this.#options.fault?.({ kind, path, number: ++this.#operations })
    if (fault === 'crash before') this.#crashNow()
    if (typeof fault === 'object') {
      failed?.()
      const syscall = SYSCALLS[kind] ?? kind
      throw Object.assign(diskError(fault.fails, `${kind} of ${path} failed on purpose`), { syscall })
    }
    const result = act(fault)
    if (fault === 'crash after' || fault === 'crash within') this.#crashNow()
    return result
  }

  #runLater<T>(
    kind: OperationKind,
    path: string,
    act: (fault: DiskFault | undefined) => T,
    failed?: () => void,
  ): Promise<T> {
    return this.#later(() => this.#run(kind, path, act, failed))
  }

  /** What still completes after the crash fails, and changes nothing. */
  #later<T>(act: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const complete = this.#options.complete ?? queueMicrotask
    complete(() => {
      try {
        this.#checkAlive()
        resolve(act())
      } catch (error) {
        reject(error)
      }
    })
    return promise
  }
}

function isReachable(path: string, names: ReadonlyMap<string, Entry>): boolean {
  for (let at = dirname(path); ; at = dirname(at)) {
    if (names.get(at) !== 'folder') return false
    if (at === '/') return true
  }
}
