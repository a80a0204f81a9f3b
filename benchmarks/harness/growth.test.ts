import assert from 'node:assert/strict'
import test from 'node:test'
import { growthOf } from './growth.ts'

test('a process that keeps its size in the second half has not grown', () => {
  const samples = Array.from({ length: 100 }, (_, i) => ({ messages: (i + 1) * 1000, rssMb: i < 49 ? 50 + i : 90 }))
  const { messages, fromMb, toMb, mbPerMillion } = growthOf(samples)
  assert.deepEqual({ messages, fromMb, toMb }, { messages: 100_000, fromMb: 90, toMb: 90 })
  assert.ok(Math.abs(mbPerMillion) < 1e-9)
})

test('a leak of a kilobyte a message is a growth of a thousand MB for a million messages', () => {
  const samples = Array.from({ length: 50 }, (_, i) => ({ messages: i * 1000, rssMb: 80 + i }))
  assert.ok(Math.abs(growthOf(samples).mbPerMillion - 1000) < 1e-6)
})

test('one sample has no slope, none is an error', () => {
  assert.equal(growthOf([{ messages: 10, rssMb: 70 }]).mbPerMillion, 0)
  assert.throws(() => growthOf([]), /no samples/)
})
