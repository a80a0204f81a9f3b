import assert from 'node:assert/strict'
import { test } from 'node:test'
import { killBrokers } from './kills.ts'

/** Of a folder whose files expire. */
const EXPIRING_SEED = 7

test('a broker that is killed at an operation of its disk has everything that it acknowledged, once, after the next start', async () => {
  const { kills, acknowledged } = await killBrokers(10, 5)
  const atFailpoints = [...kills].filter(([where]) => where !== 'load').reduce((sum, [, times]) => sum + times, 0)
  assert.ok(atFailpoints >= 5, `${atFailpoints} of 10 brokers came to their failpoint`)
  assert.ok(acknowledged >= 100)
})

test('a broker that is killed while files of its log expire has exactly what is left of its log after the next start', async () => {
  const { kills, acknowledged } = await killBrokers(8, EXPIRING_SEED)
  const atFailpoints = [...kills].filter(([where]) => where !== 'load').reduce((sum, [, times]) => sum + times, 0)
  assert.ok(atFailpoints >= 4, `${atFailpoints} of 8 brokers came to their failpoint`)
  assert.ok(acknowledged >= 100)
})
