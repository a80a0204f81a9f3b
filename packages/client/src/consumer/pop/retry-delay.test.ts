import assert from 'node:assert/strict'
import { test } from 'node:test'
import { popRetryDelay } from './retry-delay.ts'

test('a failed popped message waits by its delay level, or else by the number of its deliveries', () => {
  assert.equal(popRetryDelay(0, 0), 10_000)
  assert.equal(popRetryDelay(0, 2), 60_000)
  assert.equal(popRetryDelay(1, 9), 30_000)
  assert.equal(popRetryDelay(0, 200), 7_200_000)
  assert.equal(popRetryDelay(-1, 0), 10_000)
})
