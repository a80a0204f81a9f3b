import * as fs from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Disk, DiskSpace, FolderEntry, OpenFile } from './disk.ts'
import { claimFile } from './file-claim.ts'

const fdatasync = promisify(fs.fdatasync)

/** The machine's file system. */
export class NodeDisk implements Disk {
  open(path: string): OpenFile {
    const fd = fs.openSync(path, 'r+')
    try {
      return new NodeFile(fd, path, fs.fstatSync(fd).size)
    } catch (error) {
      fs.closeSync(fd)
      throw error
    }
  }

  create(path: string, size: number): OpenFile {
    const fd = fs.openSync(path, 'wx+')
    try {
      fs.ftruncateSync(fd, size)
    } catch (error) {
      fs.closeSync(fd)
      fs.rmSync(path, { force: true })
      throw error
    }
    return new NodeFile(fd, path, size)
  }

  makeFolder(path: string): void {
    fs.mkdirSync(path, { recursive: true })
  }

  list(path: string): readonly FolderEntry[] | undefined {
    let names: string[]
    try {
      names = fs.readdirSync(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
    const entries: FolderEntry[] = []
    for (const name of names) {
      const found = fs.statSync(join(path, name), { throwIfNoEntry: false })
      if (found === undefined) continue
      const isFolder = found.isDirectory()
      entries.push({ name, size: isFolder ? 0 : found.size, isFolder, modified: Math.floor(found.mtimeMs) })
    }
    return entries
  }

  exists(path: string): boolean {
    return fs.existsSync(path)
  }

  rename(from: string, to: string): void {
    fs.renameSync(from, to)
  }

  unlink(path: string): Promise<void> {
    return fs.promises.unlink(path)
  }

  removeFolder(path: string): Promise<void> {
    return fs.promises.rmdir(path)
  }

  async syncFolder(path: string): Promise<void> {
    // Windows cannot open a folder, and does not need to.
    if (process.platform === 'win32') return
    const folder = await fs.promises.open(path, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  }

  async space(path: string): Promise<DiskSpace> {
    const { bsize, blocks, bavail, bfree } = await fs.promises.statfs(path)
    return { total: blocks * bsize, usable: bavail * bsize, free: bfree * bsize }
  }

  lock(path: string): Promise<Disposable> {
    return claimFile(path)
  }
}

class NodeFile implements OpenFile {
  readonly path: string
  #size: number
  readonly #fd: number

  constructor(fd: number, path: string, size: number) {
    this.#fd = fd
    this.path = path
    this.#size = size
  }

  get size(): number {
    return this.#size
  }

  writeSync(bytes: Uint8Array, from: number, to: number, at: number): number {
    return fs.writeSync(this.#fd, bytes, from, to - from, at)
  }

  write(bytes: Uint8Array, from: number, to: number, at: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.write(this.#fd, bytes, from, to - from, at, (error, written) => (error ? reject(error) : resolve(written)))
    })
  }

  readSync(into: Uint8Array, from: number, to: number, at: number): number {
    return fs.readSync(this.#fd, into, from, to - from, at)
  }

  read(into: Uint8Array, from: number, to: number, at: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.read(this.#fd, into, from, to - from, at, (error, count) => (error ? reject(error) : resolve(count)))
    })
  }

  datasync(): Promise<void> {
    return fdatasync(this.#fd)
  }

  truncate(size: number): void {
    fs.ftruncateSync(this.#fd, size)
    this.#size = size
  }

  close(): void {
    fs.closeSync(this.#fd)
  }
}
