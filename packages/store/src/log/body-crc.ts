import { crc32 } from 'node:zlib'

/** From this size on the native function is quicker. For each call it takes a Buffer, which is garbage afterwards. */
const NATIVE_FROM = 256

/** Eight tables one behind the other: the CRC of each byte when 0 to 7 bytes follow it. */
const tables = makeTables()

/** The CRC-32 of a body without its sign bit, as a record contains it: Apache's UtilAll.crc32. 0 for an empty body. */
export function bodyCrc(bytes: Buffer, start: number, end: number): number {
  if (end - start >= NATIVE_FROM) return crc32(bytes.subarray(start, end)) & 0x7fffffff
  return crcByTables(bytes, start, end) & 0x7fffffff
}

/** Eight bytes in one step ("slicing by eight"): a body of 128 bytes takes two thirds of the time of the native call. */
function crcByTables(bytes: Buffer, start: number, end: number): number {
  let crc = -1
  let at = start
  for (; at + 8 <= end; at += 8) {
    crc =
      (tables[0x700 | ((crc & 0xff) ^ (bytes[at] as number))] as number) ^
      (tables[0x600 | (((crc >>> 8) & 0xff) ^ (bytes[at + 1] as number))] as number) ^
      (tables[0x500 | (((crc >>> 16) & 0xff) ^ (bytes[at + 2] as number))] as number) ^
      (tables[0x400 | ((crc >>> 24) ^ (bytes[at + 3] as number))] as number) ^
      (tables[0x300 | (bytes[at + 4] as number)] as number) ^
      (tables[0x200 | (bytes[at + 5] as number)] as number) ^
      (tables[0x100 | (bytes[at + 6] as number)] as number) ^
      (tables[bytes[at + 7] as number] as number)
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ (tables[(crc & 0xff) ^ (bytes[at] as number)] as number)
  return ~crc
}

function makeTables(): Int32Array {
  const made = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0xedb88320
    made[byte] = crc
  }
  for (let at = 256; at < made.length; at++) {
    const crc = made[at - 256] as number
    made[at] = (crc >>> 8) ^ (made[crc & 0xff] as number)
  }
  return made
}
