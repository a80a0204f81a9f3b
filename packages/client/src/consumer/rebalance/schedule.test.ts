import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { silent } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import { RebalanceSchedule } from './schedule.ts'

function scheduled(t: TestContext, rebalance: () => Promise<boolean>) {
  const clock = new ManualClock()
  const stop = new AbortController()
  const at: number[] = []
  const since = clock.now()
  const schedule = new RebalanceSchedule({
    clock,
    log: silent,
    slowestMs: 20_000,
    signal: stop.signal,
    rebalance: () => {
      at.push(clock.now() - since)
      return rebalance()
    },
  })
  t.after(async () => {
    stop.abort()
    await schedule.quiet
    assert.equal(clock.timers, 0)
  })
  const advance = async (ms: number, step = 50): Promise<void> => {
    for (let left = ms; left > 0; left -= step) {
      await settle()
      clock.advance(step)
    }
    await settle()
  }
  return { schedule, at, stop, advance }
}

const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

test('nothing is rebalanced before the start, which rebalances at once', async t => {
  const { schedule, at } = scheduled(t, async () => true)
  schedule.request(true)
  await settle()
  assert.deepEqual(at, [])
  schedule.start()
  await schedule.quiet
  assert.deepEqual(at, [0])
})

test('requests during a rebalance or shortly after it cause one more, a little later', async t => {
  const { schedule, at, advance } = scheduled(t, async () => true)
  schedule.start()
  schedule.request(false)
  await settle()
  for (let n = 0; n < 5; n++) schedule.request(false)
  await advance(1000)
  assert.deepEqual(at, [0, 250])
})

test('an urgent request does not wait', async t => {
  const { schedule, at } = scheduled(t, async () => true)
  schedule.start()
  await settle()
  schedule.request(false)
  await settle()
  schedule.request(true)
  await settle()
  assert.deepEqual(at, [0, 0])
})

test('an incomplete rebalance is repeated with growing pauses', async t => {
  const { schedule, at, advance } = scheduled(t, async () => false)
  schedule.start()
  await advance(60_000)
  assert.deepEqual(at, [0, 1000, 3000, 7000, 15_000, 31_000, 51_000])
})

test('a request ends the pause', async t => {
  const { schedule, at, advance } = scheduled(t, async () => at.length > 4)
  schedule.start()
  await advance(7000)
  schedule.request(false)
  await advance(1000)
  assert.deepEqual(at, [0, 1000, 3000, 7000, 7250])
})

test('rebalances never overlap, and the end waits for the one that runs', async t => {
  let running = 0
  const end = Promise.withResolvers<void>()
  const { schedule, at, stop, advance } = scheduled(t, async () => {
    assert.equal(++running, 1)
    await end.promise
    running--
    return true
  })
  schedule.start()
  await settle()
  schedule.request(true)
  await advance(2000)
  assert.equal(at.length, 1)
  stop.abort()
  end.resolve()
  await schedule.quiet
  schedule.request(true)
  await advance(1000)
  assert.equal(at.length, 1)
})

test('a rebalance that throws is repeated', async t => {
  let fails = true
  const { schedule, at, advance } = scheduled(t, async () => {
    if (fails) throw new Error('odd')
    return true
  })
  schedule.start()
  await advance(50)
  fails = false
  await advance(1000)
  assert.equal(at.length, 2)
})
