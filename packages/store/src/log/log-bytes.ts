/**
 * The bytes of the commit log, for readers. Positions are those of the log, not of a file.
 *
 * The newest bytes are in memory, and of the older ones those that were read lately. A reader asks `has` for what it needs; if that
 * is false it waits for `load` and asks again. Bytes that are in memory stay there until the caller waits for something, or appends.
 */
export interface LogBytes {
  /** Position of the first byte that exists: the start of the oldest file. */
  readonly start: number
  /** Position behind the last byte that consumers may see. */
  readonly safe: number
  /** Bytes of the largest record that fits into memory. What says that it is larger is damaged, or from a store with more memory. */
  readonly largestRecord: number
  /** Whether `size` bytes at `position` are in memory. */
  has(position: number, size: number): boolean
  /** Whether a record of this size begins at `position`, as far as its head says. It must be in memory. */
  isRecord(position: number, size: number): boolean
  /** Copies bytes that are in memory to `out` at `at`. @throws RangeError if they are not there */
  copy(position: number, size: number, out: Uint8Array, at: number): void
  /**
   * Reads the blocks that hold these bytes into memory. Resolves in vain if the bytes do not exist (any more): `exists` says so.
   * @throws StoreError READ_FAILED
   */
  load(position: number, size: number): Promise<void>
  /** Begins to read them, unless the disk is busy: a reader is about to come to them. */
  loadSoon(position: number, size: number): void
  /** Whether these bytes are within the log: not deleted, not behind its end. */
  exists(position: number, size: number): boolean
  /** Whether the file with this position was deleted, or is missing. */
  isGone(position: number): boolean
}
