import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { clientNotices } from '@gantrymq/protocol'
import { type TestCluster, testCluster, type TestClusterOptions } from '@gantrymq/testkit/cluster'
import { text } from '../../message/codec.ts'
import type { PushConsumer, PushConsumerOptions } from '../push-consumer.ts'
import { startConsumer } from '../../../test/push-fixture.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'

const GROUP = 'readers'
type Options = Partial<PushConsumerOptions<string>>

async function clusterWithTopic(t: TestContext, on: TestClusterOptions = {}): Promise<TestCluster> {
  const cluster = await testCluster(t, on)
  for (const broker of cluster.brokers) await broker.setTopic('Orders', { readQueues: 2 })
  await setMode(cluster, 'POP')
  return cluster
}

async function setMode({ broker }: TestCluster, mode: 'PULL' | 'POP'): Promise<void> {
  await broker.setMode('Orders', GROUP, mode)
}

function join(cluster: TestCluster, options: Options): Promise<PushConsumer<string>> {
  return startConsumer<string>(cluster, { serverAssignment: true, codec: text(), ...options })
}

function put({ broker }: TestCluster, body: string, queueId = 0): void {
  broker.put({ topic: 'Orders', queueId, body: Buffer.from(body) })
}

/** Collects bodies. The listener throws for messages for which `fails` returns true. */
function listener(fails: (message: ReceivedMessage<string>) => boolean = () => false) {
  const seen: string[] = []
  const onMessage = (message: ReceivedMessage<string>): void => {
    seen.push(message.body)
    if (fails(message)) throw new Error('not now')
  }
  return { seen, onMessage }
}

test('if the broker assigns pop mode, messages of all its queues are popped and acknowledged', async t => {
  const cluster = await clusterWithTopic(t)
  const { seen, onMessage } = listener()
  const consumer = await join(cluster, { onMessage })
  await cluster.until(() => consumer.queues.some(({ topic }) => topic === 'Orders'), { stepMs: 50 })
  put(cluster, 'a', 0)
  put(cluster, 'b', 1)
  await cluster.until(() => seen.length === 2, { stepMs: 20 })
  await cluster.advance(200)
  assert.deepEqual(seen.toSorted(), ['a', 'b'])
  const [queue] = consumer.queues.filter(({ topic }) => topic === 'Orders')
  assert.deepEqual(queue, { topic: 'Orders', brokerName: 'broker-a', queueId: -1 })
  assert.equal(cluster.broker.lag(GROUP), 0)
  const pulls = cluster.broker.server.requestsOf('PULL_MESSAGE').filter(({ header }) => header['topic'] === 'Orders')
  assert.equal(pulls.length, 0)
  assert.equal(cluster.broker.server.requestsOf('GET_CONSUMER_LIST_BY_GROUP').length, 0)
  assert.equal(consumer.stats.consumed, 2)
})

test('a pop request contains the values of the options', async t => {
  const cluster = await clusterWithTopic(t)
  const { onMessage } = listener()
  const options = { popBatchSize: 7, popInvisibleMs: 30_000, subscriptions: { Orders: 'red' } }
  await join(cluster, { onMessage, ...options })
  await cluster.until(() => cluster.broker.server.requestsOf('POP_MESSAGE').length > 0, { stepMs: 50 })
  const { header } = cluster.broker.server.requestsOf('POP_MESSAGE')[0] ?? assert.fail()
  const { queueId, maxMsgNums, invisibleTime, pollTime, initMode, exp, expType, order } = header
  assert.deepEqual(
    { queueId, maxMsgNums, invisibleTime, pollTime, initMode, exp, expType, order },
    {
      queueId: '-1',
      maxMsgNums: '7',
      invisibleTime: '30000',
      pollTime: '15000',
      initMode: '0',
      exp: 'red',
      expType: 'TAG',
      order: 'false',
    },
  )
})

test('a failed message is redelivered through the retry topic, after the delay for its number of deliveries', async t => {
  const cluster = await clusterWithTopic(t)
  const { seen, onMessage } = listener(message => message.reconsumeTimes === 0)
  await join(cluster, { onMessage })
  put(cluster, 'a')
  await cluster.until(() => seen.length === 1, { stepMs: 50 })
  const failedAt = cluster.clock.now()
  await cluster.until(() => seen.length === 2, { stepMs: 50 })
  const delay = cluster.clock.now() - failedAt
  assert.ok(delay >= 9500 && delay < 12_500, String(delay))
  await cluster.advance(200)
  assert.equal(cluster.broker.lag(GROUP), 0)
  const [change] = cluster.broker.server.requestsOf('CHANGE_MESSAGE_INVISIBLETIME')
  assert.equal(change?.header['invisibleTime'], '10000')
})

test('a message that failed too often becomes a dead letter and is not lost', async t => {
  const cluster = await clusterWithTopic(t)
  const { seen, onMessage } = listener(() => true)
  await join(cluster, { onMessage, maxReconsumeTimes: 1 })
  put(cluster, 'bad')
  await cluster.until(() => seen.length === 2, { stepMs: 50 })
  await cluster.until(() => cluster.broker.messages(`%DLQ%${GROUP}`).length === 1, { stepMs: 50 })
  await cluster.advance(500)
  assert.equal(cluster.broker.lag(GROUP), 0)
  await cluster.advance(120_000, 1000)
  assert.equal(seen.length, 2)
})

test('of a batch only unfinished messages are redelivered', async t => {
  const cluster = await clusterWithTopic(t)
  const calls: string[][] = []
  const consumer = await join(cluster, {
    batchSize: 4,
    onMessages: messages => {
      calls.push(messages.map(({ body }) => body))
      return calls.length === 1 ? { retry: { from: 2 } } : undefined
    },
  })
  consumer.pause()
  for (const body of ['a', 'b', 'c', 'd']) put(cluster, body)
  consumer.resume()
  await cluster.until(() => calls.length >= 2, { stepMs: 50 })
  assert.deepEqual(calls[0], ['a', 'b', 'c', 'd'])
  await cluster.until(() => calls.slice(1).flat().length === 2, { stepMs: 50 })
  assert.deepEqual(calls.slice(1).flat().toSorted(), ['c', 'd'])
})

test('a queue is not popped while too many of its messages are unacknowledged', async t => {
  const cluster = await clusterWithTopic(t)
  const gate = Promise.withResolvers<void>()
  let starts = 0
  const onMessage = async (): Promise<void> => {
    starts++
    await gate.promise
  }
  for (let index = 0; index < 50; index++) put(cluster, String(index))
  const consumer = await join(cluster, { onMessage, maxPopped: 10, popBatchSize: 4, concurrency: 3 })
  await cluster.until(() => starts === 3, { stepMs: 50 })
  await cluster.advance(2000)
  assert.equal(consumer.stats.queued, 12)
  assert.equal(consumer.stats.running, 3)
  gate.resolve()
  await cluster.until(() => consumer.stats.consumed === 50, { stepMs: 50 })
})

test('the broker changes the mode from pull to pop and back, and no message is lost or duplicated', async t => {
  const cluster = await clusterWithTopic(t)
  const { seen, onMessage } = listener()
  await setMode(cluster, 'PULL')
  const consumer = await join(cluster, { onMessage })
  const orders = () => consumer.queues.filter(({ topic }) => topic === 'Orders').map(({ queueId }) => queueId)
  await cluster.until(() => orders().length === 2, { stepMs: 50 })
  put(cluster, 'a')
  await cluster.until(() => seen.length === 1, { stepMs: 20 })
  await cluster.advance(6000)
  await setMode(cluster, 'POP')
  await cluster.until(() => orders().join() === '-1', { stepMs: 500 })
  put(cluster, 'b')
  await cluster.until(() => seen.length === 2, { stepMs: 20 })
  await setMode(cluster, 'PULL')
  await cluster.until(() => orders().length === 2, { stepMs: 500 })
  put(cluster, 'c')
  await cluster.until(() => seen.length === 3, { stepMs: 20 })
  assert.deepEqual(seen, ['a', 'b', 'c'])
})

test('messages that failed after a pop are redelivered when their topic is pulled, and when it is popped again', async t => {
  const cluster = await clusterWithTopic(t)
  const retryTopic = `%RETRY%${GROUP}_Orders`
  const seen: string[] = []
  const onMessage = ({ body, topic }: ReceivedMessage<string>): void => void seen.push(`${body} of ${topic}`)
  const consumer = await join(cluster, { rebalanceMs: 1000, onMessage })
  const pulls = (): boolean => consumer.queues.some(({ topic }) => topic === retryTopic)
  await cluster.broker.setTopic(retryTopic, { readQueues: 1 })
  await cluster.until(() => consumer.queues.some(({ queueId }) => queueId === -1), { stepMs: 50 })
  await cluster.advance(5000)
  assert.equal(pulls(), false)
  await setMode(cluster, 'PULL')
  await cluster.until(() => pulls(), { stepMs: 500 })
  cluster.broker.put({ topic: retryTopic, queueId: 0, body: Buffer.from('a') })
  await cluster.until(() => seen.length === 1, { stepMs: 500 })
  assert.deepEqual(seen, ['a of Orders'])
  const lastTold = (): string => cluster.broker.server.requestsOf('HEART_BEAT').at(-1)?.body?.toString() ?? ''
  assert.ok(lastTold().includes(retryTopic))
  await setMode(cluster, 'POP')
  await cluster.until(() => !pulls(), { stepMs: 500 })
  assert.ok(!lastTold().includes(retryTopic))
})

test('the pop retry topic of an unsubscribed topic is not pulled either', async t => {
  const cluster = await clusterWithTopic(t)
  await setMode(cluster, 'PULL')
  await cluster.broker.setTopic(`%RETRY%${GROUP}_Orders`, { readQueues: 1 })
  const { onMessage } = listener()
  const consumer = await join(cluster, { onMessage })
  const retries = (): number => consumer.queues.filter(({ topic }) => topic === `%RETRY%${GROUP}_Orders`).length
  await cluster.until(() => retries() === 1, { stepMs: 50 })
  await cluster.outcome(consumer.unsubscribe('Orders'))
  await cluster.until(() => retries() === 0, { stepMs: 50 })
})

test('without an assignment from the broker nothing changes, and with brokers of 4.9 the client assigns the queues', async t => {
  const cluster = await clusterWithTopic(t)
  const { seen, onMessage } = listener()
  const consumer = await join(cluster, { onMessage })
  await cluster.until(() => consumer.queues.some(({ topic }) => topic === 'Orders'), { stepMs: 50 })
  const fault = cluster.broker.fault('QUERY_ASSIGNMENT', { answer: 'code', code: 1, times: Number.POSITIVE_INFINITY })
  await cluster.advance(60_000, 1000)
  assert.ok(consumer.queues.some(({ topic }) => topic === 'Orders'))
  fault.lift()
  cluster.broker.fault('QUERY_ASSIGNMENT', { answer: 'code', code: 3, times: Number.POSITIVE_INFINITY })
  await cluster.until(() => consumer.queues.filter(({ topic }) => topic === 'Orders').length === 2, { stepMs: 500 })
  put(cluster, 'a')
  await cluster.until(() => seen.length === 1, { stepMs: 20 })
})

test('two members share popped messages without duplicates', async t => {
  const cluster = await clusterWithTopic(t)
  const one = listener()
  const two = listener()
  await join(cluster, { onMessage: one.onMessage, instanceName: 'one' })
  await join(cluster, { onMessage: two.onMessage, instanceName: 'two' })
  await cluster.advance(3000)
  for (let index = 0; index < 40; index++) put(cluster, String(index), index % 2)
  await cluster.until(() => one.seen.length + two.seen.length === 40, { stepMs: 50 })
  await cluster.advance(1000)
  assert.equal(new Set([...one.seen, ...two.seen]).size, 40)
})

test('at the end listeners finish, and messages that none got soon become visible to others', async t => {
  const cluster = await clusterWithTopic(t)
  const gate = Promise.withResolvers<void>()
  const seen: string[] = []
  for (const body of ['a', 'b', 'c']) put(cluster, body)
  const consumer = await join(cluster, {
    concurrency: 1,
    onMessage: async ({ body }) => {
      seen.push(body)
      await gate.promise
    },
  })
  await cluster.until(() => seen.length === 1, { stepMs: 50 })
  const closing = consumer.close()
  await cluster.settle()
  gate.resolve()
  await cluster.outcome(closing)
  assert.deepEqual(seen, ['a'])
  const again = listener()
  await join(cluster, { onMessage: again.onMessage, instanceName: 'other' })
  const since = cluster.clock.now()
  await cluster.until(() => again.seen.length === 2, { stepMs: 50 })
  assert.deepEqual(again.seen.toSorted(), ['b', 'c'])
  assert.ok(cluster.clock.now() - since < 5000)
})

test('popped messages of a loop are settled by ack and retry', async t => {
  const cluster = await clusterWithTopic(t)
  const consumer = await join(cluster, {})
  put(cluster, 'a')
  const seen: string[] = []
  const loop = (async () => {
    for await (const message of consumer) {
      seen.push(`${message.body} ${message.reconsumeTimes}`)
      if (message.reconsumeTimes === 0) await message.retry({ delayLevel: 1 })
      else await message.ack()
    }
  })()
  await cluster.until(() => seen.length === 2, { stepMs: 50 })
  await cluster.advance(200)
  assert.deepEqual(seen, ['a 0', 'a 1'])
  assert.equal(cluster.broker.lag(GROUP), 0)
  await cluster.outcome(consumer.close())
  await loop
})

test('operators see popped queues in a table of their own', async t => {
  const cluster = await clusterWithTopic(t)
  const { onMessage } = listener()
  const consumer = await join(cluster, { onMessage })
  await cluster.until(() => consumer.queues.some(({ topic }) => topic === 'Orders'), { stepMs: 50 })
  const { clientId } = consumer
  const header = { consumerGroup: GROUP, clientId, jstackEnable: false }
  const asked = cluster.broker.call(clientId, clientNotices.GET_CONSUMER_RUNNING_INFO, { header })
  const { body } = await cluster.outcome(asked)
  assert.deepEqual(
    body?.mqPopTable?.map(({ queue, waitAckCount }) => [queue.topic, queue.queueId, waitAckCount]),
    [['Orders', -1, 0]],
  )
})

test('when the concurrency is raised, waiting popped messages get a listener at once', async t => {
  const cluster = await clusterWithTopic(t)
  const ends = Promise.withResolvers<undefined>()
  let running = 0
  const consumer = await join(cluster, { concurrency: 1, onMessage: () => (running++, ends.promise) })
  for (const body of ['a', 'b']) put(cluster, body)
  await cluster.until(() => consumer.stats.queued === 2, { stepMs: 50 })
  assert.equal(running, 1)
  consumer.updateConcurrency(2)
  await cluster.settle()
  assert.equal(running, 2)
  ends.resolve(undefined)
})
