import { MESSAGE_MAGIC_V1, MESSAGE_MAGIC_V2 } from './codec.ts'
import { BORN_HOST_V6, STORE_HOST_V6 } from './sys-flag.ts'

/** The positions of the parts of a stored message. */
export interface MessageLayout {
  /** Contains the fixed fields, from `at`. */
  readonly bytes: Buffer
  readonly at: number
  readonly sysFlag: number
  readonly storeTimestampAt: number
  /** Position of the fields that follow the hosts, the first of which is the number of redeliveries. */
  readonly tailAt: number
  readonly topicAt: number
  readonly topicLength: number
  readonly flagAt: number
  /** Contains body, properties and flag: `bytes`, or the batch from which the message was unwrapped. */
  readonly content: Buffer
  readonly bodyAt: number
  readonly bodyLength: number
  readonly propertiesAt: number
  readonly propertiesLength: number
  /** Index in the batch from which the message was unwrapped, else 0. */
  readonly index: number
}

/** Size of an empty message with IPv4 hosts. */
export const MIN_MESSAGE_BYTES = 91

/** Finds the parts of the message from `at` to `end`, at least MIN_MESSAGE_BYTES; or returns why it is not a message. */
export function layoutOf(bytes: Buffer, at: number, end: number): MessageLayout | string {
  const magic = bytes.readInt32BE(at + 4)
  if (magic !== MESSAGE_MAGIC_V1 && magic !== MESSAGE_MAGIC_V2) return `unknown magic code ${hex(magic)}`
  const sysFlag = bytes.readInt32BE(at + 36)
  const storeTimestampAt = at + 48 + hostLength(sysFlag & BORN_HOST_V6)
  const tailAt = storeTimestampAt + 8 + hostLength(sysFlag & STORE_HOST_V6)
  const bodyAt = tailAt + 16
  // The lengths of topic and properties follow the body.
  const modern = magic === MESSAGE_MAGIC_V2 ? 1 : 0
  if (bodyAt + 3 + modern > end) return 'it ends within its header'
  const bodyLength = bytes.readInt32BE(bodyAt - 4)
  const topicAt = bodyAt + bodyLength + 1 + modern
  if (bodyLength < 0 || topicAt + 2 > end) return `a body of ${bodyLength} bytes does not fit`
  const topicLength = modern === 1 ? bytes.readInt16BE(topicAt - 2) : bytes.readInt8(topicAt - 1)
  const propertiesAt = topicAt + topicLength + 2
  if (topicLength < 0 || propertiesAt > end) return `a topic of ${topicLength} bytes does not fit`
  const propertiesLength = bytes.readInt16BE(propertiesAt - 2)
  if (propertiesLength < 0 || propertiesAt + propertiesLength > end) {
    return `properties of ${propertiesLength} bytes do not fit`
  }
  const unsafe = unsafeLong(bytes, at, storeTimestampAt, tailAt)
  if (unsafe !== undefined) return `its ${unsafe} is beyond 2^53`
  return {
    bytes,
    at,
    sysFlag,
    storeTimestampAt,
    tailAt,
    topicAt,
    topicLength,
    flagAt: at + 16,
    content: bytes,
    bodyAt,
    bodyLength,
    propertiesAt,
    propertiesLength,
    index: 0,
  }
}

function hostLength(v6: number): number {
  return v6 === 0 ? 8 : 20
}

function unsafeLong(bytes: Buffer, at: number, storeTimestampAt: number, tailAt: number): string | undefined {
  if (!isSafe(bytes, at + 20)) return 'queue offset'
  if (!isSafe(bytes, at + 28)) return 'physical offset'
  if (!isSafe(bytes, at + 40)) return 'born timestamp'
  if (!isSafe(bytes, storeTimestampAt)) return 'store timestamp'
  if (!isSafe(bytes, tailAt + 4)) return 'transaction offset'
  return undefined
}

const HIGH_LIMIT = 0x20_0000

function isSafe(bytes: Buffer, at: number): boolean {
  const high = bytes.readInt32BE(at)
  return high < HIGH_LIMIT && high >= -HIGH_LIMIT
}

/** The long at `at`, which must be safe. Reading two words takes 20 ns; a bigint would take 35 ns and create garbage. */
export function safeLong(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4)
}

function hex(magic: number): string {
  return `0x${(magic >>> 0).toString(16).padStart(8, '0')}`
}
