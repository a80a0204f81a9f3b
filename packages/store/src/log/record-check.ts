import { BORN_HOST_V6, MESSAGE_MAGIC_V1, MESSAGE_MAGIC_V2, STORE_HOST_V6 } from '@gantrymq/protocol'
import { bodyCrc } from './body-crc.ts'
import { BLANK_BYTES, BLANK_MAGIC, FIXED_BYTES, readInt, readLong, V6_BYTES } from './record-layout.ts'

/** What stands at a place of the log. */
export type Found =
  | 'record'
  /** The end of the file. */
  | 'blank'
  /** Zeros: nothing was ever written here. */
  | 'nothing'
  /** Anything else; `problem` says what. */
  | 'damage'

/**
 * Reads records where they stand. One object is used for all records: `read` replaces its content.
 *
 * It checks more than Apache's CommitLog.checkMessageAndReturnSize: also the record's own position, which tells an old record that
 * was truncated from a new one, and that each length stays within the record. Records of 5.x with long topics are known.
 */
export class RecordReader {
  size = 0
  /** What is wrong with damage. */
  problem = ''
  queueId = 0
  queueOffset = 0
  sysFlag = 0
  storeTimestamp = 0
  bodyAt = 0
  bodySize = 0
  topicAt = 0
  topicSize = 0
  propertiesAt = 0
  propertiesSize = 0

  /**
   * Reads what stands in `bytes` at `at`.
   * @param end The end of the file, or of the bytes that were read of it.
   * @param position Of these bytes in the log.
   * @param left Bytes to the end of the file.
   * @param checkCrc Whether to compute the CRC of the body too, and to look for what a crash in the middle of the write leaves.
   */
  read(bytes: Buffer, at: number, end: number, position: number, left: number, checkCrc: boolean): Found {
    if (end - at < BLANK_BYTES) return this.#damage(`only ${end - at} bytes are left`)
    const size = readInt(bytes, at)
    const magic = readInt(bytes, at + 4)
    if (magic === BLANK_MAGIC) {
      this.size = left
      return size === left ? 'blank' : this.#damage(`an end of file of ${size} bytes where ${left} are left`)
    }
    if (size === 0 && magic === 0) return 'nothing'
    if (magic !== MESSAGE_MAGIC_V1 && magic !== MESSAGE_MAGIC_V2) return this.#damage('no magic code')
    this.size = size
    if (size < FIXED_BYTES || at + size > end) return this.#damage(`a size of ${size} bytes`)
    if (readLong(bytes, at + 28) !== position) return this.#damage(`the position ${readLong(bytes, at + 28)}`)
    return this.#readFields(bytes, at, magic === MESSAGE_MAGIC_V2 ? 1 : 0, checkCrc)
  }

  #readFields(bytes: Buffer, at: number, modern: number, checkCrc: boolean): Found {
    const end = at + this.size
    this.queueId = readInt(bytes, at + 12)
    this.queueOffset = readLong(bytes, at + 20)
    const sysFlag = readInt(bytes, at + 36)
    this.sysFlag = sysFlag
    const storeTimestampAt = at + 56 + ((sysFlag & BORN_HOST_V6) === 0 ? 0 : V6_BYTES)
    this.bodyAt = storeTimestampAt + 32 + ((sysFlag & STORE_HOST_V6) === 0 ? 0 : V6_BYTES)
    if (this.bodyAt + 3 + modern > end) return this.#damage('a size that is too small for its hosts')
    this.storeTimestamp = readLong(bytes, storeTimestampAt)
    this.bodySize = readInt(bytes, this.bodyAt - 4)
    this.topicAt = this.bodyAt + this.bodySize + 1 + modern
    if (this.bodySize < 0 || this.topicAt + 2 > end) return this.#damage(`a body of ${this.bodySize} bytes`)
    this.topicSize = modern === 1 ? bytes.readInt16BE(this.topicAt - 2) : bytes.readInt8(this.topicAt - 1)
    this.propertiesAt = this.topicAt + this.topicSize + 2
    if (this.topicSize < 0 || this.propertiesAt > end) return this.#damage(`a topic of ${this.topicSize} bytes`)
    this.propertiesSize = bytes.readInt16BE(this.propertiesAt - 2)
    if (this.propertiesAt + this.propertiesSize !== end) {
      return this.#damage(`properties of ${this.propertiesSize} bytes`)
    }
    if (this.queueId < 0 || this.queueOffset < 0) {
      return this.#damage(`the offset ${this.queueOffset} of queue ${this.queueId}`)
    }
    if (checkCrc && this.bodySize > 0) {
      const crc = bodyCrc(bytes, this.bodyAt, this.bodyAt + this.bodySize)
      if (crc !== readInt(bytes, at + 8)) return this.#damage('a body with another CRC')
    }
    if (checkCrc && this.#isTorn(bytes, end)) return this.#damage('zeros in its topic or its properties')
    return 'record'
  }

  /** The CRC covers only the body. What was not written is zeros: up to the end of the record, or whole sectors of the disk. */
  #isTorn(bytes: Buffer, end: number): boolean {
    const { topicAt, topicSize, propertiesAt } = this
    for (let byte = topicAt; byte < topicAt + topicSize; byte++) if (bytes[byte] === 0) return true
    return looksUnwritten(bytes, propertiesAt, end)
  }

  #damage(problem: string): Found {
    this.problem = problem
    return 'damage'
  }
}

/**
 * Whether properties could be taken for bytes that were not written: they end with a zero, or contain a sector of zeros. `append`
 * refuses such properties, so that no recovery ends the log at a whole record.
 */
export function looksUnwritten(bytes: Buffer, start: number, end: number): boolean {
  if (start < end && bytes[end - 1] === 0) return true
  return end - start >= UNWRITTEN.length && bytes.subarray(start, end).includes(UNWRITTEN)
}

/** Disks write whole sectors, at least this large. */
const UNWRITTEN = Buffer.alloc(512)

/** Store time of the record whose fixed fields begin at `at`, without checking the rest; undefined if no record begins there. */
export function storeTimeAt(bytes: Buffer, at: number): number | undefined {
  const magic = bytes.readInt32BE(at + 4)
  if (magic !== MESSAGE_MAGIC_V1 && magic !== MESSAGE_MAGIC_V2) return undefined
  return readLong(bytes, at + 56 + ((bytes.readInt32BE(at + 36) & BORN_HOST_V6) === 0 ? 0 : V6_BYTES))
}
