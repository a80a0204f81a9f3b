import assert from 'node:assert/strict'
import { test } from 'node:test'
import { latestProperties, readProperties } from '@gantrymq/remoting'
import * as fc from 'fast-check'
import { editProperties } from './properties-edit.ts'

const CASES: readonly [what: string, before: string, updates: Record<string, string>, after: string][] = [
  ['a key keeps its place, and comments stay', '# mine\na=1\n\nb = 2\n', { a: '3' }, '# mine\na=3\n\nb = 2\n'],
  ['a new key is added at the end', 'a=1\n', { b: '2' }, 'a=1\nb=2\n'],
  ['a last line without a line break gets one', 'a=1', { b: '2' }, 'a=1\nb=2\n'],
  ['an empty file gets the key', '', { b: '2' }, 'b=2\n'],
  ['of several lines the last stays', 'a=1\nb=2\na=3\n', { a: '4' }, 'b=2\na=4\n'],
  ['a continued line is replaced as a whole', 'a=1\\\n  2\\\n  3\nb=4\n', { a: '5' }, 'a=5\nb=4\n'],
  ['an escaped backslash does not continue', 'a=1\\\\\nb=4\n', { a: '5' }, 'a=5\nb=4\n'],
  ['a line with a Windows line break is replaced', 'a=1\r\nb=2\r\n', { a: '5' }, 'a=5\nb=2\r\n'],
  ['a key is found by its unescaped name', '\\u0061 : 1\n', { a: '2' }, 'a=2\n'],
  [
    'a line break in a value cannot start a line',
    'a=1\n',
    { a: 'x\nkvConfigPath=/evil' },
    'a=x\\nkvConfigPath\\=/evil\n',
  ],
  ['non-ASCII bytes stay unchanged', 'a=\u00e9\n', { b: 'é' }, 'a=\u00e9\nb=\\u00e9\n'],
]

for (const [what, before, updates, after] of CASES) {
  test(what, () => {
    const edited = editProperties(Buffer.from(before, 'latin1'), new Map(Object.entries(updates)))
    assert.equal(edited.toString('latin1'), after)
  })
}

/** The keys and values of a file, without the empty key that a backslash at the end of the file makes. */
function valuesOf(file: Buffer): Map<string, string> {
  const entries = readProperties(file).filter(({ key }) => key !== '')
  return new Map(Array.from(latestProperties(entries), ([key, { value }]) => [key, value]))
}

test('after an edit the file has its previous values and the updates', () => {
  const piece = fc.constantFrom('a', 'b', 'c', '=', ' ', '\\', '\n', '\r', '\\\n', '#', ':', 'é')
  const key = fc.constantFrom('a', 'b', '#x', 'a b')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.dictionary(key, fc.string()), (pieces, given) => {
      const file = Buffer.from(pieces.join(''), 'latin1')
      const updates = new Map(Object.entries(given))
      assert.deepEqual(valuesOf(editProperties(file, updates)), new Map([...valuesOf(file), ...updates]))
    }),
    { numRuns: 2000 },
  )
})
