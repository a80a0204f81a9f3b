import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { golden } from '../../test/golden.ts'
import { encodeBatch } from './batch.ts'
import { bodyCrc, decodeMessage, decodeMessages, encodeMessage, type StoredMessage } from './codec.ts'
import { compress } from './compression.ts'
import { offsetMessageId } from './message-id.ts'
import type { MessageView } from './message-view.ts'
import { hasSeparator } from './properties.ts'
import { type CorruptMessage, type ReadMessagesOptions, readMessages } from './read-messages.ts'
import { COMPRESSED, compressionFlag, INNER_BATCH, NEED_UNWRAP } from './sys-flag.ts'

const plain: StoredMessage = {
  topic: 'TopicTest',
  body: Buffer.from('Hello'),
  properties: new Map([
    ['TAGS', 'A'],
    ['KEYS', 'K1 K2'],
  ]),
  queueId: 2,
  flag: 9,
  sysFlag: 0,
  queueOffset: 5,
  physicalOffset: 1024,
  bornTimestamp: 1700000000000,
  bornHost: { ip: '192.168.0.10', port: 50000 },
  storeTimestamp: 1700000000123,
  storeHost: { ip: '192.168.0.20', port: 10911 },
  reconsumeTimes: 3,
  preparedTransactionOffset: 77,
  bodyCrc: 0x77d18982,
}

function withBody(body: Buffer, sysFlag: number): Buffer {
  return encodeMessage({ ...plain, body, sysFlag, bodyCrc: bodyCrc(body) })
}

function read(bytes: Buffer, options?: ReadMessagesOptions): { messages: MessageView[]; corrupt: CorruptMessage[] } {
  const corrupt: CorruptMessage[] = []
  return { messages: readMessages(bytes, one => corrupt.push(one), options), corrupt }
}

/** All parts of a message that `decodeMessages` returns, read through the view. */
function all(view: MessageView): Omit<StoredMessage, 'bodyCrc'> {
  const { topic, storedBody: body, properties, queueId, flag, sysFlag, queueOffset, physicalOffset } = view
  const { bornTimestamp, bornHost, storeTimestamp, storeHost, reconsumeTimes, preparedTransactionOffset } = view
  const front = { topic, body, properties, queueId, flag, sysFlag, queueOffset, physicalOffset }
  const back = { bornTimestamp, bornHost, storeTimestamp, storeHost, reconsumeTimes, preparedTransactionOffset }
  return { ...front, ...back }
}

function withoutCrc(message: StoredMessage): Omit<StoredMessage, 'bodyCrc'> {
  const { bodyCrc: _crc, ...rest } = message
  return rest
}

test('a view has the same values as the decoder, for messages of both lines and both kinds of address', () => {
  for (const line of ['4.9.7', '5.5.0'] as const) {
    for (const name of ['message-v4.bin', 'message-v6.bin', 'message-v4-zlib.bin', 'message-v6-zlib.bin']) {
      const bytes = golden(line, name)
      // Java's encoder takes the CRC from the message, and these messages have the CRC of the uncompressed body.
      const { messages, corrupt } = read(bytes, { checkCrc: false })
      assert.deepEqual(messages.map(all), decodeMessages(bytes).map(withoutCrc), `${line} ${name}`)
      assert.equal(messages[0]?.body.toString(), 'Hello')
      assert.deepEqual(corrupt, [])
    }
  }
})

const ip = fc.constantFrom('10.0.0.1', '2001:db8:0:0:0:0:0:1')
const host = fc.record({ ip, port: fc.nat(65_535) }, { noNullPrototype: true })
const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter(word => !hasSeparator(word))
const safe = fc.maxSafeInteger()
const anyMessage = fc
  .record(
    {
      topic: fc.oneof(text, fc.constant('x'.repeat(200))),
      body: fc.uint8Array({ maxLength: 50 }).map(bytes => Buffer.from(bytes)),
      properties: fc.array(fc.tuple(text, text), { maxLength: 5 }).map(entries => new Map(entries)),
      queueId: fc.nat(),
      flag: fc.integer(),
      sysFlag: fc.constant(0),
      queueOffset: safe,
      physicalOffset: safe,
      bornTimestamp: safe,
      bornHost: host,
      storeTimestamp: safe,
      storeHost: host,
      reconsumeTimes: fc.integer(),
      preparedTransactionOffset: safe,
    },
    { noNullPrototype: true },
  )
  .map((one): StoredMessage => ({ ...one, bodyCrc: bodyCrc(one.body) }))

test('every written message is read back, as a whole and property by property', () => {
  fc.assert(
    fc.property(fc.array(anyMessage, { maxLength: 4 }), written => {
      const bytes = written.map(encodeMessage)
      const { messages, corrupt } = read(Buffer.concat(bytes))
      assert.deepEqual(corrupt, [])
      assert.deepEqual(
        messages.map(all),
        bytes.map(one => withoutCrc(decodeMessage(one))),
      )
      for (const [index, message] of read(Buffer.concat(bytes)).messages.entries()) {
        for (const [name, value] of written[index]?.properties ?? []) assert.equal(message.property(name), value)
        assert.equal(message.property('absent name'), undefined)
      }
    }),
  )
})

test('from truncated bytes, all complete messages are read and the rest is reported', () => {
  const bytes = Buffer.concat([encodeMessage(plain), encodeMessage(plain)])
  const one = bytes.length / 2
  for (let end = 0; end <= bytes.length; end++) {
    const { messages, corrupt } = read(bytes.subarray(0, end))
    assert.equal(messages.length, Math.floor(end / one), String(end))
    const left = end % one
    assert.equal(corrupt.length, left === 0 ? 0 : 1)
    if (left > 0) assert.deepEqual([corrupt[0]?.position, corrupt[0]?.size], [end - left, left])
  }
})

function garbled(at: number, value: number): Buffer {
  const bytes = encodeMessage(plain)
  bytes.writeInt32BE(value, at)
  return bytes
}

test('a corrupt message is skipped and reported, and the next one is read', () => {
  const bodyAt = 84
  const topicAt = bodyAt + 4 + plain.body.length
  const cases: readonly [bytes: Buffer, reason: RegExp, offset: number | undefined][] = [
    [garbled(4, 0x11223344), /magic code 0x11223344/, undefined],
    [garbled(bodyAt, -1), /body of -1 bytes/, undefined],
    [garbled(bodyAt, 40), /body of 40 bytes|topic of|properties of/, undefined],
    [garbled(bodyAt, 4000), /body of 4000 bytes/, undefined],
    [garbled(topicAt, 0x80000000 | 0), /topic of -128 bytes/, undefined],
    [garbled(topicAt, 0x7f000000), /topic of 127 bytes/, undefined],
    [garbled(topicAt + 10, 0x7fff0000), /properties of 32767 bytes/, undefined],
    [garbled(topicAt + 10, 0x80000000 | 0), /properties of -32768 bytes/, undefined],
    [garbled(20, 0x200000), /queue offset is beyond/, undefined],
    [garbled(28, -0x200001), /physical offset is beyond/, undefined],
    [garbled(40, 0x7fffffff), /born timestamp is beyond/, undefined],
    [garbled(56, 0x7fffffff), /store timestamp is beyond/, undefined],
    [garbled(76, 0x7fffffff), /transaction offset is beyond/, undefined],
    [garbled(8, 1), /CRC/, 5],
    [garbled(bodyAt + 4, 0), /CRC/, 5],
  ]
  for (const [bytes, reason, queueOffset] of cases) {
    const { messages, corrupt } = read(Buffer.concat([encodeMessage(plain), bytes, encodeMessage(plain)]))
    assert.equal(messages.length, 2, String(reason))
    assert.equal(corrupt.length, 1)
    assert.match(corrupt[0]?.reason ?? '', reason)
    assert.deepEqual(
      { ...corrupt[0], reason: '' },
      { position: bytes.length, size: bytes.length, reason: '', queueOffset },
    )
  }
})

test('after an impossible size, the rest is skipped', () => {
  for (const size of [0, -1, 90, 0x7fffffff, -0x80000000]) {
    const bytes = Buffer.concat([encodeMessage(plain), garbled(0, size), encodeMessage(plain)])
    const { messages, corrupt } = read(bytes)
    assert.equal(messages.length, 1)
    const position = bytes.length / 3
    const reason = `its size is ${size}, but ${2 * position} bytes are left`
    assert.deepEqual(corrupt, [{ position, size: 2 * position, reason, queueOffset: undefined }])
  }
})

test('the CRC is not checked if it is 0 or the caller turns the check off', () => {
  assert.equal(read(garbled(8, 0)).messages.length, 1)
  assert.equal(read(garbled(8, 1), { checkCrc: false }).messages.length, 1)
})

test('random and garbled bytes never throw and never loop', () => {
  const look = (bytes: Buffer): void => {
    const { messages, corrupt } = read(bytes, { checkCrc: false })
    assert.ok(messages.length + corrupt.length <= bytes.length / 4 + 1)
    for (const message of messages) all(message)
  }
  const pull = Buffer.concat([encodeMessage(plain), golden('5.5.0', 'inner-batch.bin'), encodeMessage(plain)])
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(pull.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }), changes => {
      const bytes = Buffer.from(pull)
      for (const [at, byte] of changes) bytes[at] = byte
      look(bytes)
    }),
    { numRuns: 500 },
  )
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), bytes => look(Buffer.from(bytes))))
})

test('a batch that a 5.x broker stored is unwrapped as Java does it', () => {
  for (const line of ['4.9.7', '5.5.0'] as const) {
    const { messages, corrupt } = read(golden(line, 'inner-batch.bin'))
    assert.deepEqual(corrupt, [])
    assert.deepEqual(
      messages.map(one => [one.queueOffset, one.queueId, one.topic, String(one.body), one.flag, one.physicalOffset]),
      [
        [40, 2, 'TopicTest', 'Hi', 7, 1024],
        [41, 2, 'TopicTest', 'there', 8, 1024],
      ],
    )
    assert.deepEqual(
      messages.map(one => Object.fromEntries(one.properties)),
      [
        { KEYS: 'K1', TAGS: 'A', WAIT: 'true' },
        { KEYS: 'K2 K3', TAGS: 'B', WAIT: 'true' },
      ],
    )
  }
})

const BATCH = INNER_BATCH | NEED_UNWRAP

test('a compressed batch is unwrapped, and its messages are not compressed', () => {
  const batch = encodeBatch([
    { flag: 1, body: Buffer.from('a'), properties: new Map() },
    { flag: 2, body: Buffer.from('b'), properties: new Map([['TAGS', 'T']]) },
  ])
  const { messages } = read(withBody(compress(batch, 'zstd'), BATCH | compressionFlag('zstd')))
  assert.deepEqual(
    messages.map(one => [String(one.body), one.property('TAGS'), one.compression, one.queueOffset]),
    [
      ['a', undefined, null, 5],
      ['b', 'T', null, 6],
    ],
  )
})

test('from a truncated batch, all complete messages are read and the rest is reported', () => {
  const entry = encodeBatch([{ flag: 1, body: Buffer.from('a'), properties: new Map() }])
  const broken = withBody(Buffer.concat([entry, entry.subarray(0, 10)]), BATCH)
  const { messages, corrupt } = read(Buffer.concat([broken, encodeMessage(plain)]))
  assert.deepEqual(
    messages.map(one => String(one.body)),
    ['a', 'Hello'],
  )
  assert.match(corrupt[0]?.reason ?? '', /message at byte 23 does not fit/)
  for (const flags of [COMPRESSED, COMPRESSED | 0x500]) {
    assert.equal(read(withBody(entry, BATCH | flags)).corrupt.length, 1)
  }
})

test('a compressed body is decompressed on first use, within the limit', async () => {
  const body = Buffer.alloc(200_000, 'abc')
  for (const type of ['zlib', 'zstd', 'lz4'] as const) {
    const bytes = withBody(compress(body, type), compressionFlag(type))
    const [message] = read(bytes).messages
    assert.ok(message)
    assert.equal(message.compression, type)
    assert.deepEqual(await message.readBody(), body)
    assert.equal(message.body, await message.readBody())
    const [limited] = read(bytes, { maxBodyBytes: 1000 }).messages
    assert.throws(() => limited?.body, { code: 'BAD_BODY', message: /larger than 1000 bytes/ })
    await assert.rejects(async () => limited?.readBody(), { code: 'BAD_BODY' })
  }
})

test('an empty body is not decompressed, and an unknown compression type is an error', async () => {
  const [empty] = read(withBody(Buffer.alloc(0), COMPRESSED)).messages
  assert.equal(empty?.body.length, 0)
  const [strange] = read(withBody(Buffer.from('x'), COMPRESSED | 0x500)).messages
  assert.throws(() => strange?.body, { code: 'BAD_BODY', message: /type 5/ })
  await assert.rejects(async () => strange?.readBody(), { code: 'BAD_BODY' })
  assert.equal(String(strange?.storedBody), 'x')
})

test('the id of a message is the one of its sender, or else its offset id', () => {
  for (const ip of ['192.168.0.20', '2001:db8:0:0:0:0:0:2']) {
    const stored = { ...plain, storeHost: { ip, port: 10911 } }
    const offsetId = offsetMessageId(stored.storeHost, stored.physicalOffset)
    const named = { ...stored, properties: new Map([['UNIQ_KEY', 'C0A8']]) }
    const { messages } = read(Buffer.concat([encodeMessage(stored), encodeMessage(named)]))
    assert.deepEqual(
      messages.map(one => [one.messageId, one.offsetMessageId]),
      [
        [offsetId, offsetId],
        ['C0A8', offsetId],
      ],
    )
  }
})
