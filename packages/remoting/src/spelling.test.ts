import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { editsBetween, nearestWord } from './spelling.ts'

const KNOWN = ['listenPort', 'listenAddress', 'retries', 'tls']

test('a word with a missing, extra, wrong or swapped letter is recognised, in upper or lower case', () => {
  for (const typed of ['listnPort', 'listennPort', 'listemPort', 'listenProt', 'LISTENPORT'])
    assert.equal(nearestWord(typed, KNOWN), 'listenPort', typed)
})

test('the nearest of several words is chosen', () => {
  assert.equal(nearestWord('retrys', ['retry', 'retries', 'retrys']), 'retrys')
})

test('a word that differs in more than a third of its letters matches no known word', () => {
  for (const typed of ['colour', 'tsx9', 'xyz', '', 'x'.repeat(101)])
    assert.equal(nearestWord(typed, KNOWN), undefined, typed)
  assert.equal(nearestWord('tsl', KNOWN), 'tls')
})

/** The edits between two words by the recursion that defines them. */
function editsByDefinition(from: string, to: string): number {
  if (from === '' || to === '') return from.length + to.length
  const [shorter, other] = [from.slice(0, -1), to.slice(0, -1)]
  const edits = [
    editsByDefinition(shorter, to) + 1,
    editsByDefinition(from, other) + 1,
    editsByDefinition(shorter, other) + (from.at(-1) === to.at(-1) ? 0 : 1),
  ]
  const isSwapped = from.length > 1 && to.length > 1 && from.at(-1) === to.at(-2) && from.at(-2) === to.at(-1)
  if (isSwapped) edits.push(editsByDefinition(from.slice(0, -2), to.slice(0, -2)) + 1)
  return Math.min(...edits)
}

test('the edits between two words are counted up to a limit', () => {
  assert.equal(editsBetween('orders', 'orders'), 0)
  assert.equal(editsBetween('orders', 'oredrs', 2), 1)
  assert.equal(editsBetween('orders', 'order', 2), 1)
  assert.equal(editsBetween('orders', 'payments', 2), 3)
  assert.equal(editsBetween('', 'abc', 2), 3)
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 6 })
  fc.assert(
    fc.property(word, word, fc.nat(8), (from, to, most) => {
      const edits = editsByDefinition(from, to)
      assert.equal(editsBetween(from, to), edits)
      assert.equal(edits, editsBetween(to, from))
      assert.equal(Math.min(editsBetween(from, to, most), most + 1), Math.min(edits, most + 1))
    }),
  )
})

test('long words that begin and end with different letters take no more time than their length needs', () => {
  const middle = 'x'.repeat(2000)
  const before = process.cpuUsage().user
  for (let i = 0; i < 100; i++) assert.equal(editsBetween(`a${middle}b`, `${middle}cc`, 2), 3)
  // Without the limit these are 400 million cells.
  assert.ok(process.cpuUsage().user - before < 2_000_000)
})
