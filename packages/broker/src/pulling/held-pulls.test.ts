import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakePeer } from '@gantrymq/remoting/testing'
import type { ConsumeQueue } from '@gantrymq/store'
import { AnswerTurns } from './answer-turns.ts'
import { type HeldPull, HeldPulls, type TryPull } from './held-pulls.ts'
import type { PullAnswer, PullHeader } from './pull-reply.ts'

// The table only compares queues.
const queue = { topic: 'Orders' } as ConsumeQueue
const other = { topic: 'Bills' } as ConsumeQueue
const yes: PullAnswer = { code: 0 }
const nothing: PullAnswer = { code: 19 }

function pull(id: number, of = queue): HeldPull {
  return { header: { queueOffset: 5 } as PullHeader, peer: fakePeer({ id }), queue: of, scanFrom: 5 }
}

/** Records the answers to held pulls; `tryPull` answers nothing unless the time is over. */
function held(tryPull: TryPull = (_pull, reason) => (reason === 'last' ? nothing : undefined)) {
  const pulls = new HeldPulls(tryPull, new AnswerTurns(setImmediate))
  const answers: [id: number, code: number | undefined][] = []
  const hold = (given: HeldPull, now: number, forMs: number) => {
    pulls.hold(given, now, forMs).then(
      ({ code }) => answers.push([given.peer.id, code]),
      () => answers.push([given.peer.id, undefined]),
    )
  }
  return { pulls, answers, hold }
}

const turn = () => new Promise<void>(resolve => void setImmediate(resolve))

test('an arrival tries the pulls of its queue only', async () => {
  const { pulls, answers, hold } = held(() => yes)
  hold(pull(1), 0, 15_000)
  hold(pull(2, other), 0, 15_000)
  pulls.arrived(queue, 10)
  await turn()
  assert.deepEqual(answers, [[1, 0]])
  assert.equal(pulls.size, 1)
})

test('a pull is answered when its time is over, not before', async () => {
  const { pulls, answers, hold } = held()
  pulls.tick(1000)
  hold(pull(1), 1000, 500)
  hold(pull(2), 1000, 2000)
  pulls.tick(1400)
  await turn()
  assert.deepEqual(answers, [])
  pulls.tick(1500)
  await turn()
  assert.deepEqual(answers, [[1, 19]])
  pulls.tick(60_000)
  await turn()
  assert.deepEqual(answers, [
    [1, 19],
    [2, 19],
  ])
  assert.equal(pulls.size, 0)
})

test('a pull that may not wait at all is answered by the next tick', async () => {
  const { pulls, answers, hold } = held()
  pulls.tick(1000)
  hold(pull(1), 1000, -5)
  pulls.tick(1100)
  await turn()
  assert.deepEqual(answers, [[1, 19]])
})

test('a pull that has passed over messages is answered after 5 s', async () => {
  const { pulls, answers, hold } = held((given, reason) => {
    if (reason === 'last') return nothing
    given.scanFrom++
    return undefined
  })
  pulls.tick(0)
  hold(pull(1), 0, 15_000)
  pulls.arrived(queue, 1000)
  pulls.tick(5900)
  await turn()
  assert.deepEqual(answers, [])
  pulls.arrived(queue, 5900)
  pulls.tick(6000)
  await turn()
  assert.deepEqual(answers, [[1, 19]])
})

test('messages that arrive while a pull is read from the disk try it again', async () => {
  const { promise, resolve } = Promise.withResolvers<PullAnswer | undefined>()
  let tries = 0
  const { pulls, answers, hold } = held(() => (++tries === 1 ? promise : yes))
  hold(pull(1), 0, 15_000)
  pulls.arrived(queue, 1)
  pulls.arrived(queue, 2)
  assert.equal(tries, 1)
  resolve(undefined)
  await turn()
  assert.equal(tries, 2)
  assert.deepEqual(answers, [[1, 0]])
})

test('the time that ends while a pull is read from the disk counts afterwards', async () => {
  const { promise, resolve } = Promise.withResolvers<PullAnswer | undefined>()
  const { pulls, answers, hold } = held((_pull, reason) => (reason === 'last' ? nothing : promise))
  pulls.tick(0)
  hold(pull(1), 0, 500)
  pulls.arrived(queue, 1)
  pulls.tick(600)
  pulls.arrived(queue, 601)
  resolve(undefined)
  await turn()
  assert.deepEqual(answers, [[1, 19]])
})

test('a check that fails meanwhile refuses the pull', async () => {
  const { pulls, answers, hold } = held(() => {
    throw new Error('the topic was deleted')
  })
  hold(pull(1), 0, 15_000)
  pulls.arrived(queue, 1)
  await turn()
  assert.deepEqual(answers, [[1, undefined]])
  assert.equal(pulls.size, 0)
})

test('the pulls of a closed connection are forgotten', async () => {
  const { pulls, answers, hold } = held()
  hold(pull(1), 0, 100)
  hold(pull(1, other), 0, 100)
  hold(pull(2), 0, 100)
  pulls.drop(1)
  assert.equal(pulls.size, 1)
  pulls.tick(1000)
  await turn()
  assert.deepEqual(answers, [[2, 19]])
})

test('a pull of a connection that closes while it is read from the disk is not tried again', async () => {
  const { promise, resolve } = Promise.withResolvers<PullAnswer | undefined>()
  let tries = 0
  const { pulls, answers, hold } = held(() => (++tries === 1 ? promise : yes))
  hold(pull(1), 0, 15_000)
  pulls.arrived(queue, 1)
  pulls.arrived(queue, 2)
  pulls.drop(1)
  resolve(undefined)
  await turn()
  assert.deepEqual([tries, answers, pulls.size], [1, [], 0])
})

test('closing answers all pulls, and each later one at once', async () => {
  const { pulls, answers, hold } = held()
  hold(pull(1), 0, 15_000)
  hold(pull(2, other), 0, 15_000)
  pulls.close(10)
  hold(pull(3), 11, 15_000)
  await turn()
  assert.deepEqual(answers, [
    [1, 19],
    [2, 19],
    [3, 19],
  ])
})

test('a hundred thousand pulls cost nothing until something arrives', () => {
  let tries = 0
  const { pulls, hold } = held(() => {
    tries++
    return undefined
  })
  pulls.tick(0)
  for (let id = 0; id < 100_000; id++) hold(pull(id, id === 0 ? queue : other), 0, 30_000)
  for (let now = 100; now < 30_000; now += 100) pulls.tick(now)
  assert.equal(tries, 0)
  pulls.arrived(queue, 29_999)
  assert.equal(tries, 1)
})

test('many pulls of one queue are answered in several turns, and those that come meanwhile in between', async () => {
  const message = { code: 0, body: Buffer.alloc(1 << 20) }
  const { pulls, answers, hold } = held(() => message)
  for (let id = 1; id <= 100; id++) hold(pull(id), 0, 15_000)
  pulls.arrived(queue, 10)
  pulls.arrived(queue, 11)
  await Promise.resolve()
  assert.ok(answers.length <= 4, `${answers.length} MiB in a turn`)
  pulls.drop(100)
  for (let turns = 0; pulls.size > 0; turns++) {
    assert.ok(turns < 200)
    await turn()
  }
  assert.deepEqual(
    answers,
    Array.from({ length: 99 }, (_, index) => [index + 1, 0]),
  )
})

test('pulls that are due together are answered in several turns', async () => {
  const { pulls, answers, hold } = held()
  for (let id = 1; id <= 5000; id++) hold(pull(id), 0, 15_000)
  pulls.tick(15_000)
  await Promise.resolve()
  assert.ok(answers.length <= 500)
  while (pulls.size > 0) await turn()
  await turn()
  assert.equal(answers.length, 5000)
})
