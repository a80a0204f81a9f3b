import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RemotingError, ResponseError } from './errors.ts'
import { printable, printableLines } from './printable.ts'

const HOSTILE: readonly [what: string, text: string, shown: string][] = [
  ['a line feed', 'a\nb', 'a\\u000ab'],
  ['a sequence that clears a terminal', '\u001b[2J', '\\u001b[2J'],
  ['its one-character form', '\u009b2J', '\\u009b2J'],
  ['the delete character', 'a\u007f', 'a\\u007f'],
  ['a line separator', 'a\u2028b\u2029', 'a\\u2028b\\u2029'],
  ['a change of direction', 'orders\u202Etxt', 'orders\\u202etxt'],
  ['an isolate', '\u2066a\u2069', '\\u2066a\\u2069'],
  ['an invisible mark', 'or\u200bders\ufeff\u200f', 'or\\u200bders\\ufeff\\u200f'],
  ['an invisible tag', '\u{e0041}', '\\udb40\\udc41'],
  ['half a surrogate pair', 'a\ud800b', 'a\\ud800b'],
]

for (const [what, text, shown] of HOSTILE) {
  test(`${what} is shown as its escape`, () => {
    assert.equal(printable(text), shown)
  })
}

test('letters of all scripts and emoji are shown as they are', () => {
  const text = 'Ünïcode 订单 טקסט 😀 "quoted" \\ back'
  assert.equal(printable(text), text)
  assert.equal(printableLines(text), text)
})

test('text of several lines keeps its line feeds and tabs, and nothing else that is invisible', () => {
  assert.equal(printableLines('Error\n\tat a\r\u001b[1m\u202e'), 'Error\n\tat a\\u000d\\u001b[1m\\u202e')
})

test('escaped JSON has the same value', () => {
  const value = { name: HOSTILE.map(([, text]) => text).join('') }
  assert.deepEqual(JSON.parse(printable(JSON.stringify(value))), value)
})

test('the message of an error shows what a peer sent as escapes, and its remark stays as it was', () => {
  assert.equal(new RemotingError('BAD_BODY', 'at "\u202e"').message, 'at "\\u202e"')
  const error = new ResponseError(1, 'no \u001b[1m\nmore')
  assert.equal(error.message, 'response code 1: no \\u001b[1m\nmore')
  assert.equal(error.remark, 'no \u001b[1m\nmore')
})
