import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { deflateSync, inflateSync } from 'node:zlib'
import { finish, RemotingError } from '@gantrymq/remoting'
import fc from 'fast-check'
import { golden } from '../../test/golden.ts'
import { V4_9_8, V5_5_0 } from '../release.ts'
import {
  decodeRegisterBroker,
  encodeRegisterBroker,
  inflateRegistration,
  isCompressedRegistration,
  noRegistration,
  type RegisterBrokerBody,
  readRegistration,
} from './register-broker.ts'
import type { TopicConfig } from './topic-config.ts'

const NOW = 1_800_000_000_000

function topic(topicName: string, given: Partial<TopicConfig> = {}): TopicConfig {
  return {
    topicName,
    readQueueNums: 16,
    writeQueueNums: 16,
    perm: 6,
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: 0,
    order: false,
    ...given,
  }
}

/** The registration that the golden files hold. */
function javaBody(modern: boolean): RegisterBrokerBody {
  const attributes = (entries: [string, string][] = []) => (modern ? { attributes: new Map(entries) } : undefined)
  const topics = [
    topic('TopicTest', { readQueueNums: 4, writeQueueNums: 4, ...attributes() }),
    topic('%RETRY%g', { order: true, topicSysFlag: 3, ...attributes([['message.type', 'FIFO']]) }),
  ]
  const mapping = {
    topic: 'T',
    scope: '__global__',
    totalQueues: 8,
    bname: 'broker-a',
    epoch: 1700000000000,
    dirty: false,
    currIdMap: new Map([
      [0, 0],
      [1, 1],
    ]),
  }
  return {
    dataVersion: { stateVersion: 0, timestamp: 1700000000000, counter: 3 },
    topics: new Map(topics.map(config => [config.topicName, config])),
    topicQueueMappings: new Map(modern ? [['T', mapping]] : []),
    filterServers: [],
  }
}

/** The same registration after compression, which drops flags and order. */
function asCompressed(body: RegisterBrokerBody): RegisterBrokerBody {
  const topics = [...body.topics].map(([name, config]) => [name, { ...config, order: false, topicSysFlag: 0 }] as const)
  return { ...body, topics: new Map(topics) }
}

function decode(bytes: Uint8Array | string, version = V5_5_0, compressed = false): RegisterBrokerBody {
  return decodeRegisterBroker(Buffer.from(bytes), { version, compressed, now: NOW })
}

function refusal(bytes: Uint8Array | string, options = {}): string {
  try {
    decodeRegisterBroker(Buffer.from(bytes), { version: V5_5_0, compressed: false, now: NOW, ...options })
  } catch (error) {
    assert.ok(error instanceof RemotingError, String(error))
    assert.equal(error.code, 'BAD_BODY')
    return error.message
  }
  return 'accepted'
}

const mappingDataVersion = { stateVersion: 0, timestamp: 1700000000000, counter: 0 }

test('registrations of both lines are read, as JSON and compressed', () => {
  for (const [line, version, modern] of [
    ['4.9.7', V4_9_8, false],
    ['5.5.0', V5_5_0, true],
  ] as const) {
    assert.deepEqual(decode(golden(line, 'register-broker.json'), version), javaBody(modern))
    const compressed = golden(line, 'register-broker.zlib')
    assert.deepEqual(decode(compressed, version, true), asCompressed(javaBody(modern)))
  }
})

test('registrations are written with the bytes of both lines', () => {
  const modern = { ...javaBody(true), mappingDataVersion }
  const old = javaBody(false)
  assert.deepEqual(
    encodeRegisterBroker(modern, { version: V5_5_0, compressed: false }),
    golden('5.5.0', 'register-broker.json'),
  )
  assert.deepEqual(
    encodeRegisterBroker(old, { version: V4_9_8, compressed: false }),
    golden('4.9.7', 'register-broker.json'),
  )
  const inflated = (bytes: Buffer) => inflateSync(bytes)
  assert.deepEqual(
    inflated(encodeRegisterBroker(modern, { version: V5_5_0, compressed: true })),
    inflated(golden('5.5.0', 'register-broker.zlib')),
  )
  assert.deepEqual(
    inflated(encodeRegisterBroker(old, { version: V4_9_8, compressed: true })),
    inflated(golden('4.9.7', 'register-broker.zlib')),
  )
})

test('a compressed body has the layout of RegisterBrokerBody.encode', () => {
  const body = {
    ...noRegistration,
    dataVersion: { stateVersion: 0, timestamp: 1700000000000, counter: 1 },
    topics: new Map([['TopicTest', topic('TopicTest', { readQueueNums: 4, writeQueueNums: 4 })]]),
  }
  const bytes = inflateSync(encodeRegisterBroker(body, { version: V4_9_8, compressed: true }))
  assert.equal(bytes.length, 83)
  assert.equal(bytes.readInt32BE(0), 0x27)
  assert.equal(bytes.toString('latin1', 4, 43), '{"counter":1,"timestamp":1700000000000}')
  assert.equal(
    bytes.toString('hex', 43),
    `000000010000001a${Buffer.from('TopicTest 4 4 6 SINGLE_TAG').toString('hex')}000000025b5d`,
  )
})

test('a bare topic table is read from senders older than 3.0.11, which have no filter servers', () => {
  const old = decode(golden('4.9.7', 'topic-config-wrapper.json'), 36)
  assert.deepEqual(old, { ...javaBody(false), filterServers: null })
  const written = encodeRegisterBroker(javaBody(false), { version: 36, compressed: false })
  assert.deepEqual(written, golden('4.9.7', 'topic-config-wrapper.json'))
})

test('a compressed body is recognised even if its header denies it', () => {
  const bytes = golden('5.5.0', 'register-broker.zlib')
  assert.ok(isCompressedRegistration(bytes, false))
  assert.deepEqual(decode(bytes, V5_5_0, false), asCompressed(javaBody(true)))
  assert.ok(!isCompressedRegistration(Buffer.from('{}'), false))
  assert.ok(!isCompressedRegistration(Buffer.from('x:1'), false))
})

test('the mappings at the end of a compressed body are read only from senders of 5.x', () => {
  assert.equal(decode(golden('5.5.0', 'register-broker.zlib'), V4_9_8, true).topicQueueMappings.size, 0)
  // A 5.x body without mappings is accepted too.
  assert.equal(decode(golden('4.9.7', 'register-broker.zlib'), V5_5_0, true).topicQueueMappings.size, 0)
})

test('attributes with blanks in a compressed body are kept, and unreadable ones are dropped', () => {
  const lines = (line: string) => {
    const parts = (...texts: (string | number)[]) =>
      Buffer.concat(
        texts.map(part => {
          const text = Buffer.from(typeof part === 'string' ? part : '')
          const word = Buffer.alloc(4)
          word.writeInt32BE(typeof part === 'string' ? text.length : part)
          return Buffer.concat([word, text])
        }),
      )
    return decode(deflateSync(parts('{"counter":1,"timestamp":2}', 1, line, '[]')), V4_9_8, true).topics.get('T')
  }
  assert.deepEqual(lines('T 4 5 6 MULTI_TAG {"a":"b c"}')?.attributes, new Map([['a', 'b c']]))
  assert.equal(lines('T 4 5 6 MULTI_TAG {"a":')?.attributes, undefined)
  assert.equal(lines('T 4 5 6 MULTI_TAG')?.topicFilterType, 'MULTI_TAG')
  for (const line of ['T 4 5 6', 'T x 5 6 MULTI_TAG', '', ' 4 5 6 MULTI_TAG', 'T  4 5 6 MULTI_TAG']) {
    assert.throws(() => lines(line), { code: 'BAD_BODY' }, line)
  }
})

interface Verdict {
  readonly input: string
  readonly old: string | null
  readonly modern: string | null
}

function verdicts(): Verdict[] {
  const text = readFileSync(new URL('../../test/golden/registration-verdicts.json', import.meta.url), 'utf8')
  const rows = JSON.parse(text) as [string, string | null, string | null][]
  return rows.map(([input, old, modern]) => ({ input, old, modern }))
}

/** Prints a registration like the golden verdicts. */
function printed(body: RegisterBrokerBody): string {
  const topics = [...body.topics.values()].map(
    ({ topicName, readQueueNums, writeQueueNums, perm, topicFilterType, topicSysFlag, order }) =>
      `${topicName} ${readQueueNums} ${writeQueueNums} ${perm} ${topicFilterType} ${topicSysFlag} ${order};`,
  )
  const servers = body.filterServers === null ? 'null' : `[${body.filterServers.join(', ')}]`
  return `${topics.join('')} dv=${body.dataVersion.counter} f=${servers}`
}

/** Parts of inputs that are deliberately read differently from both lines, each with the reason. */
const different: ReadonlyMap<string, string> = new Map([
  ['"topicFilterType":"NONE"', 'an unknown type is SINGLE_TAG, not null'],
  ['"topicFilterType":null', 'a null type is SINGLE_TAG'],
  ['"topicName":null', 'the key names the topic; Java stores null'],
  ['{"perm":3}', 'the key names the topic; Java stores null'],
  ['"topicName":NaN', 'the key names the topic; Java stores null'],
  ['"topicName":undefined', 'the key names the topic; Java stores null'],
  ['"$ref"', 'topics are kept by name, so a repeated one counts once'],
  ['true,null,{"a":1}', 'null filter servers are left out'],
  ['"counter":null', 'a null counter is 0'],
  ['"dataVersion":null', 'a null data version counts as no registration'],
  ['"topicConfigSerializeWrapper":null', 'a null wrapper has no topics, as in the servers'],
  ['"topicConfigTable":null', 'a null table has no topics, as in the servers'],
  ['"order":"yes"', 'fastjson reads yes as true elsewhere'],
  ['{null:', 'a bare null is a name like any other'],
])

test('odd bodies are read as by the line that accepts them', () => {
  for (const { input, old, modern } of verdicts()) {
    if ([...different.keys()].some(part => input.includes(part))) continue
    const ours = refusal(input) === 'accepted' ? printed(decode(input)) : null
    const expected = old ?? modern
    // 5.5.0 reads an object as the number 0.
    if (input.includes('"readQueueNums":{}')) assert.equal(ours, null)
    // The last of several equal names counts, as in 5.5.0.
    else if (input.includes('"perm":1,"perm":2')) assert.equal(ours, modern, input)
    else assert.equal(ours, expected, input)
  }
})

test('every deliberate difference still exists', () => {
  const rows = verdicts()
  for (const [part, reason] of different) {
    const row = rows.find(({ input }) => input.includes(part))
    assert.ok(row, reason)
    assert.equal(refusal(row.input), 'accepted', reason)
    assert.notEqual(printed(decode(row.input)), row.old, reason)
  }
})

test('a topic without a name gets the name of its key', () => {
  const body = decode('{"topicConfigSerializeWrapper":{"topicConfigTable":{"T":{"perm":4},"key":{"topicName":"U"}}}}')
  assert.deepEqual(
    [...body.topics],
    [
      ['T', topic('T', { perm: 4 })],
      ['U', topic('U')],
    ],
  )
})

test('a missing data version counts as one of now, and a null one as none', () => {
  assert.deepEqual(decode('{}').dataVersion, { stateVersion: 0, timestamp: NOW, counter: 0 })
  assert.deepEqual(decode('{"topicConfigSerializeWrapper":null}'), noRegistration)
  assert.deepEqual(
    decode('{"topicConfigSerializeWrapper":{"dataVersion":null}}').dataVersion,
    noRegistration.dataVersion,
  )
  assert.equal(decode('{"filterServerList":null}').filterServers, null)
})

test('limits are checked before memory is allocated', async () => {
  const bomb = deflateSync(Buffer.alloc(1 << 20))
  assert.match(refusal(bomb, { maxInflatedBytes: 1000 }), /larger than 1000 bytes when decompressed/)
  await assert.rejects(inflateRegistration(bomb, 1000), {
    code: 'BAD_BODY',
    message: /larger than 1000 bytes when decompressed/,
  })
  assert.deepEqual(await inflateRegistration(bomb), Buffer.alloc(1 << 20))
  await assert.rejects(inflateRegistration(Buffer.from('nonsense')), { code: 'BAD_BODY', message: /not a zlib stream/ })
  assert.match(
    refusal(golden('5.5.0', 'register-broker.json'), { maxTopics: 1 }),
    /registration of 2 topics, the limit is 1/,
  )
  const count = Buffer.from('000000027b7d7fffffff', 'hex')
  assert.match(refusal(deflateSync(count)), /a count of 2147483647 at byte 6/)
  assert.match(
    refusal(deflateSync(Buffer.from('000000027b7d000000030000000000000000', 'hex'))),
    /a count of 3 at byte 6/,
  )
  const length = Buffer.from('ffffffff', 'hex')
  assert.match(refusal(deflateSync(length)), /a length of -1 at byte 0/)
  assert.match(refusal(deflateSync(Buffer.alloc(2))), /it ends before a length at byte 0/)
})

test('a large registration is read in slices, with the same result', () => {
  const names = Array.from({ length: 3000 }, (_, index) => `topic-${index}`)
  const body = { ...javaBody(false), topics: new Map(names.map(name => [name, topic(name)])) }
  const form = { version: V4_9_8, compressed: false, now: NOW }
  const json = encodeRegisterBroker(body, form)
  assert.ok([...readRegistration(json, form)].length > 10)
  assert.deepEqual(finish(readRegistration(json, form)), body)
  const parts = inflateSync(encodeRegisterBroker(body, { ...form, compressed: true }))
  assert.equal([...readRegistration(parts, { ...form, compressed: true })].length, 6)
  assert.deepEqual(finish(readRegistration(parts, { ...form, compressed: true })), body)
})

test('names like __proto__ are ordinary names', () => {
  const body = decode(
    '{"__proto__":{"x":1},"topicConfigSerializeWrapper":{"topicConfigTable":{"__proto__":{"topicName":"__proto__","attributes":{"__proto__":"a"}}}}}',
  )
  assert.deepEqual([...body.topics.keys()], ['__proto__'])
  assert.deepEqual(body.topics.get('__proto__')?.attributes, new Map([['__proto__', 'a']]))
})

const WITH_PROTOTYPE = { noNullPrototype: true }

test('a written registration is read back unchanged, in every form', () => {
  const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter(text => !text.includes(' '))
  const config = fc.record(
    {
      topicName: name,
      readQueueNums: fc.integer(),
      writeQueueNums: fc.integer(),
      perm: fc.integer(),
      topicFilterType: fc.constantFrom('SINGLE_TAG', 'MULTI_TAG'),
      topicSysFlag: fc.integer(),
      order: fc.boolean(),
      attributes: fc.array(fc.tuple(name, name)).map(entries => new Map(entries)),
    },
    WITH_PROTOTYPE,
  )
  const long = fc.oneof(fc.maxSafeInteger(), fc.constant(9223372036854775807n))
  const body = fc.record(
    {
      dataVersion: fc.record({ stateVersion: long, timestamp: long, counter: long }, WITH_PROTOTYPE),
      topics: fc.array(config).map(configs => new Map(configs.map(one => [one.topicName, one]))),
      topicQueueMappings: fc.constant(new Map()),
      filterServers: fc.array(name),
    },
    WITH_PROTOTYPE,
  )
  fc.assert(
    fc.property(body, fc.boolean(), (value, compressed) => {
      const form = { version: V5_5_0, compressed, now: NOW }
      const read = decodeRegisterBroker(encodeRegisterBroker(value, form), form)
      assert.deepEqual(read, compressed ? asCompressed(value) : value)
    }),
  )
})

test('any bytes, also inside a zlib stream, end in a registration or in BAD_BODY', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, compressed) => {
      refusal(compressed ? deflateSync(bytes) : bytes)
      refusal(bytes, { compressed: true })
    }),
    { numRuns: 500 },
  )
})

test('a truncated compressed body is refused, wherever it ends', () => {
  const parts = inflateSync(golden('4.9.7', 'register-broker.zlib'))
  for (let end = 0; end < parts.length; end++) {
    assert.notEqual(refusal(deflateSync(parts.subarray(0, end)), { version: V4_9_8 }), 'accepted', String(end))
  }
})
