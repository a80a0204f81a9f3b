import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readDelayLevels } from './delay-levels.ts'

test('delay levels are read as Apache reads them', () => {
  assert.deepEqual(readDelayLevels('1s 5m  2h 1d '), [1000, 300_000, 7_200_000, 86_400_000])
})

test('a delay level that is none is refused with its text', () => {
  assert.throws(() => readDelayLevels('1s 5x'), { code: 'BAD_OPTION', message: 'messageDelayLevel=1s 5x: "5x" is not a number with s, m, h or d' }) // biome-ignore format: one thought
  assert.throws(() => readDelayLevels(''), { code: 'BAD_OPTION' })
})
