import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { test } from 'node:test'
import { HeldPops, type TryReason, type WaitingPop } from './held-pops.ts'

/** Held requests that get messages from a stock; `answers` has who got one, or an `end`. */
function fixture(limits = { perKey: 3, total: 4 }) {
  const pops = new HeldPops<string>(limits)
  const answers: string[] = []
  const stock = { messages: 0, tries: 0 }
  const request = (name: string, given: Partial<WaitingPop<string>> = {}): WaitingPop<string> => ({
    topic: 'Orders',
    group: 'billing',
    queueId: -1,
    retryTopics: ['%RETRY%billing_Orders'],
    peerId: 1,
    attempt(reason: TryReason) {
      stock.tries++
      if (stock.messages > 0) {
        stock.messages--
        return `${name} got`
      }
      return reason === 'last' ? `${name} end` : undefined
    },
    ...given,
  })
  const hold = (name: string, given: Partial<WaitingPop<string>> = {}, due = 1000): void => {
    pops.hold(request(name, given), due, 0).then(
      answer => answers.push(answer),
      () => answers.push(`${name} failed`),
    )
  }
  return { pops, answers, stock, request, hold }
}

test('messages wake as many requests as there are messages, the oldest first', async () => {
  const { pops, answers, stock, hold } = fixture()
  for (const name of ['a', 'b', 'c']) hold(name)
  stock.messages = 2
  pops.arrived('Orders', 0)
  await setImmediate()
  assert.deepEqual(answers, ['a got', 'b got'])
  assert.deepEqual([pops.size, pops.count('Orders', 'billing', -1)], [1, 1])
})

test('a request that finds nothing stops the others of its line from trying', () => {
  const { pops, stock, hold } = fixture()
  for (const name of ['a', 'b', 'c']) hold(name)
  pops.arrived('Orders', 0)
  assert.equal(stock.tries, 1)
})

test('a request hears of its queue and of its retry topics only', async () => {
  const { pops, answers, stock, hold } = fixture()
  hold('queue 1', { queueId: 1 })
  stock.messages = 1
  pops.arrived('Orders', 0)
  pops.arrived('Bills', 1)
  pops.arrived('%RETRY%shipping_Orders', 0)
  await setImmediate()
  assert.deepEqual(answers, [])
  pops.arrived('%RETRY%billing_Orders', 0)
  await setImmediate()
  assert.deepEqual(answers, ['queue 1 got'])
})

test('a request is answered when its time is over', async () => {
  const { pops, answers, hold } = fixture()
  hold('a', {}, 500)
  hold('b', {}, 900)
  pops.tick(500)
  await setImmediate()
  assert.deepEqual(answers, ['a end'])
  pops.tick(900)
  await setImmediate()
  assert.deepEqual(answers, ['a end', 'b end'])
})

test('messages that arrive while a request reads from the disk try it again', async () => {
  const { pops, answers, hold } = fixture()
  const reading = Promise.withResolvers<string | undefined>()
  let tries = 0
  hold('a', { attempt: () => (++tries === 1 ? reading.promise : 'a got') })
  pops.arrived('Orders', 0)
  pops.arrived('Orders', 0)
  assert.equal(tries, 1)
  reading.resolve(undefined)
  await setImmediate()
  assert.deepEqual(answers, ['a got'])
})

test('an attempt that fails refuses the request', async () => {
  const { pops, answers, hold } = fixture()
  hold('a', { attempt: () => assert.fail('the topic was deleted') })
  pops.arrived('Orders', 0)
  await setImmediate()
  assert.deepEqual([answers, pops.size], [['a failed'], 0])
})

test('the requests of a closed connection are forgotten', async () => {
  const { pops, answers, hold } = fixture()
  hold('a')
  hold('b', { peerId: 2 })
  pops.drop(1)
  assert.equal(pops.size, 1)
  pops.tick(2000)
  await setImmediate()
  assert.deepEqual(answers, ['b end'])
})

test('a request of a connection that closes while it reads from the disk is not tried again', async () => {
  const { pops, answers, hold } = fixture()
  const reading = Promise.withResolvers<string | undefined>()
  let tries = 0
  hold('a', { attempt: () => (++tries === 1 ? reading.promise : 'a got') })
  pops.arrived('Orders', 0)
  pops.arrived('Orders', 0)
  pops.drop(1)
  reading.resolve(undefined)
  await setImmediate()
  assert.deepEqual([tries, answers, pops.size], [1, [], 0])
})

test('only so many requests wait with the same key, and in all', () => {
  const { pops, request, hold } = fixture()
  for (const name of ['a', 'b', 'c']) hold(name)
  assert.equal(pops.isFull(request('d')), true)
  assert.equal(pops.isFull(request('d', { queueId: 0 })), false)
  hold('d', { queueId: 0 })
  assert.equal(pops.isFull(request('e', { queueId: 1 })), true)
})

test('closing answers all requests, and each later one at once', async () => {
  const { pops, answers, hold } = fixture()
  hold('a')
  pops.close()
  hold('b')
  await setImmediate()
  assert.deepEqual(answers, ['a end', 'b end'])
})
