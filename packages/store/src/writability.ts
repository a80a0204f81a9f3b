import { StoreError } from './errors.ts'

/** Whether the store accepts messages, and why not: Apache's RunningFlags. */
export class Writability {
  #failure: StoreError | undefined
  #full: StoreError | undefined
  #unsettled: StoreError | undefined
  #isClosed = false

  /** Undefined if messages are accepted. */
  get problem(): StoreError | undefined {
    if (this.#isClosed) return new StoreError('CLOSED', 'the store has been closed')
    return this.#failure ?? this.#full ?? this.#unsettled
  }

  get isWritable(): boolean {
    return this.problem === undefined
  }

  /** A failure after which it is unknown what is on the disk. It stays until the store is opened again. */
  get failure(): StoreError | undefined {
    return this.#failure
  }

  /** Accepts nothing from now on. */
  fail(error: StoreError): void {
    this.#failure ??= error
  }

  /** Accepts nothing until it is called without an error: no space is left, or files cannot be created. */
  setFull(error: StoreError | undefined): void {
    this.#full = error
  }

  /** Accepts nothing until it is called without an error: what a failed write left behind is not yet removed from the disk. */
  setUnsettled(error: StoreError | undefined): void {
    this.#unsettled = error
  }

  close(): void {
    this.#isClosed = true
  }
}
