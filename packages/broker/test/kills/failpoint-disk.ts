import { relative, sep } from 'node:path'
import type { Disk, DiskSpace, FolderEntry, OpenFile } from '@gantrymq/store'

/** When the process ends: before the operation, in the middle of it, or when it is done and nothing knows it yet. */
export type KillMoment = 'before' | 'within' | 'after'

/**
 * The operation at which the process ends: the `count`-th with this name, such as `write commitlog` or `rename config`, after so
 * many writes of the log.
 */
export interface Failpoint {
  readonly logWrites: number
  readonly operation: string
  readonly count: number
  readonly moment: KillMoment
}

/** A disk that ends its own process with SIGKILL at one operation. */
export class FailpointDisk implements Disk {
  readonly #disk: Disk
  readonly #root: string
  readonly #failpoint: Failpoint
  #left: number
  #logWritesLeft: number

  constructor(disk: Disk, root: string, failpoint: Failpoint) {
    this.#disk = disk
    this.#root = root
    this.#failpoint = failpoint
    this.#left = failpoint.count
    this.#logWritesLeft = failpoint.logWrites
  }

  open(path: string): OpenFile {
    return this.#opened(this.#disk.open(path))
  }

  create(path: string, size: number): OpenFile {
    return this.#opened(this.#run('create', path, () => this.#disk.create(path, size)))
  }

  makeFolder(path: string): void {
    this.#run('makeFolder', path, () => this.#disk.makeFolder(path))
  }

  list(path: string): readonly FolderEntry[] | undefined {
    return this.#disk.list(path)
  }

  exists(path: string): boolean {
    return this.#disk.exists(path)
  }

  rename(from: string, to: string): void {
    this.#run('rename', to, () => this.#disk.rename(from, to))
  }

  unlink(path: string): Promise<void> {
    return this.#runLater('unlink', path, () => this.#disk.unlink(path))
  }

  removeFolder(path: string): Promise<void> {
    return this.#runLater('removeFolder', path, () => this.#disk.removeFolder(path))
  }

  syncFolder(path: string): Promise<void> {
    return this.#runLater('syncFolder', path, () => this.#disk.syncFolder(path))
  }

  space(path: string): Promise<DiskSpace> {
    return this.#disk.space(path)
  }

  lock(path: string): Promise<Disposable> {
    return this.#disk.lock(path)
  }

  #opened(file: OpenFile): OpenFile {
    const { path } = file
    return {
      path,
      get size() {
        return file.size
      },
      writeSync: (bytes, from, to, at) => {
        const part = (): unknown => file.writeSync(bytes, from, from + Math.ceil((to - from) / 2), at)
        return this.#run('write', path, () => file.writeSync(bytes, from, to, at), part)
      },
      write: (bytes, from, to, at) => {
        const part = (): unknown => file.writeSync(bytes, from, from + Math.ceil((to - from) / 2), at)
        return this.#runLater('write', path, () => file.write(bytes, from, to, at), part)
      },
      readSync: (into, from, to, at) => file.readSync(into, from, to, at),
      read: (into, from, to, at) => file.read(into, from, to, at),
      datasync: () => this.#runLater('sync', path, () => file.datasync()),
      truncate: size => this.#run('truncate', path, () => file.truncate(size)),
      close: () => file.close(),
    }
  }

  /** @param begin Does a part of the operation, or begins it. */
  #run<T>(kind: string, path: string, act: () => T, begin: () => unknown = () => {}): T {
    if (!this.#isHit(kind, path)) return act()
    const { moment } = this.#failpoint
    if (moment === 'within') begin()
    if (moment === 'after') act()
    return endProcess()
  }

  async #runLater<T>(kind: string, path: string, act: () => Promise<T>, begin: () => unknown = act): Promise<T> {
    if (!this.#isHit(kind, path)) return act()
    const { moment } = this.#failpoint
    if (moment === 'within') void begin()
    if (moment === 'after') await act()
    return endProcess()
  }

  #isHit(kind: string, path: string): boolean {
    const [area = ''] = relative(this.#root, path).split(sep)
    const operation = `${kind} ${area}`
    if (this.#logWritesLeft > 0) {
      if (operation === 'write commitlog') this.#logWritesLeft--
      return false
    }
    return operation === this.#failpoint.operation && --this.#left === 0
  }
}

function endProcess(): never {
  process.kill(process.pid, 'SIGKILL')
  // The signal may need a moment, in which nothing else may happen.
  for (;;);
}
