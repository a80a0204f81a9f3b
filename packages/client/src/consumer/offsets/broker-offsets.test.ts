import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stage } from '@gantrymq/testkit'
import { LitePullConsumer } from '../lite-pull-consumer.ts'
import { PullConsumer } from '../pull-consumer.ts'

const queue = (queueId: number) => ({ topic: 'Orders', brokerName: 'broker-a', queueId })

test('a queue has one commit under way at a time, so that no older offset comes last', async t => {
  const play = await stage(t)
  play.broker.setTopic('Orders', { readQueues: 2 })
  const { nameServerList: nameServers, clock, dial, broker } = play
  const options = { nameServers, clock, dial, group: 'readers', subscriptions: { Orders: '*' } }
  const consumer = play.own(await play.outcome(LitePullConsumer.start(options)))
  await play.until(() => consumer.assignment.length === 2)
  const commits = () =>
    broker.server.requestsOf('UPDATE_CONSUMER_OFFSET').map(({ header }) => [header['queueId'], header['commitOffset']])
  broker.fault('UPDATE_CONSUMER_OFFSET', { answer: 'late', ms: 300, where: ({ header }) => header['queueId'] === '1' })
  const both = consumer.commit([0, 1].map(queueId => ({ queue: queue(queueId), offset: 1 })))
  await play.settle()
  const next = consumer.commit([{ queue: queue(1), offset: 2 }])
  await play.settle()
  assert.deepEqual(commits().length, 2)
  await play.outcome(Promise.all([both, next]))
  assert.deepEqual(commits(), [
    ['0', '1'],
    ['1', '1'],
    ['1', '2'],
  ])
})

test('offsets wait only once to be kept, however long a broker takes', async t => {
  const play = await stage(t)
  play.broker.setTopic('Orders', { readQueues: 1 })
  const { nameServerList: nameServers, clock, dial, broker } = play
  const options = { nameServers, clock, dial, group: 'readers', topics: ['Orders'], persistOffsetsMs: 100 }
  const consumer = play.own(await play.outcome(PullConsumer.start(options)))
  await play.until(() => consumer.queuesInBalance('Orders').length === 1)
  const late = broker.fault('UPDATE_CONSUMER_OFFSET', { answer: 'late', ms: 4000, times: Infinity })
  consumer.updateOffset(queue(0), 1)
  await play.advance(500)
  const { timers } = clock
  await play.advance(2500)
  assert.equal(clock.timers, timers)
  consumer.updateOffset(queue(0), 2)
  await play.advance(2000)
  assert.equal(late.met, 2)
  assert.equal(broker.committed('Orders', 'readers', 0), 2)
  late.lift()
})

test('asking the broker how far the group is does not forget what is noted here', async t => {
  const play = await stage(t)
  play.broker.setTopic('Orders', { readQueues: 1 })
  play.broker.commit('Orders', 'readers', 0, 3)
  const { nameServerList: nameServers, clock, dial } = play
  const options = { nameServers, clock, dial, group: 'readers', topics: ['Orders'] }
  const consumer = play.own(await play.outcome(PullConsumer.start(options)))
  await play.until(() => consumer.queuesInBalance('Orders').length === 1)
  consumer.updateOffset(queue(0), 10)
  assert.equal(await play.outcome(consumer.fetchOffset(queue(0), { fromBroker: true })), 3)
  assert.equal(await play.outcome(consumer.fetchOffset(queue(0))), 10)
  await play.outcome(consumer.close())
  assert.equal(play.broker.committed('Orders', 'readers', 0), 10)
})
