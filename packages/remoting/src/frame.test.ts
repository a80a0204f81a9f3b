import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BufferPool } from './buffer-pool.ts'
import type { Command } from './command.ts'
import { FrameError, FrameTooLargeError } from './errors.ts'
import { encodeFrame, FrameDecoder, readCommand, scanHeader } from './frame.ts'
import { HeaderView, MAX_FIELDS } from './header-view.ts'
import { Outbox } from './outbox.ts'

const MAX_HEADER = 65_536

/** All commands in the chunks, read as a connection reads them. */
function read(chunks: readonly Buffer[], limit?: number): Command[] {
  const decoder = new FrameDecoder(limit)
  const view = new HeaderView()
  const commands: Command[] = []
  for (const chunk of chunks) {
    decoder.push(chunk)
    while (decoder.next()) {
      const { bytes, start, end } = decoder
      const scanned = scanHeader(bytes, start, end, MAX_HEADER, view)
      commands.push(readCommand(bytes, start, view, scanned, 4711))
    }
  }
  return commands
}

function jsonFrame(header: string | Buffer, body = ''): Buffer {
  const headerBytes = Buffer.from(header)
  const frame = Buffer.alloc(8 + headerBytes.length + Buffer.byteLength(body))
  frame.writeUInt32BE(frame.length - 4, 0)
  frame.writeUInt32BE(headerBytes.length, 4)
  headerBytes.copy(frame, 8)
  frame.write(body, 8 + headerBytes.length)
  return frame
}

const hex = (text: string) => Buffer.from(text.replace(/\s/g, ''), 'hex')

const route: Command = {
  code: 105,
  language: 'JAVA',
  version: 409,
  opaque: 7,
  flag: 0,
  remark: null,
  extFields: new Map([['topic', 'TopicTest']]),
  body: null,
  serializeType: 'JSON',
}

const binaryRoute = hex(`0000002d 01000029 0069 00 0199 00000007 00000000 00000000 00000014
  0005 746f706963 00000009 546f70696354657374`)

test('a JSON request is written as Java writes it, byte for byte', () => {
  const header =
    '{"code":105,"extFields":{"topic":"TopicTest"},"flag":0,"language":"JAVA","opaque":7,"serializeTypeCurrentRPC":"JSON","version":409}'
  assert.equal(header.length, 131)
  const frame = encodeFrame(route, new Outbox())
  assert.deepEqual(frame, jsonFrame(header))
  assert.equal(frame.readUInt32BE(0), 135)
  assert.deepEqual(read([frame]), [route])
})

test('a binary request is written and read as Java does', () => {
  assert.deepEqual(encodeFrame({ ...route, serializeType: 'ROCKETMQ' }, new Outbox()), binaryRoute)
  assert.deepEqual(read([binaryRoute]), [{ ...route, serializeType: 'ROCKETMQ' }])
})

test('a binary reply with a remark is written and read as Java does', () => {
  const bytes = hex('00000021 0100001d 0011 00 0199 00000007 00000001 00000008 4e6f20746f706963 00000000')
  const reply: Command = { ...route, code: 17, flag: 1, remark: 'No topic', extFields: null, serializeType: 'ROCKETMQ' }
  assert.deepEqual(encodeFrame(reply, new Outbox()), bytes)
  assert.deepEqual(read([bytes]), [reply])
})

test('frames are read the same wherever the stream is cut', () => {
  const frames = [
    encodeFrame({ ...route, body: Buffer.from('body') }, new Outbox()),
    binaryRoute,
    encodeFrame({ ...route, opaque: -1, remark: 'öß "quoted" \u2028', extFields: new Map() }, new Outbox()),
  ]
  const stream = Buffer.concat(frames)
  const whole = read([stream])
  assert.equal(whole.length, 3)
  for (let cut = 0; cut <= stream.length; cut++) {
    assert.deepEqual(read([stream.subarray(0, cut), stream.subarray(cut)]), whole, `cut at ${cut}`)
  }
  const single = Array.from(stream, byte => Buffer.from([byte]))
  assert.deepEqual(read(single), whole)
})

const texts = fc.string({ unit: 'grapheme', maxLength: 20 })
const commands: fc.Arbitrary<Command> = fc.record(
  {
    code: fc.integer({ min: -32768, max: 32767 }),
    language: fc.constantFrom('JAVA', 'OTHER', 'GO', 'NODE_JS'),
    version: fc.integer({ min: 0, max: 32767 }),
    opaque: fc.integer({ min: -2147483648, max: 2147483647 }),
    flag: fc.integer({ min: 0, max: 3 }),
    remark: fc.option(texts.filter(text => text !== '')),
    // An empty key or value does not survive the binary form, as in Java.
    extFields: fc.option(
      fc
        .array(fc.tuple(texts.filter(Boolean), texts.filter(Boolean)), { minLength: 1, maxLength: 8 })
        .map(entries => new Map(entries)),
    ),
    body: fc.option(fc.uint8Array({ minLength: 1, maxLength: 100 }).map(bytes => Buffer.from(bytes))),
    serializeType: fc.constantFrom('JSON', 'ROCKETMQ'),
  },
  { noNullPrototype: true },
)

test('written commands are read back, in both header forms', () => {
  fc.assert(
    fc.property(fc.array(commands, { maxLength: 5 }), fc.array(fc.nat(400)), (given, cuts) => {
      const stream = Buffer.concat(given.map(command => encodeFrame(command, new Outbox())))
      const at = [0, ...cuts.filter(cut => cut < stream.length).sort((a, b) => a - b), stream.length]
      const chunks = at.slice(1).map((end, i) => stream.subarray(at[i], end))
      assert.deepEqual(read(chunks), given)
    }),
  )
})

test('random bytes end in a typed error or wait for more, and in nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
      try {
        read([Buffer.from(bytes)])
      } catch (error) {
        assert.ok(error instanceof FrameError || error instanceof FrameTooLargeError, String(error))
      }
    }),
    { numRuns: 2000 },
  )
})

test('a damaged header ends in a typed error or is read, and in nothing else', () => {
  const frames = [encodeFrame({ ...route, body: Buffer.from('b') }, new Outbox()), binaryRoute]
  fc.assert(
    fc.property(fc.constantFrom(...frames), fc.nat(200), fc.nat(255), (frame, at, byte) => {
      const damaged = Buffer.from(frame)
      damaged[4 + (at % (damaged.length - 4))] = byte
      try {
        read([damaged])
      } catch (error) {
        assert.ok(error instanceof FrameError, String(error))
      }
    }),
    { numRuns: 2000 },
  )
})

test('the largest length is 16,777,212, and a larger one is refused from the length word alone', () => {
  const word = Buffer.alloc(4)
  word.writeUInt32BE(16_777_212)
  assert.deepEqual(read([word]), [])
  word.writeUInt32BE(16_777_213)
  assert.throws(() => read([word]), FrameTooLargeError)
  word.writeUInt32BE(0xffffffff)
  assert.throws(() => read([word]), FrameTooLargeError)
})

test('an announced length takes no memory before its bytes arrive', () => {
  const word = Buffer.alloc(4)
  word.writeUInt32BE(16_777_212)
  const before = process.memoryUsage().arrayBuffers
  const decoders = Array.from({ length: 200 }, () => {
    const decoder = new FrameDecoder()
    decoder.push(word)
    assert.equal(decoder.next(), false)
    return decoder
  })
  assert.ok(process.memoryUsage().arrayBuffers - before < 8 << 20)
  assert.equal(decoders[0]?.pending, 4)
})

for (const length of [0, 1, 2, 3]) {
  test(`a length of ${length} is refused`, () => {
    const word = Buffer.alloc(12)
    word.writeUInt32BE(length)
    assert.throws(() => read([word]), FrameError)
  })
}

test('a header longer than its frame is refused', () => {
  const frame = jsonFrame('{"code":1,"opaque":1}')
  frame.writeUInt32BE(22, 4)
  assert.throws(() => read([frame]), FrameError)
})

test('a serialize type other than 0 and 1 is refused', () => {
  const frame = jsonFrame('{"code":1,"opaque":1}')
  frame[4] = 2
  assert.throws(() => read([frame]), FrameError)
})

test('a header larger than the limit is refused', () => {
  assert.throws(() => read([jsonFrame(`{"code":1,"opaque":1,"remark":"${'x'.repeat(MAX_HEADER)}"}`)]), FrameError)
})

test('more fields than the limit are refused, in both header forms', () => {
  const extFields = new Map(Array.from({ length: MAX_FIELDS + 1 }, (_, i) => [`k${i}`, 'v']))
  for (const serializeType of ['JSON', 'ROCKETMQ'] as const) {
    assert.throws(() => read([encodeFrame({ ...route, extFields, serializeType }, new Outbox())]), FrameError)
  }
})

const accepted: readonly [name: string, header: string, expected: Partial<Command>][] = [
  ['blanks', '{ "code" : 105 , "opaque" : 7 }', { code: 105, opaque: 7 }],
  ['any order and unknown members', '{"opaque":7,"x":[1],"code":105}', { code: 105, opaque: 7 }],
  ['a fraction, which is truncated', '{"code":1.5,"opaque":7}', { code: 1 }],
  ['true as 1', '{"code":true,"opaque":7}', { code: 1 }],
  ['null as the default', '{"code":null,"opaque":7}', { code: 0 }],
  ['a number in quotes', '{"code":"106","opaque":7}', { code: 106 }],
  ['the same member twice, of which the last counts', '{"code":1,"opaque":7,"code":106}', { code: 106 }],
  ['a missing opaque, which is assigned', '{"code":106}', { opaque: 4711 }],
  ['a language by its number', '{"code":1,"opaque":7,"language":9}', { language: 'GO' }],
  ['an unknown language', '{"code":1,"opaque":7,"language":"ADA"}', { language: undefined }],
  [
    'fields that are not strings',
    '{"code":1,"opaque":7,"extFields":{"a":1,"b":true}}',
    {
      extFields: new Map([
        ['a', '1'],
        ['b', 'true'],
      ]),
    },
  ],
  ['escapes', '{"code":1,"opaque":7,"remark":"a\\u0001\\"b"}', { remark: 'a\u0001"b' }],
  ['bare member names', '{code:106,opaque:7}', { code: 106 }],
  ['single quotes', "{'code':106,'opaque':7}", { code: 106 }],
  ['comments and a trailing comma', '{"code":106,/* x */"opaque":7,}', { code: 106 }],
  [
    'a field named __proto__',
    '{"code":1,"opaque":7,"extFields":{"__proto__":"x"}}',
    {
      extFields: new Map([['__proto__', 'x']]),
    },
  ],
]
for (const [name, header, expected] of accepted) {
  test(`a JSON header may have ${name}`, () => {
    const [command] = read([jsonFrame(header)])
    assert.deepEqual({ ...command, ...expected }, command)
  })
}

const refused: readonly [name: string, header: string | Buffer][] = [
  ['is empty', ''],
  ['is the word null', 'null'],
  ['is not an object', '[1]'],
  ['is truncated', '{"code":1'],
  ['has a code out of range', '{"code":99999999999,"opaque":1}'],
  ['has a code that is not a number', '{"code":"x","opaque":1}'],
  ['has a language number out of range', '{"code":1,"opaque":1,"language":99}'],
  ['has thousands of nested brackets', `{"x":${'['.repeat(60_000)}`],
]
for (const [name, header] of refused) {
  test(`a JSON header that ${name} is refused`, () => {
    assert.throws(() => read([jsonFrame(header)]), FrameError)
  })
}

test('a negative extFields length is read as no fields, any other wrong length is refused', () => {
  const frame = Buffer.from(binaryRoute)
  frame.writeInt32BE(-1, 25)
  assert.equal(read([frame])[0]?.extFields, null)
  frame.writeInt32BE(21, 25)
  assert.throws(() => read([frame]), FrameError)
  const remark = Buffer.from(binaryRoute)
  remark.writeInt32BE(-5, 21)
  assert.throws(() => read([remark]), FrameError)
})

test('the last value of a repeated key counts', () => {
  const [command] = read([jsonFrame('{"code":1,"extFields":{"a":"1","a":"2"},"opaque":7}')])
  assert.deepEqual(command?.extFields, new Map([['a', '2']]))
})

test('memory lent by the pool is reused, but never while the frame in it is used', () => {
  const pool = new BufferPool(1 << 20)
  const body = Buffer.alloc(100_000, 'a')
  const frame = encodeFrame({ ...route, body }, new Outbox())
  const decoder = new FrameDecoder(undefined, pool)
  const feed = (bytes: Buffer) => {
    for (let at = 0; at < bytes.length; at += 40_000) {
      decoder.push(bytes.subarray(at, at + 40_000))
      if (decoder.next()) return { bytes: decoder.bytes.subarray(decoder.start, decoder.end), lent: decoder.lent }
    }
    return assert.fail('no frame')
  }
  const first = feed(frame)
  assert.ok(first.bytes.subarray(-100_000).equals(body))
  const other = feed(encodeFrame({ ...route, body: Buffer.alloc(100_000, 'b') }, new Outbox()))
  assert.ok(first.bytes.subarray(-100_000).equals(body), 'memory that was not returned is not overwritten')
  pool.give(first.lent as Buffer)
  const third = feed(frame)
  assert.equal(third.lent, first.lent)
  assert.notEqual(third.lent, other.lent)
  assert.equal(pool.size, 0)
})

test('a chunk that no one else uses is freed once all of it was copied into a frame', () => {
  const body = Buffer.alloc(100_000, 'a')
  const frame = encodeFrame({ ...route, body }, new Outbox())
  const small = encodeFrame({ ...route, body: null }, new Outbox())
  const decoder = new FrameDecoder(undefined, new BufferPool())
  const push = (bytes: Buffer, isOwn = true): { chunk: Buffer; isWhole: boolean } => {
    const chunk = Buffer.allocUnsafeSlow(bytes.length)
    bytes.copy(chunk)
    decoder.push(chunk, isOwn)
    return { chunk, isWhole: decoder.next() }
  }
  assert.equal(push(frame.subarray(0, 40_000)).chunk.length, 0)
  assert.equal(push(frame.subarray(40_000, 60_000), false).chunk.length, 20_000, 'its sender has it, too')
  const large = Buffer.alloc(60_000, 'a')
  decoder.push(large.subarray(0, 20_000), true)
  assert.equal(decoder.next(), false)
  assert.equal(large.length, 60_000, 'it is a part of other memory')
  const last = push(frame.subarray(80_000))
  assert.deepEqual([last.chunk.length, last.isWhole], [0, true])
  assert.ok(decoder.bytes.subarray(decoder.end - body.length, decoder.end).equals(body))
  const both = Buffer.concat([small, frame.subarray(0, 40_000)])
  const { chunk, isWhole } = push(both)
  assert.ok(isWhole && decoder.bytes === chunk)
  decoder.next()
  assert.ok(chunk.equals(both), 'a frame in it may still be used')
})

test('a decoder that is closed returns the memory of its unfinished frame to the system at once, but not that of the current one', () => {
  const decoder = new FrameDecoder(undefined, new BufferPool(0))
  const frame = encodeFrame({ ...route, body: Buffer.alloc(8 << 20) }, new Outbox())
  const feed = (bytes: Buffer): void => {
    for (let at = 0; at < bytes.length; at += 60_000) {
      decoder.push(bytes.subarray(at, at + 60_000))
      if (decoder.next()) return
    }
  }
  feed(frame)
  const { lent } = decoder
  const before = process.memoryUsage.rss()
  feed(frame.subarray(0, -1))
  const unfinished = process.memoryUsage.rss()
  assert.ok(unfinished - before > 6 << 20, `${unfinished - before} bytes more`)
  decoder.close()
  const closed = process.memoryUsage.rss()
  assert.ok(unfinished - closed > 6 << 20, `${unfinished - closed} bytes less`)
  assert.ok(lent !== undefined && lent.length > 8 << 20)
})

test('the pool keeps no more than its limit', () => {
  const pool = new BufferPool(100_000)
  for (let i = 0; i < 10; i++) pool.give(Buffer.alloc(30_000))
  assert.equal(pool.size, 90_000)
  assert.equal(pool.borrow(30_001), undefined)
  assert.equal(pool.borrow(20_000)?.length, 30_000)
  assert.equal(pool.size, 60_000)
})
