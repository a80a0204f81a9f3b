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

test('the edits between two words are counted up to a limit', () => {
  assert.equal(editsBetween('orders', 'orders'), 0)
  assert.equal(editsBetween('orders', 'oredrs', 2), 1)
  assert.equal(editsBetween('orders', 'order', 2), 1)
  assert.equal(editsBetween('orders', 'payments', 2), 3)
  assert.equal(editsBetween('', 'abc', 2), 3)
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 8 })
  fc.assert(
    fc.property(word, word, fc.nat(8), (from, to, most) => {
      const edits = editsBetween(from, to)
      assert.equal(edits, editsBetween(to, from))
      assert.equal(Math.min(editsBetween(from, to, most), most + 1), Math.min(edits, most + 1))
    }),
  )
})
