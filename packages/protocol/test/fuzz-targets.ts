import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { deflateSync } from 'node:zlib'
import { type BodyCodec, finish } from '@gantrymq/remoting'
import { failsWith, type FuzzTarget, goldenExchanges, outcome } from '@gantrymq/testkit'
import {
  decodeRegisterBroker,
  encodeRegisterBroker,
  inflateRegistration,
  readRegistration,
} from '../src/bodies/register-broker.ts'
import * as protocol from '../src/index.ts'
import { decodeBatch, encodeBatch } from '../src/message/batch.ts'
import { decodeMessage, decodeMessages, encodeMessage } from '../src/message/codec.ts'
import { decompress } from '../src/message/compression.ts'
import { mayBeOffsetMessageId, readOffsetMessageId, uniqueIdTime } from '../src/message/message-id.ts'
import {
  readMessageOffsets,
  readOrderCounts,
  readPopReceipt,
  readStartOffsets,
  writePopReceipt,
} from '../src/message/pop-receipt.ts'
import { readMessageProperties, readMessageProperty, writeMessageProperties } from '../src/message/properties.ts'
import { readMessages } from '../src/message/read-messages.ts'
import { readRecallHandle, writeRecallHandle } from '../src/message/recall-handle.ts'
import { matchesTags, subscriptionOf } from '../src/subscription.ts'
import { plainMessage } from './stored-message.ts'

const INFLATED = 1 << 20

const folder = new URL('golden/5.5.0/', import.meta.url)
const goldenFiles = readdirSync(folder).map(name => ({ name, bytes: readFileSync(new URL(name, folder)) }))
const golden = (pattern: RegExp) => goldenFiles.filter(({ name }) => pattern.test(name)).map(({ bytes }) => bytes)

// Their form depends on the header, or they are no JSON.
const codecs = Object.entries(protocol as Readonly<Record<string, unknown>>).flatMap(([name, value]) =>
  name.endsWith('Body') && typeof value === 'object' ? [value as BodyCodec<unknown>] : [],
)

function accepts(codec: BodyCodec<unknown>, bytes: Buffer): boolean {
  try {
    return Buffer.from(codec.encode(codec.decode(bytes))).equals(bytes)
  } catch {
    return false
  }
}

/** Golden bodies of a codec, after a byte with its number. */
const bodySamples = codecs.flatMap((codec, number) => {
  const bodies = golden(/\.json$/)
  const own = bodies.filter(bytes => accepts(codec, bytes))
  return (own.length > 0 ? own : bodies.slice(0, 2)).map(bytes => Buffer.concat([Buffer.of(number), bytes]))
})

/** The first byte selects the body. */
function readBody(input: Buffer): void {
  const codec = codecs[(input[0] ?? 0) % codecs.length] as BodyCodec<unknown>
  const written = Buffer.from(codec.encode(codec.decode(input.subarray(1))))
  assert.deepEqual(Buffer.from(codec.encode(codec.decode(written))).toString(), written.toString(), codec.name)
}

const form = { version: 513, compressed: false, now: 0, maxInflatedBytes: INFLATED, maxTopics: 1000 }

function readRegistrations(input: Buffer): void {
  const version = [36, 409, 513][(input[0] ?? 0) % 3] ?? 513
  const body = decodeRegisterBroker(input.subarray(1), { ...form, version })
  const again = decodeRegisterBroker(encodeRegisterBroker(body, { version, compressed: false }), { ...form, version })
  assert.deepEqual([...again.topics.keys()], [...body.topics.keys()])
}

/** The parts within the zlib stream: random changes of the stream itself would only break its checksum. */
async function readCompressedRegistration(input: Buffer): Promise<void> {
  const inflated = await inflateRegistration(deflateSync(input, { level: 1 }), INFLATED)
  finish(readRegistration(inflated, { ...form, compressed: true }))
}

async function inflateAnything(input: Buffer): Promise<void> {
  const inflated = await inflateRegistration(input, INFLATED)
  assert.ok(inflated.length <= INFLATED)
}

/** A frame whose length words fit, half of the time. */
function withSize(input: Buffer): Buffer {
  if (input.length < 4 || (input[input.length - 1] ?? 0) % 2 === 0) return input
  const bytes = Buffer.from(input)
  bytes.writeInt32BE(bytes.length)
  return bytes
}

function readStored(input: Buffer): void {
  const bytes = withSize(input)
  const lazily = readMessages(bytes, () => {}, { checkCrc: false, maxBodyBytes: INFLATED })
  for (const view of lazily) touch(view)
  const messages = decodeMessages(bytes)
  for (const message of messages) {
    const again = outcome(() => decodeMessage(encodeMessage(message)))
    if (typeof again !== 'string') assert.deepEqual(again, message)
  }
}

/** Reads all parts of a message. Only its body may be unreadable. */
function touch(view: ReturnType<typeof readMessages>[number]): void {
  const { topic, properties, bornHost, storeHost, queueId, flag, physicalOffset } = view
  for (const [name, value] of properties) assert.equal(view.property(name), value, `${topic} ${queueId} ${flag}`)
  assert.ok(bornHost.port >= -0x80000000 && storeHost.ip !== '' && !Number.isNaN(physicalOffset))
  outcome(() => view.body)
}

function readBatches(input: Buffer): void {
  const messages = decodeBatch(withSize(input))
  const encoded = outcome(() => encodeBatch(messages))
  if (typeof encoded !== 'string') assert.deepEqual(decodeBatch(encoded), messages)
}

function readProperties(input: Buffer): void {
  const text = input.toString()
  const properties = readMessageProperties(text)
  for (const [name, value] of properties) assert.equal(readMessageProperty(text, name), value, JSON.stringify(name))
  const written = outcome(() => writeMessageProperties(properties))
  if (written !== 'BAD_OPTION') assert.deepEqual(readMessageProperties(written), properties)
}

/** The first byte selects the compression. */
function readCompressed(input: Buffer): void {
  const type = (['zlib', 'zstd', 'lz4'] as const)[(input[0] ?? 0) % 3] ?? 'zlib'
  assert.ok(decompress(input.subarray(1), type, INFLATED).length <= INFLATED)
}

function readTexts(input: Buffer): void {
  const text = input.toString()
  const receipt = outcome(() => readPopReceipt(text))
  if (typeof receipt !== 'string') {
    const written = writePopReceipt(receipt)
    assert.equal(writePopReceipt(readPopReceipt(written)), written)
  }
  const handle = outcome(() => readRecallHandle(text))
  if (typeof handle !== 'string') assert.deepEqual(readRecallHandle(writeRecallHandle(handle)), handle)
  for (const read of [readStartOffsets, readMessageOffsets, readOrderCounts]) outcome(() => read(text))
  if (mayBeOffsetMessageId(text)) readOffsetMessageId(text)
  uniqueIdTime(text, 0)
}

function readSubscription(input: Buffer): void {
  const expression = input.toString()
  const subscription = subscriptionOf('T', expression, 1)
  for (const tag of subscription.tagsSet) assert.ok(matchesTags(subscription, tag))
  subscriptionOf('T', { sql: `a ${expression}` }, 1)
}

const text = (lines: readonly string[]) => lines.map(line => Buffer.from(line))
const numbered = (number: number, samples: readonly Buffer[]) =>
  samples.map(bytes => Buffer.concat([Buffer.of(number), bytes]))

const capturedRegistrations = goldenExchanges()
  .filter(({ name }) => name === 'REGISTER_BROKER')
  .map(({ request }) => request.subarray(8 + (request.readUInt32BE(4) & 0xffffff)))
  .filter(body => body.length > 0)

const plainRegistrations = capturedRegistrations.filter(body => body[0] === 0x7b)

const parts = Buffer.from(
  '0000001d7b22636f756e746572223a312c2274696d657374616d70223a317d000000010000001654204f4e4520342034203620534c4e474c455f544147' +
    '000000025b5d00000000',
  'hex',
)

const bodyWords = [
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  '"',
  'null',
  'true',
  '9223372036854775807',
  '"4"',
  '1.5',
  '{"a":1}:',
  '$ref',
]

/** Everything of this package that reads what others send or write. */
export const targets: readonly FuzzTarget[] = [
  { name: 'bodies', samples: bodySamples, words: bodyWords, share: 2, read: readBody, declares: failsWith('BAD_BODY') },
  {
    name: 'registrations',
    samples: [0, 1, 2].flatMap(number => numbered(number, [...golden(/^register-broker/), ...plainRegistrations])),
    words: [
      ...bodyWords,
      '"topicConfigTable":{',
      '"dataVersion":null',
      '"filterServerList":',
      '"topicQueueMappingInfoMap":{',
    ],
    read: readRegistrations,
    declares: failsWith('BAD_BODY'),
  },
  {
    name: 'compressed-registrations',
    samples: [parts],
    words: [' ', ' {"a":"b"}', '\u0002', 'SINGLE_TAG'],
    share: 0.3,
    read: readCompressedRegistration,
    declares: failsWith('BAD_BODY'),
  },
  {
    name: 'zlib-registrations',
    samples: [...golden(/\.zlib$/), deflateSync(Buffer.alloc(2 << 20))],
    share: 0.03,
    read: inflateAnything,
    declares: failsWith('BAD_BODY'),
  },
  {
    name: 'stored-messages',
    samples: [...golden(/^(message|inner-batch).*\.bin$/), encodeMessage(plainMessage)],
    words: ['\u0001', '\u0002', 'TAGS\u0001', 'UNIQ_KEY\u0001'],
    share: 2,
    read: readStored,
    declares: failsWith('BAD_BODY'),
  },
  { name: 'batches', samples: golden(/^batch.*\.bin$/), read: readBatches, declares: failsWith('BAD_BODY') },
  {
    name: 'message-properties',
    samples: text(['TAGS\u0001A\u0002KEYS\u0001a b\u0002', 'a\u0001\u0002\u0001b\u0002c\u0001d']),
    words: ['\u0001', '\u0002', 'a', 'TAGS\u0001'],
    read: readProperties,
    declares: () => false,
  },
  {
    name: 'compressed-bodies',
    samples: ['zlib', 'zstd', 'lz4'].flatMap((type, number) => numbered(number, golden(new RegExp(`^body-${type}`)))),
    share: 0.3,
    read: readCompressed,
    declares: failsWith('BAD_BODY'),
  },
  {
    name: 'texts-of-messages',
    samples: text([
      '0 1700000000000 60000 3 0 broker-a 2 5',
      '0 0 7;0 1 9',
      '0 0 1,2,3;1 qo0%5 4',
      'AC11000100002A9F0000000000000400',
      writeRecallHandle({ topic: 'T', brokerName: 'b', deliverTime: '1', messageId: 'm' }),
    ]),
    words: [' ', ';', ',', 'qo', '%', '9007199254740993', '-1'],
    share: 0.5,
    read: readTexts,
    declares: () => false,
  },
  {
    name: 'subscriptions',
    samples: text(['*', 'new || paid', 'a||b||a', "a > 3 AND b IN ('x')"]),
    words: ['||', '|', '*', ' ', '\u0000'],
    share: 0.5,
    read: readSubscription,
    declares: failsWith('BAD_OPTION'),
  },
]
