import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import {
  brokerAdminRequests,
  clientNotices,
  connectionRequests,
  consumeRequests,
  defaultGroupConfig,
  groupRequests,
  type HeartbeatData,
  membershipRequests,
  nameServerRequests,
  offsetRequests,
  pullFlags,
  queryRequests,
  responseCodes,
  sendRequests,
  subscriptionOf,
  topicRequests,
} from '@gantrymq/protocol'
import { type CallInput, Connection, RemotingClient, type RequestDeclaration } from '@gantrymq/remoting'
import { brokerInMemory, type InMemory } from './broker-in-memory.ts'

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await setImmediate()
}

/** A client with its own connection, which notes what the broker tells it. */
function connect(
  t: { after(close: () => Promise<void>): void },
  { clock, dial, brokerAddress }: InMemory,
  clientId: string,
) {
  const told: number[] = []
  const client = new RemotingClient({
    clock,
    dial,
    onRequest: command => {
      told.push(command.code)
      return { code: 0, body: command.code === 307 ? Buffer.from('{"properties":{"x":"1"}}') : null }
    },
  })
  t.after(() => client.close())
  const call = <const D extends RequestDeclaration>(declaration: D, input?: CallInput<D>) =>
    client.call(brokerAddress, declaration, input)
  const beat = (group: string, topics: readonly string[]) => {
    const body: HeartbeatData = {
      clientID: clientId,
      producerDataSet: [{ groupName: 'producers' }],
      consumerDataSet: [
        {
          groupName: group,
          consumeType: 'CONSUME_PASSIVELY',
          messageModel: 'CLUSTERING',
          consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
          subscriptionDataSet: topics.map(topic => subscriptionOf(topic, '*', 1)),
        },
      ],
    }
    return call(membershipRequests.HEART_BEAT, { body })
  }
  return { told, client, call, beat }
}

const createTopic = (topic: string, given: object = {}) => ({
  header: { topic, readQueueNums: 2, writeQueueNums: 2, perm: 6, ...given },
})

function message(topic: string, queueId = 0) {
  const header = { producerGroup: 'p', topic, defaultTopic: 'TBW102', defaultTopicQueueNums: 2, queueId, sysFlag: 0, bornTimestamp: 1, flag: 0 } // biome-ignore format: one thought
  return { header, body: Buffer.from('hello') }
}

test('a group knows its members, tells them of each change, and has a retry topic', async t => {
  const mq = await brokerInMemory(t)
  const [first, second] = [connect(t, mq, 'first'), connect(t, mq, 'second')]
  const { header } = await first.beat('g', ['Orders'])
  assert.deepEqual({ ...header }, { IS_SUPPORT_HEART_BEAT_V2: true, IS_SUB_CHANGE: true })
  await second.beat('g', ['Orders'])
  await settle()
  assert.deepEqual(first.told, [40, 40])
  const list = { header: { consumerGroup: 'g' } }
  const { body } = await first.call(membershipRequests.GET_CONSUMER_LIST_BY_GROUP, list)
  assert.deepEqual(body?.consumerIdList, ['first', 'second'])
  const { body: topics } = await first.call(topicRequests.GET_ALL_TOPIC_CONFIG)
  assert.equal(topics?.topics.get('%RETRY%g')?.readQueueNums, 1)

  await second.call(membershipRequests.UNREGISTER_CLIENT, { header: { clientID: 'second', consumerGroup: 'g' } })
  await settle()
  assert.deepEqual(first.told, [40, 40, 40])
  const { body: left } = await first.call(connectionRequests.GET_CONSUMER_CONNECTION_LIST, list)
  assert.deepEqual(
    left?.connections.map(({ clientId }) => clientId),
    ['first'],
  )
  assert.equal(left?.subscriptions.get('Orders')?.subString, '*')
})

test('the end of a connection removes its client, and tells the others', async t => {
  const mq = await brokerInMemory(t)
  const [first, second] = [connect(t, mq, 'first'), connect(t, mq, 'second')]
  await first.beat('g', ['Orders'])
  await second.beat('g', ['Orders'])
  await settle()
  await second.client.close()
  await settle()
  assert.equal(first.told.length, 3)
  const unknown = first.call(membershipRequests.GET_CONSUMER_LIST_BY_GROUP, { header: { consumerGroup: 'other' } })
  await assert.rejects(unknown, { responseCode: 1, remark: 'no consumer for this group, other' })
})

test('a client without heartbeats is dropped after two minutes', async t => {
  const mq = await brokerInMemory(t)
  const silent = connect(t, mq, 'silent')
  await silent.beat('g', ['Orders'])
  for (let second = 0; second < 131; second++) {
    mq.clock.advance(1000)
    await setImmediate()
  }
  await settle()
  const list = mq.client.call(mq.brokerAddress, membershipRequests.GET_CONSUMER_LIST_BY_GROUP, { header: { consumerGroup: 'g' } }) // biome-ignore format: one thought
  await assert.rejects(list, { responseCode: 1 })
})

test('a heartbeat with hostile group names creates nothing', async t => {
  const mq = await brokerInMemory(t)
  const client = connect(t, mq, 'c')
  for (const group of ['../..', 'a\u0000b', 'x'.repeat(300), '']) await client.beat(group, ['../../etc'])
  const { body } = await client.call(topicRequests.GET_ALL_TOPIC_CONFIG)
  assert.deepEqual(
    [...(body?.topics.keys() ?? [])].filter(topic => topic.startsWith('%RETRY%')),
    [],
  )
})

test('a queue is locked by one consumer at a time', async t => {
  const mq = await brokerInMemory(t)
  const { call } = connect(t, mq, 'c')
  const mqSet = [{ topic: 'Orders', brokerName: 'broker-a', queueId: 0 }]
  const lock = async (clientId: string) => {
    const { body } = await call(consumeRequests.LOCK_BATCH_MQ, { body: { consumerGroup: 'g', clientId, mqSet } })
    return body?.lockOKMQSet.length
  }
  assert.equal(await lock('a'), 1)
  assert.equal(await lock('b'), 0)
  await call(consumeRequests.UNLOCK_BATCH_MQ, { body: { consumerGroup: 'g', clientId: 'a', mqSet } })
  assert.equal(await lock('b'), 1)
})

test('a topic is created, changed, shown and deleted, and the name server knows it at once', async t => {
  const mq = await brokerInMemory(t)
  const { call } = connect(t, mq, 'c')
  await call(
    topicRequests.UPDATE_AND_CREATE_TOPIC,
    createTopic('Orders', { attributes: '+message.type=FIFO', order: true }),
  )
  const route = await mq.client.call(mq.nameServers, nameServerRequests.GET_ROUTEINFO_BY_TOPIC, { header: { topic: 'Orders' } }) // biome-ignore format: one thought
  assert.equal(route.body?.queueDatas[0]?.readQueueNums, 2)
  const { body } = await call(topicRequests.GET_TOPIC_CONFIG, { header: { topic: 'Orders' } })
  assert.deepEqual([...(body?.attributes ?? [])], [['message.type', 'FIFO']])
  assert.equal(body?.order, true)
  await mq.client.call(mq.brokerAddress, sendRequests.SEND_MESSAGE, message('Orders'))
  await call(topicRequests.DELETE_TOPIC_IN_BROKER, { header: { topic: 'Orders' } })
  await assert.rejects(call(topicRequests.GET_TOPIC_CONFIG, { header: { topic: 'Orders' } }), { responseCode: 17 })
  await call(topicRequests.UPDATE_AND_CREATE_TOPIC, createTopic('Orders'))
  const { header } = await call(queryRequests.GET_MAX_OFFSET, { header: { topic: 'Orders', queueId: 0 } })
  assert.equal(header.offset, 0)
})

const REFUSED_TOPICS: readonly [topic: string, given: object, code: number, remark: RegExp][] = [
  ['../x', {}, 29, /^The specified topic contains illegal characters/],
  ['TBW102', {}, 29, /^The topic\[TBW102\] is conflict with system topic\.$/],
  ['Orders', { readQueueNums: -1 }, 29, /may have 0 to 65536 queues, not -1$/],
  ['Orders', { writeQueueNums: 2_000_000_000 }, 29, /may have 0 to 65536 queues/],
  ['Orders', { topicFilterType: 'X' }, 1, /value invalid$/],
  ['Orders', { attributes: '+colour=red' }, 1, /^unsupported key: colour$/],
  ['Orders', { attributes: '+message.type=MIXED' }, 29, /^MIXED message type is not supported\.$/],
]

for (const [topic, given, code, remark] of REFUSED_TOPICS) {
  test(`the topic ${topic} ${JSON.stringify(given)} is not created`, async t => {
    const mq = await brokerInMemory(t)
    const { call } = connect(t, mq, 'c')
    const refused = call(topicRequests.UPDATE_AND_CREATE_TOPIC, createTopic(topic, given))
    await assert.rejects(refused, { responseCode: code, remark })
  })
}

test('a group is created, shown and deleted with its offsets; hostile ones are refused', async t => {
  const mq = await brokerInMemory(t)
  const { call } = connect(t, mq, 'c')
  const body = { ...defaultGroupConfig('g'), retryMaxTimes: 3 }
  await call(groupRequests.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, { body })
  await call(topicRequests.UPDATE_AND_CREATE_TOPIC, createTopic('Orders'))
  const offset = { consumerGroup: 'g', topic: 'Orders', queueId: 0, commitOffset: 5 }
  await call(consumeRequests.UPDATE_CONSUMER_OFFSET, { header: offset })
  const shown = await call(groupRequests.GET_SUBSCRIPTIONGROUP_CONFIG, { header: { group: 'g' } })
  assert.equal(shown.body?.retryMaxTimes, 3)
  await call(groupRequests.DELETE_SUBSCRIPTIONGROUP, { header: { groupName: 'g', removeOffset: true } })
  const { body: left } = await call(offsetRequests.GET_ALL_CONSUMER_OFFSET)
  assert.equal(left?.size, 0)
  await assert.rejects(call(consumeRequests.UPDATE_CONSUMER_OFFSET, { header: offset }), { responseCode: 26, remark: 'Group g not exist!' }) // biome-ignore format: one thought
  for (const bad of [defaultGroupConfig('../x'), { ...body, retryQueueNums: 2_000_000_000 }]) {
    const refused = call(groupRequests.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, { body: bad })
    await assert.rejects(refused, { responseCode: responseCodes.INVALID_PARAMETER })
  }
})

test('an offset that an operator has reset is where the next pull goes on', async t => {
  const mq = await brokerInMemory(t)
  const client = connect(t, mq, 'c')
  await client.call(
    topicRequests.UPDATE_AND_CREATE_TOPIC,
    createTopic('Orders', { readQueueNums: 1, writeQueueNums: 1 }),
  )
  for (let i = 0; i < 3; i++) await client.call(sendRequests.SEND_MESSAGE, message('Orders'))
  await client.beat('g', ['Orders'])
  const pull = { consumerGroup: 'g', topic: 'Orders', queueId: 0, queueOffset: 3, maxMsgNums: 32, sysFlag: pullFlags.suspend, commitOffset: 0, suspendTimeoutMillis: 15_000, subVersion: 0 } // biome-ignore format: one thought
  const waiting = client.call(consumeRequests.PULL_MESSAGE, { header: pull })
  await settle()
  const reset = { topic: 'Orders', group: 'g', timestamp: 0 }
  const { body } = await client.call(offsetRequests.INVOKE_BROKER_TO_RESET_OFFSET, { header: reset })
  assert.deepEqual(body?.offsetTable, [{ queue: { topic: 'Orders', brokerName: 'broker-a', queueId: 0 }, offset: 0 }])
  const moved = await waiting
  assert.equal(moved.code, responseCodes.PULL_OFFSET_MOVED)
  assert.equal(moved.remark, 'OFFSET_RESET')
  assert.equal(moved.header.nextBeginOffset, 0)
})

test('backlogs and offsets are shown by topic and by group', async t => {
  const mq = await brokerInMemory(t)
  const client = connect(t, mq, 'c')
  await client.call(
    topicRequests.UPDATE_AND_CREATE_TOPIC,
    createTopic('Orders', { readQueueNums: 1, writeQueueNums: 1 }),
  )
  for (let i = 0; i < 3; i++) await client.call(sendRequests.SEND_MESSAGE, message('Orders'))
  await client.beat('g', ['Orders'])
  const offset = { consumerGroup: 'g', topic: 'Orders', queueId: 0, commitOffset: 2 }
  await client.call(consumeRequests.UPDATE_CONSUMER_OFFSET, { header: offset })
  const { body: topic } = await client.call(topicRequests.GET_TOPIC_STATS_INFO, { header: { topic: 'Orders' } })
  assert.deepEqual(
    topic?.queues.map(({ minOffset, maxOffset }) => [minOffset, maxOffset]),
    [[0, 3]],
  )
  assert.equal(topic?.queues[0]?.lastUpdateTimestamp, mq.clock.now())
  const { body: group } = await client.call(groupRequests.GET_CONSUME_STATS, { header: { consumerGroup: 'g' } })
  assert.deepEqual(
    group?.queues.map(({ brokerOffset, consumerOffset }) => [brokerOffset, consumerOffset]),
    [[3, 2]],
  )
  const { body: groups } = await client.call(topicRequests.QUERY_TOPIC_CONSUME_BY_WHO, { header: { topic: 'Orders' } })
  assert.deepEqual(groups, ['g'])
  const { body: topics } = await client.call(groupRequests.QUERY_TOPICS_BY_CONSUMER, { header: { group: 'g' } })
  assert.deepEqual(topics?.topicList, ['Orders'])
  const { body: info } = await client.call(brokerAdminRequests.GET_BROKER_RUNTIME_INFO)
  assert.equal(info?.get('msgPutTotalTodayNow'), '3')
  assert.equal(info?.get('brokerVersionDesc'), 'V5_5_0')
})

test('a request about a consumer is forwarded to it', async t => {
  const mq = await brokerInMemory(t)
  const consumer = connect(t, mq, 'c')
  await consumer.beat('g', ['Orders'])
  const header = { consumerGroup: 'g', clientId: 'c' }
  const info = await mq.client.call(mq.brokerAddress, clientNotices.GET_CONSUMER_RUNNING_INFO, { header })
  assert.equal(info.body?.properties.get('x'), '1')
  const absent = mq.client.call(mq.brokerAddress, clientNotices.GET_CONSUMER_RUNNING_INFO, { header: { ...header, clientId: 'd' } }) // biome-ignore format: one thought
  await assert.rejects(absent, { responseCode: 1, remark: 'The Consumer <g> <d> not online' })
})

test('options that may change are changed, and the broker registers its permission', async t => {
  const mq = await brokerInMemory(t)
  const { call } = connect(t, mq, 'c')
  await call(topicRequests.UPDATE_AND_CREATE_TOPIC, createTopic('Orders'))
  await call(brokerAdminRequests.UPDATE_BROKER_CONFIG, { body: 'brokerPermission=4\n' })
  const { body } = await call(brokerAdminRequests.GET_BROKER_CONFIG)
  assert.match(body ?? '', /^brokerPermission=4$/m)
  await settle()
  const route = await mq.client.call(mq.nameServers, nameServerRequests.GET_ROUTEINFO_BY_TOPIC, { header: { topic: 'Orders' } }) // biome-ignore format: one thought
  assert.equal(route.body?.queueDatas[0]?.perm, 4)
  const refused = call(brokerAdminRequests.UPDATE_BROKER_CONFIG, { body: 'storePathRootDir=/tmp/x' })
  await assert.rejects(refused, { responseCode: responseCodes.NO_PERMISSION })
})

test('a change of the idle time at run time applies to open connections', async t => {
  const mq = await brokerInMemory(t)
  const { call } = connect(t, mq, 'c')
  await call(brokerAdminRequests.GET_BROKER_CONFIG)
  const address = mq.brokerAddress
  const quiet = new Connection(await mq.dial(address, new AbortController().signal), { remoteAddress: address })
  await quiet.call(brokerAdminRequests.GET_BROKER_CONFIG)
  await call(brokerAdminRequests.UPDATE_BROKER_CONFIG, { body: 'serverChannelMaxIdleTimeSeconds=10\n' })
  mq.clock.advance(11_000)
  await settle()
  assert.equal(quiet.isOpen, false)
})
