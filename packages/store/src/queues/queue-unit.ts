import { readLong, writeLong } from '../log/record-layout.ts'

/**
 * A unit of a consume queue, 20 bytes as Apache's ConsumeQueue lays them out: position of the record in the log (long), its size
 * (int), and the code of its tags (long). In `SCHEDULE_TOPIC_XXXX` the code is the time of delivery; in a queue with an
 * extension it is the address of the unit there.
 */
export const UNIT_BYTES = 20

/** The size in units that only fill space, as before the first unit of a queue: Apache's ConsumeQueue.fillPreBlank. */
export const PRE_BLANK_SIZE = 0x7fff_ffff

const TWO_32 = 0x1_0000_0000

/** Writes a unit. `position` and `tagsCode` are safe integers; the code may be negative. */
export function writeUnit(bytes: Buffer, at: number, position: number, size: number, tagsCode: number): void {
  writeLong(bytes, at, position)
  bytes.writeInt32BE(size, at + 8)
  writeLong(bytes, at + 12, tagsCode)
}

export function unitPosition(bytes: Buffer, at: number): number {
  return readLong(bytes, at)
}

/** Bytes of the record. 0 where no unit was written. */
export function unitSize(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at + 8)
}

/** The code of the tags. Not exact for an address of an extension: see `extensionOffset`. */
export function unitTagsCode(bytes: Buffer, at: number): number {
  return readLong(bytes, at + 12)
}

/** Whether the unit only fills the space before the first unit of a queue. */
export function isPreBlank(bytes: Buffer, at: number): boolean {
  return unitSize(bytes, at) === PRE_BLANK_SIZE && unitPosition(bytes, at) === 0
}

/** Fills `bytes` with units that stand for offsets before the first of a queue. */
export function fillPreBlank(bytes: Buffer): void {
  for (let at = 0; at + UNIT_BYTES <= bytes.length; at += UNIT_BYTES) writeUnit(bytes, at, 0, PRE_BLANK_SIZE, 0)
}

/**
 * Where in the extension the unit's tags are; undefined if the unit itself contains the code. Apache adds Long.MIN_VALUE to the
 * offset, and takes what is below the least hash code for an address: ConsumeQueueExt.isExtAddr.
 */
export function extensionOffset(bytes: Buffer, at: number): number | undefined {
  const high = bytes.readInt32BE(at + 12)
  const low = bytes.readUInt32BE(at + 16)
  if (high > -1 || (high === -1 && low >= 0x8000_0000)) return undefined
  return (high + 0x8000_0000) * TWO_32 + low
}

/** Puts the address of an extension's unit in the place of the code. */
export function writeExtensionOffset(bytes: Buffer, at: number, offset: number): void {
  bytes.writeInt32BE(Math.floor(offset / TWO_32) - 0x8000_0000, at + 12)
  bytes.writeUInt32BE(offset % TWO_32, at + 16)
}
