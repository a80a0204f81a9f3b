import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { encodeRaw, nextOpaque, type RawRequest } from '../wire/raw-frame.ts'
import { eventually } from '../eventually.ts'
import { type ServerUnderTest } from './server-under-test.ts'
import { unique } from '../unique.ts'

const CLUSTER_INFO: RawRequest = { code: 106 }
const UNKNOWN_CODE = 9999
const OWN_ANSWER_MS = 3_000

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

/** A frame with a wrong start. 5.x waits for 12 bytes before it reads one, so this has more. */
const wrongFrame = (...words: number[]) => Buffer.concat([...words.map(int32), Buffer.alloc(64)])

function withJsonHeader(headerText: string): Buffer {
  return encodeRaw({ code: 0, headerText })
}

const headerOf = (opaque: number, more = '') => `{"code":106,"opaque":${opaque},"flag":0,"version":409${more}}`

/** Bytes after which every name server closes the connection. */
const FATAL: Readonly<Record<string, Buffer>> = {
  'a length beyond the largest frame': wrongFrame(16_777_213),
  'a negative length': wrongFrame(-1),
  'length 0': wrongFrame(0),
  'length 3': wrongFrame(3),
  'a header longer than its frame': wrongFrame(64, 61),
  'an unknown serialize type': wrongFrame(64, 0x07_00_00_10),
  'an empty JSON header': Buffer.concat([int32(4), int32(0), Buffer.alloc(8)]),
  'a JSON header that is null': withJsonHeader('null   '),
  'a JSON header cut short': withJsonHeader('{"code":106,"opaque":1'),
  'a code that is not a number': withJsonHeader('{"code":"x","opaque":1,"flag":0}'),
  'a code beyond int32': withJsonHeader('{"code":99999999999,"opaque":1}'),
  'text of another protocol': Buffer.from('HELO mail.example.org and more\r\n'),
  'a binary header with a remark beyond its end': binaryWith(13, 1000),
  'a binary header with fields beyond its end': binaryWith(17, 1000),
  'a binary header with a negative remark length': binaryWith(13, -1),
}

function binaryWith(at: number, value: number): Buffer {
  const bytes = encodeRaw({ ...CLUSTER_INFO, serializeType: 'ROCKETMQ' })
  bytes.writeInt32BE(value, 8 + at)
  return Buffer.concat([bytes, Buffer.alloc(16)])
}

/** JSON headers that differ from Java's but are accepted by all. `N` stands for the opaque. */
const UNUSUAL_HEADERS: Readonly<Record<string, string>> = {
  'members in another order': '{"version":409,"flag":0,"opaque":N,"language":"JAVA","code":106}',
  'unknown members': '{"code":106,"opaque":N,"flag":0,"colour":"blue","deep":{"a":[1,{"b":2}]}}',
  'white space': ' { "code" : 106 , "opaque" : N , "flag" : 0 } ',
  'a code in quotes': '{"code":"106","opaque":N,"flag":0}',
  'a code with a fraction': '{"code":106.0,"opaque":N,"flag":0}',
  'no language and no version': '{"code":106,"opaque":N,"flag":0}',
  'an unknown language': '{"code":106,"opaque":N,"flag":0,"language":"COBOL"}',
  'language null': '{"code":106,"opaque":N,"flag":0,"language":null}',
  'no flag': '{"code":106,"opaque":N}',
  'extFields null': '{"code":106,"opaque":N,"flag":0,"extFields":null}',
  'the same key twice, the last counts': '{"code":1,"code":106,"opaque":N,"flag":0}',
  'a comment': '{"code":106,/* cluster */"opaque":N,"flag":0}',
  'a trailing comma': '{"code":106,"opaque":N,"flag":0,}',
  'another serialize type than the frame says': '{"code":106,"opaque":N,"flag":0,"serializeTypeCurrentRPC":"ROCKETMQ"}',
}

/** Frames and headers: what servers accept, how they answer, and what closes a connection. */
export function frames(server: ServerUnderTest): void {
  answers(server)
  streams(server)
  oneways(server)
  unknownCodes(server)
  headers(server)
  endings(server)
}

function answers(server: ServerUnderTest): void {
  test('the answer to a JSON header is a JSON header as Java writes it', async () => {
    const opaque = nextOpaque()
    const answer = await server.ask({ ...CLUSTER_INFO, opaque })
    const header = answer.bytes.toString('utf8', 8, 8 + answer.bytes.readUInt32BE(4))
    const version = server.by({ '4.9': 407, '5.x': 513, ours: answer.version })
    assert.equal(
      header,
      `{"code":0,"flag":1,"language":"JAVA","opaque":${opaque},"serializeTypeCurrentRPC":"JSON","version":${version}}`,
    )
  })

  test('the answer to a binary header is binary in 4.9 and ours, JSON in 5.x', async () => {
    const answer = await server.ask({ ...CLUSTER_INFO, serializeType: 'ROCKETMQ' })
    assert.equal(answer.code, 0)
    assert.equal(answer.flag, 1)
    assert.equal(answer.serializeType, server.by({ '4.9': 'ROCKETMQ', '5.x': 'JSON', ours: 'ROCKETMQ' }))
  })

  test('fields of a binary header are read', async () => {
    const namespace = unique('space')
    const fields = { namespace, key: 'schlüssel', value: '值' }
    const put = await server.ask({ code: 100, serializeType: 'ROCKETMQ', extFields: fields })
    assert.equal(put.code, 0)
    const got = await server.ask({ code: 101, serializeType: 'ROCKETMQ', extFields: { namespace, key: 'schlüssel' } })
    assert.equal(got.extFields?.['value'], '值')
  })

  test('the answer has the same opaque, even if it is negative', async () => {
    assert.equal((await server.ask({ ...CLUSTER_INFO, opaque: -7 })).opaque, -7)
  })

  test('an unexpected body is ignored', async () => {
    assert.equal((await server.ask({ ...CLUSTER_INFO, body: 'what is this?' })).code, 0)
  })

  test('an unknown field is ignored', async () => {
    assert.equal((await server.ask({ ...CLUSTER_INFO, extFields: { Signature: 'x', AccessKey: 'y' } })).code, 0)
  })
}

function streams(server: ServerUnderTest): void {
  test('frames that arrive in one chunk are all answered', async t => {
    const connection = await server.connect(t)
    const opaques = Array.from({ length: 20 }, nextOpaque)
    connection.write(Buffer.concat(opaques.map(opaque => encodeRaw(CLUSTER_INFO, opaque))))
    for (const opaque of opaques) assert.equal((await connection.next(frame => frame.opaque === opaque))?.code, 0)
  })

  test('a frame that arrives byte by byte is answered', async t => {
    const connection = await server.connect(t)
    const opaque = nextOpaque()
    for (const byte of encodeRaw(CLUSTER_INFO, opaque)) {
      connection.write(Buffer.of(byte))
      await delay(1)
    }
    assert.equal((await connection.next(frame => frame.opaque === opaque))?.code, 0)
  })

  test('frames that are cut within a header or a body are answered', async t => {
    const connection = await server.connect(t)
    const opaques = [nextOpaque(), nextOpaque(), nextOpaque()]
    const bytes = Buffer.concat(opaques.map(opaque => encodeRaw({ ...CLUSTER_INFO, body: 'a body' }, opaque)))
    const step = Math.ceil(bytes.length / 7)
    for (let at = 0; at < bytes.length; at += step) {
      connection.write(bytes.subarray(at, at + step))
      await delay(5)
    }
    for (const opaque of opaques) assert.equal((await connection.next(frame => frame.opaque === opaque))?.code, 0)
  })

  test('one connection may use both kinds of header', async t => {
    const connection = await server.connect(t)
    for (const serializeType of ['JSON', 'ROCKETMQ', 'JSON'] as const) {
      assert.equal((await connection.call({ ...CLUSTER_INFO, serializeType })).code, 0)
    }
  })
}

function oneways(server: ServerUnderTest): void {
  test('a one-way request takes effect and is not answered', async t => {
    const connection = await server.connect(t)
    const namespace = unique('space')
    const fields = { namespace, key: 'k', value: 'v' }
    await server.isSilent(connection, encodeRaw({ code: 100, flag: 2, extFields: fields }))
    await eventually(async () => {
      const got = await server.ask({ code: 101, extFields: { namespace, key: 'k' } })
      assert.equal(got.extFields?.['value'], 'v')
    })
  })

  test('a one-way request that fails is not answered', async t => {
    const connection = await server.connect(t)
    await server.isSilent(connection, encodeRaw({ code: 105, flag: 2, extFields: { topic: unique('nowhere') } }))
  })

  test('a frame with the response flag is ignored', async t => {
    const connection = await server.connect(t)
    await server.isSilent(connection, encodeRaw({ ...CLUSTER_INFO, flag: 1 }))
  })

  test('unknown flag bits are ignored', async t => {
    const connection = await server.connect(t)
    assert.equal((await connection.call({ ...CLUSTER_INFO, flag: 4 })).code, 0)
  })
}

function unknownCodes(server: ServerUnderTest): void {
  test('an unknown request code gets no answer in 4.9 and code 3 in 5.x', async t => {
    const connection = await server.connect(t)
    if (server.line === '4.9') return server.isSilent(connection, encodeRaw({ code: UNKNOWN_CODE }))
    const answer = await connection.call({ code: UNKNOWN_CODE })
    assert.equal(answer.code, 3)
    assert.equal(answer.remark, ` request type ${UNKNOWN_CODE} not supported`)
  })

  test('a one-way request with an unknown code gets no answer', async t => {
    await server.isSilent(await server.connect(t), encodeRaw({ code: UNKNOWN_CODE, flag: 2 }))
  })

  test('a request code of brokers is unknown to a name server', async t => {
    const connection = await server.connect(t)
    if (server.line === '4.9') return server.isSilent(connection, encodeRaw({ code: 10 }))
    assert.equal((await connection.call({ code: 10 })).code, 3)
  })
}

function headers(server: ServerUnderTest): void {
  for (const [what, text] of Object.entries(UNUSUAL_HEADERS)) {
    test(`a JSON header with ${what} is accepted`, async t => {
      const connection = await server.connect(t)
      const opaque = nextOpaque()
      connection.write(withJsonHeader(text.replace('N', String(opaque))))
      assert.equal((await connection.next(frame => frame.opaque === opaque))?.code, 0)
    })
  }

  test('a request without opaque is answered with a number of the server', async t => {
    const connection = await server.connect(t)
    connection.write(withJsonHeader('{"code":106,"flag":0,"version":409}'))
    const answer = await connection.next(() => true, OWN_ANSWER_MS)
    assert.equal(answer?.code, 0)
  })

  test('fields that are JSON numbers or booleans are read as strings', async t => {
    const connection = await server.connect(t)
    const opaque = nextOpaque()
    const namespace = unique('space')
    connection.write(
      withJsonHeader(`{"code":100,"opaque":${opaque},"extFields":{"namespace":"${namespace}","key":1,"value":true}}`),
    )
    assert.equal((await connection.next(frame => frame.opaque === opaque))?.code, 0)
    const got = await server.ask({ code: 101, extFields: { namespace, key: '1' } })
    assert.equal(got.extFields?.['value'], 'true')
  })

  test('4.9 and ours accept member names without quotes; 5.x closes the connection', async t => {
    const connection = await server.connect(t)
    const opaque = nextOpaque()
    connection.write(withJsonHeader(headerOf(opaque).replaceAll(/"(\w+)":/g, '$1:')))
    if (server.line === '5.x') return connection.closes()
    assert.equal((await connection.next(frame => frame.opaque === opaque))?.code, 0)
  })

  test('a negative length of binary fields counts as zero', async t => {
    const connection = await server.connect(t)
    const opaque = nextOpaque()
    const bytes = encodeRaw({ ...CLUSTER_INFO, serializeType: 'ROCKETMQ' }, opaque)
    bytes.writeInt32BE(-1, 8 + 17)
    connection.write(bytes)
    assert.equal((await connection.next(frame => frame.opaque === opaque))?.code, 0)
  })
}

function endings(server: ServerUnderTest): void {
  for (const [what, bytes] of Object.entries(FATAL)) {
    test(`${what} closes the connection without an answer`, async t => {
      const connection = await server.connect(t)
      connection.write(bytes)
      await connection.closes()
      assert.equal(connection.frames.length, 0)
    })
  }

  test('requests before a broken frame are answered, and other connections stay open', async t => {
    const other = await server.connect(t)
    const connection = await server.connect(t)
    assert.equal((await connection.call(CLUSTER_INFO)).code, 0)
    connection.write(wrongFrame(-1))
    await connection.closes()
    assert.equal((await other.call(CLUSTER_INFO)).code, 0)
  })

  test('only 5.x accepts a PROXY preamble from any peer', async t => {
    const connection = await server.connect(t)
    const opaque = nextOpaque()
    const preamble = Buffer.from('PROXY TCP4 203.0.113.7 127.0.0.1 4711 9876\r\n')
    connection.write(Buffer.concat([preamble, encodeRaw(CLUSTER_INFO, opaque)]))
    if (server.by({ '4.9': true, '5.x': false, ours: true })) return connection.closes()
    assert.equal((await connection.next(frame => frame.opaque === opaque))?.code, 0)
  })
}
