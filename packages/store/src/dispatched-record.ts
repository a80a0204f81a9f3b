import type { ConsumeQueue } from './queues/consume-queue.ts'

/** What queues and index need of a record: Apache's DispatchRequest. One object is used for all records; keep nothing of it. */
export interface DispatchedRecord {
  /** Of the record in the log. */
  readonly position: number
  /** Bytes of the whole record. */
  readonly size: number
  readonly queue: ConsumeQueue
  readonly queueOffset: number
  /** Hash of the tag, 0 without one; in the delay topic the time of delivery, milliseconds since the epoch. */
  readonly tagsCode: number
  /** Milliseconds since the epoch. */
  readonly storeTimestamp: number
  /** Bits 2 and 3 hold the part of a transaction, see `TRANSACTION_PREPARED` and its neighbours. */
  readonly sysFlag: number
  /**
   * The first `keyCount` are `stringHash(topic + '#' + key)` of the record's keys: UNIQ_KEY, then each of KEYS. They have their
   * sign; the index takes the absolute value.
   */
  readonly keyHashes: Int32Array
  readonly keyCount: number
}

const NO_KEYS = new Int32Array()

/** A record of which one object serves many: its fields are set again and again. */
export class ReusedRecord implements DispatchedRecord {
  queue!: ConsumeQueue
  position = 0
  size = 0
  queueOffset = 0
  tagsCode = 0
  storeTimestamp = 0
  sysFlag = 0
  keyHashes: Int32Array = NO_KEYS
  keyCount = 0
}

/** Data that can be rebuilt from the log: the consume queues, and the key index. */
export interface DerivedData {
  /**
   * Takes a record that is safe. Records come in the order of the log. After a start some come again that were taken before: taking
   * one again changes nothing. It must not wait and must not touch files: what it takes is written by `writeSome`.
   */
  put(record: DispatchedRecord): void
  /** Bytes in memory that are not in the files yet. */
  readonly unwritten: number
  /** Writes some of what was put, for about `ms` milliseconds at most. @returns True if more is left */
  writeSome(ms: number): boolean
  /**
   * Writes what belongs to records below `position` and makes it durable, or a part of it if it is much.
   * @returns The log position below which everything is durable now, at most `position`
   */
  sync(position: number): Promise<number>
  /** In a recovery: discards what belongs to records at and above `position`, in memory and in the files. */
  cut(position: number): Promise<void>
  /** Discards files that only describe records below `start`, the new start of the log. */
  dropBefore(start: number): Promise<void>
  /** Writes and syncs everything, and closes the files. */
  close(): Promise<void>
  /** Closes the files and writes nothing, after a failure. */
  abandon(): void
}
