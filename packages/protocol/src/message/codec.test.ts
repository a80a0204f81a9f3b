import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exactLong } from '@gantrymq/remoting'
import fc from 'fast-check'
import { plainMessage } from '../../test/stored-message.ts'
import { decodeMessage, encodeMessage, type StoredMessage, storedSize, writeStored } from './codec.ts'
import { writeMessageProperties } from './properties.ts'
import { BORN_HOST_V6, STORE_HOST_V6 } from './sys-flag.ts'

const int = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff })
const long = fc.oneof(
  fc.maxSafeInteger(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(exactLong),
  fc.constantFrom(0, -1, 0xffff_ffff, 0x1_0000_0000, -0x1_0000_0000, Number.MIN_SAFE_INTEGER, 2n ** 63n - 1n),
)
const port = fc.nat(65_535)
const v4 = fc.tuple(...Array.from({ length: 4 }, () => fc.nat(255))).map(parts => parts.join('.'))
// In the form in which Java prints addresses and this package reads them.
const v6 = fc.tuple(...Array.from({ length: 8 }, () => fc.nat(0xffff))).map(w => w.map(n => n.toString(16)).join(':'))
const host = fc.record({ ip: fc.oneof(v4, v6), port }, { noNullPrototype: true })
const text = (maxLength: number) =>
  fc
    .oneof(
      fc.string({ unit: 'grapheme', maxLength }),
      fc.string({ maxLength: maxLength * 4 }),
      fc.constantFrom('ü', '€uro', '中'),
    )
    .map(given => given.replaceAll(/[\u0001\u0002]/g, '-')) // oxlint-disable-line no-control-regex -- the separators
const word = text(40).filter(given => given !== '')

const messages: fc.Arbitrary<StoredMessage> = fc
  .record(
    {
      topic: text(60),
      body: fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes)),
      properties: fc.array(fc.tuple(word, word), { maxLength: 6 }).map(entries => new Map(entries)),
      queueId: int,
      flag: int,
      sysFlag: int,
      queueOffset: long,
      physicalOffset: long,
      bornTimestamp: long,
      bornHost: host,
      storeTimestamp: long,
      storeHost: host,
      reconsumeTimes: int,
      preparedTransactionOffset: long,
      bodyCrc: int,
    },
    { noNullPrototype: true },
  )
  .map(message => ({
    ...message,
    sysFlag:
      (message.sysFlag & ~(BORN_HOST_V6 | STORE_HOST_V6)) |
      (message.bornHost.ip.includes(':') ? BORN_HOST_V6 : 0) |
      (message.storeHost.ip.includes(':') ? STORE_HOST_V6 : 0),
  }))

test('a written message is read back unchanged', () => {
  fc.assert(
    fc.property(messages, message => {
      assert.deepEqual(decodeMessage(encodeMessage(message)), message)
    }),
    { numRuns: 500 },
  )
})

test('a message is written in place, in exactly storedSize bytes', () => {
  fc.assert(
    fc.property(messages, fc.nat(20), fc.nat(20), (message, before, behind) => {
      const size = storedSize(message)
      const out = Buffer.alloc(before + size + behind, 0xee)
      assert.equal(writeStored(message, out, before), before + size)
      assert.deepEqual(out.subarray(before, before + size), encodeMessage(message))
      assert.ok(out.subarray(0, before).every(byte => byte === 0xee))
      assert.ok(out.subarray(before + size).every(byte => byte === 0xee))
    }),
  )
})

test('nothing is written if there is not enough room for the whole message', () => {
  const size = storedSize(plainMessage)
  const out = Buffer.alloc(size + 9, 0xee)
  assert.throws(() => writeStored(plainMessage, out, 10), {
    name: 'RangeError',
    message: `a message of ${size} bytes does not fit behind byte 10 of ${size + 9}`,
  })
  assert.ok(out.every(byte => byte === 0xee))
  assert.equal(writeStored(plainMessage, out, 9), size + 9)
})

test('the properties are written as the bytes of their text', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(text(30), text(30)), { maxLength: 6 }), entries => {
      const properties = new Map(entries)
      const written = Buffer.from(writeMessageProperties(properties))
      assert.ok(
        encodeMessage({ ...plainMessage, properties })
          .subarray(-written.length - 2)
          .subarray(2)
          .equals(written),
      )
    }),
  )
})

test('lengths are limited in bytes, not in letters', () => {
  const topic = (letters: number): StoredMessage => ({ ...plainMessage, topic: 'ü'.repeat(letters) })
  assert.equal(decodeMessage(encodeMessage(topic(16_383))).topic.length, 16_383)
  assert.throws(() => storedSize(topic(16_384)), {
    code: 'BAD_OPTION',
    message: 'the topic has 32768 bytes, the limit is 32767',
  })
  // Name, value and two separators.
  const valued = (letters: number): StoredMessage => ({
    ...plainMessage,
    properties: new Map([['a', 'ü'.repeat(letters)]]),
  })
  assert.equal(decodeMessage(encodeMessage(valued(16_382))).properties.get('a')?.length, 16_382)
  assert.throws(() => encodeMessage(valued(16_383)), { code: 'BAD_OPTION', message: /longer than 32767 bytes/ })
  const out = Buffer.alloc(100_000)
  assert.throws(() => writeStored(valued(16_383), out, 0), { code: 'BAD_OPTION' })
  assert.ok(out.every(byte => byte === 0))
})

test('a message with a topic of 127 bytes is version 1, with 128 bytes version 2', () => {
  for (const [topic, magic] of [
    ['x'.repeat(127), 0xdaa320a7],
    ['x'.repeat(128), 0xdaa320ab],
    ['ü'.repeat(63), 0xdaa320a7],
    ['ü'.repeat(64), 0xdaa320ab],
  ] as const) {
    const bytes = encodeMessage({ ...plainMessage, topic })
    assert.equal(bytes.readUInt32BE(4), magic)
    assert.equal(decodeMessage(bytes).topic, topic)
  }
})

test('separators in properties and hosts that are not addresses are refused', () => {
  for (const properties of [new Map([['a\u0001', 'b']]), new Map([['a', 'b\u0002']])]) {
    assert.throws(() => storedSize({ ...plainMessage, properties }), {
      code: 'BAD_OPTION',
      message: /U\+0001 or U\+0002/,
    })
  }
  for (const ip of ['example.org', '1.2.3', '1.2.3.256', '01.2.3.4', '1.2.3.4.5', '::1::', '']) {
    assert.throws(() => encodeMessage({ ...plainMessage, bornHost: { ip, port: 1 } }), {
      code: 'BAD_OPTION',
      message: /IP address/,
    })
  }
})

test('a time that is not a whole number is refused', () => {
  assert.throws(() => encodeMessage({ ...plainMessage, bornTimestamp: 1.5 }), RangeError)
  assert.throws(() => encodeMessage({ ...plainMessage, bornTimestamp: Number.NaN }), RangeError)
  assert.equal(decodeMessage(encodeMessage({ ...plainMessage, bornTimestamp: 2 ** 60 })).bornTimestamp, 2n ** 60n)
})
