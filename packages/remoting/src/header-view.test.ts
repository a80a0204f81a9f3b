import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Command, SerializeType } from './command.ts'
import { encodeFrame, scanHeader } from './frame.ts'
import { copyValue, HeaderView, toCommand } from './header-view.ts'
import { Outbox } from './outbox.ts'

const send: Command = {
  code: 310,
  language: 'JAVA',
  version: 513,
  opaque: 7,
  flag: 0,
  remark: null,
  extFields: null,
  body: Buffer.from('body'),
  serializeType: 'JSON',
}

/** The names and texts as a fast path reads them from the bytes. */
function fieldsOf(view: HeaderView): [string, string][] {
  const fields: [string, string][] = []
  const out = Buffer.alloc(4096)
  for (let field = 0; field < view.fieldCount; field++) {
    const [start = 0, end = 0] = view.spans.subarray(field * 4)
    fields.push([view.bytes.toString('utf8', start, end), out.toString('utf8', 9, copyValue(view, field, out, 9))])
  }
  return fields
}

const names = fc.constantFrom('a', 'b', 'i', 'properties', '__ZONE_NAME', 'ü')
const texts = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
const fields = fc
  .dictionary(names, fc.oneof(texts, fc.constant('TAGS\u0001a\u0002KEYS\u0001"b"\\\u0002')))
  .map(Object.entries)

test('a view has the same numbers, names and texts in both header forms', () => {
  const view = new HeaderView()
  fc.assert(
    fc.property(
      fields,
      fc.option(fc.oneof(texts, fc.constant('C:\\new\n'))),
      fc.constantFrom<SerializeType[]>('JSON', 'ROCKETMQ'),
      (entries, remark, first) => {
        for (const serializeType of [first, first === 'JSON' ? 'ROCKETMQ' : 'JSON'] as const) {
          const command = { ...send, extFields: new Map(entries), remark, serializeType }
          const frame = encodeFrame(command, new Outbox())
          assert.ok(scanHeader(frame, 4, frame.length, 65_536, view))
          assert.deepEqual([view.code, view.opaque, view.flag, view.version, view.language], [310, 7, 0, 513, 0])
          assert.equal(view.serializeType, serializeType)
          assert.deepEqual(fieldsOf(view), entries)
          assert.equal(view.bytes.toString('utf8', view.bodyStart, view.bodyEnd), 'body')
          assert.equal(toCommand(view).remark, remark)
        }
      },
    ),
  )
})

test('fields without a value are dropped from a binary header, as in Java', () => {
  const extFields = new Map([
    ['a', ''],
    ['b', '1'],
  ])
  const frame = encodeFrame({ ...send, extFields, serializeType: 'ROCKETMQ' }, new Outbox())
  const view = new HeaderView()
  assert.ok(scanHeader(frame, 4, frame.length, 65_536, view))
  assert.deepEqual(fieldsOf(view), [['b', '1']])
})

test('the name of a binary field has at most 32,767 bytes', () => {
  const named = (name: string): Command => ({ ...send, extFields: new Map([[name, '1']]), serializeType: 'ROCKETMQ' })
  assert.ok(encodeFrame(named('x'.repeat(32_767)), new Outbox()).length > 32_767)
  const out = new Outbox()
  assert.throws(() => encodeFrame(named('ü'.repeat(16_384)), out), /has 32768 bytes, the limit is 32767/)
  assert.ok(out.isEmpty)
})
