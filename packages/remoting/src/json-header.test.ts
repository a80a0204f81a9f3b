import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goldenSends } from '@gantrymq/testkit'
import fc from 'fast-check'
import { FrameError } from './errors.ts'
import { scanHeader } from './frame.ts'
import { copyValue, HeaderView, toCommand } from './header-view.ts'
import { readJsonHeader, scanJsonHeader } from './json-header.ts'

const FRESH = 4711

/** The result of reading a header; a FrameError by its name. */
function outcome(read: () => unknown): unknown {
  try {
    return read()
  } catch (error) {
    assert.ok(error instanceof FrameError, String(error))
    return 'FrameError'
  }
}

/** The header as the scanner reads it; undefined if it gives up. Other bytes precede the header, as in a frame, and follow it. */
function scanned(header: Buffer, behind = '","x":1}\\u0041') {
  const bytes = Buffer.concat([Buffer.from('{"'), header, Buffer.from(behind)])
  const view = new HeaderView()
  return scanJsonHeader(bytes, 2, 2 + header.length, view) ? { view, command: toCommand(view) } : undefined
}

function general(header: Buffer): unknown {
  return outcome(() => readJsonHeader(header, 0, header.length, null, FRESH))
}

const json = String.raw
/** Parts of a quoted text. */
const goodPart = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 4 }).map(text => text.replaceAll(/[\\"\p{Cc}]/gu, '')),
  fc.constantFrom(...'"\\/bfnrt').map(letter => `\\${letter}`),
  fc.nat(0xffff).map(unit => `\\u${unit.toString(16).padStart(4, '0')}`),
  fc.constantFrom(json`\u0001`, json`\u0002`, json`\uD83D\uDE00`, json`\ud83d`, json`\uDE00`, json`\ud83dx`, '😀', 'ü'),
)
const oddPart = fc.oneof(
  fc.constantFrom(
    '\\',
    '\\u',
    '\\u00',
    '\\u00g0',
    '\\x41',
    '\\x4',
    '\\v',
    '\\0',
    '\\7',
    '\\8',
    "\\'",
    '\\F',
    '\\q',
    '"',
  ),
  fc.constantFrom('\t', '\n', '\u0000', '\u001f', '\u007f', '\\uD83D\\u', '\\uD83D\\uDE', '\\U0041', '\\é'),
  // Bytes that are not UTF-8: a lone byte, a truncated sequence, a surrogate.
  fc.constantFrom('80', 'c3', 'ff', 'e282', 'f09f98', 'eda080', 'c080').map(hex => Buffer.from(hex, 'hex')),
)
const bytesOf = (parts: readonly (string | Buffer)[]) => Buffer.concat(parts.map(part => Buffer.from(part)))
const goodText = fc.array(goodPart, { maxLength: 5 }).map(bytesOf)
const anyText = fc
  .array(fc.oneof({ weight: 6, arbitrary: goodPart }, { weight: 1, arbitrary: oddPart }), { maxLength: 5 })
  .map(bytesOf)
const quoted = (text: Buffer) => bytesOf(['"', text, '"'])

const fieldNames = fc.constantFrom('a', 'b', 'i', 'topic', 'properties', '$ref', '', 'ü').map(name => Buffer.from(name))

function fieldsOf(text: fc.Arbitrary<Buffer>, name: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  const field = fc.tuple(name, text).map(([key, value]) => bytesOf([quoted(key), ':', quoted(value)]))
  return fc
    .array(field, { maxLength: 4 })
    .map(fields => bytesOf(['{', ...fields.flatMap((one, at) => (at === 0 ? [one] : [',', one])), '}']))
}

const int = fc.integer({ min: -2147483648, max: 2147483647 }).map(String)
const oddNumber = fc.constantFrom(
  '-0',
  '007',
  '1.5',
  '2147483648',
  '-2147483649',
  '99999999999',
  '"7"',
  'null',
  '',
  '-',
)
const number = fc.oneof({ weight: 6, arbitrary: int }, { weight: 1, arbitrary: oddNumber })
const languageText = fc.constantFrom('"JAVA"', '"java"', '"JAxx"', '"GO"', '"NODE_JS"', '"ADA"', '""', '3', '99')

function member(text: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  const named = fc.oneof(
    fc.tuple(fc.constantFrom('code', 'flag', 'opaque', 'version', 'serializeTypeCurrentRPC'), number),
    fc.tuple(fc.constant('language'), languageText),
    fc.tuple(fc.constantFrom('remark', 'remark', 'code', 'serializeTypeCurrentRPC', 'else'), text.map(quoted)),
    fc.tuple(fc.constant('extFields'), fieldsOf(text, fc.oneof(fieldNames, text))),
  )
  return named.map(([name, value]) => bytesOf(['"', name, '":', value]))
}

const anyHeader = fc
  .tuple(fc.array(member(anyText), { maxLength: 7 }), fc.constantFrom('', '"opaque":7', '"opaque":-1'), fc.nat(400))
  .map(([members, opaque, cut]) => {
    const all = opaque === '' ? members : [...members, Buffer.from(opaque)]
    const header = bytesOf(['{', ...all.flatMap((one, at) => (at === 0 ? [one] : [',', one])), '}'])
    // Some headers are truncated.
    return cut < 40 ? header.subarray(0, Math.min(header.length, cut)) : header
  })

test('the scanner reads a header as the general reader does, or leaves it to the general reader', () => {
  let taken = 0
  fc.assert(
    fc.property(anyHeader, fc.constantFrom('', undefined), (header, behind) => {
      const found = scanned(header, behind)
      if (found === undefined) return
      taken++
      assert.deepEqual(found.command, general(header), header.toString())
    }),
    { numRuns: 5000 },
  )
  assert.ok(taken > 500, `the scanner read only ${taken} headers`)
})

for (const text of ['a\\', 'a\\}', 'a\\u00', 'a\\q}', 'a\tb"}', 'a']) {
  test(`the scanner gives up on a text that begins with ${JSON.stringify(text)}`, () => {
    assert.equal(scanned(Buffer.from(`{"opaque":7,"remark":"${text}`)), undefined)
  })
}

test('all escapes of JSON in values are read by the scanner', () => {
  fc.assert(
    fc.property(
      fieldsOf(
        goodText,
        fc.constantFrom('a', 'b', 'i').map(name => Buffer.from(name)),
      ),
      goodText,
      (fields, remark) => {
        const header = bytesOf(['{"code":310,"extFields":', fields, ',"opaque":7,"remark":', quoted(remark), '}'])
        const found = scanned(header)
        assert.ok(found)
        assert.deepEqual(found.command, general(header))
        assert.deepEqual(
          found.command.remark,
          (JSON.parse(header.toString()) as { remark: string }).remark.toWellFormed(),
        )
      },
    ),
    { numRuns: 1000 },
  )
})

test('the text of a field is copied as UTF-8, and refused if its bytes are not UTF-8', () => {
  fc.assert(
    fc.property(fieldsOf(anyText, fieldNames), fields => {
      const found = scanned(bytesOf(['{"code":310,"extFields":', fields, ',"opaque":7}']))
      if (found === undefined) return
      const { view } = found
      for (let field = 0; field < view.fieldCount; field++) {
        const [start = 0, end = 0] = view.spans.subarray(field * 4 + 2)
        const out = Buffer.alloc(3 + end - start + 3, 0xff)
        const to = copyValue(view, field, out, 3)
        const raw = view.bytes.subarray(start, end)
        if (!raw.equals(Buffer.from(raw.toString()))) {
          assert.equal(to, -1)
          continue
        }
        const text = JSON.parse(`"${raw.toString()}"`) as string
        assert.equal(out.toString('utf8', 3, to), text.toWellFormed())
        assert.equal(out.indexOf(0xff, 3), to, 'nothing is written behind it')
      }
    }),
    { numRuns: 2000 },
  )
})

test('a field that does not fit is not copied', () => {
  const found = scanned(Buffer.from(json`{"code":310,"extFields":{"i":"a\u0001b"},"opaque":7}`))
  assert.ok(found)
  assert.throws(() => copyValue(found.view, 0, Buffer.alloc(10), 3), RangeError)
})

const properties =
  'KEYS\u0001order-4711\u0002UNIQ_KEY\u00017F000001A1B218B4AAC2123456780000\u0002CLUSTER\u0001DefaultCluster\u0002WAIT\u0001true\u0002TAGS\u0001TagA'

for (const { name, sender, serializeType, frame } of goldenSends()) {
  test(`${name} as Apache ${sender} encodes it in ${serializeType} is read without the general reader`, () => {
    const view = new HeaderView()
    assert.ok(scanHeader(frame, 4, frame.length, 65_536, view))
    const key = name === 'SEND_MESSAGE' ? 'properties' : 'i'
    const command = toCommand(view)
    assert.equal(command.extFields?.get(key), properties)
    assert.equal(command.body?.toString(), 'Hello RocketMQ')
    const field = [...command.extFields.keys()].indexOf(key)
    assert.equal(view.escapes[field], serializeType === 'JSON' ? 1 : 0)
    const out = Buffer.alloc(400)
    assert.equal(out.toString('utf8', 7, copyValue(view, field, out, 7)), properties)
  })
}
