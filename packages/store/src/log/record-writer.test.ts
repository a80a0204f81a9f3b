import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeMessage, stringHash } from '@gantrymq/protocol'
import type { ConsumeQueue } from '../queues/consume-queue.ts'
import { RecordReader } from './record-check.ts'
import { mostBytes, type NewRecord, RecordWriter } from './record-writer.ts'

const host = (ip: readonly number[], port: number) => {
  const bytes = Buffer.alloc(ip.length + 4)
  bytes.set(ip)
  bytes.writeInt32BE(port, ip.length)
  return bytes
}
const V6 = [0x20, 1, 0xd, 0xb8, ...Array.from({ length: 11 }, () => 0), 1]

function queueOf(topic: string, id = 1, nextOffset = 0): ConsumeQueue {
  const keyPrefixHash = stringHash(`${topic}#`)
  return { topic, topicBytes: Buffer.from(topic), id, nextOffset, keyPrefixHash } as ConsumeQueue
}

function record({
  body = 'hello',
  properties = '',
  ...rest
}: Partial<Omit<NewRecord, 'body' | 'properties'>> & { body?: string; properties?: string }): NewRecord {
  const bodyBytes = Buffer.from(body)
  const propertyBytes = Buffer.from(properties)
  return {
    queue: queueOf('TopicA'),
    flag: 0,
    sysFlag: 0,
    bornTimestamp: 1000,
    bornHost: host([127, 0, 0, 1], 1234),
    storeHost: host([127, 0, 0, 2], 10911),
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    body: bodyBytes,
    bodyStart: 0,
    bodyEnd: bodyBytes.length,
    properties: propertyBytes,
    propertiesStart: 0,
    propertiesEnd: propertyBytes.length,
    ...rest,
  }
}

function write(message: NewRecord, position = 0, storeTimestamp = 0x1a1_fb23_0b4e) {
  const writer = new RecordWriter([1000, 5000])
  const out = Buffer.alloc(mostBytes(message) + 7, 0xee)
  const size = writer.write(message, out, 7, position, storeTimestamp)
  return { writer, size, bytes: out.subarray(7, 7 + size) }
}

test('a record has the bytes that Apache 4.9.8 writes', () => {
  const properties = 'KEYS\u0001k1 k2\u0002UNIQ_KEY\u0001UK1\u0002TAGS\u0001TagX'
  const { bytes, writer } = write(record({ properties }))
  const golden =
    '00000087 daa320a7 3610a686 00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000000 000003e8 7f000001 000004d2 ' +
    '000001a1 fb230b4e 7f000002 00002a9f 00000000 00000000 00000000 00000005 68656c6c6f 06 546f70696341 0021 4b45595301 6b31206b32 02 ' +
    '554e49515f4b455901 554b31 02 5441475301 54616758'
  assert.equal(bytes.toString('hex'), golden.replaceAll(' ', ''))
  assert.equal(writer.tagsCode, 2598942)
  const { keyHashes, keyCount } = writer.properties
  assert.deepEqual([...keyHashes.subarray(0, keyCount)].map(hash => Math.abs(hash)), [0x434c1d6a, 0x717125c9, Math.abs(stringHash('TopicA#k2'))]) // biome-ignore format: one line
})

test('all fields come back, for hosts of both kinds', () => {
  for (const [bornIp, storeIp, flags] of [
    [[1, 2, 3, 4], [5, 6, 7, 8], 0],
    [V6, [5, 6, 7, 8], 0x10],
    [[1, 2, 3, 4], V6, 0x20],
    [V6, V6, 0x30],
  ] as const) {
    const message = record({
      queue: queueOf('Tüpfel', 3, 2 ** 40),
      flag: -7,
      sysFlag: 0x30b,
      bornTimestamp: 1_700_000_000_123,
      bornHost: host(bornIp, 1),
      storeHost: host(storeIp, 65_535),
      reconsumeTimes: 16,
      preparedTransactionOffset: 2 ** 50 + 1,
      body: 'Körper',
      properties: 'a\u0001b',
    })
    const { bytes } = write(message, 2 ** 41 + 5, 1_700_000_001_000)
    const decoded = decodeMessage(bytes)
    assert.equal(decoded.topic, 'Tüpfel')
    assert.equal(decoded.body.toString(), 'Körper')
    assert.deepEqual([...decoded.properties], [['a', 'b']])
    const { queueId, flag, sysFlag, queueOffset, physicalOffset, bornTimestamp, storeTimestamp } = decoded
    assert.deepEqual(
      { queueId, flag, sysFlag, queueOffset, physicalOffset, bornTimestamp, storeTimestamp },
      {
        queueId: 3,
        flag: -7,
        sysFlag: 0x30b | flags,
        queueOffset: 2 ** 40,
        physicalOffset: 2 ** 41 + 5,
        bornTimestamp: 1_700_000_000_123,
        storeTimestamp: 1_700_000_001_000,
      },
    )
    assert.equal(decoded.reconsumeTimes, 16)
    assert.equal(decoded.preparedTransactionOffset, 2 ** 50 + 1)
    const reader = new RecordReader()
    assert.equal(reader.read(bytes, 0, bytes.length, 2 ** 41 + 5, 1_000_000, true), 'record')
    assert.deepEqual([reader.queueId, reader.queueOffset, reader.storeTimestamp], [3, 2 ** 40, 1_700_000_001_000])
  }
})

test('WAIT is not stored, wherever it stands', () => {
  for (const [sent, stored, waits] of [
    ['WAIT\u0001true\u0002a\u0001b', 'a\u0001b', true],
    ['a\u0001b\u0002WAIT\u0001false', 'a\u0001b', false],
    ['a\u0001b\u0002WAIT\u0001TRUE\u0002', 'a\u0001b\u0002', true],
    ['WAIT\u0001no', '', false],
    ['WAIT\u0001true\u0002a\u0001b\u0002WAIT\u0001false\u0002c\u0001d', 'a\u0001b\u0002c\u0001d', false],
    [`WAIT\u0001false\u0002${'long'.repeat(20)}\u0001b`, `${'long'.repeat(20)}\u0001b`, false],
    ['WAIT\u0001', 'WAIT\u0001', true],
    ['AWAIT\u0001x\u0002WAITS\u0001y', 'AWAIT\u0001x\u0002WAITS\u0001y', true],
  ] as const) {
    const { bytes, writer } = write(record({ properties: sent }))
    assert.equal(bytes.subarray(91 + 5 + 6).toString(), stored, JSON.stringify(sent))
    assert.equal(writer.properties.waits, waits, JSON.stringify(sent))
  }
})

test("the tag code is Java's hash over UTF-16 units; the last TAGS counts, an empty one does not", () => {
  for (const [properties, tag] of [
    ['TAGS\u0001TagA', 'TagA'],
    ['TAGS\u0001x\u0002TAGS\u0001Größe 😀', 'Größe 😀'],
    ['TAGS\u0001x\u0002TAGS\u0001\u0002a\u0001b', 'x'],
    ['XTAGS\u0001y\u0002\u0001z\u0002TAG\u0001v', ''],
    ['TAGS\u0001a\u0001b\u0002', 'a\u0001b'],
    ['TAGS\u0002TAGS', ''],
    ['', ''],
  ] as const) {
    assert.equal(write(record({ properties })).writer.tagsCode, stringHash(tag), JSON.stringify(properties))
  }
})

test('keys are hashed behind their topic, with single spaces between them', () => {
  const properties = 'KEYS\u0001 a  ключ \u0002UNIQ_KEY\u0001ü1'
  const { keyHashes, keyCount } = write(record({ properties })).writer.properties
  const hashes = ['ü1', 'a', 'ключ'].map(key => stringHash(`TopicA#${key}`))
  assert.deepEqual([...keyHashes.subarray(0, keyCount)], hashes)
  const many = Array.from({ length: 100 }, (_, i) => `k${i}`)
  assert.equal(write(record({ properties: `KEYS\u0001${many.join(' ')}` })).writer.properties.keyCount, 100)
})

test('the tag code of a delayed message is the time of its delivery', () => {
  const delayed = (level: string, topic = 'SCHEDULE_TOPIC_XXXX') =>
    write(record({ queue: queueOf(topic), properties: `TAGS\u0001a\u0002DELAY\u0001${level}` }), 0, 5000).writer
      .tagsCode
  assert.deepEqual(
    ['1', '2', '9'].map(level => delayed(level)),
    [6000, 10_000, 10_000],
  )
  assert.deepEqual([delayed('0'), delayed('x'), delayed('2', 'TopicA')], [97, 97, 97])
})

test('properties have at most 32,767 bytes, counted as stored', () => {
  const longest = `a\u0001${'ü'.repeat(16_382)}b`
  assert.equal(Buffer.byteLength(longest), 32_767)
  assert.ok(write(record({ properties: longest })).size > 0)
  assert.equal(write(record({ properties: `${longest}b` })).size, -1)
  const waiting = `${longest}\u0002WAIT\u0001true`
  assert.ok(write(record({ properties: waiting })).size > 0)
})

test('prepared and rolled back messages have no offset', () => {
  for (const [part, offset] of [
    [0, 9],
    [4, 0],
    [8, 9],
    [12, 0],
  ] as const) {
    assert.equal(write(record({ queue: queueOf('T', 0, 9), sysFlag: part })).writer.queueOffset, offset)
  }
})
