import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RemotingError } from '../errors.ts'
import { FastjsonReader, readFastjson, readFastjsonInSlices } from './reader.ts'
import { isArray, isObject, type JsonValue } from './value.ts'

/** Maps as plain objects, so that they print well. */
function shown(value: JsonValue): unknown {
  if (isArray(value)) return value.map(shown)
  return isObject(value)
    ? Object.fromEntries(
        [...value].map(([key, item]) => [typeof key === 'string' ? key : JSON.stringify(shown(key)), shown(item)]),
      )
    : value
}

function read(text: string): unknown {
  return shown(readFastjson(text))
}

function refusal(text: string | Buffer, options = {}): string {
  try {
    readFastjson(text, options)
  } catch (error) {
    assert.ok(error instanceof RemotingError)
    assert.equal(error.code, 'BAD_BODY')
    return error.message
  }
  return 'accepted'
}

test('JSON is read as by JSON.parse', () => {
  const stringUnit = fc.nat(0x10ffff).map(code => String.fromCodePoint(code).toWellFormed())
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit }), fc.constantFrom(undefined, 2), (value, indent) => {
      const text = JSON.stringify(value, null, indent)
      // JSON.parse rounds longs and has -0.
      const rounded = JSON.stringify(read(text), (_, item: unknown) => (typeof item === 'bigint' ? Number(item) : item))
      assert.deepEqual(JSON.parse(rounded), JSON.parse(JSON.stringify(JSON.parse(text))))
    }),
    { numRuns: 200 },
  )
})

test('bare numeric keys are read as strings, including negative ones and those beyond 2^53', () => {
  assert.deepEqual(read('{0:"a",-1:"b",9007199254740993:"c"}'), { 0: 'a', '-1': 'b', '9007199254740993': 'c' })
})

test('an object can be a key', () => {
  const table = readFastjson('{{"brokerName":"b","queueId":0}:42}')
  assert.ok(isObject(table))
  const [[key, value] = []] = [...table]
  assert.ok(key !== undefined && isObject(key))
  assert.deepEqual(
    [...key],
    [
      ['brokerName', 'b'],
      ['queueId', 0],
    ],
  )
  assert.equal(value, 42)
})

test('an object that is a key may contain another object as a key', () => {
  assert.deepEqual(read('{{{"a":1}:2}:3,"b":4}'), { '{"{\\"a\\":1}":2}': 3, b: 4 })
})

test('longs are exact bigints beyond 2^53, and numbers below', () => {
  assert.deepEqual(
    readFastjson(
      '[9223372036854775807,-9223372036854775808,9007199254740992,9007199254740991,-5,+7,07,7L,9223372036854775807L]',
    ),
    [
      9223372036854775807n,
      -9223372036854775808n,
      9007199254740992n,
      9007199254740991,
      -5,
      7,
      7,
      7,
      9223372036854775807n,
    ],
  )
})

test('doubles are read in Java notation, and values that are not finite are null', () => {
  assert.deepEqual(readFastjson('[1.0,1.23456789E7,1.0E-4,1.5F,NaN,Infinity,-Infinity,undefined,1e999]'), [
    1,
    12345678.9,
    0.0001,
    1.5,
    null,
    null,
    null,
    null,
    null,
  ])
})

test('names may be bare or in single quotes, commas may be extra or missing, comments may be anywhere', () => {
  const text = `\ufeff/* a */{,,topic:'it',"b":[1,,2 3,],// c\n'd' : null /**/ ,%RETRY%g:1,}; `
  assert.deepEqual(read(text), { topic: 'it', b: [1, 2, 3], d: null, '%RETRY%g': 1 })
})

test('all escapes of fastjson are known', () => {
  assert.equal(readFastjson(String.raw`"\x41\u0042\b\t\n\v\f\F\r\0\7\'\"\\\/"`), 'AB\b\t\n\v\f\f\r\0\u0007\'"\\/')
  assert.equal(readFastjson(String.raw`"\u4e2d\uD83D\uDE00é"`), '中😀é')
  assert.equal(readFastjson(String.raw`"\uD83D\u0041\uDE00"`), '\ufffdA\ufffd')
  assert.equal(readFastjson(String.raw`"\uDE00\uDE00"`), '\ufffd\ufffd')
  assert.match(refusal(String.raw`"\q"`), /unknown escape/)
  assert.match(refusal(String.raw`"\u12G4"`), /unknown escape/)
  assert.match(refusal(String.raw`"\x4"`), /unknown escape/)
})

test('bytes that are not UTF-8 become the replacement character', () => {
  assert.equal(readFastjson(Buffer.from([0x22, 0x61, 0xff, 0x62, 0x22])), 'a\ufffdb')
})

test('the last of equal names counts, and __proto__ is a name like any other', () => {
  assert.deepEqual(read('{"perm":1,"perm":2}'), { perm: 2 })
  const value = readFastjson('{"__proto__":{"polluted":true},"constructor":1}')
  assert.ok(isObject(value))
  assert.deepEqual([...value.keys()], ['__proto__', 'constructor'])
  assert.equal(({} as { polluted?: unknown }).polluted, undefined)
})

test('a reference is replaced by the value that it names', () => {
  assert.deepEqual(read('{"a":{"b":[{"c":1}]},"d":{"$ref":"$.a.b[0]"},"e":{"$ref":"$.a[\\"b\\"]"}}'), {
    a: { b: [{ c: 1 }] },
    d: { c: 1 },
    e: [{ c: 1 }],
  })
})

test('a reference into an object that is still being read finds its finished parts', () => {
  assert.deepEqual(read('{"w":{"t":{"T":{"n":"T"},"V":{"$ref":"$.w.t.T"}}}}'), {
    w: { t: { T: { n: 'T' }, V: { n: 'T' } } },
  })
})

test('circular references and paths that lead nowhere are null', () => {
  for (const path of ['$', '..', '@', '$.a', '$.x.y', '$.a[7]', '$..a', '$.__proto__', 'x']) {
    assert.deepEqual(read(`{"b":1,"a":[2,{"$ref":${JSON.stringify(path)}}]}`), { b: 1, a: [2, null] }, path)
  }
})

test('references cannot expand a short text into a huge value', () => {
  const level = (from: string, name: string) => `"${name}":[${`{"$ref":"$.${from}"},`.repeat(20)}]`
  const names = 'abcdefgh'.split('')
  const levels = names.slice(1).map((name, index) => level(names[index] as string, name))
  assert.match(refusal(`{"a":[1,1,1,1,1,1,1,1,1,1],${levels.join(',')}}`), /\$ref makes the text too large/)
})

test('a text that is not JSON of any dialect is refused, with the position of the problem', () => {
  assert.equal(refusal('{"a":1'), 'not the JSON of a body: a name or a value is expected, byte 6, at its end')
  assert.equal(refusal('{"a" 1}'), 'not the JSON of a body: a colon is expected, byte 5, at "1}"')
  assert.match(refusal(''), /a name or a value is expected, byte 0, at its end/)
  assert.match(refusal('{"a":1}}'), /nothing more is expected, byte 7/)
  assert.match(refusal('[1]x'), /nothing more is expected, byte 3/)
  assert.match(refusal('"abc'), /the quoted text has no end, byte 0/)
  assert.match(refusal('{"a":}'), /a name or a value is expected/)
  assert.match(refusal('[1}'), /a name or a value is expected/)
  assert.match(refusal('{"a":1]'), /a name or a value is expected/)
  assert.match(refusal('[yes]'), /a value is expected, byte 1/)
  assert.match(refusal('/* never'), /the comment has no end/)
  assert.match(refusal('/a'), /a comment is expected/)
  assert.match(refusal('[\u0001]'), /a value is expected/)
  assert.match(refusal('{{1:2}}'), /a colon is expected/)
})

test('nesting is refused exactly at its limit', () => {
  assert.match(refusal('['.repeat(1 << 20)), /nested deeper than 64, byte 64/)
  assert.match(refusal('{"a":'.repeat(1 << 18)), /nested deeper than 64/)
  assert.match(refusal('{'.repeat(1 << 20)), /nested deeper than 64/)
  assert.equal(refusal(`${'['.repeat(64)}${']'.repeat(64)}`), 'accepted')
})

test('texts, words, blanks and the number of values have limits', () => {
  assert.match(refusal(JSON.stringify('x'.repeat(11)), { maxText: 10 }), /the text is longer than 10 bytes/)
  assert.equal(refusal(JSON.stringify('x'.repeat(10)), { maxText: 10 }), 'accepted')
  assert.match(refusal('9'.repeat(2000)), /a word is longer than 1024 bytes/)
  assert.match(refusal(' '.repeat(2 << 20)), /blanks in a row/)
  assert.match(refusal('[1,2,3]', { maxValues: 5 }), /too many values/)
  assert.equal(refusal('[1,2]', { maxValues: 6 }), 'accepted')
})

test('a reader stops after about the given number of bytes and continues later', () => {
  const text = `[${'{"a":[1,2,3]},'.repeat(1000)}]`
  const reader = new FastjsonReader(Buffer.from(text))
  let steps = 1
  while (!reader.step(100)) steps++
  assert.ok(steps > 100 && steps < 200, `${steps} steps`)
  assert.deepEqual(shown(reader.result), read(text))
})

test('reading in slices pauses in a large text and never in a small one', () => {
  const pauses = (text: string) => [...readFastjsonInSlices(Buffer.from(text))].length
  assert.equal(pauses('{"a":1}'), 0)
  assert.ok(pauses(`[${'123456789,'.repeat(50_000)}]`) >= 7)
})

test('any bytes end in a value or in BAD_BODY', () => {
  const pieces = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ':',
    ',',
    '"',
    "'",
    '\\',
    '/',
    '*',
    '\n',
    '1',
    '-',
    'a',
    '$ref',
    '"$ref"',
    '"$"',
    '\\u',
    'null',
    '\u00ff',
  )
  const texts = fc.oneof(
    fc.uint8Array({ maxLength: 64 }).map(bytes => Buffer.from(bytes)),
    fc.array(pieces, { maxLength: 40 }).map(parts => Buffer.from(parts.join(''))),
  )
  fc.assert(
    fc.property(texts, bytes => {
      refusal(bytes)
    }),
    { numRuns: 3000 },
  )
})

test('a truncated text is refused, wherever it ends', () => {
  const text = String.raw`{"a":[1,{"b":"\u0041x"}],{"k":1}:null,/* c */'d':true}`
  for (let end = 0; end < text.length; end++)
    assert.notEqual(refusal(text.slice(0, end)), 'accepted', text.slice(0, end))
})

for (const [name, text] of [
  ['array', `[${'[],'.repeat(300_000)}[]]`],
  ['object', `{${Array.from({ length: 300_000 }, (_, i) => `"${i}":0`).join(',')}}`],
] as const) {
  test(`an ${name} with more items than the limit is refused`, () => {
    assert.throws(() => readFastjson(text), /more than 250000 items/)
    assert.throws(() => readFastjson('[1,2,3]', { maxItems: 2 }), /more than 2 items/)
  })
}
