import type { TestContext } from 'node:test'
import { MemoryDisk, type OpenFile } from '@gantrymq/store'

/** A disk that does not sync, or does not read in the background, while that is stopped. */
export class StoppableDisk extends MemoryDisk {
  #syncs: Promise<void> = Promise.resolve()
  #reads: Promise<void> = Promise.resolve()
  #goOn = (): void => {}

  /** @param t Must not have a broker on this disk yet: the hooks of a test run in their order, and a stopped disk holds up the broker's end. */
  constructor(t: TestContext) {
    super()
    t.after(() => this.#goOn())
  }

  override open(path: string): OpenFile {
    return this.#stoppable(super.open(path))
  }

  override create(path: string, size: number): OpenFile {
    return this.#stoppable(super.create(path, size))
  }

  /** Stops syncs. @returns What lets them go on. */
  stop(): () => void {
    const { promise, resolve } = this.#gate()
    this.#syncs = promise
    return resolve
  }

  /** Stops reads. @returns What lets them go on. */
  stopReads(): () => void {
    const { promise, resolve } = this.#gate()
    this.#reads = promise
    return resolve
  }

  #gate(): PromiseWithResolvers<void> {
    const gate = Promise.withResolvers<void>()
    const before = this.#goOn
    this.#goOn = () => {
      before()
      gate.resolve()
    }
    return gate
  }

  #stoppable(file: OpenFile): OpenFile {
    const sync = file.datasync.bind(file)
    file.datasync = async () => {
      await this.#syncs
      await sync()
    }
    const read = file.read.bind(file)
    file.read = async (into, from, to, at) => {
      await this.#reads
      return read(into, from, to, at)
    }
    return file
  }
}
