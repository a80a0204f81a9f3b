import assert from 'node:assert/strict'
import { createHistogram, type monitorEventLoopDelay } from 'node:perf_hooks'
import { test } from 'node:test'
import { EventLoopDelay } from './event-loop-delay.ts'

/** A sampler that records the values of a test: the whole time between two wake-ups, as Node does. */
function handSampler() {
  const histogram = createHistogram()
  let enabled = false
  const sampler = Object.assign(histogram, {
    enable: () => !enabled && (enabled = true),
    disable: () => enabled && !(enabled = false),
  }) as unknown as ReturnType<typeof monitorEventLoopDelay>
  const wakeAfter = (ms: number) => histogram.record(Math.round(ms * 1e6))
  return { sampler, wakeAfter, isEnabled: () => enabled }
}

function bucketsOf(delay: EventLoopDelay) {
  const family = delay.family()
  assert.equal(family.type, 'histogram')
  const [series] = family.histograms
  const filled = Array.from(series?.counts ?? []).map(
    (count, index) => [family.bounds[index] ?? 'more', count] as const,
  )
  return { buckets: new Map(filled.filter(([, count]) => count > 0)), sum: series?.sum ?? 0 }
}

test('sampling begins with the first scrape and ends with close', () => {
  const { sampler, isEnabled } = handSampler()
  const delay = new EventLoopDelay('x_seconds', () => sampler)
  assert.equal(isEnabled(), false)
  delay.family()
  assert.equal(isEnabled(), true)
  delay.close()
  delay.family()
  assert.equal(isEnabled(), false)
})

test('the sampling interval does not count as delay, and buckets only grow from scrape to scrape', () => {
  const { sampler, wakeAfter } = handSampler()
  const delay = new EventLoopDelay('x_seconds', () => sampler)
  delay.family()
  for (const ms of [20.1, 20.2, 20.3, 25.5, 60]) wakeAfter(ms)
  const first = bucketsOf(delay)
  assert.deepEqual(
    first.buckets,
    new Map<number | 'more', number>([
      [0.001, 3],
      [0.01, 1],
      [0.05, 1],
    ]),
  )
  assert.ok(Math.abs(first.sum - 0.0461) < 0.0005, `sum was ${first.sum}`)
  assert.deepEqual(bucketsOf(delay), first)
  wakeAfter(20.1)
  wakeAfter(9000)
  const second = bucketsOf(delay).buckets
  assert.deepEqual(
    second,
    new Map<number | 'more', number>([
      [0.001, 4],
      [0.01, 1],
      [0.05, 1],
      ['more', 1],
    ]),
  )
})
