import { basename, dirname } from 'node:path'
import { type Disk, diskError, makeFolderDurably } from './disk.ts'

/**
 * Small files of a disk that are read and replaced as a whole, such as the tables of a broker: in a folder and in memory they are
 * written in the same way. A file has one writer at a time.
 */
export class WholeFiles {
  readonly #disk: Disk
  /** Folders that this process has made durable. */
  readonly #folders = new Set<string>()

  constructor(disk: Disk) {
    this.#disk = disk
  }

  /** Undefined if there is no such file. @throws the error of the disk */
  async read(path: string): Promise<Uint8Array | undefined> {
    if (!this.#disk.exists(path)) return undefined
    const file = this.#disk.open(path)
    try {
      const bytes = new Uint8Array(file.size)
      for (let at = 0; at < bytes.length; ) {
        const count = await file.read(bytes, at, bytes.length, at)
        if (count === 0) return bytes.subarray(0, at)
        at += count
      }
      return bytes
    } finally {
      file.close()
    }
  }

  async exists(path: string): Promise<boolean> {
    return this.#disk.exists(path)
  }

  async rename(from: string, to: string): Promise<void> {
    this.#disk.rename(from, to)
  }

  /**
   * Whatever happens, the file has the old or the new content, and once this resolves the new content survives a power failure.
   * The previous content stays in `<file>.bak`, as with Apache. A missing folder is created.
   * @throws the error of the disk; the file is then unchanged
   */
  async replace(path: string, content: string | Uint8Array): Promise<void> {
    await this.#makeFolder(dirname(path))
    const fresh = freshName(path)
    const bytes = typeof content === 'string' ? Buffer.from(content) : content
    // Both end before this call does, so that the next one finds no write under way.
    const written = await Promise.allSettled([this.#write(fresh, bytes, true), this.#keepPrevious(path)])
    const failed = written.find(each => each.status === 'rejected')
    if (failed !== undefined) {
      await this.removeLeftovers(path).catch(() => {})
      throw failed.reason
    }
    this.#disk.rename(fresh, path)
    await this.#disk.syncFolder(dirname(path))
  }

  /** Removes a file, if there is one. */
  async remove(path: string): Promise<void> {
    if (this.#disk.exists(path)) await this.#disk.unlink(path)
  }

  /** Removes what a process that was killed in `replace` has left. */
  async removeLeftovers(path: string): Promise<void> {
    await this.remove(freshName(path))
    await this.remove(freshName(backupName(path)))
  }

  async #makeFolder(path: string): Promise<void> {
    if (this.#folders.has(path)) return
    await makeFolderDurably(this.#disk, path)
    this.#folders.add(path)
  }

  /**
   * Copied, so that the file exists at every moment. If there is no old content, an earlier copy stays: it may be the only one. The
   * copy is not synced: it serves when the file itself is damaged later.
   */
  async #keepPrevious(path: string): Promise<void> {
    const previous = await this.read(path)
    if (previous === undefined) return
    const fresh = freshName(backupName(path))
    await this.#write(fresh, previous, false)
    this.#disk.rename(fresh, backupName(path))
  }

  async #write(path: string, bytes: Uint8Array, isSynced: boolean): Promise<void> {
    await this.remove(path)
    const file = this.#disk.create(path, bytes.length)
    try {
      for (let at = 0; at < bytes.length; ) {
        const written = await file.write(bytes, at, bytes.length, at)
        if (written <= 0) throw diskError('ENOSPC', `${bytes.length - at} bytes of ${basename(path)} were not written`)
        at += written
      }
      if (isSynced) await file.datasync()
    } finally {
      file.close()
    }
  }
}

function backupName(path: string): string {
  return `${path}.bak`
}

function freshName(path: string): string {
  return `${path}.new`
}
