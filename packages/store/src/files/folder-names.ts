import { dirname } from 'node:path'
import type { Disk } from './disk.ts'

/**
 * Makes the names of folders durable, each once for all that are inside. What existed when the process started is not trusted: the
 * process that made it may have been killed before it was durable.
 */
export class FolderNames {
  readonly #disk: Disk
  readonly #root: string
  /** Folders whose names inside are durable. */
  readonly #durable = new Set<string>()

  /** @param root What is above it is durable. */
  constructor(disk: Disk, root: string) {
    this.#disk = disk
    this.#root = root
  }

  /** Makes a folder below the root, and those between. */
  make(path: string): void {
    for (let at = path; at.length > this.#root.length; at = dirname(at)) this.#durable.delete(dirname(at))
    this.#disk.makeFolder(path)
  }

  /** Makes the name of a folder durable, and of those between it and the root. @throws the disk's error */
  async sync(path: string): Promise<void> {
    for (let at = dirname(path); at.length >= this.#root.length; at = dirname(at)) {
      if (this.#durable.has(at)) continue
      this.#durable.add(at)
      try {
        await this.#disk.syncFolder(at)
      } catch (error) {
        this.#durable.delete(at)
        throw error
      }
    }
  }
}
