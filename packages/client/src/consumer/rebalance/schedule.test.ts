import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { silent } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import { Rounds } from './schedule.ts'

function scheduled(t: TestContext, round: () => Promise<boolean>) {
  const clock = new ManualClock()
  const stop = new AbortController()
  const at: number[] = []
  const since = clock.now()
  const rounds = new Rounds({
    clock,
    log: silent,
    slowestMs: 20_000,
    signal: stop.signal,
    round: () => {
      at.push(clock.now() - since)
      return round()
    },
  })
  t.after(async () => {
    stop.abort()
    await rounds.quiet
    assert.equal(clock.timers, 0)
  })
  const advance = async (ms: number, step = 50): Promise<void> => {
    for (let left = ms; left > 0; left -= step) {
      await settle()
      clock.advance(step)
    }
    await settle()
  }
  return { rounds, at, stop, advance }
}

const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

test('nothing happens before the start, and then a round at once', async t => {
  const { rounds, at } = scheduled(t, async () => true)
  rounds.request(true)
  await settle()
  assert.deepEqual(at, [])
  rounds.start()
  await rounds.quiet
  assert.deepEqual(at, [0])
})

test('what is asked during a round or just after it makes one more, a little later', async t => {
  const { rounds, at, advance } = scheduled(t, async () => true)
  rounds.start()
  rounds.request(false)
  await settle()
  for (let n = 0; n < 5; n++) rounds.request(false)
  await advance(1000)
  assert.deepEqual(at, [0, 250])
})

test('what is urgent does not wait', async t => {
  const { rounds, at } = scheduled(t, async () => true)
  rounds.start()
  await settle()
  rounds.request(false)
  await settle()
  rounds.request(true)
  await settle()
  assert.deepEqual(at, [0, 0])
})

test('a round that leaves something open is repeated, more and more seldom', async t => {
  const { rounds, at, advance } = scheduled(t, async () => false)
  rounds.start()
  await advance(60_000)
  assert.deepEqual(at, [0, 1000, 3000, 7000, 15_000, 31_000, 51_000])
})

test('a notice ends the rest', async t => {
  const { rounds, at, advance } = scheduled(t, async () => at.length > 4)
  rounds.start()
  await advance(7000)
  rounds.request(false)
  await advance(1000)
  assert.deepEqual(at, [0, 1000, 3000, 7000, 7250])
})

test('no two rounds run side by side, and the end waits for the one that runs', async t => {
  let running = 0
  const end = Promise.withResolvers<void>()
  const { rounds, at, stop, advance } = scheduled(t, async () => {
    assert.equal(++running, 1)
    await end.promise
    running--
    return true
  })
  rounds.start()
  await settle()
  rounds.request(true)
  await advance(2000)
  assert.equal(at.length, 1)
  stop.abort()
  end.resolve()
  await rounds.quiet
  rounds.request(true)
  await advance(1000)
  assert.equal(at.length, 1)
})

test('a round that fails is followed by another', async t => {
  let fails = true
  const { rounds, at, advance } = scheduled(t, async () => {
    if (fails) throw new Error('odd')
    return true
  })
  rounds.start()
  await advance(50)
  fails = false
  await advance(1000)
  assert.equal(at.length, 2)
})
