/**
 * A record of the commit log, of Apache's CommitLog and MessageExtEncoder. All numbers are big-endian and signed.
 *
 * ```text
 *  0 int32  size of the record          40 int64  born timestamp
 *  4 int32  magic                       48        born host: 4 or 16 bytes of address, int32 port
 *  8 int32  CRC-32 of the body, & 2^31-1          int64  store timestamp
 * 12 int32  queue id                              store host
 * 16 int32  flag of the user                      int32  times it was consumed again
 * 20 int64  queue offset                          int64  position of the half message
 * 28 int64  position in the log                   int32  length, body
 * 36 int32  system flag                           int8   length, topic (version 2: int16)
 *                                                 int16  length, properties
 * ```
 */

/** Size of a record with two IPv4 hosts, without body, topic and properties. */
export const FIXED_BYTES = 91
/** What an IPv6 address takes more than an IPv4 address. */
export const V6_BYTES = 12
/** The end of a file: int32 of bytes left, int32 of magic. Source: Apache's CommitLog.END_FILE_MIN_BLANK_LENGTH. */
export const BLANK_BYTES = 8
export const BLANK_MAGIC = 0xcbd43194 | 0

export const MAX_TOPIC_BYTES = 127
export const MAX_PROPERTIES_BYTES = 32_767

/** The topic of delayed messages: TopicValidator.RMQ_SYS_SCHEDULE_TOPIC. */
export const DELAY_TOPIC = 'SCHEDULE_TOPIC_XXXX'

const HIGH = 0x1_0000_0000

/** As `readInt32BE` without its checks, for a place that is known to be within `bytes`. */
export function readInt(bytes: Buffer, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  )
}

export function readLong(bytes: Buffer, at: number): number {
  return readInt(bytes, at) * HIGH + (readInt(bytes, at + 4) >>> 0)
}

/** Two words cost a sixth of a bigint. */
export function writeLong(bytes: Buffer, at: number, value: number): void {
  writeInt(bytes, at, Math.floor(value / HIGH))
  writeInt(bytes, at + 4, value)
}

export function writeInt(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

/**
 * The tag code of a message in the delay topic is the time of its delivery: Apache's CommitLog.checkMessageAndReturnSize and
 * ScheduleMessageService.computeDeliverTimestamp.
 * @param levels Milliseconds of level 1, 2, and so on.
 */
export function deliverTime(levels: readonly number[], level: number, storeTimestamp: number): number {
  return storeTimestamp + (levels[Math.min(level, levels.length) - 1] ?? 1000)
}
