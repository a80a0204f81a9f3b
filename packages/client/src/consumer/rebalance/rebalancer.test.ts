import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  clientNotices,
  configured,
  consumerListBody,
  encodeMessage,
  type QueueOffset,
  type StoredMessage,
} from '@gantrymq/protocol'
import { type TestCluster, testCluster } from '@gantrymq/testkit/cluster'
import { queueKey } from '../../message/message.ts'
import type { PushConsumer } from '../push-consumer.ts'
import { recordingLog, startConsumer } from '../../../test/push-fixture.ts'

const orders = ({ queues }: PushConsumer): string[] =>
  queues
    .filter(({ topic }) => topic === 'Orders')
    .map(queueKey)
    .toSorted()

const count = (cluster: TestCluster, name: string): number =>
  cluster.brokers.flatMap(({ requests }) => requests).filter(request => request.name === name).length

test('two members share the queues, and one gets all of them when the other leaves', async t => {
  const cluster = await testCluster(t, { brokers: 2 })
  for (const broker of cluster.brokers) await broker.setTopic('Orders', { readQueues: 2 })
  const one = await startConsumer(cluster, { instanceName: 'a', onMessage() {} })
  await cluster.until(() => orders(one).length === 4)
  const two = await startConsumer(cluster, { instanceName: 'b', onMessage() {} })
  await cluster.until(() => orders(one).length === 2 && orders(two).length === 2, { stepMs: 50 })
  assert.equal(new Set([...orders(one), ...orders(two)]).size, 4)
  await cluster.outcome(one.close())
  await cluster.until(() => orders(two).length === 4, { stepMs: 50 })
})

test('a queue that moves to another member continues at its offset, without duplicates', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 4 })
  const seen: string[] = []
  const onMessage = ({ body }: { body: Buffer }): void => void seen.push(body.toString())
  let n = 0
  const put = (): void => void cluster.broker.put({ topic: 'Orders', queueId: n % 4, body: Buffer.from(`m${n++}`) })
  await startConsumer(cluster, { instanceName: 'a', onMessage })
  const first = cluster.broker.requests.find(({ name }) => name === 'HEART_BEAT')?.from
  for (const instanceName of ['b', 'c']) {
    // The member that gives up queues learns of the change later than the member that gets them.
    const where = ({ from }: { from: string }) => from === first
    cluster.broker.fault('GET_CONSUMER_LIST_BY_GROUP', { answer: 'late', ms: 200, where })
    for (let k = 0; k < 20; k++) put()
    await cluster.until(() => seen.length >= n, { stepMs: 50 })
    await startConsumer(cluster, { instanceName, onMessage })
    await cluster.settle()
    for (let k = 0; k < 4; k++) put()
    for (let k = 0; k < 20; k++) {
      put()
      await cluster.advance(200)
    }
    await cluster.until(() => seen.length >= n, { stepMs: 50 })
  }
  assert.equal(seen.length, n)
  assert.equal(new Set(seen).size, n)
})

test('a member keeps its queues while the brokers refuse to list the members', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 2 })
  const consumer = await startConsumer(cluster, { onMessage() {} })
  await cluster.until(() => orders(consumer).length === 2)
  const lists = cluster.broker.fault('GET_CONSUMER_LIST_BY_GROUP', { answer: 'code', code: 1, times: 2 })
  cluster.broker.notify('readers')
  await cluster.advance(5000)
  assert.equal(lists.met, 2)
  assert.equal(orders(consumer).length, 2)
})

test('a member that is missing from the list sends a heartbeat before it gives up its queues', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 2 })
  const mineCounts: number[] = []
  const onQueues = (topic: string, _: unknown, mine: readonly unknown[]): void => {
    if (topic === 'Orders') mineCounts.push(mine.length)
  }
  const one = await startConsumer(cluster, { instanceName: 'a', onQueues, onMessage() {} })
  const two = await startConsumer(cluster, { instanceName: 'b', onMessage() {} })
  await cluster.until(() => orders(one).length === 1 && orders(two).length === 1, { stepMs: 50 })
  const isOfOne = ({ body }: { readonly body: Buffer | null }): boolean => body?.includes(one.clientId) === true
  const beats = (): number => cluster.broker.server.requestsOf('HEART_BEAT').filter(isOfOne).length
  const before = beats()
  const others = consumerListBody.encode({ consumerIdList: [two.clientId] })
  const forgotten = cluster.broker.fault('GET_CONSUMER_LIST_BY_GROUP', {
    answer: 'altered',
    times: Infinity,
    alter: reply => (beats() > before ? reply : { ...reply, body: Buffer.from(others) }),
  })
  one.resume()
  await cluster.until(() => beats() > before, { stepMs: 50 })
  assert.ok(forgotten.met > 0)
  await cluster.advance(5000)
  assert.deepEqual([mineCounts.at(-1), mineCounts.includes(0)], [1, false])
})

test('a strategy that throws changes nothing, and of a fixed list only existing queues are assigned', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 3 })
  const { log, texts } = recordingLog()
  let broken = false
  const queue = (queueId: number) => ({ topic: 'Orders', brokerName: 'broker-a', queueId })
  const consumer = await startConsumer(cluster, {
    log,
    allocate: {
      name: 'mine',
      assign: input => {
        if (broken) throw new Error('broken')
        return configured([queue(0), queue(2), queue(7)]).assign(input)
      },
    },
    onMessage() {},
  })
  await cluster.until(() => orders(consumer).length === 2)
  broken = true
  cluster.broker.notify('readers')
  await cluster.advance(3000)
  assert.deepEqual(orders(consumer), ['Orders@broker-a@0', 'Orders@broker-a@2'])
  assert.ok(texts.includes('warn cannot assign the queues of a topic'))
})

test('a missing topic is queried at growing intervals, and found once it is created', async t => {
  const cluster = await testCluster(t)
  const consumer = await startConsumer(cluster, { subscriptions: { Later: '*' }, onMessage() {} })
  const asked = () => cluster.nameServer.server.requestsOf('GET_ROUTEINFO_BY_TOPIC').length
  await cluster.advance(60_000, 200)
  const before = asked()
  await cluster.advance(60_000, 200)
  assert.ok(asked() - before <= 12, `${asked() - before} queries in a minute`)
  await cluster.broker.setTopic('Later', { readQueues: 1 })
  await cluster.until(() => consumer.queues.length === 2, { stepMs: 200 })
})

test('many notices at once cause few rebalances', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders')
  const consumer = await startConsumer(cluster, { onMessage() {} })
  await cluster.until(() => orders(consumer).length === 4)
  await cluster.advance(2000)
  const before = count(cluster, 'GET_CONSUMER_LIST_BY_GROUP')
  for (let n = 0; n < 50; n++) {
    cluster.broker.notify('readers')
    await cluster.settle(2)
  }
  await cluster.advance(1500)
  assert.ok(count(cluster, 'GET_CONSUMER_LIST_BY_GROUP') - before <= 2)
})

test('queues that are added to a topic are assigned', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const mineCounts: number[] = []
  const consumer = await startConsumer(cluster, {
    onMessage() {},
    onQueues: (topic, _, mine) => {
      if (topic === 'Orders') mineCounts.push(mine.length)
    },
  })
  await cluster.until(() => orders(consumer).length === 1)
  await cluster.broker.setTopic('Orders', { readQueues: 3 })
  await cluster.until(() => orders(consumer).length === 3, { stepMs: 200 })
  await cluster.settle()
  assert.deepEqual(mineCounts, [1, 3])
})

for (const orderly of [false, true]) {
  test(`an operator's reset of offsets takes effect at once${orderly ? ', for orderly consumers when the listener is done' : ''}`, async t => {
    const cluster = await testCluster(t)
    await cluster.broker.setTopic('Orders', { readQueues: 1 })
    for (let n = 0; n < 6; n++) cluster.broker.put({ topic: 'Orders' })
    const seen: number[] = []
    let hold: PromiseWithResolvers<undefined> | undefined
    await startConsumer(cluster, {
      orderly,
      onMessage: ({ queueOffset }) => {
        seen.push(queueOffset)
        return hold?.promise
      },
    })
    await cluster.until(() => seen.length === 6)
    hold = Promise.withResolvers()
    cluster.broker.put({ topic: 'Orders' })
    await cluster.until(() => seen.length === 7)
    cluster.broker.resetOffsets('Orders', 'readers', new Map([[0, 3]]))
    await cluster.advance(2000)
    if (orderly) assert.equal(seen.length, 7)
    hold.resolve(undefined)
    hold = undefined
    await cluster.until(() => seen.length === 11, { stepMs: 50 })
    assert.deepEqual(seen.slice(7), [3, 4, 5, 6])
    await cluster.advance(6000)
    assert.equal(cluster.broker.committed('Orders', 'readers', 0), 7)
  })
}

test('brokers can query the offsets and the state of a consumer, and hand it a message directly', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  cluster.broker.put({ topic: 'Orders' })
  let fails = false
  const consumer = await startConsumer(cluster, {
    credentials: { accessKey: 'someone', secretKey: 'very secret' },
    onMessage: () => {
      if (fails) throw new Error('broken')
    },
  })
  await cluster.until(() => consumer.stats.consumed === 1)
  const { clientId } = consumer
  const header = { consumerGroup: 'readers', clientId, jstackEnable: true }
  const { body: info } = await cluster.outcome(
    cluster.broker.call(clientId, clientNotices.GET_CONSUMER_RUNNING_INFO, { header }),
  )
  const held = info?.mqTable.find(({ queue: { topic } }) => topic === 'Orders')
  assert.deepEqual([held?.commitOffset, held?.cachedMsgCount, held?.droped], [1, 0, false])
  assert.deepEqual(
    ['PROP_CONSUMEORDERLY', 'PROP_CONSUME_TYPE', 'messageModel', 'consumeTimeout', 'consumerGroup'].map(name =>
      info?.properties.get(name),
    ),
    ['false', 'CONSUME_PASSIVELY', 'CLUSTERING', '15', 'readers'],
  )
  assert.match(info?.jstack ?? '', /heap/)
  assert.doesNotMatch(JSON.stringify([...(info?.properties ?? [])]), /secret/)
  const status = await cluster.outcome(
    cluster.broker.call(clientId, clientNotices.GET_CONSUMER_STATUS_FROM_CLIENT, {
      header: { topic: 'Orders', group: 'readers' },
    }),
  )
  const at: QueueOffset = { queue: { topic: 'Orders', brokerName: 'broker-a', queueId: 0 }, offset: 1 }
  assert.deepEqual(status.body?.messageQueueTable, [at])
  const input = {
    header: { consumerGroup: 'readers', clientId, brokerName: 'broker-a' },
    body: encodeMessage(cluster.broker.messages('Orders')[0] as StoredMessage),
  }
  const direct = async () =>
    (await cluster.outcome(cluster.broker.call(clientId, clientNotices.CONSUME_MESSAGE_DIRECTLY, input))).body
  assert.equal((await direct())?.consumeResult, 'CR_SUCCESS')
  fails = true
  const failed = await direct()
  assert.equal(failed?.consumeResult, 'CR_THROW_EXCEPTION')
  assert.match(failed?.remark ?? '', /broken/)
})

test('a paused member gives up queues of another member, and no longer commits their offsets', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 2 })
  let seen = 0
  const onMessage = (): void => void seen++
  const put = (): void => {
    for (let n = 0; n < 10; n++) cluster.broker.put({ topic: 'Orders', queueId: n % 2 })
  }
  const one = await startConsumer(cluster, { instanceName: 'a', onMessage })
  put()
  await cluster.until(() => seen === 10, { stepMs: 50 })
  one.pause()
  await startConsumer(cluster, { instanceName: 'b', onMessage })
  await cluster.advance(6000)
  assert.equal(orders(one).length, 1)
  put()
  await cluster.advance(20_000)
  const commits = cluster.broker.server
    .requestsOf('UPDATE_CONSUMER_OFFSET')
    .filter(({ header }) => header['topic'] === 'Orders' && header['queueId'] === '1')
    .map(({ header }) => Number(header['commitOffset']))
  assert.equal(commits.at(-1), 10)
  assert.deepEqual(
    commits,
    commits.toSorted((a, b) => a - b),
  )
})
