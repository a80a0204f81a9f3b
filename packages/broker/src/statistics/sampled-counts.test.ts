import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SampledCounts } from './sampled-counts.ts'

test('a count is shown over the last minute, hour and day', () => {
  const counts = new SampledCounts()
  counts.add('Orders', 0, 0)
  const days = 2 * 24 * 3600
  for (let seconds = 10; seconds <= days; seconds += 10) {
    counts.add('Orders', seconds > days - 30 ? 4 : 2, 100)
    counts.sample(seconds)
  }
  const messages = counts.stats('Orders', 'messages')
  assert.deepEqual(messages?.statsMinute, { sum: 3 * 2 + 3 * 4, tps: 18 / 60, avgpt: 1 })
  assert.equal(messages.statsHour.sum, 360 * 2 + 6)
  assert.equal(messages.statsDay.sum, 8640 * 2 + 6)
  assert.deepEqual(counts.stats('Orders', 'bytes')?.statsMinute, { sum: 600, tps: 10, avgpt: 600 / 18 })
  assert.equal(counts.stats('unknown', 'bytes'), undefined)
})

test('a count that takes the place of a deleted one begins at zero', () => {
  const counts = new SampledCounts()
  counts.add('Orders', 1000, 1000)
  for (const seconds of [10, 20, 30]) counts.sample(seconds)
  counts.delete('Orders')
  counts.add('Bills', 6, 60)
  assert.equal(counts.rate('Bills'), 0)
  counts.sample(40)
  counts.sample(50)
  assert.deepEqual(counts.stats('Bills', 'messages')?.statsMinute, { sum: 6, tps: 6 / 20, avgpt: 1 })
  assert.deepEqual([...counts], [['Bills', { messages: 6, bytes: 60 }]])
})

test('counts are those that a list of samples for each would give', () => {
  const step = fc.oneof(
    fc.record({ key: fc.integer({ min: 0, max: 40 }), messages: fc.integer({ min: 0, max: 9 }) }),
    fc.record({ deleted: fc.integer({ min: 0, max: 40 }) }),
    fc.constant('sample' as const),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), steps => {
      const counts = new SampledCounts()
      const model = new Map<string, { now: number; samples: number[] }>()
      let seconds = 0
      for (const each of steps) {
        if (each === 'sample') {
          counts.sample((seconds += 10))
          for (const count of model.values()) count.samples = [...count.samples, count.now].slice(-7)
        } else if ('deleted' in each) {
          counts.delete(String(each.deleted))
          model.delete(String(each.deleted))
        } else {
          const key = String(each.key)
          counts.add(key, each.messages, 1)
          const count = model.get(key) ?? { now: 0, samples: [0] }
          model.set(key, { ...count, now: count.now + each.messages })
        }
      }
      assert.deepEqual([...counts.keys()].toSorted(), [...model.keys()].toSorted())
      for (const [key, { samples }] of model) {
        const sum = (samples.at(-1) as number) - (samples[0] as number)
        assert.equal(counts.stats(key, 'messages')?.statsMinute.sum, sum)
        assert.equal(counts.rate(key), samples.length === 1 ? 0 : sum / (10 * (samples.length - 1)))
      }
    }),
  )
})
