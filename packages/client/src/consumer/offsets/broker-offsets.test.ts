import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testCluster } from '@gantrymq/testkit/cluster'
import { LitePullConsumer } from '../lite-pull-consumer.ts'
import { PullConsumer } from '../pull-consumer.ts'

const queue = (queueId: number) => ({ topic: 'Orders', brokerName: 'broker-a', queueId })

test('a queue has one commit under way at a time, so that an older offset never overwrites a newer one', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 2 })
  const { nameServerList: nameServers, clock, dial, broker } = cluster
  const options = { nameServers, clock, dial, group: 'readers', subscriptions: { Orders: '*' } }
  const consumer = cluster.own(await cluster.outcome(LitePullConsumer.start(options)))
  await cluster.until(() => consumer.assignment.length === 2)
  const commits = () =>
    broker.server.requestsOf('UPDATE_CONSUMER_OFFSET').map(({ header }) => [header['queueId'], header['commitOffset']])
  broker.fault('UPDATE_CONSUMER_OFFSET', { answer: 'late', ms: 300, where: ({ header }) => header['queueId'] === '1' })
  const both = consumer.commit([0, 1].map(queueId => ({ queue: queue(queueId), offset: 1 })))
  await cluster.settle()
  const next = consumer.commit([{ queue: queue(1), offset: 2 }])
  await cluster.settle()
  assert.deepEqual(commits().length, 2)
  await cluster.outcome(Promise.all([both, next]))
  assert.deepEqual(commits(), [
    ['0', '1'],
    ['1', '1'],
    ['1', '2'],
  ])
})

test('a queue has at most one commit waiting, however slow the broker is', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const { nameServerList: nameServers, clock, dial, broker } = cluster
  const options = { nameServers, clock, dial, group: 'readers', topics: ['Orders'], persistOffsetsMs: 100 }
  const consumer = cluster.own(await cluster.outcome(PullConsumer.start(options)))
  await cluster.until(() => consumer.queuesInBalance('Orders').length === 1)
  const late = broker.fault('UPDATE_CONSUMER_OFFSET', { answer: 'late', ms: 4000, times: Infinity })
  consumer.updateOffset(queue(0), 1)
  await cluster.advance(500)
  const { timers } = clock
  await cluster.advance(2500)
  assert.equal(clock.timers, timers)
  consumer.updateOffset(queue(0), 2)
  await cluster.advance(2000)
  assert.equal(late.met, 2)
  assert.equal(broker.committed('Orders', 'readers', 0), 2)
  late.lift()
})

test('asking the broker for the committed offset leaves the offset in memory unchanged', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  await cluster.broker.commit('Orders', 'readers', 0, 3)
  const { nameServerList: nameServers, clock, dial } = cluster
  const options = { nameServers, clock, dial, group: 'readers', topics: ['Orders'] }
  const consumer = cluster.own(await cluster.outcome(PullConsumer.start(options)))
  await cluster.until(() => consumer.queuesInBalance('Orders').length === 1)
  consumer.updateOffset(queue(0), 10)
  assert.equal(await cluster.outcome(consumer.fetchOffset(queue(0), { fromBroker: true })), 3)
  assert.equal(await cluster.outcome(consumer.fetchOffset(queue(0))), 10)
  await cluster.outcome(consumer.close())
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 10)
})
