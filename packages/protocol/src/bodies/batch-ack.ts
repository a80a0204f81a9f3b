import {
  type Bean,
  intOf,
  isArray,
  type JsonObject,
  type JsonValue,
  listOf,
  numberOf,
  RemotingError,
  textOf,
  toObject,
} from '@gantrymq/remoting'
import { jsonBody } from './json-body.ts'

/** Acknowledged messages of one pop and one queue: Apache's BatchAck (5.x). */
export interface BatchAck {
  readonly consumerGroup: string
  readonly topic: string
  /** `0` for the topic itself, `1` and `2` for the group's retry topic of either version. */
  readonly retry: string
  readonly startOffset: number
  readonly queueId: number
  readonly reviveQueueId: number
  /** Milliseconds since the epoch. */
  readonly popTime: number
  /** Milliseconds. */
  readonly invisibleTime: number
  /** Offsets of the messages, counted from `startOffset`. */
  readonly bits: readonly number[]
}

/** Apache's BatchAckMessageRequestBody (5.x). */
export interface BatchAckMessages {
  readonly brokerName: string
  readonly acks: readonly BatchAck[]
}

/** No pop spans more offsets. The limit keeps a peer from making this side allocate memory for the bits in between. */
const MAX_BIT = (1 << 20) - 1

/** Java's BitSet.toByteArray in base64. */
function writeBits(bits: readonly number[]): string {
  const highest = bits.reduce((max, bit) => Math.max(max, bit), -1)
  if (highest > MAX_BIT) throw new RangeError(`an acknowledgement spans ${highest} offsets, the limit is ${MAX_BIT}`)
  const bytes = Buffer.alloc((highest >> 3) + 1)
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] as number) | (1 << (bit & 7))
  return bytes.toString('base64')
}

function bytesOf(value: JsonValue | undefined): Uint8Array {
  if (value === undefined || value === null) return new Uint8Array()
  if (isArray(value)) return Uint8Array.from(value, Number)
  if (typeof value !== 'string') throw new RemotingError('BAD_BODY', 'b of the body is not a bit set')
  return Buffer.from(value, 'base64')
}

function readBits(value: JsonValue | undefined): number[] {
  const bits: number[] = []
  const bytes = bytesOf(value)
  if (bytes.length > (MAX_BIT + 1) >> 3) throw new RemotingError('BAD_BODY', `b of the body has ${bytes.length} bytes`)
  bytes.forEach((byte, at) => {
    for (let bit = 0; bit < 8; bit++) if ((byte & (1 << bit)) !== 0) bits.push(at * 8 + bit)
  })
  return bits
}

function ackBean(ack: BatchAck): Bean {
  return {
    b: writeBits(ack.bits),
    c: ack.consumerGroup,
    it: ack.invisibleTime,
    pt: ack.popTime,
    q: ack.queueId,
    r: ack.retry,
    rq: ack.reviveQueueId,
    so: ack.startOffset,
    t: ack.topic,
  }
}

/** Java reads the long names as well as the short ones. */
function nameIn(object: JsonObject, short: string, long: string): string {
  return object.has(short) ? short : long
}

function readAck(value: JsonValue): BatchAck {
  const object = toObject(value, 'acks')
  const text = (short: string, long: string): string => textOf(object, nameIn(object, short, long)) ?? ''
  const number = (short: string, long: string): number => numberOf(object, nameIn(object, short, long), 0)
  return {
    consumerGroup: text('c', 'consumerGroup'),
    topic: text('t', 'topic'),
    retry: text('r', 'retry'),
    startOffset: number('so', 'startOffset'),
    queueId: intOf(object, nameIn(object, 'q', 'queueId'), 0),
    reviveQueueId: intOf(object, nameIn(object, 'rq', 'reviveQueueId'), 0),
    popTime: number('pt', 'popTime'),
    invisibleTime: number('it', 'invisibleTime'),
    bits: readBits(object.get(nameIn(object, 'b', 'bitSet'))),
  }
}

export const batchAckBody = jsonBody<BatchAckMessages>(
  'BatchAckMessageRequestBody',
  ({ acks, brokerName }) => ({ acks: acks.map(ackBean), brokerName }),
  object => ({
    brokerName: textOf(object, 'brokerName') ?? '',
    acks: (listOf(object, 'acks') ?? []).map(readAck),
  }),
)
