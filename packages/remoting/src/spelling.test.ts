import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearestWord } from './spelling.ts'

const KNOWN = ['listenPort', 'listenAddress', 'retries', 'tls']

test('a letter that is missing, too many, another or swapped with its neighbour is a slip, whatever the case', () => {
  for (const typed of ['listnPort', 'listennPort', 'listemPort', 'listenProt', 'LISTENPORT'])
    assert.equal(nearestWord(typed, KNOWN), 'listenPort', typed)
})

test('the nearest of several words is meant', () => {
  assert.equal(nearestWord('retrys', ['retry', 'retries', 'retrys']), 'retrys')
})

test('a word that differs in more than a third of its letters means no known word', () => {
  for (const typed of ['colour', 'tsx9', 'xyz', '', 'x'.repeat(101)])
    assert.equal(nearestWord(typed, KNOWN), undefined, typed)
  assert.equal(nearestWord('tsl', KNOWN), 'tls')
})
