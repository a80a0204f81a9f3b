/** How much one read of a queue may take. Keys of Apache's MessageStoreConfig in brackets. */
export interface ReadLimits {
  /** Bytes of records that are likely in memory [maxTransferBytesOnMessageInMemory]. Default 262144. */
  readonly bytesInMemory: number
  /** Records that are likely in memory [maxTransferCountOnMessageInMemory]. Default 32. */
  readonly countInMemory: number
  /** Bytes of records that are likely on disk only [maxTransferBytesOnMessageInDisk]. Default 65536. */
  readonly bytesOnDisk: number
  /** Records that are likely on disk only [maxTransferCountOnMessageInDisk]. Default 8. */
  readonly countOnDisk: number
}

export const defaultReadLimits: ReadLimits = {
  bytesInMemory: 262_144,
  countInMemory: 32,
  bytesOnDisk: 65_536,
  countOnDisk: 8,
}

/** What a read has found so far. */
export interface Taken {
  readonly count: number
  readonly bytes: number
}

/** What the caller of a read allows. */
export interface Allowed {
  readonly maxMessages: number
  readonly maxBytes: number
}

/**
 * Whether a read must stop before a record of `size` bytes: Apache's DefaultMessageStore.isTheBatchFull. The first record is
 * always taken, whatever its size, because a consumer could never pass it otherwise.
 * @param onDisk Whether the record is likely on disk only
 */
export function isFull(taken: Taken, allowed: Allowed, limits: ReadLimits, size: number, onDisk: boolean): boolean {
  if (taken.count === 0 || taken.bytes === 0) return false
  if (taken.count >= allowed.maxMessages || taken.bytes + size > allowed.maxBytes) return true
  if (onDisk) return taken.bytes + size > limits.bytesOnDisk || taken.count >= limits.countOnDisk
  return taken.bytes + size > limits.bytesInMemory || taken.count >= limits.countInMemory
}
