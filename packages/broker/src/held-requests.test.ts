import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { fakePeer } from '@gantrymq/remoting/testing'
import { type HeldRequest, HeldRequests, type HeldRequestsOptions, type TryReason } from './held-requests.ts'
import { AnswerTurns } from './pulling/answer-turns.ts'

interface Request extends HeldRequest {
  readonly name: string
}
interface Given extends Partial<Omit<Request, 'name' | 'peer'>> {
  readonly peerId?: number
  readonly forMs?: number
}
type TryAgain = HeldRequestsOptions<Request, string>['tryAgain']

/** Answers only when the time is over. */
const whenOver: TryAgain = ({ name }, reason) => (reason === 'last' ? `${name} end` : undefined)
const always: TryAgain = ({ name }) => `${name} got`

/** Held requests for queue 0 of the topic Orders, from the time 0; `answers` has who got one, an `end`, or `failed`. */
function fixture(tryAgain: TryAgain, options: Partial<HeldRequestsOptions<Request, string>> = {}) {
  const requests = new HeldRequests<Request, string>({
    tryAgain,
    wakes: 'each',
    bytesOf: () => 0,
    turns: new AnswerTurns(setImmediate),
    ...options,
  })
  const answers: string[] = []
  const hold = (name: string, { peerId = 1, forMs = 15_000, ...given }: Given = {}): void => {
    const place = { topic: 'Orders', group: 'billing', queueId: 0, retryTopics: [], ...given }
    requests.hold({ ...place, name, peer: fakePeer({ id: peerId }) }, 0, forMs).then(
      answer => answers.push(answer),
      () => answers.push(`${name} failed`),
    )
  }
  return { requests, answers, hold }
}

/** Requests of which each takes one message of a stock. */
function stockFixture(hold: readonly string[]) {
  const stock = { messages: 0, tries: 0 }
  const takeOne = ({ name }: Request, reason: TryReason): string | undefined => {
    stock.tries++
    if (stock.messages === 0) return reason === 'last' ? `${name} end` : undefined
    stock.messages--
    return `${name} got`
  }
  const held = fixture(takeOne, { wakes: 'next' })
  for (const name of hold) held.hold(name)
  return { ...held, stock }
}

test('an arrival tries the requests of its queue only', async () => {
  const { requests, answers, hold } = fixture(always)
  hold('a')
  hold('other topic', { topic: 'Bills' })
  hold('other queue', { queueId: 1 })
  requests.arrived('Orders', 0, 10)
  await turn()
  assert.deepEqual(answers, ['a got'])
  assert.equal(requests.size, 2)
})

test('a request for any queue hears of each queue of its topic, and of its retry topics', async () => {
  const { requests, answers, hold } = fixture(always)
  const any = { queueId: -1, retryTopics: ['%RETRY%billing_Orders'] }
  hold('a', any)
  requests.arrived('Bills', 0, 10)
  requests.arrived('%RETRY%shipping_Orders', 0, 10)
  await turn()
  assert.deepEqual(answers, [])
  requests.arrived('Orders', 7, 10)
  hold('b', any)
  requests.arrived('%RETRY%billing_Orders', 0, 10)
  await turn()
  assert.deepEqual(answers, ['a got', 'b got'])
})

test('requests are counted by topic, group and queue', () => {
  const { requests, hold } = fixture(whenOver)
  for (const name of ['a', 'b']) hold(name, { queueId: -1 })
  hold('c', { queueId: 2 })
  hold('d', { group: 'shipping' })
  const counts = [-1, 2, 0].map(queueId => requests.count('Orders', 'billing', queueId))
  assert.deepEqual([counts, requests.size], [[2, 1, 0], 4])
})

test('a request is answered when its time is over, not before', async () => {
  const { requests, answers, hold } = fixture(whenOver)
  requests.tick(0)
  hold('a', { forMs: 500 })
  hold('b', { forMs: 2000 })
  requests.tick(400)
  await turn()
  assert.deepEqual(answers, [])
  requests.tick(500)
  await turn()
  assert.deepEqual(answers, ['a end'])
  requests.tick(60_000)
  await turn()
  assert.deepEqual(answers, ['a end', 'b end'])
  assert.equal(requests.size, 0)
})

test('a request that may not wait at all is answered by the next tick', async () => {
  const { requests, answers, hold } = fixture(whenOver)
  requests.tick(0)
  hold('a', { forMs: -5 })
  requests.tick(100)
  await turn()
  assert.deepEqual(answers, ['a end'])
})

test('a request waits for ten minutes at most', async () => {
  const { requests, answers, hold } = fixture(whenOver)
  hold('a', { forMs: Number.MAX_SAFE_INTEGER })
  requests.tick(600_000)
  await turn()
  assert.deepEqual(answers, ['a end'])
})

test('after an attempt a request waits only as long as it may still wait then', async () => {
  const { requests, answers, hold } = fixture(whenOver, { restMs: () => 5000 })
  requests.tick(0)
  hold('a')
  requests.arrived('Orders', 0, 1000)
  requests.tick(5900)
  await turn()
  assert.deepEqual(answers, [])
  requests.arrived('Orders', 0, 5900)
  requests.tick(6000)
  await turn()
  assert.deepEqual(answers, ['a end'])
})

test('messages that arrive while a request reads from the disk try it again', async () => {
  const reading = Promise.withResolvers<string | undefined>()
  let tries = 0
  const { requests, answers, hold } = fixture(() => (++tries === 1 ? reading.promise : 'got'))
  hold('a')
  requests.arrived('Orders', 0, 1)
  requests.arrived('Orders', 0, 2)
  assert.equal(tries, 1)
  reading.resolve(undefined)
  await turn()
  assert.equal(tries, 2)
  assert.deepEqual(answers, ['got'])
})

test('the time that ends while a request reads from the disk counts afterwards', async () => {
  const reading = Promise.withResolvers<string | undefined>()
  const { requests, answers, hold } = fixture((_request, reason) => (reason === 'last' ? 'end' : reading.promise))
  requests.tick(0)
  hold('a', { forMs: 500 })
  requests.arrived('Orders', 0, 1)
  requests.tick(600)
  requests.arrived('Orders', 0, 601)
  reading.resolve(undefined)
  await turn()
  assert.deepEqual(answers, ['end'])
})

test('an attempt that fails refuses the request', async () => {
  const { requests, answers, hold } = fixture(() => assert.fail('the topic was deleted'))
  hold('a')
  requests.arrived('Orders', 0, 1)
  await turn()
  assert.deepEqual([answers, requests.size], [['a failed'], 0])
})

test('a read from the disk that fails refuses the request', async () => {
  const { requests, answers, hold } = fixture(() => Promise.reject(new Error('EIO')))
  hold('a')
  requests.arrived('Orders', 0, 1)
  await turn()
  assert.deepEqual([answers, requests.size], [['a failed'], 0])
})

test('the requests of a closed connection are forgotten', async () => {
  const { requests, answers, hold } = fixture(whenOver)
  hold('a')
  hold('b', { topic: 'Bills' })
  hold('c', { peerId: 2 })
  requests.drop(1)
  assert.equal(requests.size, 1)
  requests.tick(20_000)
  await turn()
  assert.deepEqual(answers, ['c end'])
})

test('a request of a connection that closes while it reads from the disk is not tried again', async () => {
  const reading = Promise.withResolvers<string | undefined>()
  let tries = 0
  const { requests, answers, hold } = fixture(() => (++tries === 1 ? reading.promise : 'got'))
  hold('a')
  requests.arrived('Orders', 0, 1)
  requests.arrived('Orders', 0, 2)
  requests.drop(1)
  reading.resolve(undefined)
  await turn()
  assert.deepEqual([tries, answers, requests.size], [1, [], 0])
})

test('closing answers all requests, and each later one at once', async () => {
  const { requests, answers, hold } = fixture(whenOver)
  hold('a')
  hold('b', { topic: 'Bills' })
  requests.close(10)
  hold('c')
  await turn()
  assert.deepEqual(answers, ['a end', 'b end', 'c end'])
})

test('a hundred thousand requests cost nothing until something arrives', () => {
  let tries = 0
  const { requests, hold } = fixture(() => {
    tries++
    return undefined
  })
  requests.tick(0)
  for (let id = 0; id < 100_000; id++) hold('a', { peerId: id, queueId: id === 0 ? 0 : 1, forMs: 30_000 })
  for (let now = 100; now < 30_000; now += 100) requests.tick(now)
  assert.equal(tries, 0)
  requests.arrived('Orders', 0, 29_999)
  assert.equal(tries, 1)
})

test('many requests of one queue are answered in several turns, and those that come meanwhile in between', async () => {
  const { requests, answers, hold } = fixture(always, { bytesOf: () => 1 << 20 })
  for (let id = 1; id <= 100; id++) hold(`${id}`, { peerId: id })
  requests.arrived('Orders', 0, 10)
  requests.arrived('Orders', 0, 11)
  await Promise.resolve()
  assert.ok(answers.length <= 4, `${answers.length} MiB in a turn`)
  requests.drop(100)
  for (let turns = 0; requests.size > 0; turns++) {
    assert.ok(turns < 200)
    await turn()
  }
  assert.deepEqual(
    answers,
    Array.from({ length: 99 }, (_, index) => `${index + 1} got`),
  )
})

test('requests that are due together are answered in several turns', async () => {
  const { requests, answers, hold } = fixture(whenOver)
  for (let id = 1; id <= 5000; id++) hold('a', { peerId: id })
  requests.tick(15_000)
  await Promise.resolve()
  assert.ok(answers.length <= 500)
  while (requests.size > 0) await turn()
  await turn()
  assert.equal(answers.length, 5000)
})

test('messages of which each is for one request wake as many requests as there are messages, the oldest first', async () => {
  const { requests, answers, stock } = stockFixture(['a', 'b', 'c'])
  stock.messages = 2
  requests.arrived('Orders', 0, 1)
  await turn()
  assert.deepEqual(answers, ['a got', 'b got'])
  assert.equal(requests.size, 1)
})

test('a request that finds nothing keeps the others of its group from trying, and no other group', () => {
  const { requests, stock, hold } = stockFixture(['a', 'b', 'c'])
  hold('d', { group: 'shipping' })
  requests.arrived('Orders', 0, 1)
  assert.equal(stock.tries, 2)
})

/** Two requests, of which the first reads from the disk when messages arrive. */
function readingFixture() {
  const reading = Promise.withResolvers<string | undefined>()
  const tryAgain: TryAgain = ({ name }) => (name === 'a' ? reading.promise : `${name} got`)
  const held = fixture(tryAgain, { wakes: 'next' })
  held.hold('a')
  held.hold('b', { peerId: 2 })
  held.requests.arrived('Orders', 0, 1)
  return { ...held, reading }
}

test('a request that got messages from the disk wakes the next one', async () => {
  const { answers, reading } = readingFixture()
  await turn()
  assert.deepEqual(answers, [])
  reading.resolve('a got')
  await turn()
  assert.deepEqual(answers, ['a got', 'b got'])
})

test('a request whose connection closes while it reads from the disk wakes the next one', async () => {
  const { requests, answers, reading } = readingFixture()
  requests.drop(1)
  reading.resolve('a got')
  await turn()
  assert.deepEqual(answers, ['b got'])
})

test('a request that found nothing on the disk does not wake the next one', async () => {
  const { answers, reading } = readingFixture()
  reading.resolve(undefined)
  await turn()
  assert.deepEqual(answers, [])
})
