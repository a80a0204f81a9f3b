import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { clientNotices } from '@gantrymq/protocol'
import { type TestCluster, testCluster } from '@gantrymq/testkit/cluster'
import { LitePullConsumer } from '../src/consumer/lite-pull-consumer.ts'
import { PullConsumer } from '../src/consumer/pull-consumer.ts'
import { SimpleConsumer } from '../src/consumer/simple-consumer.ts'
import type { MessageQueue } from '../src/message/message.ts'
import { recordingLog, startConsumer } from './push-fixture.ts'

const GROUP = 'readers'
/** As users see it, in any namespace. */
const queue: MessageQueue = { topic: 'Orders', brokerName: 'broker-a', queueId: 0 }

async function clusterWithTopic(t: TestContext, topic = 'Orders'): Promise<TestCluster> {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic(topic, { readQueues: 1 })
  return cluster
}

const optionsOf = ({ nameServerList: nameServers, clock, dial }: TestCluster, namespace: string) => {
  return { nameServers, clock, dial, namespace, group: GROUP }
}

async function startLite(cluster: TestCluster, namespace = '', onQueues?: (...given: unknown[]) => void) {
  const given = { ...optionsOf(cluster, namespace), subscriptions: { Orders: '*' }, onQueues, autoCommitMs: 1000 }
  return cluster.own(await cluster.outcome(LitePullConsumer.start(given)))
}

async function startPull(cluster: TestCluster, namespace = '', onQueues?: (...given: unknown[]) => void) {
  return cluster.own(
    await cluster.outcome(PullConsumer.start({ ...optionsOf(cluster, namespace), topics: ['Orders'], onQueues })),
  )
}

async function startSimple(cluster: TestCluster, namespace = '') {
  const given = { ...optionsOf(cluster, namespace), subscriptions: { Orders: '*' } }
  return cluster.own(await cluster.outcome(SimpleConsumer.start(given)))
}

/** Collects the arguments of `onQueues`. */
function queueListener() {
  const calls: unknown[][] = []
  return { calls, onQueues: (...all: unknown[]): void => void calls.push(all) }
}

// -- Names -------------------------------------------------------------------------------------------------------------

for (const orderly of [false, true]) {
  test(`a push consumer shows queues without the namespace, orderly: ${orderly}`, async t => {
    const cluster = await clusterWithTopic(t, 'ns%Orders')
    const { calls, onQueues } = queueListener()
    const seen: MessageQueue[] = []
    const consumer = await startConsumer(cluster, {
      namespace: 'ns',
      orderly,
      onQueues,
      onMessage: (message, context) => void seen.push(message.queue, context.queue),
    })
    cluster.broker.put({ topic: 'ns%Orders' })
    await cluster.until(() => seen.length === 2)
    assert.deepEqual(seen, [queue, queue])
    assert.equal(seen[0], seen[1])
    assert.deepEqual(
      calls.find(([topic]) => topic === 'Orders'),
      ['Orders', [queue], [queue]],
    )
    // The broker creates the retry topic with the first heartbeat.
    await cluster.until(() => consumer.queues.length === 2, { stepMs: 100 })
    assert.deepEqual(consumer.queues.map(({ topic }) => topic).toSorted(), ['%RETRY%readers', 'Orders'])
  })
}

test('a push consumer that pops shows queues without the namespace, also for retries', async t => {
  const cluster = await clusterWithTopic(t, 'ns%Orders')
  await cluster.broker.setMode('ns%Orders', 'ns%readers', 'POP')
  const seen: string[] = []
  await startConsumer(cluster, {
    namespace: 'ns',
    serverAssignment: true,
    onMessage: (message, context) => {
      seen.push([message.topic, message.queue.topic, context.queue.topic].join(' '))
      if (message.reconsumeTimes === 0) throw new Error('again')
    },
  })
  await cluster.advance(1000)
  cluster.broker.put({ topic: 'ns%Orders' })
  await cluster.until(() => seen.length === 2, { stepMs: 50 })
  assert.deepEqual(seen, ['Orders Orders Orders', 'Orders %RETRY%readers_Orders Orders'])
})

test('a lite pull consumer takes and shows queues without the namespace', async t => {
  const cluster = await clusterWithTopic(t, 'ns%Orders')
  const { calls, onQueues } = queueListener()
  const consumer = await startLite(cluster, 'ns', onQueues)
  await cluster.until(() => consumer.assignment.length === 1)
  cluster.broker.put({ topic: 'ns%Orders' })
  assert.deepEqual(consumer.assignment, [queue])
  assert.deepEqual(calls, [['Orders', [queue], [queue]]])
  const changed: unknown[] = []
  consumer.onTopicQueues('Orders', queues => changed.push(queues))
  await cluster.outcome(consumer.seekToBegin(queue))
  const [message] = await cluster.outcome(consumer.poll())
  assert.deepEqual([message?.topic, message?.queue], ['Orders', queue])
  await cluster.outcome(consumer.commit([{ queue, offset: 1 }]))
  assert.equal(cluster.broker.committed('ns%Orders', 'ns%readers', 0), 1)
  assert.equal(await cluster.outcome(consumer.committed(queue)), 1)
  assert.deepEqual(await cluster.outcome(consumer.queuesOf('Orders')), [queue])
  await cluster.broker.setTopic('ns%Orders', { readQueues: 2 })
  await cluster.until(() => changed.length === 1, { stepMs: 1000 })
  assert.deepEqual(changed, [[queue, { ...queue, queueId: 1 }]])
  consumer.pause([queue])
  consumer.resume([queue])
})

test('assigned queues are given and shown without the namespace', async t => {
  const cluster = await clusterWithTopic(t, 'ns%Orders')
  const consumer = cluster.own(await cluster.outcome(LitePullConsumer.start(optionsOf(cluster, 'ns'))))
  await cluster.outcome(consumer.assign([queue]))
  assert.deepEqual(consumer.assignment, [queue])
})

test('a pull consumer takes and shows queues without the namespace', async t => {
  const cluster = await clusterWithTopic(t, 'ns%Orders')
  const { calls, onQueues } = queueListener()
  const consumer = await startPull(cluster, 'ns', onQueues)
  cluster.broker.put({ topic: 'ns%Orders' })
  await cluster.until(() => calls.length === 1)
  assert.deepEqual(calls, [['Orders', [queue], [queue]]])
  assert.deepEqual(consumer.queuesInBalance('Orders'), [queue])
  assert.deepEqual(await cluster.outcome(consumer.queuesOf('Orders')), [queue])
  const { messages } = await cluster.outcome(consumer.pull(queue, '*', 0, 10))
  assert.deepEqual([messages[0]?.topic, messages[0]?.queue], ['Orders', queue])
  consumer.updateOffset(queue, 1)
  await cluster.outcome(consumer.persist(queue))
  assert.equal(cluster.broker.committed('ns%Orders', 'ns%readers', 0), 1)
})

test('a simple consumer shows queues without the namespace, also for retries', async t => {
  const cluster = await clusterWithTopic(t, 'ns%Orders')
  const consumer = await startSimple(cluster, 'ns')
  cluster.broker.put({ topic: 'ns%Orders' })
  const [first] = await cluster.outcome(consumer.receive({ invisibleMs: 5000 }))
  assert.deepEqual([first?.topic, first?.queue], ['Orders', queue])
  await cluster.advance(10_000, 100)
  const [again] = await cluster.outcome(consumer.receive())
  assert.deepEqual([again?.topic, again?.queue.topic], ['Orders', '%RETRY%readers_Orders'])
  await cluster.outcome(again?.ack() ?? assert.fail())
})

test('without a namespace queues stay the same objects', async t => {
  const cluster = await clusterWithTopic(t)
  const seen: MessageQueue[] = []
  const consumer = await startConsumer(cluster, {
    onMessage: ({ queue: from }, context) => void seen.push(from, context.queue),
  })
  cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => seen.length === 2)
  assert.equal(seen[0], seen[1])
  assert.ok(consumer.queues.includes(seen[0] ?? assert.fail()))
})

// -- Counts ------------------------------------------------------------------------------------------------------------

async function runningInfo(cluster: TestCluster, clientId: string) {
  const header = { consumerGroup: GROUP, clientId, jstackEnable: false }
  const asked = cluster.broker.call(clientId, clientNotices.GET_CONSUMER_RUNNING_INFO, { header })
  return (await cluster.outcome(asked)).body ?? assert.fail('no answer')
}

test('a lite pull consumer counts pulled and returned messages, and operators see the counts', async t => {
  const cluster = await clusterWithTopic(t)
  const consumer = await startLite(cluster)
  await cluster.until(() => cluster.broker.waitingPulls === 1)
  for (let n = 0; n < 3; n++) cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => consumer.stats.pulled === 3)
  assert.deepEqual(consumer.stats, { pulled: 3, received: 0, skipped: 0, queued: 3 })
  while (consumer.stats.received < 3) await cluster.outcome(consumer.poll())
  assert.equal(consumer.stats.received, 3)
  const { mqTable, statusTable, properties } = await runningInfo(cluster, consumer.clientId)
  const [held] = mqTable
  assert.deepEqual(held?.queue, queue)
  assert.equal(held.cachedMsgCount, consumer.stats.queued)
  assert.ok((statusTable.get('Orders')?.pullTPS ?? 0) > 0)
  assert.ok((statusTable.get('Orders')?.consumeOKTPS ?? 0) > 0)
  assert.equal(properties.get('PROP_CONSUME_TYPE'), 'CONSUME_ACTIVELY')
  assert.equal(properties.get('pullBatchSize'), '10')
  await cluster.outcome(consumer.poll({ timeoutMs: 1 }))
  assert.equal(consumer.stats.queued, 0)
})

test('a pull consumer counts received messages, and operators see its queues', async t => {
  const cluster = await clusterWithTopic(t)
  const consumer = await startPull(cluster)
  await cluster.until(() => consumer.queuesInBalance('Orders').length === 1)
  for (let n = 0; n < 3; n++) cluster.broker.put({ topic: 'Orders' })
  await cluster.settle()
  await cluster.outcome(consumer.pull(queue, '*', 1, 10))
  assert.deepEqual(consumer.stats, { received: 2, skipped: 0 })
  consumer.updateOffset(queue, 3)
  const { mqTable, statusTable } = await runningInfo(cluster, consumer.clientId)
  assert.deepEqual(
    mqTable.map(({ queue: own, commitOffset }) => [own, commitOffset]),
    [[queue, 3]],
  )
  assert.ok((statusTable.get('Orders')?.pullTPS ?? 0) > 0)
})

test('a simple consumer counts received and acknowledged messages, and operators see the counts', async t => {
  const cluster = await clusterWithTopic(t)
  const consumer = await startSimple(cluster)
  for (let n = 0; n < 3; n++) cluster.broker.put({ topic: 'Orders' })
  await cluster.settle()
  const [first, ...rest] = await cluster.outcome(consumer.receive())
  assert.deepEqual(consumer.stats, { received: 3, acked: 0 })
  await cluster.outcome(first?.ack() ?? assert.fail())
  assert.equal(consumer.stats.acked, 1)
  await cluster.outcome(consumer.ack(rest))
  assert.equal(consumer.stats.acked, 3)
  const { statusTable, properties } = await runningInfo(cluster, consumer.clientId)
  assert.ok((statusTable.get('Orders')?.consumeOKTPS ?? 0) > 0)
  assert.equal(properties.get('popBatchNums'), '16')
})

// -- Retry topics ------------------------------------------------------------------------------------------------------

test('a missing retry topic of a new group is logged as debug, another missing topic as info', async t => {
  const cluster = await clusterWithTopic(t)
  const { log, texts } = recordingLog()
  await startConsumer(cluster, { log, onMessage() {}, subscriptions: { Orders: '*', Missing: '*' } })
  assert.deepEqual(texts.filter(text => /retry topic|topic not known/.test(text)).toSorted(), [
    'debug the group has no retry topic yet',
    'info topic not known yet',
  ])
})

test('a group name that 5.5 brokers do not create is logged', async t => {
  const cluster = await clusterWithTopic(t)
  const warned: string[] = []
  const log = { debug() {}, info() {}, warn: (_: object, text: string) => void warned.push(text), error() {} }
  for (const length of [120, 121]) {
    const given = { ...optionsOf(cluster, ''), group: 'g'.repeat(length), topics: ['Orders'], log }
    cluster.own(await cluster.outcome(PullConsumer.start(given)))
  }
  assert.equal(warned.filter(text => text.includes('120 letters')).length, 1)
})
