import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TimeHistogram } from './histogram.ts'

test('quantiles are within four percent of the sorted values', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 50_000_000 }), { minLength: 1 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (values, part) => {
        const histogram = new TimeHistogram()
        for (const value of values) histogram.add(value)
        const exact = values.toSorted((a, b) => a - b)[Math.floor(part * values.length)] as number
        const seen = histogram.quantile(part)
        assert.ok(seen <= exact && seen >= exact * 0.96 - 0.1, `${seen} for ${exact}`)
      },
    ),
  )
})

test('a cleared histogram has no earlier values', () => {
  const histogram = new TimeHistogram()
  histogram.add(900)
  histogram.clear()
  histogram.add(5)
  assert.equal(histogram.quantile(0.99), 5)
  assert.equal(histogram.max, 5)
})
