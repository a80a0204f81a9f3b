import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConsumptionStats } from './consumption-stats.ts'

const MINUTE = 60_000

/** Ticks every ten seconds, as consumers do, and calls `each` before every tick. */
function run(stats: ConsumptionStats, from: number, to: number, each: () => void): void {
  for (let now = from; now < to; now += 10_000) {
    each()
    stats.tick(now + 10_000)
  }
}

test('rates cover the last minute, or the time since the start if that is shorter', () => {
  const stats = new ConsumptionStats(0)
  stats.pulled('Orders', 100, 20)
  stats.consumed('Orders', 50, 200, true)
  stats.consumed('Orders', 10, 100, false)
  const young = stats.statuses(5000).get('Orders')
  assert.deepEqual([young?.pullTPS, young?.consumeOKTPS, young?.consumeFailedTPS], [20, 10, 2])
  assert.deepEqual([young?.pullRT, young?.consumeRT], [20, 5])
  run(stats, 0, 5 * MINUTE, () => stats.consumed('Orders', 300, 300, true))
  assert.equal(stats.statuses(5 * MINUTE).get('Orders')?.consumeOKTPS, 30)
})

test('after a minute without messages, the listener time and the failures of the last hour are shown', () => {
  const stats = new ConsumptionStats(0)
  stats.consumed('Orders', 10, 100, true)
  stats.consumed('Orders', 4, 40, false)
  run(stats, 0, 30 * MINUTE, () => {})
  const status = stats.statuses(30 * MINUTE).get('Orders')
  assert.deepEqual([status?.consumeOKTPS, status?.consumeRT, status?.consumeFailedMsgs], [0, 10, 4])
  run(stats, 30 * MINUTE, 90 * MINUTE, () => {})
  assert.equal(stats.statuses(90 * MINUTE).get('Orders')?.consumeFailedMsgs, 0)
})

test('totals count all topics since the start', () => {
  const stats = new ConsumptionStats(0)
  for (const topic of ['a', 'b']) {
    stats.pulled(topic, 3, 1)
    stats.consumed(topic, 2, 1, true)
    stats.consumed(topic, 1, 1, false)
  }
  assert.deepEqual(stats.total, { pulled: 6, ok: 4, failed: 2 })
})
