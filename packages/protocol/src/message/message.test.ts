import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inflateSync } from 'node:zlib'
import { RemotingError } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import fc from 'fast-check'
import { golden } from '../../test/golden.ts'
import { plainMessage } from '../../test/stored-message.ts'
import { decodeBatch, encodeBatch } from './batch.ts'
import { bodyCrc, decodeMessage, decodeMessages, encodeMessage } from './codec.ts'
import { ipBytes, ipText } from './host.ts'
import { offsetMessageId, readOffsetMessageId, UniqueIds } from './message-id.ts'
import { readMessageProperties, writeMessageProperties } from './properties.ts'
import { COMPRESSED, compressionFlag, compressionOf, TRANSACTION_COMMIT, transactionPart } from './sys-flag.ts'

const example = Buffer.from(
  `00000070 daa320a7 77d18982 00000002 00000000 0000000000000005
   0000000000000400 00000000 0000018bcfe56800 c0a8000a 0000c350
   0000018bcfe5687b c0a80014 00002a9f 00000000 0000000000000000
   00000005 48656c6c6f 09 546f70696354657374 0007 54414753014102`.replaceAll(/\s/g, ''),
  'hex',
)

const V6 = { born: '2001:db8:0:0:0:0:0:1', store: '2001:db8:0:0:0:0:0:2' }

test('an example message has its 112 bytes', () => {
  assert.equal(example.length, 112)
  assert.deepEqual(encodeMessage(plainMessage), example)
  assert.deepEqual(decodeMessage(example), plainMessage)
  assert.equal(bodyCrc(plainMessage.body), plainMessage.bodyCrc)
})

test('messages of both lines are read, over IPv4 and IPv6', () => {
  const written = { ...plainMessage, flag: 9, reconsumeTimes: 3, preparedTransactionOffset: 77 }
  const overV6 = {
    ...written,
    sysFlag: 0x30,
    bornHost: { ip: V6.born, port: 50000 },
    storeHost: { ip: V6.store, port: 10911 },
  }
  for (const line of ['4.9.7', '5.5.0'] as const) {
    assert.deepEqual(decodeMessages(golden(line, 'message-v4.bin')), [written])
    assert.deepEqual(decodeMessages(golden(line, 'message-v6.bin')), [overV6])
  }
  assert.deepEqual(encodeMessage(written), golden('5.5.0', 'message-v4.bin'))
  assert.deepEqual(encodeMessage({ ...overV6, sysFlag: 0 }), golden('5.5.0', 'message-v6.bin'))
})

test('a compressed body is kept as stored, and the sysFlag tells its compression', () => {
  for (const line of ['4.9.7', '5.5.0'] as const) {
    const [read] = decodeMessages(golden(line, 'message-v4-zlib.bin'))
    assert.ok(read)
    assert.equal(compressionOf(read.sysFlag), 'zlib')
    assert.equal(inflateSync(read.body).toString(), 'Hello')
  }
})

test('a topic longer than 127 bytes needs version 2', () => {
  const long = { ...plainMessage, topic: `%RETRY%${'x'.repeat(200)}` }
  assert.equal(encodeMessage(long).readInt32BE(4), 0xdaa320ab | 0)
  assert.deepEqual(decodeMessage(encodeMessage(long)), long)
})

test('several messages in a row are read', () => {
  const other = { ...plainMessage, queueOffset: 9223372036854775807n }
  assert.deepEqual(decodeMessages(Buffer.concat([encodeMessage(plainMessage), encodeMessage(other)])), [
    plainMessage,
    other,
  ])
  assert.deepEqual(decodeMessages(Buffer.alloc(0)), [])
})

test('truncated and garbled messages are typed errors', () => {
  for (let end = 1; end < example.length; end++) {
    assert.throws(() => decodeMessages(example.subarray(0, end)), { code: 'BAD_BODY' }, String(end))
  }
  for (const at of [84, 93, 103]) {
    const negative = Buffer.from(example)
    negative[at] = 0x80
    assert.throws(() => decodeMessage(negative), { code: 'BAD_BODY' }, String(at))
  }
  const pull = Buffer.concat([example, example])
  fc.assert(
    fc.property(fc.nat(pull.length - 1), fc.nat(255), (at, byte) => {
      const bytes = Buffer.from(pull)
      bytes[at] = byte
      refusedOrRead(() => decodeMessages(bytes))
    }),
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      refusedOrRead(() => decodeMessages(Buffer.from(bytes)))
      refusedOrRead(() => decodeBatch(Buffer.from(bytes)))
    }),
  )
})

function refusedOrRead(read: () => unknown): void {
  try {
    read()
  } catch (error) {
    assert.ok(error instanceof RemotingError && error.code === 'BAD_BODY', String(error))
  }
}

test('an offset id contains the position at which a message is stored', () => {
  const store = { ip: '192.168.0.20', port: 10911 }
  assert.equal(offsetMessageId(store, 1024), 'C0A8001400002A9F0000000000000400')
  assert.deepEqual(readOffsetMessageId('C0A8001400002A9F0000000000000400'), { store, physicalOffset: 1024 })
  const v6 = offsetMessageId({ ip: '2001:db8::2', port: 10911 }, 1024)
  assert.equal(v6, '20010DB800000000000000000000000200002A9F0000000000000400')
  assert.deepEqual(readOffsetMessageId(v6), { store: { ip: V6.store, port: 10911 }, physicalOffset: 1024 })
  for (const id of ['', 'C0A8', 'x'.repeat(32), '0'.repeat(40)]) {
    assert.throws(() => readOffsetMessageId(id), { code: 'BAD_OPTION' })
  }
})

test('a unique id contains address, process, seed, time within the month and a counter', () => {
  const start = new Date(2023, 10, 1).getTime()
  const clock = new ManualClock(start + 0x01020304)
  const ids = new UniqueIds({ clock, ip: '192.168.0.1', pid: 1500 + 65536, seed: 0x18b4aac2 })
  assert.equal(ids.next(), 'C0A8000105DC18B4AAC2010203040000')
  assert.equal(ids.next(), 'C0A8000105DC18B4AAC2010203040001')
  clock.advance(new Date(2023, 11, 1).getTime() - clock.now() + 5)
  assert.equal(ids.next(), 'C0A8000105DC18B4AAC2000000050002')
  clock.advance(-1000)
  assert.equal(ids.next(), 'C0A8000105DC18B4AAC2000000000003')
  const v6 = new UniqueIds({ clock, ip: 'fd00::2', pid: 1, seed: -1 }).next()
  assert.equal(v6.length, 56)
  assert.ok(v6.startsWith('FD0000000000000000000000000000020001FFFFFFFF'))
})

test('the counter of unique ids starts again after 65,536', () => {
  const ids = new UniqueIds({ clock: new ManualClock(0), ip: '1.2.3.4', pid: 1, seed: 1 })
  const first = ids.next()
  for (let i = 1; i < 65_536; i++) ids.next()
  assert.equal(ids.next(), first)
})

test('properties are read in the form of either line', () => {
  const properties = new Map([
    ['TAGS', 'A'],
    ['KEYS', 'K1 K2'],
  ])
  const text = 'TAGS\u0001A\u0002KEYS\u0001K1 K2\u0002'
  assert.equal(writeMessageProperties(properties), text)
  assert.deepEqual(readMessageProperties(text), properties)
  assert.deepEqual(readMessageProperties(text.slice(0, -1)), properties)
  assert.deepEqual(
    readMessageProperties('a\u0001\u0002\u0001b\u0002c\u0002d\u0001e\u0001f'),
    new Map([['d', 'e\u0001f']]),
  )
  assert.throws(() => writeMessageProperties([['a', 'b\u0002']]), { code: 'BAD_OPTION' })
})

test('a batch has the bytes of Java', () => {
  const hi = { flag: 0, body: Buffer.from('Hi'), properties: new Map([['TAGS', 'A']]) }
  const bytes = '0000001f000000000000000000000000000000024869000754414753014102'
  assert.equal(encodeBatch([hi]).toString('hex'), bytes)
  assert.deepEqual(decodeBatch(Buffer.from(bytes, 'hex')), [hi])
  const java = decodeBatch(golden('5.5.0', 'batch.bin'))
  assert.deepEqual(java, decodeBatch(golden('4.9.7', 'batch.bin')))
  assert.deepEqual(encodeBatch(java), golden('5.5.0', 'batch.bin'))
  assert.equal(java[0]?.properties.get('u'), '中')
  for (const at of [0, 16, 22]) {
    const negative = Buffer.from(bytes, 'hex')
    negative[at] = 0x80
    assert.throws(() => decodeBatch(negative), { code: 'BAD_BODY', message: /does not fit/ }, String(at))
  }
  const long = Buffer.from(bytes, 'hex')
  long.writeInt32BE(1000, 16)
  assert.throws(() => decodeBatch(long), { code: 'BAD_BODY' })
  for (let end = 1; end < 31; end++) {
    assert.throws(() => decodeBatch(Buffer.from(bytes, 'hex').subarray(0, end)), { code: 'BAD_BODY' })
  }
})

test('addresses are converted to bytes, and back as Java prints them', () => {
  assert.equal(ipText(ipBytes('10.0.0.1')), '10.0.0.1')
  assert.equal(ipText(ipBytes('::')), '0:0:0:0:0:0:0:0')
  assert.equal(ipText(ipBytes('fe80::1%eth0')), 'fe80:0:0:0:0:0:0:1')
  assert.equal(ipText(ipBytes('::ffff:1.2.3.4')), '0:0:0:0:0:ffff:102:304')
  assert.throws(() => ipBytes('example.org'), { code: 'BAD_OPTION' })
})

test('the sysFlag tells compression and transaction state', () => {
  assert.equal(compressionOf(0x300), null)
  assert.equal(compressionOf(COMPRESSED), 'zlib')
  assert.equal(compressionOf(COMPRESSED | 0x500), undefined)
  for (const kind of ['zlib', 'lz4', 'zstd'] as const) assert.equal(compressionOf(compressionFlag(kind)), kind)
  assert.equal(transactionPart(TRANSACTION_COMMIT | COMPRESSED), TRANSACTION_COMMIT)
})
