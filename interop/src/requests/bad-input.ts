import { crc32 } from 'node:zlib'
import type { RawRequest } from '../wire/raw-frame.ts'

/** A request that no correct client sends. */
export interface BadInput {
  readonly name: string
  readonly request: RawRequest
  /** Where our answer differs from that of both lines of Apache: its code, and why. */
  readonly ours?: { readonly code: number; readonly because: string }
}

export const TOPIC = 'BadInput'
export const QUEUES = 2
const LONG = 'x'.repeat(128)
const LONGER = 'x'.repeat(256)
const HUGE = '9223372036854775807'

type Fields = Readonly<Record<string, string>>

const send = (given: Fields = {}, body: Uint8Array | string = 'body'): RawRequest => ({
  code: 10,
  extFields: {
    producerGroup: 'bad-producers',
    topic: TOPIC,
    defaultTopic: 'TBW102',
    defaultTopicQueueNums: '4',
    queueId: '0',
    sysFlag: '0',
    bornTimestamp: '1700000000000',
    flag: '0',
    properties: '',
    reconsumeTimes: '0',
    unitMode: 'false',
    batch: 'false',
    ...given,
  },
  body,
})

const pull = (given: Fields = {}): RawRequest => ({
  code: 11,
  extFields: {
    consumerGroup: 'bad-readers',
    topic: TOPIC,
    queueId: '0',
    queueOffset: '0',
    maxMsgNums: '32',
    sysFlag: '4',
    commitOffset: '0',
    suspendTimeoutMillis: '0',
    subscription: '*',
    subVersion: '0',
    expressionType: 'TAG',
    ...given,
  },
})

const createTopic = (topic: string, given: Fields = {}): RawRequest => ({
  code: 17,
  extFields: {
    topic,
    defaultTopic: 'TBW102',
    readQueueNums: '1',
    writeQueueNums: '1',
    perm: '6',
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: '0',
    order: 'false',
    ...given,
  },
})

/** A message in the form in which a batch has it. @param lie A size or checksum that is wrong. */
function inBatch(body: string, lie: { readonly size?: number; readonly crc?: number } = {}): Buffer {
  const bytes = Buffer.from(body)
  const head = Buffer.alloc(20)
  head.writeInt32BE(lie.size ?? 22 + bytes.length, 0)
  head.writeInt32BE(0, 4)
  head.writeInt32BE(lie.crc ?? crc32(bytes) | 0, 8)
  head.writeInt32BE(0, 12)
  head.writeInt32BE(bytes.length, 16)
  return Buffer.concat([head, bytes, Buffer.alloc(2)])
}

const batch = (body: Uint8Array): RawRequest => ({
  code: 320,
  // The short names of SEND_MESSAGE_V2.
  extFields: {
    a: 'bad-producers',
    b: TOPIC,
    c: 'TBW102',
    d: '4',
    e: '0',
    f: '0',
    g: '1700000000000',
    h: '0',
    i: '',
    j: '0',
    k: 'false',
    l: '16',
    m: 'true',
  },
  body,
})

const hostileNames = ['../..', '..', 'a/b', 'a\u0000b', 'grüße', 'a b', LONG, LONGER, '']

/** Requests with hostile names, numbers and bodies. */
export const badInputs: readonly BadInput[] = [
  ...hostileNames.map(topic => ({ name: `a send to ${shown(topic)}`, request: send({ topic }) })),
  ...hostileNames.map(topic => ({ name: `a topic ${shown(topic)}`, request: createTopic(topic) })),
  ...hostileNames.map(topic => ({ name: `a deletion of the topic ${shown(topic)}`, request: { code: 215, extFields: { topic } } })), // biome-ignore format: one thought
  ...hostileNames.map(topic => ({ name: `a pull from ${shown(topic)}`, request: pull({ topic }) })),
  ...hostileNames.map(consumerGroup => ({ name: `a pull of the group ${shown(consumerGroup)}`, request: pull({ consumerGroup }) })), // biome-ignore format: one thought
  ...hostileNames.map(topic => ({ name: `the largest offset of ${shown(topic)}`, request: { code: 30, extFields: { topic, queueId: '0' } } })), // biome-ignore format: one thought
  ...['-1', '2', '1000000', '2147483648', 'x'].map(queueId => ({ name: `a send to the queue ${queueId}`, request: send({ queueId }) })), // biome-ignore format: one thought
  ...['-1', '2', '1000000', 'x'].map(queueId => ({ name: `a pull from the queue ${queueId}`, request: pull({ queueId }) })), // biome-ignore format: one thought
  ...['-1', '1000'].map(queueOffset => ({ name: `a pull from the offset ${queueOffset}`, request: pull({ queueOffset }) })), // biome-ignore format: one thought
  {
    name: 'a pull from the offset 2^63 - 1',
    request: pull({ queueOffset: HUGE }),
    ours: { code: 1, because: 'no queue has so many messages' },
  },
  ...['0', '-5', '2147483647'].map(maxMsgNums => ({ name: `a pull of ${maxMsgNums} messages`, request: pull({ maxMsgNums }) })), // biome-ignore format: one thought
  ...['-1', '7', HUGE].map(offset => ({ name: `a message at the position ${offset}`, request: { code: 33, extFields: { topic: TOPIC, offset } } })), // biome-ignore format: one thought
  { name: 'properties without an end', request: send({ properties: 'KEYS\u0001a\u0002TAGS' }) },
  { name: 'properties of separators', request: send({ properties: '\u0001\u0002\u0001\u0001\u0002\u0002' }) },
  {
    name: 'a property with separators in its value',
    request: send({ properties: 'a\u0001b\u0001c\u0002d\u0001e\u0002' }),
  },
  { name: 'properties of 40,000 characters', request: send({ properties: `a\u0001${'v'.repeat(40_000)}\u0002` }) },
  { name: 'a delay level of 99', request: send({ properties: 'DELAY\u000199\u0002' }) },
  {
    name: 'a delay level that is no number',
    ours: { code: 13, because: 'Apache fails with an exception, and producers send the message to the next broker' },
    request: send({ properties: 'DELAY\u0001x\u0002' }),
  },
  {
    name: 'an empty body',
    ours: { code: 13, because: '4.9 stores a message that 5.x then cannot read, and 5.x fails with an exception' },
    request: send({}, ''),
  },
  { name: 'a body over maxMessageSize', request: send({}, Buffer.alloc(4 * 1024 * 1024 + 1)) },
  {
    name: 'a batch that is cut off',
    ours: { code: 13, because: 'Apache fails with an exception' },
    request: batch(Buffer.concat([inBatch('one'), inBatch('two').subarray(0, 15)])),
  },
  {
    name: 'a batch with a size that is too large',
    ours: { code: 13, because: 'Apache ignores the size, and stores what the rest says' },
    request: batch(inBatch('one', { size: 1_000_000 })),
  },
  {
    name: 'a batch with a negative size',
    ours: { code: 13, because: 'Apache ignores the size, and stores what the rest says' },
    request: batch(inBatch('one', { size: -5 })),
  },
  { name: 'a batch with a wrong checksum', request: batch(inBatch('one', { crc: 12345 })) },
  {
    name: 'a batch of nothing',
    ours: { code: 13, because: 'Apache fails with an exception' },
    request: batch(Buffer.alloc(0)),
  },
  { name: 'a send without a topic', request: { code: 10, extFields: { producerGroup: 'p' }, body: 'x' } },
  { name: 'a pull without fields', request: { code: 11, extFields: {} } },
  { name: 'a heartbeat that is no JSON', request: { code: 34, body: '{"clientID":' } },
  { name: 'a heartbeat without a body', request: { code: 34 } },
  { name: 'a lock without a body', request: { code: 41 } },
  { name: 'a group that is no JSON', request: { code: 200, body: 'x' } },
  { name: 'a group without a body', request: { code: 200 } },
  { name: 'an end of a transaction that is nowhere', request: { code: 37, extFields: { producerGroup: 'p', tranStateTableOffset: '5', commitLogOffset: '999999', commitOrRollback: '8', fromTransactionCheck: 'false', msgId: 'x' } } }, // biome-ignore format: one thought
  { name: 'a message sent back from nowhere', request: { code: 36, extFields: { offset: '999999', group: 'bad-readers', delayLevel: '0' } } }, // biome-ignore format: one thought
  { name: 'a commit of a negative offset', request: { code: 15, extFields: { consumerGroup: 'bad-readers', topic: TOPIC, queueId: '0', commitOffset: '-7' } } }, // biome-ignore format: one thought
  { name: 'a commit for a queue that the topic does not have', ours: { code: 29, because: 'Apache takes it, and its table grows' }, request: { code: 15, extFields: { consumerGroup: 'bad-readers', topic: TOPIC, queueId: '2000000000', commitOffset: '1' } } }, // biome-ignore format: one thought
  { name: 'a key query with a negative maximum', ours: { code: 22, because: 'Apache fails with an exception' }, request: { code: 12, extFields: { topic: TOPIC, key: 'k', maxNum: '-1', beginTimestamp: '0', endTimestamp: HUGE } } }, // biome-ignore format: one thought
  { name: 'a message id that is none', request: { code: 309, extFields: { consumerGroup: 'g', clientId: 'c', msgId: 'zz', brokerName: 'a' } } }, // biome-ignore format: one thought
  { name: 'a code that no broker knows', request: { code: 32_000 } },
]

function shown(name: string): string {
  if (name.length > 20) return `${name[0]} x ${name.length}`
  return JSON.stringify(name)
}

/** A send that every broker takes. */
export const goodSend: RawRequest = send()

/** Bytes that are no frame. */
export const frames: readonly { readonly name: string; readonly bytes: Buffer }[] = [
  { name: 'a frame of 2 GiB', bytes: Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]) },
  { name: 'a frame of a negative size', bytes: Buffer.from([0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 0]) },
]
