import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { quote } from './quote.ts'
import { readFastjson } from './reader.ts'

const json = String.raw

test('a text is quoted as fastjson 1 quotes it', () => {
  assert.equal(quote('plain "quoted" \\ / ü€😀'), json`"plain \"quoted\" \\ / ü€😀"`)
  assert.equal(quote('\b\t\n\f\r'), json`"\b\t\n\f\r"`)
  assert.equal(quote('\u0000\u0001\u0007\u000b\u000e\u001f'), json`"\u0000\u0001\u0007\u000B\u000E\u001F"`)
  assert.equal(quote('\u001a'), json`"\u001A"`)
  assert.equal(quote('\u007f\u009f\u00a0\u2028\u2029'), json`"\u007F\u009F${'\u00a0'}\u2028\u2029"`)
})

test('a text that looks like an escape stays unchanged', () => {
  assert.equal(quote(json`\u001f`), json`"\\u001f"`)
  assert.equal(quote(json`ü\u001f\\u000b`), json`"ü\\u001f\\\\u000b"`)
})

test('a quoted text is read back unchanged', () => {
  const codeUnit = fc.nat(0xffff).map(code => String.fromCharCode(code))
  const unit = fc.constantFrom(
    '\\',
    'u',
    '0',
    '1',
    'f',
    'b',
    '"',
    '\u0001',
    '\u000b',
    '\u001f',
    '\u007f',
    '\u2028',
    'ü',
  )
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: codeUnit }), fc.string({ unit, maxLength: 12 })), text => {
      assert.equal(readFastjson(quote(text)), text.toWellFormed())
      assert.equal(JSON.parse(quote(text)), text)
    }),
    { numRuns: 1000 },
  )
})
