/** Bits of a message's sysFlag: Apache's MessageSysFlag. */
export const COMPRESSED = 0x1
export const MULTI_TAGS = 0x2
export const TRANSACTION_PREPARED = 0x4
export const TRANSACTION_COMMIT = 0x8
export const TRANSACTION_ROLLBACK = 0xc
export const BORN_HOST_V6 = 0x10
export const STORE_HOST_V6 = 0x20
/** 5.x: the body is a batch that the client unwraps. */
export const NEED_UNWRAP = 0x40
export const INNER_BATCH = 0x80
/** Whether and how the body is compressed. */
export const COMPRESSION_BITS = 0x701

/** The transaction bits: prepared, committed or rolled back; 0 for other messages. */
export function transactionPart(sysFlag: number): number {
  return sysFlag & TRANSACTION_ROLLBACK
}

export type Compression = 'zlib' | 'lz4' | 'zstd'

const COMPRESSIONS: readonly (Compression | undefined)[] = ['zlib', 'lz4', 'zstd', 'zlib']

/**
 * How a body is compressed; null if it is not, undefined for an unknown type. Old senders set no type, which means zlib.
 */
export function compressionOf(sysFlag: number): Compression | null | undefined {
  return (sysFlag & COMPRESSED) === 0 ? null : COMPRESSIONS[(sysFlag >> 8) & 7]
}

/** The bits of a body that is compressed with this type. */
export function compressionFlag(compression: Compression): number {
  return COMPRESSED | (compression === 'lz4' ? 0x100 : compression === 'zstd' ? 0x200 : 0x300)
}
