import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearestWord } from './spelling.ts'

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
