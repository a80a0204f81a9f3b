import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
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
  topicConfigTableBody,
  topicRequests,
} from '@gantrymq/protocol'
import {
  type CallInput,
  Connection,
  type ExtFields,
  RemotingClient,
  request,
  type RequestDeclaration,
  type ResponseError,
} from '@gantrymq/remoting'
import { MemoryDisk, WholeFiles } from '@gantrymq/store'
import { brokerInMemory, type InMemory } from './broker-in-memory.ts'
import { messagesIn, sendMessage } from './requests.ts'

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await setImmediate()
}

/** What the clients answer to a forwarded request, by its code. */
const bodies = new Map([
  [309, Buffer.from('{"order":false,"autoCommit":true,"consumeResult":"CR_SUCCESS","spentTimeMills":1}')],
  [307, Buffer.from('{"properties":{"x":"1"}}')],
  [221, Buffer.from('{"messageQueueTable":{{"brokerName":"broker-a","queueId":0,"topic":"Orders"}:7}}')],
])

/** A client with its own connection, which notes what the broker tells it. */
function connect(
  t: { after(close: () => Promise<void>): void },
  { clock, dial, brokerAddress }: InMemory,
  clientId: string,
) {
  const told: number[] = []
  const fields: (ExtFields | null)[] = []
  const client = new RemotingClient({
    clock,
    dial,
    onRequest: command => {
      told.push(command.code)
      fields.push(command.extFields)
      return { code: 0, body: bodies.get(command.code) ?? null }
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
  return { told, fields, client, call, beat }
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

test('a heartbeat with more groups than a connection may have is refused, and the groups before stay', async t => {
  const mq = await brokerInMemory(t, { maxGroupsPerConnection: 2 })
  const client = connect(t, mq, 'c')
  await client.beat('g', ['Orders'])
  const tooMany = /^1 groups of the heartbeat were not joined, the others were: .*maxGroupsPerConnection\): h$/
  await assert.rejects(client.beat('h', ['Orders']), { responseCode: 1, remark: tooMany })
  await client.beat('g', ['Orders'])
  const { body } = await client.call(topicRequests.GET_ALL_TOPIC_CONFIG)
  assert.equal(body?.topics.has('%RETRY%h'), false)
})

test('a heartbeat with endless names joins nothing', async t => {
  const mq = await brokerInMemory(t)
  const { call } = connect(t, mq, 'c')
  const beat = (clientID: string, groupName: string) =>
    call(membershipRequests.HEART_BEAT, { body: { clientID, producerDataSet: [{ groupName }], consumerDataSet: [] } })
  await beat('c'.repeat(1024), 'p'.repeat(255))
  await assert.rejects(beat('c'.repeat(1025), 'p'), { responseCode: responseCodes.SYSTEM_ERROR })
  await assert.rejects(beat('c', 'p'.repeat(256)), { responseCode: responseCodes.SYSTEM_ERROR })
  const { body } = await call(connectionRequests.GET_ALL_PRODUCER_INFO)
  assert.deepEqual([...(body?.keys() ?? [])], ['p'.repeat(255)])
})

test('a heartbeat with hundreds of thousands of producer groups is refused with a sentence', async t => {
  const mq = await brokerInMemory(t)
  const { call } = connect(t, mq, 'c')
  const producerDataSet = Array.from({ length: 240_000 }, () => ({ groupName: 'p' }))
  producerDataSet.push({ groupName: 'p'.repeat(256) })
  const beat = call(membershipRequests.HEART_BEAT, { body: { clientID: 'c', producerDataSet, consumerDataSet: [] } })
  await assert.rejects(beat, { responseCode: responseCodes.SYSTEM_ERROR, remark: /^the clientID of a heartbeat may/ })
})

test('the retry topic stays ordered when a heartbeat leaves out the subscriptions', async t => {
  const mq = await brokerInMemory(t)
  const { call } = connect(t, mq, 'c')
  await call(topicRequests.UPDATE_AND_CREATE_TOPIC, createTopic('Orders', { order: true }))
  const beat = (subscriptionDataSet: HeartbeatData['consumerDataSet'][number]['subscriptionDataSet']) => {
    const consumerDataSet = [
      {
        groupName: 'g',
        consumeType: 'CONSUME_PASSIVELY',
        messageModel: 'CLUSTERING',
        consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
        subscriptionDataSet,
      } as const,
    ]
    const withoutSub = subscriptionDataSet.length === 0
    const body = { clientID: 'c', producerDataSet: [], consumerDataSet, heartbeatFingerprint: 7, withoutSub }
    return call(membershipRequests.HEART_BEAT, { body })
  }
  await beat([subscriptionOf('Orders', '*', 1)])
  await beat([])
  const { body } = await call(topicRequests.GET_TOPIC_CONFIG, { header: { topic: '%RETRY%g' } })
  assert.equal(body?.order, true)
})

test('a subscription without a type is one by tags', async t => {
  const mq = await brokerInMemory(t)
  const { call } = connect(t, mq, 'c')
  const check = (expressionType: string) => {
    const subscriptionData = { ...subscriptionOf('Orders', '*', 1), expressionType }
    return call(membershipRequests.CHECK_CLIENT_CONFIG, { body: { clientId: 'c', group: 'g', subscriptionData } })
  }
  await check('')
  await assert.rejects(check('SQL92'), { responseCode: responseCodes.SYSTEM_ERROR })
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
  await assert.rejects(lock('x'.repeat(1025)), { responseCode: responseCodes.SYSTEM_ERROR })
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

test('a reset leaves no offsets for a topic that is deleted meanwhile', async t => {
  const mq = await brokerInMemory(t)
  const { call } = connect(t, mq, 'c')
  await call(topicRequests.UPDATE_AND_CREATE_TOPIC, createTopic('Orders'))
  await call(groupRequests.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, { body: defaultGroupConfig('g') })
  await call(sendRequests.SEND_MESSAGE, message('Orders'))
  const { promise: goOn, resolve } = Promise.withResolvers<void>()
  mq.broker.store.offsetByTime = () => goOn.then(() => 0)
  const header = { topic: 'Orders', group: 'g', timestamp: 1, isForce: true }
  const reset = assert.rejects(call(offsetRequests.INVOKE_BROKER_TO_RESET_OFFSET, { header }), {
    responseCode: responseCodes.TOPIC_NOT_EXIST,
  })
  await settle()
  await connect(t, mq, 'd').call(topicRequests.DELETE_TOPIC_IN_BROKER, { header: { topic: 'Orders' } })
  resolve()
  await reset
  const { body } = await call(offsetRequests.GET_ALL_CONSUMER_OFFSET)
  assert.deepEqual(body, new Map())
})

test('a group that no pull moves on, because resets were turned off, shows what it commits', async t => {
  const { client } = await consumedPartly(t)
  const reset = { header: { topic: 'Orders', group: 'g', queueId: 0, offset: 1, timestamp: -1, isForce: true } }
  await client.call(offsetRequests.INVOKE_BROKER_TO_RESET_OFFSET, reset)
  await client.call(brokerAdminRequests.UPDATE_BROKER_CONFIG, { body: 'useServerSideResetOffset=false' })
  const queue = { topic: 'Orders', consumerGroup: 'g', queueId: 0 }
  await client.call(consumeRequests.UPDATE_CONSUMER_OFFSET, { header: { ...queue, commitOffset: 2 } })
  const { header } = await client.call(consumeRequests.QUERY_CONSUMER_OFFSET, { header: queue })
  assert.equal(header.offset, 2)
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
  for (const name of ['getTotalTps', 'getMissTps']) assert.ok(info?.has(name), name)
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

test('offsets are committed for the queues of a topic, those that it had included, and for no others', async t => {
  const mq = await brokerInMemory(t)
  const client = connect(t, mq, 'c')
  const { call } = client
  await call(topicRequests.UPDATE_AND_CREATE_TOPIC, createTopic('Orders', { readQueueNums: 4, writeQueueNums: 4 }))
  await client.beat('g', ['Orders'])
  const commit = (queueId: number) =>
    call(consumeRequests.UPDATE_CONSUMER_OFFSET, {
      header: { consumerGroup: 'g', topic: 'Orders', queueId, commitOffset: 1 },
    })
  const refused = { responseCode: 29, remark: /^queueId\[-?\d+\] is illegal, topic:\[Orders\]/ }
  await call(sendRequests.SEND_MESSAGE, message('Orders', 3))
  await commit(2)
  await call(topicRequests.UPDATE_AND_CREATE_TOPIC, createTopic('Orders', { readQueueNums: 1, writeQueueNums: 1 }))
  for (const queueId of [0, 2, 3]) await commit(queueId)
  for (const queueId of [1, 4, -1, 2_000_000_000]) await assert.rejects(commit(queueId), refused)
  const reset = { topic: 'Orders', group: 'g', queueId: 4, offset: 0, timestamp: -1, isForce: true }
  await assert.rejects(call(offsetRequests.INVOKE_BROKER_TO_RESET_OFFSET, { header: reset }), refused)
  const { body } = await call(offsetRequests.GET_ALL_CONSUMER_OFFSET)
  assert.deepEqual(
    [...(body?.get('Orders@g')?.keys() ?? [])].toSorted((a, b) => a - b),
    [0, 2, 3],
  )
})

test('a message is consumed again with the flags of its topic and its group', async t => {
  const mq = await brokerInMemory(t)
  const consumer = connect(t, mq, 'c')
  await consumer.call(topicRequests.UPDATE_AND_CREATE_TOPIC, createTopic('Orders', { topicSysFlag: 2 }))
  await consumer.beat('g', ['Orders'])
  const sent = await consumer.call(sendRequests.SEND_MESSAGE, message('Orders'))
  const header = { consumerGroup: 'g', clientId: 'c', msgId: sent.header.msgId, topic: 'Orders' }
  await mq.client.call(mq.brokerAddress, clientNotices.CONSUME_MESSAGE_DIRECTLY, { header })
  const forwarded = Object.fromEntries(consumer.fields.at(-1) ?? [])
  assert.deepEqual([forwarded.brokerName, forwarded.topicSysFlag, forwarded.groupSysFlag], ['broker-a', '2', '0'])
})

test('a consumer tells its offsets to an operator', async t => {
  const mq = await brokerInMemory(t)
  const consumer = connect(t, mq, 'c')
  await consumer.beat('g', ['Orders'])
  const ask = (given: object) =>
    mq.client.call(mq.brokerAddress, offsetRequests.INVOKE_BROKER_TO_GET_CONSUMER_STATUS, {
      header: { topic: 'Orders', group: 'g', ...given },
    })
  const { body } = await ask({})
  assert.deepEqual(
    [...(body?.consumerTable ?? [])].map(([id, offsets]) => [id, offsets.map(({ offset }) => offset)]),
    [['c', [7]]],
  )
  assert.equal((await ask({ clientAddr: 'another' })).body?.consumerTable?.size, 0)
  const remark = 'No Any Consumer online in the consumer group: [h]'
  await assert.rejects(ask({ group: 'h' }), { responseCode: 1, remark })
})

/** A topic of one queue with messages of a second each, of which a group has consumed some. */
async function consumedPartly(t: TestContext) {
  const mq = await brokerInMemory(t)
  const client = connect(t, mq, 'c')
  await client.call(
    topicRequests.UPDATE_AND_CREATE_TOPIC,
    createTopic('Orders', { readQueueNums: 1, writeQueueNums: 1 }),
  )
  await client.beat('g', ['Orders'])
  const start = mq.clock.now()
  for (let i = 0; i < 3; i++) {
    await client.call(sendRequests.SEND_MESSAGE, message('Orders'))
    mq.clock.advance(1000)
  }
  const offset = { consumerGroup: 'g', topic: 'Orders', queueId: 0, commitOffset: 2 }
  await client.call(consumeRequests.UPDATE_CONSUMER_OFFSET, { header: offset })
  return { mq, client, start }
}

test('the backlog of the broker is the sum of those of its groups, whether they have committed or only subscribe', async t => {
  const mq = await brokerInMemory(t)
  const client = connect(t, mq, 'c')
  await client.call(
    topicRequests.UPDATE_AND_CREATE_TOPIC,
    createTopic('Orders', { readQueueNums: 1, writeQueueNums: 1 }),
  )
  for (let i = 0; i < 3; i++) await client.call(sendRequests.SEND_MESSAGE, message('Orders'))
  await client.beat('g', ['Orders'])
  await client.beat('h', ['Orders'])
  const offset = { consumerGroup: 'g', topic: 'Orders', queueId: 0, commitOffset: 2 }
  await client.call(consumeRequests.UPDATE_CONSUMER_OFFSET, { header: offset })
  const { status } = mq.broker
  assert.deepEqual(
    ['g', 'h'].map(group => status.group(group)?.backlog),
    [1, 3],
  )
  assert.equal(status.traffic().backlog, 4)
})

test('the backlog of all groups is shown, and how old it is', async t => {
  const { client, start } = await consumedPartly(t)
  const { body } = await client.call(groupRequests.GET_BROKER_CONSUME_STATS, { header: { isOrder: false } })
  const shown = body?.groups.find(({ group }) => group === 'g')
  assert.deepEqual(shown?.topics[0]?.queues.map(({ brokerOffset, consumerOffset }) => [brokerOffset, consumerOffset]), [[3, 2]]) // biome-ignore format: one thought
  assert.equal(body?.totalDiff, 1)
  const ordered = await client.call(groupRequests.GET_BROKER_CONSUME_STATS, { header: { isOrder: true } })
  assert.equal(ordered.body?.totalDiff, 0)
  const spans = await client.call(groupRequests.QUERY_CONSUME_TIME_SPAN, { header: { topic: 'Orders', group: 'g' } })
  assert.deepEqual(spans.body, [
    {
      queue: { topic: 'Orders', brokerName: 'broker-a', queueId: 0 },
      minTimestamp: start,
      maxTimestamp: start + 2000,
      consumeTimestamp: start + 1000,
      delayMs: 1000,
    },
  ])
  const unknown = client.call(groupRequests.QUERY_CONSUME_TIME_SPAN, { header: { topic: 'none', group: 'g' } })
  await assert.rejects(unknown, { responseCode: 17, remark: 'topic[none] not exist' })
})

test('a counter shows its last minute; one that is unknown is refused', async t => {
  const { mq, client } = await consumedPartly(t)
  mq.clock.advance(60_000)
  const view = (statsName: string, statsKey: string) =>
    client.call(brokerAdminRequests.VIEW_BROKER_STATS_DATA, { header: { statsName, statsKey } })
  assert.equal((await view('TOPIC_PUT_NUMS', 'Orders')).body?.statsMinute.sum, 3)
  assert.equal((await view('TOPIC_PUT_SIZE', 'Orders')).body?.statsMinute.sum, mq.broker.store.end)
  assert.equal((await view('BROKER_PUT_NUMS', 'DefaultCluster')).body?.statsMinute.sum, 3)
  for (const [name, key] of [
    ['TOPIC_PUT_NUMS', 'none'],
    ['BROKER_PUT_NUMS', 'other'],
    ['x', 'Orders'],
  ] as const) {
    // biome-ignore format: one thought
    await assert.rejects(view(name, key), { responseCode: 1, remark: `The stats <${name}> <${key}> not exist` })
  }
})

test('the entries of a queue are shown, with what the filter of a group takes', async t => {
  const { client } = await consumedPartly(t)
  const query = (given: object) =>
    client.call(brokerAdminRequests.QUERY_CONSUME_QUEUE, {
      header: { topic: 'Orders', queueId: 0, index: 1, count: 10, ...given },
    })
  const { body } = await query({ consumerGroup: 'g' })
  assert.deepEqual([body?.minQueueIndex, body?.maxQueueIndex, body?.entries.length], [0, 3, 2])
  assert.equal(body?.entries[0]?.eval, true)
  assert.equal((await query({ consumerGroup: 'h' })).body?.filterData, 'h@Orders is not online!')
  const beyond = await query({ index: 9 })
  assert.deepEqual([beyond.body, beyond.remark], [null, 'Index 9 of 0@Orders is not exist!'])
  await assert.rejects(query({ queueId: 7 }), { responseCode: 1, remark: '7@Orders is not exist!' })
})

test('the offsets of a group are copied, and the lowest ones of a topic are shown', async t => {
  const { client } = await consumedPartly(t)
  const clone = (destGroup: string) =>
    client.call(offsetRequests.CLONE_GROUP_OFFSET, { header: { srcGroup: 'g', destGroup, topic: 'Orders' } })
  await clone('h')
  const offset = { consumerGroup: 'h', topic: 'Orders', queueId: 0 }
  assert.equal((await client.call(consumeRequests.QUERY_CONSUMER_OFFSET, { header: offset })).header.offset, 2)
  await assert.rejects(clone('../h'), { responseCode: responseCodes.INVALID_PARAMETER })
  const correction = (filterGroups: string) =>
    client.call(offsetRequests.QUERY_CORRECTION_OFFSET, {
      header: { topic: 'Orders', compareGroup: 'x', filterGroups },
    })
  assert.deepEqual([...((await correction('')).body ?? [])], [[0, 2]])
  assert.deepEqual([...((await correction('g,h')).body ?? [])], [])
})

test('offsets are not copied to groups without end', async t => {
  const mq = await brokerInMemory(t, { maxGroups: 9 })
  const { call } = connect(t, mq, 'c')
  await call(topicRequests.UPDATE_AND_CREATE_TOPIC, createTopic('Orders'))
  await call(groupRequests.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, { body: defaultGroupConfig('g') })
  const commit = { topic: 'Orders', consumerGroup: 'g', queueId: 0, commitOffset: 1 }
  await call(consumeRequests.UPDATE_CONSUMER_OFFSET, { header: commit })
  const copy = (destGroup: string) =>
    call(offsetRequests.CLONE_GROUP_OFFSET, { header: { srcGroup: 'g', destGroup, topic: 'Orders', offline: true } })
  for (let i = 1; i < 9; i++) await copy(`copy-${i}`)
  await assert.rejects(copy('copy-9'), { responseCode: responseCodes.INVALID_PARAMETER })
  await copy('copy-8')
})

test('several topics and groups are created at once, or none of them', async t => {
  const mq = await brokerInMemory(t)
  const { call } = connect(t, mq, 'c')
  const topic = (topicName: string) => ({
    topicName,
    readQueueNums: 1,
    writeQueueNums: 1,
    perm: 6,
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: 0,
    order: false,
    attributes: new Map([['+message.type', 'FIFO']]),
  })
  await assert.rejects(call(topicRequests.UPDATE_AND_CREATE_TOPIC_LIST, { body: [topic('One'), topic('../x')] }))
  await assert.rejects(call(topicRequests.GET_TOPIC_CONFIG, { header: { topic: 'One' } }), { responseCode: 17 })
  await call(topicRequests.UPDATE_AND_CREATE_TOPIC_LIST, { body: [topic('One'), topic('Two')] })
  const { body } = await call(topicRequests.GET_TOPIC_CONFIG, { header: { topic: 'Two' } })
  assert.deepEqual([...(body?.attributes ?? [])], [['message.type', 'FIFO']])
  const groups = ['g', 'h'].map(name => ({ ...defaultGroupConfig(name), retryMaxTimes: 2 }))
  await call(groupRequests.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, { body: groups })
  const shown = await call(groupRequests.GET_SUBSCRIPTIONGROUP_CONFIG, { header: { group: 'h' } })
  assert.equal(shown.body?.retryMaxTimes, 2)
})

test('a group that may not read a topic is refused its pulls until it may again', async t => {
  const { client } = await consumedPartly(t)
  const forbid = (readable?: boolean) =>
    client.call(groupRequests.UPDATE_AND_GET_GROUP_FORBIDDEN, {
      header: { group: 'g', topic: 'Orders', ...(readable !== undefined && { readable }) },
    })
  const header = { consumerGroup: 'g', topic: 'Orders', queueId: 0, queueOffset: 0, maxMsgNums: 32, sysFlag: 0, commitOffset: 0, suspendTimeoutMillis: 0, subVersion: 0 } // biome-ignore format: one thought
  const pull = () => client.call(consumeRequests.PULL_MESSAGE, { header })
  assert.equal((await forbid()).body?.readable, true)
  assert.equal((await forbid(false)).body?.readable, false)
  await assert.rejects(pull(), { responseCode: responseCodes.NO_PERMISSION, remark: /is forbidden for topic/ })
  assert.equal((await forbid(true)).body?.readable, true)
  assert.equal((await pull()).code, 0)
})

test('queues whose topic is gone are deleted on request, and all others stay', async t => {
  const disk = new MemoryDisk()
  const files = new WholeFiles(disk)
  const first = await brokerInMemory(t, { disk, storePathRootDir: '/store', autoCreateTopicEnable: true })
  for (const topic of ['Orders', 'Gone']) await sendMessage(first, { topic })
  await first.broker.close()
  const path = '/store/config/topics.json'
  const topics = topicConfigTableBody.decode(Buffer.from((await files.read(path)) ?? []))
  const kept = new Map([...topics.topics].filter(([topic]) => topic !== 'Gone'))
  await files.replace(path, topicConfigTableBody.encode({ ...topics, topics: kept }))

  const mq = await brokerInMemory(t, { disk, storePathRootDir: '/store' })
  const { call } = connect(t, mq, 'c')
  const maxOffsets = async () => {
    const answers = ['Orders', 'Gone'].map(topic =>
      call(queryRequests.GET_MAX_OFFSET, { header: { topic, queueId: 1 } }),
    )
    return (await Promise.all(answers)).map(({ header }) => header.offset)
  }
  assert.deepEqual(await maxOffsets(), [1, 1])
  await call(brokerAdminRequests.CLEAN_UNUSED_TOPIC)
  assert.deepEqual(await maxOffsets(), [1, 0])
  await call(brokerAdminRequests.CLEAN_EXPIRED_CONSUMEQUEUE)
  await call(brokerAdminRequests.DELETE_EXPIRED_COMMITLOG)
  assert.deepEqual(await maxOffsets(), [1, 0])
})

test('a topic for messages of all types can be changed when no further one may be made', async t => {
  const mq = await brokerInMemory(t, { enableMixedMessageType: true })
  const { call } = connect(t, mq, 'c')
  const { UPDATE_AND_CREATE_TOPIC } = topicRequests
  await call(UPDATE_AND_CREATE_TOPIC, createTopic('Orders', { attributes: '+message.type=MIXED' }))
  await call(brokerAdminRequests.UPDATE_BROKER_CONFIG, { body: 'enableMixedMessageType=false' })
  await call(UPDATE_AND_CREATE_TOPIC, createTopic('Orders', { readQueueNums: 8 }))
  const other = createTopic('Other', { attributes: '+message.type=MIXED' })
  await assert.rejects(call(UPDATE_AND_CREATE_TOPIC, other), { responseCode: responseCodes.INVALID_PARAMETER })
})

test('the topics of RocketMQ itself are shown, also those that the broker does not have', async t => {
  const mq = await brokerInMemory(t, { brokerClusterName: 'shop' })
  const { call } = connect(t, mq, 'c')
  const { body } = await call(topicRequests.GET_SYSTEM_TOPIC_LIST_FROM_BROKER)
  const shown = new Set(body?.topicList)
  // A broker makes the first two when it needs them, and has the others.
  const some = [
    'RMQ_SYS_TRACE_TOPIC',
    'TRANS_CHECK_MAX_TIME_TOPIC',
    'SCHEDULE_TOPIC_XXXX',
    'shop',
    'broker-a',
    'shop_REPLY_TOPIC',
  ]
  assert.deepEqual(
    some.filter(topic => !shown.has(topic)),
    [],
  )
})

test('a message that a producer sends to a topic that is being deleted is refused, or not lost', async t => {
  const mq = await brokerInMemory(t, { autoCreateTopicEnable: true })
  const { call } = connect(t, mq, 'c')
  await sendMessage(mq, {}, 'before')
  const input = { header: { topic: 'Orders' } }
  const deleted = mq.client.call(mq.brokerAddress, topicRequests.DELETE_TOPIC_IN_BROKER, input)
  const acknowledged: string[] = []
  const refused = new Set<unknown>()
  const send = (body: string) =>
    sendMessage(mq, {}, body).then(
      () => acknowledged.push(body),
      (error: unknown) => refused.add((error as ResponseError).responseCode),
    )
  await Promise.all([deleted, send('1'), send('2'), send('3')])
  await sendMessage(mq, {}, 'after')
  await call(groupRequests.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, { body: defaultGroupConfig('readers') })
  const bodies = (await messagesIn(mq, 'Orders', 1)).map(({ body }) => body.toString())
  assert.deepEqual(bodies, [...acknowledged, 'after'])
  assert.deepEqual([...refused], [responseCodes.TOPIC_NOT_EXIST])
})

test('a topic that is created while it is deleted keeps the messages of the new one', async t => {
  const mq = await brokerInMemory(t)
  const { call } = connect(t, mq, 'c')
  await call(topicRequests.UPDATE_AND_CREATE_TOPIC, createTopic('Orders'))
  await call(sendRequests.SEND_MESSAGE, message('Orders'))
  const { store } = mq.broker
  const deleteTopic = store.deleteTopic.bind(store)
  const { promise: goOn, resolve } = Promise.withResolvers<void>()
  store.deleteTopic = topic => goOn.then(() => deleteTopic(topic))
  const deleted = call(topicRequests.DELETE_TOPIC_IN_BROKER, { header: { topic: 'Orders' } })
  const created = call(topicRequests.UPDATE_AND_CREATE_TOPIC, createTopic('Orders'))
  const sent = created.then(() => call(sendRequests.SEND_MESSAGE, message('Orders')))
  await settle()
  resolve()
  await Promise.all([deleted, sent])
  const { header } = await call(queryRequests.GET_MAX_OFFSET, { header: { topic: 'Orders', queueId: 0 } })
  assert.equal(header.offset, 1)
})

test('the offsets of a topic that is gone are deleted with its name', async t => {
  const disk = new MemoryDisk()
  const offsets = '{"offsetTable":{"Gone@g":{0:9},"Orders@g":{0:3}}}'
  await new WholeFiles(disk).replace('/store/config/consumerOffset.json', offsets)
  const mq = await brokerInMemory(t, { disk, storePathRootDir: '/store' })
  const { call } = connect(t, mq, 'c')
  await call(topicRequests.DELETE_TOPIC_IN_BROKER, { header: { topic: 'Gone' } })
  const { body } = await call(offsetRequests.GET_ALL_CONSUMER_OFFSET)
  assert.deepEqual([...(body?.keys() ?? [])], ['Orders@g'])
})

test('a request that the broker does not serve is refused with the reason', async t => {
  const mq = await brokerInMemory(t)
  const { call } = connect(t, mq, 'c')
  for (const [code, remark] of [
    [52, ' request type 52 not supported: this broker has no access control'],
    [513, ' request type 513 not supported: this broker has no static topics'],
    [9999, ' request type 9999 not supported'],
  ] as const) {
    const refused = call(request({ code, purpose: 'Is not served.' }))
    await assert.rejects(refused, { responseCode: responseCodes.REQUEST_CODE_NOT_SUPPORTED, remark })
  }
})

test('options that may change are changed, and the broker registers its permission', async t => {
  const mq = await brokerInMemory(t)
  const { call } = connect(t, mq, 'c')
  await call(topicRequests.UPDATE_AND_CREATE_TOPIC, createTopic('Orders'))
  await call(brokerAdminRequests.UPDATE_BROKER_CONFIG, { body: 'brokerPermission=4\n' })
  const { body } = await call(brokerAdminRequests.GET_BROKER_CONFIG)
  assert.match(body ?? '', /^brokerPermission=4$/m)
  // Without them mqadmin exportConfigs of 4.9 fails.
  for (const line of [/^filterServerNums=0$/m, /^useTLS=false$/m]) assert.match(body ?? '', line)
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
