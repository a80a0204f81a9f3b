import assert from 'node:assert/strict'
import { test } from 'node:test'
import { retryTopicOf } from '@gantrymq/protocol'
import { testCluster } from '@gantrymq/testkit/cluster'
import { startConsumer } from '../../../test/push-fixture.ts'

const RETRY = retryTopicOf('readers')

test('a message whose listener takes too long is sent back, and the offset advances', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const calls: string[] = []
  await startConsumer(cluster, {
    consumeTimeoutMs: 2000,
    onMessage: ({ queue }) => {
      calls.push(queue.topic)
      return queue.topic === 'Orders' ? new Promise<undefined>(() => {}) : undefined
    },
  })
  cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => calls.length === 2, { stepMs: 100 })
  assert.deepEqual(calls, ['Orders', RETRY])
  await cluster.advance(6000)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 1)
})

test('never more listeners run than `concurrency` allows', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 4 })
  let [running, most, ended] = [0, 0, 0]
  await startConsumer(cluster, {
    concurrency: 3,
    onMessage: async () => {
      most = Math.max(most, ++running)
      await new Promise(resolve => setImmediate(resolve))
      running--
      ended++
    },
  })
  for (let n = 0; n < 40; n++) cluster.broker.put({ topic: 'Orders', queueId: n % 4 })
  await cluster.until(() => ended === 40)
  assert.equal(most, 3)
})

test('a queue with too many waiting messages is not pulled until there is room', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  for (let n = 0; n < 100; n++) cluster.broker.put({ topic: 'Orders' })
  const ends: (() => void)[] = []
  const consumer = await startConsumer(cluster, {
    concurrency: 1,
    maxQueuedMessages: 20,
    pullBatchSize: 8,
    onMessage: () => new Promise<undefined>(resolve => ends.push(() => resolve(undefined))),
  })
  await cluster.advance(5000)
  assert.equal(consumer.stats.queued, 24, 'pulling stops once the limit is exceeded')
  let done = 0
  while (done < 100) {
    await cluster.until(() => ends.length > 0)
    ends.shift()?.()
    done++
    assert.ok(consumer.stats.queued <= 28)
  }
  await cluster.until(() => consumer.stats.consumed === 100)
})

test('a late message that no broker takes is done when its listener returns', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const ends: (() => void)[] = []
  await startConsumer(cluster, {
    consumeTimeoutMs: 10_000,
    onMessage: () => new Promise<undefined>(resolve => ends.push(() => resolve(undefined))),
  })
  await cluster.until(() => cluster.broker.waitingPulls === 2, { stepMs: 100 })
  cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => ends.length === 1)
  const fault = { answer: 'never', handled: false, times: Infinity } as const
  const asked = cluster.broker.fault('CONSUMER_SEND_MSG_BACK', fault)
  cluster.broker.fault('SEND_MESSAGE_V2', fault)
  await cluster.until(() => asked.met === 1, { stepMs: 100 })
  ends[0]?.()
  await cluster.advance(20_000)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 1)
  assert.equal(ends.length, 1)
})

test('a late message whose listener fails is sent back only once', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const failing = Promise.withResolvers<undefined>()
  await startConsumer(cluster, {
    consumeTimeoutMs: 10_000,
    onMessage: ({ queue }) => (queue.topic === 'Orders' ? failing.promise : undefined),
  })
  await cluster.until(() => cluster.broker.waitingPulls === 2, { stepMs: 100 })
  cluster.broker.put({ topic: 'Orders' })
  await cluster.advance(18_000)
  cluster.broker.fault('CONSUMER_SEND_MSG_BACK', { answer: 'late', ms: 4000 })
  failing.reject(new Error('no'))
  await cluster.advance(12_000)
  assert.equal(cluster.broker.server.requestsOf('CONSUMER_SEND_MSG_BACK').length, 1)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 1)
})

test('of a late batch, messages that the broker refused are sent back at the next check', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  for (let n = 0; n < 2; n++) cluster.broker.put({ topic: 'Orders' })
  const seen: string[] = []
  await startConsumer(cluster, {
    consumeTimeoutMs: 10_000,
    batchSize: 2,
    onMessages: (messages, { queue }) => {
      seen.push(...messages.map(({ body }) => `${queue.topic} ${body.toString()}`))
      return queue.topic === 'Orders' ? new Promise<undefined>(() => {}) : undefined
    },
  })
  await cluster.until(() => seen.length === 2)
  cluster.broker.fault('CONSUMER_SEND_MSG_BACK', { answer: 'code', code: 1, after: 1 })
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'code', code: 13 })
  await cluster.until(() => cluster.broker.committed('Orders', 'readers', 0) === 1, { stepMs: 100 })
  await cluster.advance(3000)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 1)
  await cluster.until(() => cluster.broker.committed('Orders', 'readers', 0) === 2, { stepMs: 100 })
  await cluster.until(() => seen.length === 4, { stepMs: 100 })
  assert.deepEqual(seen.slice(2), [`${RETRY} hello`, `${RETRY} hello`])
})
