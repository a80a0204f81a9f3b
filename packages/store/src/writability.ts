import { StoreError } from './errors.ts'

/** Whether the store accepts messages, and why not: Apache's RunningFlags. */
export class Writability {
  #failure: StoreError | undefined
  #full: StoreError | undefined
  #isClosed = false

  /** Undefined if messages are accepted. */
  get problem(): StoreError | undefined {
    if (this.#isClosed) return new StoreError('CLOSED', 'the store has been closed')
    return this.#failure ?? this.#full
  }

  get isWritable(): boolean {
    return this.#failure === undefined && this.#full === undefined && !this.#isClosed
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

  close(): void {
    this.#isClosed = true
  }
}
