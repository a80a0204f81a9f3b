/** Why the store could not do something. Stable: branch on it, not on the text. */
export type StoreErrorCode =
  /** Another process has this directory. */
  | 'LOCKED'
  /** An option, or a combination of options, that cannot work. */
  | 'BAD_OPTION'
  /** Files in the directory that are not what the options say: another size, foreign names. */
  | 'BAD_FILES'
  /** The operating system refused: no rights, read-only, no such device. */
  | 'NO_ACCESS'
  /** No space is left on the disk. */
  | 'DISK_FULL'
  /** A write failed; what was appended since the last write is not stored. */
  | 'WRITE_FAILED'
  /** A sync failed: what is on the disk is unknown, so nothing is accepted until the store was opened again. */
  | 'SYNC_FAILED'
  | 'READ_FAILED'
  /** A topic, or the id of a queue, that cannot be the name of a folder. */
  | 'BAD_NAME'
  /** A topic whose queues are being deleted: it can be made again when they are. */
  | 'BEING_DELETED'
  | 'CLOSED'

/** A failure of the store. The text says what happened to which file, and what to do. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: StoreErrorCode

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
