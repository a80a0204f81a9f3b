import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { delayLevels, delayOfLevel, levelOfDelay, popRetryDelay, retryLevel } from './retry-delay.ts'

test('levels are the eighteen of the default broker', () => {
  assert.equal(delayLevels.length, 18)
  assert.deepEqual([1, 2, 3, 14, 18].map(delayOfLevel), [1_000, 5_000, 10_000, 600_000, 7_200_000])
  assert.equal(delayOfLevel(0), 0)
  assert.equal(delayOfLevel(99), 7_200_000)
})

test('a delay gets the lowest level that waits long enough', () => {
  assert.deepEqual([0, 1, 1_000, 1_001, 31_000, 7_200_000, 1e9].map(levelOfDelay), [0, 1, 1, 2, 5, 18, 18])
  fc.assert(fc.property(fc.integer({ min: 1, max: 18 }), level => levelOfDelay(delayOfLevel(level)) === level))
})

test('the first retry comes after 10 s, the sixteenth after 2 h', () => {
  assert.equal(delayOfLevel(retryLevel(0)), 10_000)
  assert.equal(delayOfLevel(retryLevel(15)), 7_200_000)
})

test('a failed pop message waits by its level, or by its retries', () => {
  assert.equal(popRetryDelay(0, 0), 10_000)
  assert.equal(popRetryDelay(0, 2), 60_000)
  assert.equal(popRetryDelay(1, 9), 30_000)
  assert.equal(popRetryDelay(0, 200), 7_200_000)
  assert.equal(popRetryDelay(-1, 0), 10_000)
})
