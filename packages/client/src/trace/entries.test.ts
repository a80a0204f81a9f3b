import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeEntries, encodeEntry, keysOf, type TraceEntry } from './entries.ts'

const AT = 1_700_000_000_000

const pub: TraceEntry = {
  kind: 'Pub',
  at: AT,
  region: 'DefaultRegion',
  group: 'orders',
  topic: 'Orders',
  messageId: 'ID1',
  tags: undefined,
  keys: '42 43',
  storeHost: '10.0.0.1:10911',
  bodyLength: 5,
  costMs: 3,
  messageType: 0,
  offsetMessageId: 'OFF1',
  ok: true,
}

const fields = (text: string): string[] => text.replaceAll('\u0001', '|').split('\u0002')

test("entries have the fields of Java's encoder, with the word null for missing values", () => {
  assert.deepEqual(fields(encodeEntry(pub)), [
    `Pub|${AT}|DefaultRegion|orders|Orders|ID1|null|42 43|10.0.0.1:10911|5|3|0|OFF1|true`,
    '',
  ])
  const before = { requestId: 'R', messageId: 'ID1', retryTimes: 2, keys: undefined }
  const common = { at: AT, region: 'DefaultRegion', group: 'billing' }
  assert.deepEqual(fields(encodeEntry({ kind: 'SubBefore', ...common, ...before })), [
    `SubBefore|${AT}|DefaultRegion|billing|R|ID1|2|null`,
    '',
  ])
  const after = { requestId: 'R', messageId: 'ID1', costMs: 7, ok: false, keys: 'k', contextCode: 2 }
  assert.deepEqual(fields(encodeEntry({ kind: 'SubAfter', ...after, at: AT, group: 'billing' })), [
    `SubAfter|R|ID1|7|false|k|2|${AT}|billing`,
    '',
  ])
  const end = { messageType: 2, transactionId: 'T', state: 'COMMIT_MESSAGE', fromCheck: false }
  const names = { topic: 'Orders', messageId: 'ID1', tags: 'new', keys: undefined, storeHost: 'h:1' }
  assert.deepEqual(fields(encodeEntry({ kind: 'EndTransaction', ...common, ...names, ...end })), [
    `EndTransaction|${AT}|DefaultRegion|billing|Orders|ID1|new|null|h:1|2|T|COMMIT_MESSAGE|false`,
    '',
  ])
  assert.deepEqual(fields(encodeEntry({ kind: 'Recall', ...common, topic: 'Orders', messageId: 'ID1', ok: true })), [
    `Recall|${AT}|DefaultRegion|billing|Orders|ID1|true`,
    '',
  ])
})

test('the keys of an entry are the id and the keys of its message', () => {
  assert.deepEqual(keysOf(pub), ['ID1', '42', '43'])
  assert.deepEqual(keysOf({ ...pub, keys: undefined }), ['ID1'])
})

test('entries of older clients with fewer fields are decoded', () => {
  const old = ['Pub', AT, 'r', 'g', 't', 'ID', 'null', 'null', 'h:1', 5, 3, 0, 'true'].join('\u0001')
  const cloud = ['SubAfter', 'R', 'ID', 7, 'true', 'null'].join('\u0001')
  const [first, second] = decodeEntries(`${old}\u0002${cloud}\u0002`)
  assert.deepEqual(first?.kind === 'Pub' && [first.ok, first.offsetMessageId], [true, ''])
  assert.deepEqual(second?.kind === 'SubAfter' && [second.costMs, second.contextCode, second.at], [7, 0, undefined])
})

test('unknown or short entries are left out, and the others are decoded', () => {
  const text = `nonsense\u0002Pub\u0001short\u0002constructor\u0001x\u0002\u0002${encodeEntry(pub)}`
  assert.deepEqual(decodeEntries(text), [pub])
})

const word = fc
  .string({ minLength: 1 })
  .filter(text => !text.includes('\u0001') && !text.includes('\u0002') && text !== 'null')
const maybe = fc.option(word, { nil: undefined })
const whole = fc.nat()
const head = { at: whole, region: word, group: word }
const plain = { noNullPrototype: true }
const anyEntry = fc.oneof(
  fc.record(
    {
      kind: fc.constant('Pub' as const),
      ...head,
      topic: word,
      messageId: word,
      tags: maybe,
      keys: maybe,
      storeHost: word,
      bodyLength: whole,
      costMs: whole,
      messageType: whole,
      offsetMessageId: word,
      ok: fc.boolean(),
    },
    plain,
  ),
  fc.record(
    {
      kind: fc.constant('SubBefore' as const),
      ...head,
      requestId: word,
      messageId: word,
      retryTimes: whole,
      keys: maybe,
    },
    plain,
  ),
  fc.record(
    {
      kind: fc.constant('SubAfter' as const),
      requestId: word,
      messageId: word,
      costMs: whole,
      ok: fc.boolean(),
      keys: maybe,
      contextCode: whole,
      at: whole,
      group: maybe,
    },
    plain,
  ),
)

test('encoded entries are decoded as they were', () => {
  fc.assert(
    fc.property(fc.array(anyEntry), entries => {
      assert.deepEqual(decodeEntries(entries.map(encodeEntry).join('')), entries)
    }),
  )
})

test('any text is decoded without an error', () => {
  const unit = fc.constantFrom('Pub', 'SubAfter', '\u0001', '\u0002', '1')
  fc.assert(fc.property(fc.string({ unit }), text => Array.isArray(decodeEntries(text))))
})
