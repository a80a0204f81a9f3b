import assert from 'node:assert/strict'
import { test } from 'node:test'
import { retryTopicOf } from '@gantrymq/protocol'
import { testCluster } from '@gantrymq/testkit/cluster'
import type { DeliveredMessage } from './delivered-messages.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'
import { startConsumer } from '../../../test/push-fixture.ts'

test('a loop gets the messages, and they are committed when they are acknowledged', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  for (let n = 0; n < 5; n++) cluster.broker.put({ topic: 'Orders' })
  const consumer = await startConsumer(cluster)
  const seen: number[] = []
  const loop = (async () => {
    for await (const message of consumer) {
      seen.push(message.queueOffset)
      await message.ack()
    }
  })()
  await cluster.until(() => seen.length === 5)
  await cluster.outcome(consumer.close())
  await loop
  assert.deepEqual(seen, [0, 1, 2, 3, 4])
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 5)
})

test('retry has a message redelivered, and settling it twice has no effect', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  cluster.broker.put({ topic: 'Orders' })
  const consumer = await startConsumer(cluster)
  const loop = consumer[Symbol.asyncIterator]()
  const { value: first } = await cluster.outcome(loop.next())
  await first?.retry({ delayLevel: 5 })
  await first?.ack()
  await first?.retry()
  await cluster.until(() => cluster.broker.messages('SCHEDULE_TOPIC_XXXX').length === 1)
  const sent = cluster.broker.requests.filter(({ name }) => name === 'CONSUMER_SEND_MSG_BACK')
  assert.deepEqual(
    sent.map(({ header }) => header['delayLevel']),
    ['5'],
  )
  const { value: second } = await cluster.outcome(loop.next())
  assert.equal(second?.reconsumeTimes, 1)
  assert.equal(second?.topic, 'Orders')
  assert.equal(second?.queue.topic, retryTopicOf('readers'))
  await second?.ack()
})

test('no more messages than `concurrency` are unsettled at a time', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  for (let n = 0; n < 10; n++) cluster.broker.put({ topic: 'Orders' })
  const consumer = await startConsumer(cluster, { concurrency: 3 })
  const taken: DeliveredMessage[] = []
  void (async () => {
    for await (const message of consumer) taken.push(message)
  })()
  await cluster.advance(1000)
  assert.equal(taken.length, 3)
  await taken[1]?.ack()
  await cluster.until(() => taken.length === 4)
  consumer.updateConcurrency(5)
  await cluster.until(() => taken.length === 6)
  assert.throws(() => consumer.updateConcurrency(0), { code: 'BAD_OPTION' })
  await cluster.outcome(consumer.close({ drainMs: 100 }))
})

test('messages that a loop has not settled when it breaks go to the next member, and close does not wait for them', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  for (let n = 0; n < 3; n++) cluster.broker.put({ topic: 'Orders' })
  const consumer = await startConsumer(cluster)
  const seen: number[] = []
  const loop = (async () => {
    for await (const message of consumer) {
      seen.push(message.queueOffset)
      if (message.queueOffset === 1) break
      await message.ack()
    }
  })()
  await cluster.outcome(loop)
  const since = cluster.clock.now()
  await cluster.outcome(consumer.close())
  assert.ok(cluster.clock.now() - since < 2000)
  assert.deepEqual(seen, [0, 1])
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 1)
})

test('close lets a loop settle the messages it has', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  for (let n = 0; n < 3; n++) cluster.broker.put({ topic: 'Orders' })
  const consumer = await startConsumer(cluster)
  const loop = consumer[Symbol.asyncIterator]()
  const { value } = await cluster.outcome(loop.next())
  const closing = consumer.close()
  await cluster.advance(1000)
  await value?.ack()
  await cluster.outcome(closing)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 1)
  assert.equal((await loop.next()).done, true)
})

test('a message that no loop has taken is not late', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  cluster.broker.put({ topic: 'Orders' })
  const consumer = await startConsumer(cluster, { consumeTimeoutMs: 1000 })
  await cluster.advance(10_000)
  assert.equal(cluster.broker.messages(retryTopicOf('readers')).length, 0)
  const loop = consumer[Symbol.asyncIterator]()
  await cluster.outcome(loop.next())
  await cluster.advance(14_000)
  assert.equal(
    cluster.broker.messages(retryTopicOf('readers')).length,
    1,
    'a message that was taken and not settled is',
  )
})

test('a consumer with a listener cannot be iterated over', async t => {
  const cluster = await testCluster(t)
  const consumer = await startConsumer(cluster, { onMessage() {} })
  assert.throws(() => consumer[Symbol.asyncIterator](), { code: 'UNSUPPORTED', message: /leave these out to iterate/ })
})

test('a loop over an orderly consumer has one message per queue at a time', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  for (let n = 0; n < 3; n++) cluster.broker.put({ topic: 'Orders' })
  const consumer = await startConsumer(cluster, { orderly: true })
  const seen: string[] = []
  const taken: DeliveredMessage[] = []
  void (async () => {
    for await (const message of consumer) {
      seen.push(`${message.queueOffset}/${message.reconsumeTimes}`)
      taken.push(message)
    }
  })()
  await cluster.until(() => taken.length === 1)
  await cluster.advance(1000)
  assert.equal(taken.length, 1)
  await taken[0]?.retry({ suspendMs: 50 })
  await cluster.until(() => taken.length === 2, { stepMs: 10 })
  await taken[1]?.ack()
  await cluster.until(() => taken.length === 3)
  assert.deepEqual(seen, ['0/0', '0/1', '1/0'])
  await taken[2]?.ack()
  await cluster.until(() => taken.length === 4)
  await taken[3]?.ack()
})

for (const orderly of [false, true]) {
  test(`messages that no loop has taken go to another member with their queue, orderly ${orderly}`, async t => {
    const cluster = await testCluster(t)
    await cluster.broker.setTopic('Orders', { readQueues: 2 })
    for (let n = 0; n < 2; n++) cluster.broker.put({ topic: 'Orders', queueId: n })
    const one = await startConsumer(cluster, { instanceName: 'a', orderly })
    await cluster.until(() => one.stats.running === 2)
    const others: number[] = []
    const onMessage = ({ queue }: ReceivedMessage): void => void others.push(queue.queueId)
    await startConsumer(cluster, { instanceName: 'b', orderly, onMessage })
    await cluster.advance(5000)
    const mine: number[] = []
    void (async () => {
      for await (const { queue } of one) mine.push(queue.queueId)
    })()
    await cluster.advance(1000)
    assert.deepEqual([mine, others], [[0], [1]])
  })
}

test('a loop that is ended while it waits takes no message from the others', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const consumer = await startConsumer(cluster)
  const ended = consumer[Symbol.asyncIterator]()
  const waits = ended.next()
  await ended.return?.()
  assert.deepEqual(await cluster.outcome(waits), { done: true, value: undefined })
  const other = consumer[Symbol.asyncIterator]().next()
  cluster.broker.put({ topic: 'Orders' })
  const { value } = await cluster.outcome(other)
  assert.equal(value?.queueOffset, 0)
  await value.ack()
})
