import { MemoryDisk, type OpenFile } from '@gantrymq/store'

/** A disk that does not sync while it is stopped. */
export class StoppableDisk extends MemoryDisk {
  #going: Promise<void> = Promise.resolve()

  override open(path: string): OpenFile {
    return this.#stoppable(super.open(path))
  }

  override create(path: string, size: number): OpenFile {
    return this.#stoppable(super.create(path, size))
  }

  /** @returns What lets it go on. */
  stop(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#going = promise
    return resolve
  }

  #stoppable(file: OpenFile): OpenFile {
    const sync = file.datasync.bind(file)
    file.datasync = async () => {
      await this.#going
      await sync()
    }
    return file
  }
}
