import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { testCluster, type TestClusterOptions } from '@gantrymq/testkit/cluster'
import { text } from '../message/codec.ts'
import { ClientError } from '../errors.ts'
import { PullConsumer, type PullConsumerOptions } from './pull-consumer.ts'

const GROUP = 'billing'
const queue = { topic: 'Orders', brokerName: 'broker-a', queueId: 0 }

async function started(
  t: TestContext,
  options: Partial<PullConsumerOptions<string>> = {},
  on: TestClusterOptions = {},
) {
  const cluster = await testCluster(t, on)
  await cluster.broker.setTopic('Orders', { readQueues: 2 })
  const { nameServerList: nameServers, clock, dial, broker } = cluster
  const given = { nameServers, clock, dial, group: GROUP, codec: text(), ...options }
  const consumer = cluster.own(await cluster.outcome(PullConsumer.start(given)))
  const put = async (body: string, tag?: string) => {
    const properties = new Map(tag === undefined ? [] : [['TAGS', tag]])
    broker.put({ topic: 'Orders', queueId: 0, body: Buffer.from(body), properties })
    await cluster.settle(1)
  }
  return { cluster, broker, consumer, put }
}

const failure = (code: string) => (error: unknown) => error instanceof ClientError && error.code === code

test('a pull returns what it found and the next offset', async t => {
  const { cluster, broker, consumer, put } = await started(t)
  for (const [body, tag] of [
    ['a', 'x'],
    ['b', 'y'],
    ['c', 'x'],
  ] as const)
    await put(body, tag)
  const pull = async (offset: number, max: number, expression = '*') => {
    const result = await cluster.outcome(consumer.pull(queue, expression, offset, max))
    return { ...result, messages: result.messages.map(({ body }) => body) }
  }
  const ends = { minOffset: 0, maxOffset: 3 }
  assert.deepEqual(await pull(0, 2), { ...ends, status: 'FOUND', nextOffset: 2, messages: ['a', 'b'] })
  assert.deepEqual(await pull(0, 9, 'x'), { ...ends, status: 'FOUND', nextOffset: 3, messages: ['a', 'c'] })
  assert.deepEqual(await pull(0, 9, 'z'), { ...ends, status: 'NO_MATCHED_MSG', nextOffset: 3, messages: [] })
  assert.deepEqual(await pull(3, 9), { ...ends, status: 'NO_NEW_MSG', nextOffset: 3, messages: [] })
  assert.deepEqual(await pull(9, 9), { ...ends, status: 'OFFSET_ILLEGAL', nextOffset: 3, messages: [] })
  assert.equal(broker.server.requestsOf('PULL_MESSAGE')[0]?.header['sysFlag'], '4')
  assert.equal(broker.committed('Orders', GROUP, 0), undefined)
})

test('a pull that may wait returns messages that arrive later', async t => {
  const { cluster, broker, consumer, put } = await started(t)
  const pulled = consumer.pull(queue, '*', 0, 10, { wait: true })
  await cluster.until(() => broker.waitingPulls === 1)
  await put('a')
  assert.deepEqual(
    (await cluster.outcome(pulled)).messages.map(({ body }) => body),
    ['a'],
  )
  const abort = new AbortController()
  const aborted = consumer.pull(queue, '*', 1, 10, { wait: true, signal: abort.signal })
  await cluster.settle()
  abort.abort()
  await assert.rejects(aborted, failure('ABORTED'))
})

test('offsets are set in memory, stored on request, and stored automatically for queues in balance', async t => {
  const heard: number[] = []
  const onQueues = (_topic: string, _all: unknown, mine: readonly unknown[]) => heard.push(mine.length)
  const { cluster, broker, consumer } = await started(t, { topics: ['Orders'], onQueues })
  await cluster.until(() => consumer.queuesInBalance('Orders').length === 2, { stepMs: 50 })
  assert.deepEqual(heard, [2])
  assert.equal((await cluster.outcome(consumer.queuesOf('Orders'))).length, 2)
  consumer.updateOffset(queue, 5)
  assert.equal(await cluster.outcome(consumer.fetchOffset(queue)), 5)
  assert.equal(broker.committed('Orders', GROUP, 0), undefined)
  await cluster.outcome(consumer.persist(queue))
  assert.equal(broker.committed('Orders', GROUP, 0), 5)
  consumer.updateOffset(queue, 7)
  await cluster.advance(6000)
  assert.equal(broker.committed('Orders', GROUP, 0), 7)
  await broker.commit('Orders', GROUP, 0, 8)
  assert.equal(await cluster.outcome(consumer.fetchOffset(queue, { fromBroker: true })), 8)
})

test('the offset of a queue in balance is kept although the queue is not pulled for long', async t => {
  const { cluster, consumer } = await started(t, { topics: ['Orders'] })
  await cluster.until(() => consumer.queuesInBalance('Orders').length === 2, { stepMs: 50 })
  consumer.updateOffset(queue, 5)
  await cluster.advance(300_000, 1000)
  assert.equal(await cluster.outcome(consumer.fetchOffset(queue)), 5)
})

test('a message that was sent back arrives through the retry topic', async t => {
  const { cluster, broker, consumer, put } = await started(t)
  await put('a')
  const { messages } = await cluster.outcome(consumer.pull(queue, '*', 0, 1))
  assert.ok(messages[0])
  await cluster.outcome(consumer.sendMessageBack(messages[0], 1))
  await cluster.advance(1200)
  const [back] = broker.messages(consumer.retryTopic)
  assert.equal(String(back?.body), 'a')
  assert.equal(back?.reconsumeTimes, 1)
})

test('a message that no queue of the retry topic takes is not said to take too long', async t => {
  const { cluster, broker, consumer, put } = await started(t)
  await put('a')
  await broker.setTopic(consumer.retryTopic, { readQueues: 1, perm: 4 })
  broker.fault('CONSUMER_SEND_MSG_BACK', { answer: 'code', code: 1 })
  const { messages } = await cluster.outcome(consumer.pull(queue, '*', 0, 1))
  assert.ok(messages[0])
  await assert.rejects(cluster.outcome(consumer.sendMessageBack(messages[0])), {
    code: 'ROUTE_MISSING',
    message: /No queue of it takes messages \(broker-a has permission 4 and 1 write queue\)/,
  })
})

test('a pull with wrong arguments is refused before it is sent', async t => {
  const { cluster, broker, consumer } = await started(t)
  await assert.rejects(consumer.pull(queue, '*', -1, 1), failure('BAD_OPTION'))
  await assert.rejects(consumer.pull(queue, '*', 0, 0), failure('BAD_OPTION'))
  await assert.rejects(consumer.pull({ ...queue, topic: 'a b' }, '*', 0, 1), failure('BAD_NAME'))
  assert.equal(broker.server.requestsOf('PULL_MESSAGE').length, 0)
  const elsewhere = { ...queue, brokerName: 'broker-z' }
  await assert.rejects(cluster.outcome(consumer.pull(elsewhere, '*', 0, 1)), failure('BROKER_MISSING'))
  await cluster.outcome(consumer.close())
  await assert.rejects(consumer.pull(queue, '*', 0, 1), failure('CLOSED'))
})
