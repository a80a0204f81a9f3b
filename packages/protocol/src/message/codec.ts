import { crc32 } from 'node:zlib'
import { exactLong, type Long, RemotingError } from '@gantrymq/remoting'
import { type Host, ipBytes, ipText } from './host.ts'
import { readMessageProperties, writeMessageProperties } from './properties.ts'
import { BORN_HOST_V6, STORE_HOST_V6 } from './sys-flag.ts'

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
  /** The user's own number. */
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
  /** Of the body as stored, see `bodyCrc`. Clients do not check it. */
  readonly bodyCrc: number
}

/** Its length is an int16. */
const MAX_TOPIC_BYTES = 32_767

/** CRC-32 without its sign bit: Apache's UtilAll.crc32. */
export function bodyCrc(body: Uint8Array): number {
  return crc32(body) & 0x7fffffff
}

/** Bytes before the hosts, between and behind them, up to the body's length. */
const FIXED = 4 * 5 + 8 * 2 + 4 + 8 + 8 + 4 + 8

/**
 * The bytes of a message, version 2 only where the topic needs it. Address bits of sysFlag are set by the addresses.
 * @throws RemotingError BAD_OPTION if topic or properties are too long
 */
export function encodeMessage(message: StoredMessage): Buffer {
  const topic = Buffer.from(message.topic)
  const properties = Buffer.from(writeMessageProperties(message.properties))
  if (topic.length > MAX_TOPIC_BYTES) {
    throw new RemotingError('BAD_OPTION', `the topic is longer than ${MAX_TOPIC_BYTES} bytes`)
  }
  const born = hostBytes(message.bornHost)
  const store = hostBytes(message.storeHost)
  const modern = topic.length > 127
  const size =
    FIXED +
    born.length +
    store.length +
    4 +
    message.body.length +
    (modern ? 2 : 1) +
    topic.length +
    2 +
    properties.length
  const out = new Output(size)
  out.int(size)
  out.int(modern ? MESSAGE_MAGIC_V2 : MESSAGE_MAGIC_V1)
  out.int(message.bodyCrc)
  out.int(message.queueId)
  out.int(message.flag)
  out.long(message.queueOffset)
  out.long(message.physicalOffset)
  out.int(withHosts(message.sysFlag, born, store))
  out.long(message.bornTimestamp)
  out.bytes(born)
  out.long(message.storeTimestamp)
  out.bytes(store)
  out.int(message.reconsumeTimes)
  out.long(message.preparedTransactionOffset)
  out.int(message.body.length)
  out.bytes(message.body)
  if (modern) out.short(topic.length)
  else out.byte(topic.length)
  out.bytes(topic)
  out.short(properties.length)
  out.bytes(properties)
  return out.done
}

function hostBytes(host: Host): Buffer {
  const port = Buffer.alloc(4)
  port.writeInt32BE(host.port)
  return Buffer.concat([ipBytes(host.ip), port])
}

function withHosts(sysFlag: number, born: Buffer, store: Buffer): number {
  const plain = sysFlag & ~(BORN_HOST_V6 | STORE_HOST_V6)
  return plain | (born.length === 20 ? BORN_HOST_V6 : 0) | (store.length === 20 ? STORE_HOST_V6 : 0)
}

/**
 * Reads the messages of a pull or a query, which stand one behind the other.
 * @throws RemotingError BAD_BODY; Java drops the rest in silence
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

/** Writes fields one behind the other. */
class Output {
  readonly done: Buffer
  #at = 0

  constructor(size: number) {
    this.done = Buffer.allocUnsafe(size)
  }

  byte(value: number): void {
    this.#at = this.done.writeInt8(value, this.#at)
  }

  short(value: number): void {
    this.#at = this.done.writeInt16BE(value, this.#at)
  }

  int(value: number): void {
    this.#at = this.done.writeInt32BE(value, this.#at)
  }

  long(value: Long): void {
    this.#at = this.done.writeBigInt64BE(BigInt(value), this.#at)
  }

  bytes(value: Buffer): void {
    this.#at += value.copy(this.done, this.#at)
  }
}

/** Reads fields one behind the other; beyond the end it throws. */
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
