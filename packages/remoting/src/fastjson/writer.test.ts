import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readFastjson } from './reader.ts'
import { isObject } from './value.ts'
import { writeFastjson } from './writer.ts'

test('numeric and object keys are bare in fastjson and quoted in standard', () => {
  const ids = new Map<number | bigint, string>([
    [0, 'a'],
    [-1, 'b'],
    [9007199254740993n, 'c'],
    [1, 'd'],
  ])
  assert.equal(writeFastjson(ids, 'fastjson'), '{0:"a",-1:"b",9007199254740993:"c",1:"d"}')
  assert.equal(writeFastjson(ids, 'standard'), '{"-1":"b","0":"a","1":"d","9007199254740993":"c"}')
  const queues = new Map([[{ brokerName: 'b', queueId: 0 }, 42]])
  assert.equal(writeFastjson(queues, 'fastjson'), '{{"brokerName":"b","queueId":0}:42}')
  assert.equal(writeFastjson(queues, 'standard'), String.raw`{"{\"brokerName\":\"b\",\"queueId\":0}":42}`)
})

test('maps are sorted in standard only, strings by their UTF-16 units', () => {
  const table = new Map([
    ['b', 1],
    ['B', 2],
    ['a:1', 3],
    ['10', 4],
    ['9', 5],
  ])
  assert.equal(writeFastjson(table, 'fastjson'), '{"b":1,"B":2,"a:1":3,"10":4,"9":5}')
  assert.equal(writeFastjson(table, 'standard'), '{"10":4,"9":5,"B":2,"a:1":3,"b":1}')
})

test('longs that a JavaScript number cannot hold are quoted in standard only', () => {
  const longs = [9223372036854775807n, 5n, -9007199254740991n, 42]
  assert.equal(writeFastjson(longs, 'fastjson'), '[9223372036854775807,5,-9007199254740991,42]')
  assert.equal(writeFastjson(longs, 'standard'), '["9223372036854775807",5,-9007199254740991,42]')
})

test('null members and map values are left out, but null items stay', () => {
  const value = {
    a: null,
    b: undefined,
    c: [null, 1],
    d: new Map([
      ['x', null],
      ['y', 2],
    ]),
    e: {},
  }
  assert.equal(writeFastjson(value, 'fastjson'), '{"c":[null,1],"d":{"y":2},"e":{}}')
  assert.equal(writeFastjson(Number.NaN, 'fastjson'), 'null')
})

test('a written value is read back unchanged', () => {
  const codePoint = fc.nat(0x10ffff).map(code => String.fromCodePoint(code).toWellFormed())
  const value = fc.letrec(tie => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.boolean(),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).filter(long => !Number.isSafeInteger(Number(long))),
      fc.maxSafeInteger(),
      fc.string({ unit: 'grapheme' }),
      fc.array(tie('any')),
      fc
        .array(fc.tuple(fc.string({ unit: codePoint }), tie('any')))
        .map(entries => new Map(entries as [string, never][])),
    ),
  })).any
  fc.assert(fc.property(value, any => assert.deepEqual(readFastjson(writeFastjson(any as never, 'fastjson')), any)))
})

test('numeric keys are read back as the same numbers', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })), ids => {
      for (const dialect of ['fastjson', 'standard'] as const) {
        const read = readFastjson(writeFastjson(new Map(ids.map(id => [id, 1])), dialect))
        assert.ok(isObject(read))
        assert.deepEqual(new Set(read.keys()), new Set(ids.map(String)))
      }
    }),
  )
})
