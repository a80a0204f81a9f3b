import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientNotices, configured, type QueueOffset } from '@gantrymq/protocol'
import { type TestCluster, testCluster } from '@gantrymq/testkit'
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

test('two members share the queues, and one takes all when the other leaves', async t => {
  const cluster = await testCluster(t, { brokers: 2 })
  for (const broker of cluster.brokers) broker.setTopic('Orders', { readQueues: 2 })
  const one = await startConsumer(cluster, { instanceName: 'a', onMessage() {} })
  await cluster.until(() => orders(one).length === 4)
  const two = await startConsumer(cluster, { instanceName: 'b', onMessage() {} })
  await cluster.until(() => orders(one).length === 2 && orders(two).length === 2, { stepMs: 50 })
  assert.equal(new Set([...orders(one), ...orders(two)]).size, 4)
  await cluster.outcome(one.close())
  await cluster.until(() => orders(two).length === 4, { stepMs: 50 })
})

test('a queue that changes hands goes on where it was, without doubles', async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders', { readQueues: 4 })
  const seen: string[] = []
  const onMessage = ({ body }: { body: Buffer }): void => void seen.push(body.toString())
  let n = 0
  const put = (): void => void cluster.broker.put({ topic: 'Orders', queueId: n % 4, body: Buffer.from(`m${n++}`) })
  await startConsumer(cluster, { instanceName: 'a', onMessage })
  const first = cluster.broker.requests.find(({ name }) => name === 'HEART_BEAT')?.from
  for (const instanceName of ['b', 'c']) {
    // The one that gives up queues hears of it later than the one that takes them.
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

test('a member that the broker has forgotten tells it again, and keeps its queues meanwhile', async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders', { readQueues: 2 })
  const consumer = await startConsumer(cluster, { onMessage() {} })
  await cluster.until(() => orders(consumer).length === 2)
  const lists = cluster.broker.fault('GET_CONSUMER_LIST_BY_GROUP', { answer: 'code', code: 1, times: 2 })
  cluster.broker.notify('readers')
  await cluster.advance(5000)
  assert.equal(lists.met, 2)
  assert.equal(orders(consumer).length, 2)
})

test('a member that is missing in the list tells the broker of itself before it gives its queues up', async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders', { readQueues: 2 })
  const told: number[] = []
  const onQueues = (topic: string, _: unknown, mine: readonly unknown[]): void => {
    if (topic === 'Orders') told.push(mine.length)
  }
  const one = await startConsumer(cluster, { instanceName: 'a', onQueues, onMessage() {} })
  const two = await startConsumer(cluster, { instanceName: 'b', onMessage() {} })
  await cluster.until(() => orders(one).length === 1 && orders(two).length === 1, { stepMs: 50 })
  const { members } = cluster.broker.state
  const forgotten = [...(members.consumers.get('readers')?.members.values() ?? [])].find(
    ({ clientId }) => clientId === one.clientId,
  )
  members.unregister(forgotten?.peer.id ?? -1, undefined, 'readers')
  one.resume()
  await cluster.until(() => members.consumerIds('readers').includes(one.clientId))
  await cluster.advance(5000)
  assert.deepEqual([told.at(-1), told.includes(0)], [1, false])
})

test('a strategy that throws leaves all as it is; one with a fixed list gets what there is of it', async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders', { readQueues: 3 })
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
  assert.ok(texts.includes('warn queues not shared out'))
})

test('a topic that is missing is asked for more and more seldom, and found when it is made', async t => {
  const cluster = await testCluster(t)
  const consumer = await startConsumer(cluster, { subscriptions: { Later: '*' }, onMessage() {} })
  const asked = () => cluster.nameServer.server.requestsOf('GET_ROUTEINFO_BY_TOPIC').length
  await cluster.advance(60_000, 200)
  const before = asked()
  await cluster.advance(60_000, 200)
  assert.ok(asked() - before <= 12, `${asked() - before} questions in a minute`)
  cluster.broker.setTopic('Later', { readQueues: 1 })
  await cluster.until(() => consumer.queues.length === 2, { stepMs: 200 })
})

test('many notices at once make few rounds', async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders')
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

test('queues that are added to a topic are found', async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders', { readQueues: 1 })
  const told: number[] = []
  const consumer = await startConsumer(cluster, {
    onMessage() {},
    onQueues: (topic, _, mine) => {
      if (topic === 'Orders') told.push(mine.length)
    },
  })
  await cluster.until(() => orders(consumer).length === 1)
  cluster.broker.setTopic('Orders', { readQueues: 3 })
  await cluster.until(() => orders(consumer).length === 3, { stepMs: 200 })
  await cluster.settle()
  assert.deepEqual(told, [1, 3])
})

for (const orderly of [false, true]) {
  test(`an operator's offsets are taken at once${orderly ? ', in order when the listener is done' : ''}`, async t => {
    const cluster = await testCluster(t)
    cluster.broker.setTopic('Orders', { readQueues: 1 })
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

test('brokers are told how far a consumer is and what it holds, and may give it a message', async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders', { readQueues: 1 })
  const entry = cluster.broker.put({ topic: 'Orders' })
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
  const input = { header: { consumerGroup: 'readers', clientId, brokerName: 'broker-a' }, body: entry.bytes }
  const direct = async () =>
    (await cluster.outcome(cluster.broker.call(clientId, clientNotices.CONSUME_MESSAGE_DIRECTLY, input))).body
  assert.equal((await direct())?.consumeResult, 'CR_SUCCESS')
  fails = true
  const failed = await direct()
  assert.equal(failed?.consumeResult, 'CR_THROW_EXCEPTION')
  assert.match(failed?.remark ?? '', /broken/)
})

test('a paused member gives up what is not its own, and commits nothing of it any more', async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders', { readQueues: 2 })
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
