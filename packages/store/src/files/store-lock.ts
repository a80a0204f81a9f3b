import { join } from 'node:path'
import { StoreError } from '../errors.ts'
import { type Disk, diskErrorCode } from './disk.ts'

/**
 * The two files that say whether a store is in use: `lock` is claimed while it is open, and `abort` exists while it is open, so
 * that a store that was not closed is known by it. Source: Apache's DefaultMessageStore, which locks after it has already
 * recovered; this one locks first.
 */
export class StoreLock {
  readonly #disk: Disk
  readonly #root: string
  #claim: Disposable | undefined

  constructor(disk: Disk, root: string) {
    this.#disk = disk
    this.#root = root
  }

  /** Whether the store was not closed the last time. */
  get wasAborted(): boolean {
    return this.#disk.exists(this.#abortPath)
  }

  /** Claims the folder, which must exist. @throws StoreError LOCKED */
  async claim(): Promise<void> {
    try {
      this.#claim = await this.#disk.lock(join(this.#root, 'lock'))
    } catch (error) {
      if (diskErrorCode(error) !== 'EBUSY') throw error
      throw new StoreError(
        'LOCKED',
        `the store in ${this.#root} is in use: stop the other broker, or choose another folder (${(error as Error).message})`,
        { cause: error },
      )
    }
  }

  /** Notes that the store is open, durably. */
  async begin(): Promise<void> {
    if (!this.wasAborted) this.#disk.create(this.#abortPath, 0).close()
    await this.#disk.syncFolder(this.#root)
  }

  /** Notes that the store was closed, durably. */
  async end(): Promise<void> {
    if (this.wasAborted) await this.#disk.unlink(this.#abortPath)
    await this.#disk.syncFolder(this.#root)
  }

  /** Lets other processes have the folder. */
  release(): void {
    this.#claim?.[Symbol.dispose]()
    this.#claim = undefined
  }

  get #abortPath(): string {
    return join(this.#root, 'abort')
  }
}
