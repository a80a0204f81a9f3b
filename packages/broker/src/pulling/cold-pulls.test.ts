import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'node:test'
import { ManualClock } from '@gantrymq/remoting/testing'
import { AnswerTurns } from './answer-turns.ts'
import { type ColdPullLimits, ColdPulls } from './cold-pulls.ts'

interface Answer {
  readonly bytes: number
}

const LIMITS: ColdPullLimits = { pulls: 4, pullsPerConnection: 3, ms: 5000 }

function coldPulls(limits: ColdPullLimits = LIMITS) {
  const clock = new ManualClock()
  const pulls = new ColdPulls({ limits: () => limits, turns: new AnswerTurns(setImmediate), clock })
  const pull = (peerId: number, loading: Promise<void>, read: () => Answer | Promise<void> = () => ({ bytes: 1 })) =>
    pulls.answer(peerId, loading, read, ({ bytes }) => bytes)
  return { clock, pulls, pull }
}

const never = new Promise<never>(() => {})

test('a pull is read again until nothing more must be loaded', async () => {
  const { pulls, pull } = coldPulls()
  const needs = [Promise.resolve(), Promise.resolve()]
  assert.deepEqual(await pull(1, Promise.resolve(), () => needs.pop() ?? { bytes: 7 }), { bytes: 7 })
  assert.equal(pulls.size, 0)
  await assert.rejects(pull(1, Promise.reject(new Error('EIO'))), /EIO/)
  const failing = () => {
    throw new Error('deleted')
  }
  await assert.rejects(pull(1, Promise.resolve(), failing), /deleted/)
  assert.equal(pulls.size, 0)
})

test('one connection may have only a part of the pulls that wait, and all together no more than the limit', async t => {
  const { pulls, pull } = coldPulls()
  t.after(() => pulls.close())
  for (let count = 0; count < 3; count++) pull(1, never).catch(() => {})
  assert.equal(pulls.mayWait(1), false)
  assert.equal(pulls.mayWait(2), true)
  pull(2, never).catch(() => {})
  assert.equal(pulls.mayWait(3), false)
  pulls.drop(1)
  assert.equal(pulls.size, 1)
  assert.equal(pulls.mayWait(1), true)
})

test('a pull that the disk does not serve in time is refused with SYSTEM_BUSY, in the words of Apache', async () => {
  const { clock, pulls, pull } = coldPulls()
  let reads = 0
  const loaded = Promise.withResolvers<void>()
  const first = pull(1, loaded.promise, () => ({ bytes: ++reads }))
  clock.advance(3000)
  const second = pull(2, never)
  second.catch(() => {})
  clock.advance(2000)
  await assert.rejects(first, {
    responseCode: 2,
    remark:
      '[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: 5000ms, size of queue: 1',
  })
  assert.equal(pulls.size, 1)
  loaded.resolve()
  await turn()
  assert.equal(reads, 0)
  pulls.close()
  await assert.rejects(second, { responseCode: 2 })
})

test('pulls that waited for the same block are answered in several turns, so that their answers do not fill the memory', async () => {
  const { pull } = coldPulls({ pulls: 1000, pullsPerConnection: 1000, ms: undefined })
  const loaded = Promise.withResolvers<void>()
  const answered: Answer[] = []
  const all = Array.from({ length: 100 }, async () => {
    answered.push(await pull(1, loaded.promise, () => ({ bytes: 1 << 20 })))
  })
  loaded.resolve()
  let most = 0
  let before = 0
  while (answered.length < 100) {
    await turn()
    most = Math.max(most, answered.length - before)
    before = answered.length
  }
  await Promise.all(all)
  // Two turns of the broker may fall between two looks.
  assert.ok(most <= 8, `${most} MiB in a turn`)
})
