import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadEscape, jsonEscapeLength, unescape, unescapeInto } from './escapes.ts'

const json = String.raw
const whole = (text: string) => unescape(Buffer.from(text), 0, Buffer.byteLength(text))

test('the escapes of fastjson 1 and 2 are known', () => {
  assert.equal(whole(json`\b\t\n\v\f\F\r\"\'\\\/`), '\b\t\n\v\f\f\r"\'\\/')
  assert.equal(whole(json`\0\1\7\x41\xfC\u0001\u00fC\u20AC`), '\u0000\u0001\u0007Aü\u0001ü€')
  assert.equal(whole(json`\uD83D\ude00`), '😀')
})

test('half a surrogate pair is read as U+FFFD', () => {
  assert.equal(whole(json`\ud83d`), '\ufffd')
  assert.equal(whole(json`\ude00\ud83d!`), '\ufffd\ufffd!')
  assert.equal(whole(json`\ud83d\u0041\ud83d\x41`), '\ufffdA\ufffdA')
})

for (const escape of [
  json`\8`,
  json`\q`,
  json`\U0041`,
  json`\u004`,
  json`\u00g1`,
  json`\u-041`,
  json`\x4`,
  json`\xz1`,
]) {
  test(`${escape} is not an escape`, () => {
    assert.throws(() => whole(escape), BadEscape)
  })
}

test('an escape does not continue behind the end of its text', () => {
  const bytes = Buffer.from(json`\u0041`)
  for (let end = 1; end < 6; end++) {
    assert.throws(() => unescape(bytes, 0, end), BadEscape)
    assert.equal(jsonEscapeLength(bytes, 0, end), 0)
  }
  assert.equal(jsonEscapeLength(bytes, 0, 6), 6)
  const pair = Buffer.from(json`\ud83d\ude00`)
  assert.equal(unescape(pair, 0, 6), '\ufffd')
})

test('no unescaped text takes more bytes than the escaped one', () => {
  for (const text of [
    json`\u0001`,
    json`\u07ff`,
    json`\uffff`,
    json`\ud83d`,
    json`\uD83D\uDE00`,
    json`\x80`,
    json`\n`,
  ]) {
    const bytes = Buffer.from(text)
    assert.ok(unescapeInto(bytes, 0, bytes.length, Buffer.alloc(100), 0) <= bytes.length)
  }
})

test('a long text is unescaped like a short one', () => {
  const text = `${'x'.repeat(5_000)}${json`\u0001`}`.repeat(3)
  assert.equal(whole(text), `${'x'.repeat(5_000)}\u0001`.repeat(3))
})
