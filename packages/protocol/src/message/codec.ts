import { crc32 } from 'node:zlib'
import { exactLong, type Long, RemotingError } from '@gantrymq/remoting'
import { type Host, hostSize, ipText, isV6, writeHost } from './host.ts'
import { messagePropertiesSize, putMessageProperties, readMessageProperties } from './properties.ts'
import { BORN_HOST_V6, STORE_HOST_V6 } from './sys-flag.ts'
import { utf8Size, writeUtf8 } from './utf8.ts'

/** Marks a message whose topic has up to 127 bytes. */
export const MESSAGE_MAGIC_V1 = 0xdaa320a7 | 0
/** 5.x: the topic's length is an int16. */
export const MESSAGE_MAGIC_V2 = 0xdaa320ab | 0

/** A message as brokers store and send it: Apache's MessageExt, laid out by MessageDecoder. */
export interface StoredMessage {
  readonly topic: string
  /** As stored: compressed if sysFlag says so. */
  readonly body: Buffer
  readonly properties: ReadonlyMap<string, string>
  readonly queueId: number
  /** A number of the user's own; RocketMQ does not use it. */
  readonly flag: number
  readonly sysFlag: number
  readonly queueOffset: Long
  /** Position in the commit log. */
  readonly physicalOffset: Long
  /** Milliseconds since the epoch, the sender's clock. */
  readonly bornTimestamp: Long
  readonly bornHost: Host
  /** Milliseconds since the epoch, the broker's clock. */
  readonly storeTimestamp: Long
  readonly storeHost: Host
  readonly reconsumeTimes: number
  readonly preparedTransactionOffset: Long
  /** CRC of the body as stored, see the function `bodyCrc`. Java's clients do not check it. */
  readonly bodyCrc: number
}

/** The length of a topic is an int16. */
const MAX_TOPIC_BYTES = 32_767

/** CRC-32 without its sign bit: Apache's UtilAll.crc32. */
export function bodyCrc(body: Uint8Array): number {
  return crc32(body) & 0x7fffffff
}

/** Bytes without hosts, body, topic and properties, but with the lengths of those; the length of the topic takes one byte. */
const FIXED = 4 * 5 + 8 * 2 + 4 + 8 + 8 + 4 + 8 + 4 + 1 + 2

/** Longer topics need version 2. */
const SHORT_TOPIC_BYTES = 127
const MAX_SIZE = 0x7fff_ffff

/**
 * The size of a stored message, bytes.
 * @throws RemotingError BAD_OPTION if the topic, the properties or the message are too long, or a property contains a separator
 */
export function storedSize(message: StoredMessage): number {
  const topic = utf8Size(message.topic)
  if (topic > MAX_TOPIC_BYTES) {
    throw new RemotingError('BAD_OPTION', `the topic has ${topic} bytes, the limit is ${MAX_TOPIC_BYTES}`)
  }
  const size =
    FIXED +
    hostSize(message.bornHost) +
    hostSize(message.storeHost) +
    message.body.length +
    (topic > SHORT_TOPIC_BYTES ? 1 : 0) +
    topic +
    messagePropertiesSize(message.properties)
  if (size > MAX_SIZE) throw new RemotingError('BAD_OPTION', `the message has ${size} bytes, the limit is ${MAX_SIZE}`)
  return size
}

/**
 * Writes a message as it is stored into `out` at `at`, as Apache's MessageExtEncoder does: version 2 only if the topic needs it.
 * The addresses determine the address bits of sysFlag. This creates no intermediate buffers, except for IPv6 addresses.
 * @param size The result of `storedSize`.
 * @returns The position after the message.
 * @throws RangeError if it does not fit; RemotingError BAD_OPTION as `storedSize`, or if a host is not an IP address. It never
 * writes behind `at + size`.
 */
export function writeStored(message: StoredMessage, out: Buffer, at: number, size = storedSize(message)): number {
  if (at + size > out.length) {
    throw new RangeError(`a message of ${size} bytes does not fit behind byte ${at} of ${out.length}`)
  }
  const { body, topic, bornHost, storeHost } = message
  const topicSize = utf8Size(topic)
  const modern = topicSize > SHORT_TOPIC_BYTES
  out.writeInt32BE(size, at)
  out.writeInt32BE(modern ? MESSAGE_MAGIC_V2 : MESSAGE_MAGIC_V1, at + 4)
  out.writeInt32BE(message.bodyCrc, at + 8)
  out.writeInt32BE(message.queueId, at + 12)
  out.writeInt32BE(message.flag, at + 16)
  writeLong(message.queueOffset, out, at + 20)
  writeLong(message.physicalOffset, out, at + 28)
  out.writeInt32BE(withHosts(message.sysFlag, bornHost, storeHost), at + 36)
  writeLong(message.bornTimestamp, out, at + 40)
  let to = writeHost(bornHost, out, at + 48)
  to = writeLong(message.storeTimestamp, out, to)
  to = writeHost(storeHost, out, to)
  to = out.writeInt32BE(message.reconsumeTimes, to)
  to = writeLong(message.preparedTransactionOffset, out, to)
  to = out.writeInt32BE(body.length, to)
  to += body.copy(out, to)
  to = modern ? out.writeInt16BE(topicSize, to) : out.writeInt8(topicSize, to)
  to = writeUtf8(topic, out, to)
  const end = putMessageProperties(message.properties, out, to + 2)
  out.writeInt16BE(end - to - 2, to)
  return end
}

/**
 * The bytes of a message, see `writeStored`.
 * @throws RemotingError BAD_OPTION if topic or properties are too long
 */
export function encodeMessage(message: StoredMessage): Buffer {
  const size = storedSize(message)
  const bytes = Buffer.allocUnsafe(size)
  writeStored(message, bytes, 0, size)
  return bytes
}

function withHosts(sysFlag: number, born: Host, store: Host): number {
  const plain = sysFlag & ~(BORN_HOST_V6 | STORE_HOST_V6)
  return plain | (isV6(born.ip) ? BORN_HOST_V6 : 0) | (isV6(store.ip) ? STORE_HOST_V6 : 0)
}

/** Writing two words costs a sixth of writing a bigint, and no memory. */
function writeLong(value: Long, out: Buffer, at: number): number {
  if (typeof value === 'bigint' || !Number.isSafeInteger(value)) return out.writeBigInt64BE(BigInt(value), at)
  const high = Math.floor(value / 0x1_0000_0000)
  out.writeInt32BE(high, at)
  return out.writeUInt32BE(value - high * 0x1_0000_0000, at + 4)
}

/**
 * Reads the messages of a pull or a query, which follow one another.
 * @throws RemotingError BAD_BODY; Java silently drops the rest
 */
export function decodeMessages(bytes: Buffer): StoredMessage[] {
  const messages: StoredMessage[] = []
  for (let at = 0; at < bytes.length; ) {
    const size = bytes.length - at < 4 ? 0 : bytes.readInt32BE(at)
    if (size <= FIXED || size > bytes.length - at) {
      throw new RemotingError('BAD_BODY', `a stored message of ${size} bytes at byte ${at} of ${bytes.length}`)
    }
    messages.push(decodeMessage(bytes.subarray(at, at + size)))
    at += size
  }
  return messages
}

/**
 * Reads the bytes of one message. Its body is a view of them, not a copy.
 * @throws RemotingError BAD_BODY
 */
export function decodeMessage(bytes: Buffer): StoredMessage {
  const input = new Input(bytes)
  input.int()
  const magic = input.int()
  if (magic !== MESSAGE_MAGIC_V1 && magic !== MESSAGE_MAGIC_V2) {
    throw new RemotingError('BAD_BODY', `a stored message with the magic code ${magic}`)
  }
  const crc = input.int()
  const queueId = input.int()
  const flag = input.int()
  const queueOffset = input.long()
  const physicalOffset = input.long()
  const sysFlag = input.int()
  const bornTimestamp = input.long()
  const bornHost = input.host((sysFlag & BORN_HOST_V6) !== 0)
  const storeTimestamp = input.long()
  const storeHost = input.host((sysFlag & STORE_HOST_V6) !== 0)
  const reconsumeTimes = input.int()
  const preparedTransactionOffset = input.long()
  const body = input.bytes(input.int())
  const topic = input.bytes(magic === MESSAGE_MAGIC_V2 ? input.short() : input.byte()).toString('utf8')
  const properties = readMessageProperties(input.bytes(input.short()).toString('utf8'))
  return {
    topic,
    body,
    properties,
    queueId,
    flag,
    sysFlag,
    queueOffset,
    physicalOffset,
    bornTimestamp,
    bornHost,
    storeTimestamp,
    storeHost,
    reconsumeTimes,
    preparedTransactionOffset,
    bodyCrc: crc,
  }
}

/** Reads one field after another; throws beyond the end. */
class Input {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  byte(): number {
    return this.#bytes.readInt8(this.#skip(1))
  }

  short(): number {
    return this.#bytes.readInt16BE(this.#skip(2))
  }

  int(): number {
    return this.#bytes.readInt32BE(this.#skip(4))
  }

  long(): Long {
    return exactLong(this.#bytes.readBigInt64BE(this.#skip(8)))
  }

  host(v6: boolean): Host {
    return { ip: ipText(this.bytes(v6 ? 16 : 4)), port: this.int() }
  }

  bytes(length: number): Buffer {
    const start = this.#skip(length)
    return this.#bytes.subarray(start, start + length)
  }

  #skip(length: number): number {
    const start = this.#at
    if (length < 0 || start + length > this.#bytes.length) {
      throw new RemotingError('BAD_BODY', `a stored message ends before ${length} bytes at byte ${start}`)
    }
    this.#at += length
    return start
  }
}
