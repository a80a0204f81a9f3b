const MAGIC = 0xfd2fb528
const RLE = 1
const DICTIONARY_ID_BYTES = [0, 1, 2, 4]
const CONTENT_SIZE_BYTES = [0, 2, 4, 8]

/**
 * Whether the zstd frame at the start of a body is complete (RFC 8878, 3.1.1). Node 22 returns the available part of a
 * truncated frame without an error; later releases refuse it.
 */
export function hasWholeZstdFrame(body: Buffer): boolean {
  if (body.length < 5 || body.readUInt32LE(0) !== MAGIC) return false
  const descriptor = body.readUInt8(4)
  const isSingleSegment = (descriptor & 0x20) !== 0
  const contentSize = CONTENT_SIZE_BYTES[descriptor >> 6] as number
  const windowAndSize = isSingleSegment ? Math.max(1, contentSize) : 1 + contentSize
  let at = 5 + windowAndSize + (DICTIONARY_ID_BYTES[descriptor & 3] as number)
  for (let isLast = false; !isLast; ) {
    if (at + 3 > body.length) return false
    const block = body.readUIntLE(at, 3)
    isLast = (block & 1) === 1
    at += 3 + (((block >> 1) & 3) === RLE ? 1 : block >> 3)
  }
  const checksum = (descriptor & 4) === 0 ? 0 : 4
  return at + checksum <= body.length
}
