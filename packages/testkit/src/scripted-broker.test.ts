import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  clientNotices,
  consumeRequests,
  decodeMessages,
  type HeartbeatData,
  membershipRequests,
  nameServerRequests,
  popRequests,
  queryRequests,
  sendRequests,
  writeMessageProperties,
} from '@gantrymq/protocol'
import { RemotingClient, type RemotingClientOptions, ResponseError, Router } from '@gantrymq/remoting'
import type { ScriptedBroker } from './scripted-broker.ts'
import { type TestClusterOptions, testCluster } from './test-cluster.ts'

async function connected(t: TestContext, options?: TestClusterOptions, onRequest?: RemotingClientOptions['onRequest']) {
  const cluster = await testCluster(t, options)
  const { clock, dial, broker } = cluster
  const client = cluster.own(new RemotingClient({ clock, dial, ...(onRequest && { onRequest }) }))
  return { cluster, client, broker }
}

function sendHeader(topic: string, properties: Record<string, string> = {}, more: { j?: number; e?: number } = {}) {
  const i = writeMessageProperties(Object.entries(properties))
  return { a: 'senders', b: topic, c: 'TBW102', d: 4, e: 0, f: 0, g: 1, h: 0, i, ...more }
}

function send(
  { client, broker }: { client: RemotingClient; broker: ScriptedBroker },
  topic: string,
  ...rest: [properties?: Record<string, string>, more?: { j?: number; e?: number }]
) {
  const input = { header: sendHeader(topic, ...rest), body: Buffer.from('hello') }
  return client.call(broker.address, sendRequests.SEND_MESSAGE_V2, input)
}

function pullHeader(queueOffset: number, sysFlag: number, subscription = '*') {
  const header = { consumerGroup: 'readers', topic: 'Orders', queueId: 0, queueOffset, maxMsgNums: 32, sysFlag }
  return { ...header, commitOffset: 0, suspendTimeoutMillis: 15_000, subVersion: 0, subscription }
}

function joining(clientID: string): HeartbeatData {
  const subscription = { topic: 'Orders', subString: '*', expressionType: 'TAG', tagsSet: [], codeSet: [] }
  return {
    clientID,
    producerDataSet: [{ groupName: 'senders' }],
    consumerDataSet: [
      {
        groupName: 'readers',
        consumeType: 'CONSUME_PASSIVELY',
        messageModel: 'CLUSTERING',
        consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
        subscriptionDataSet: [{ ...subscription, subVersion: 1 }],
      },
    ],
  }
}

function refusal(responseCode: number) {
  return (error: unknown) => error instanceof ResponseError && error.responseCode === responseCode
}

test('a sent message can be pulled, and found by its id and its key', async t => {
  const on = await connected(t)
  const sent = await send(on, 'Orders', { KEYS: 'a b', TAGS: 'new' })
  assert.equal(sent.header.queueOffset, 0)
  const { client, broker } = on
  const pulled = await client.call(broker.address, consumeRequests.PULL_MESSAGE, { header: pullHeader(0, 4) })
  assert.equal(pulled.header.nextBeginOffset, 1)
  const [message] = decodeMessages(pulled.body as Buffer)
  assert.equal(message?.body.toString(), 'hello')
  assert.equal(message?.storeHost.port, 10911)
  const offset = Number.parseInt(sent.header.msgId.slice(-16), 16)
  const viewed = await client.call(broker.address, queryRequests.VIEW_MESSAGE_BY_ID, { header: { offset } })
  assert.deepEqual(viewed.body, pulled.body)
  const header = { topic: 'Orders', key: 'b', maxNum: 5, beginTimestamp: 0, endTimestamp: Number.MAX_SAFE_INTEGER }
  const found = await client.call(broker.address, queryRequests.QUERY_MESSAGE, { header })
  assert.deepEqual(found.body, pulled.body)
})

test('a send creates a missing topic, unless the broker does not create topics', async t => {
  const on = await connected(t, { brokers: [{ autoCreateTopics: false }] })
  await assert.rejects(send(on, 'Orders'), refusal(17))
  on.broker.setTopic('Orders', { readQueues: 2 })
  await assert.rejects(send(on, 'Orders', {}, { e: 2 }), refusal(29))
  await send(on, 'Orders', {}, { e: 1 })
  const { client, cluster } = on
  const { GET_ROUTEINFO_BY_TOPIC } = nameServerRequests
  const route = await client.call(cluster.nameServer.address, GET_ROUTEINFO_BY_TOPIC, { header: { topic: 'Orders' } })
  assert.equal(route.body?.queueDatas[0]?.readQueueNums, 2)
  await assert.rejects(
    client.call(cluster.nameServer.address, GET_ROUTEINFO_BY_TOPIC, { header: { topic: 'Nowhere' } }),
    refusal(17),
  )
})

test('a pull outside of a queue gets the codes of Apache', async t => {
  const { client, broker } = await connected(t)
  const pull = async (offset: number, subscription = '*') => {
    const header = pullHeader(offset, 4, subscription)
    const { code, header: answer } = await client.call(broker.address, consumeRequests.PULL_MESSAGE, { header })
    return [code, answer.nextBeginOffset]
  }
  broker.setTopic('Orders')
  assert.deepEqual(await pull(0), [19, 0], 'nothing in the queue')
  assert.deepEqual(await pull(3), [21, 0], 'nothing in the queue, and another offset')
  for (let count = 0; count < 10; count++) broker.put({ topic: 'Orders', properties: new Map([['TAGS', 'old']]) })
  broker.log.trim('Orders', 0, 4)
  assert.deepEqual(await pull(2), [21, 4], 'too small')
  assert.deepEqual(await pull(10), [19, 10], 'at the end')
  assert.deepEqual(await pull(11), [21, 10], 'beyond the end')
  assert.deepEqual(await pull(4, 'new'), [20, 10], 'no match')
  assert.deepEqual(await pull(4, 'new || old'), [0, 10])
})

test('a pull waits for a matching message, is checked every five seconds, and ends after its timeout', async t => {
  const { client, broker, cluster } = await connected(t)
  broker.setTopic('Orders')
  const pull = (queueOffset: number, subscription: string) => {
    const header = pullHeader(queueOffset, 2 | 4, subscription)
    return client.call(broker.address, consumeRequests.PULL_MESSAGE, { header }, { timeoutMs: 30_000 })
  }
  const woken = pull(0, 'new')
  await cluster.until(() => broker.waitingPulls === 1)
  broker.put({ topic: 'Orders', properties: new Map([['TAGS', 'old']]) })
  await cluster.settle()
  assert.equal(broker.waitingPulls, 1, 'a message that does not match answers no pull')
  broker.put({ topic: 'Orders', properties: new Map([['TAGS', 'new']]) })
  assert.equal((await woken).header.nextBeginOffset, 2)

  const idle = pull(2, 'new')
  await cluster.until(() => broker.waitingPulls === 1)
  await cluster.advance(14_900)
  assert.equal(broker.waitingPulls, 1)
  await cluster.advance(200)
  assert.equal((await idle).code, 19)
})

test('a new group starts at 0 as long as no message was removed', async t => {
  const { client, broker } = await connected(t)
  const header = { consumerGroup: 'readers', topic: 'Orders', queueId: 0 }
  const query = () => client.call(broker.address, consumeRequests.QUERY_CONSUMER_OFFSET, { header })
  for (let count = 0; count < 3; count++) broker.put({ topic: 'Orders' })
  assert.equal((await query()).header.offset, 0)
  broker.log.trim('Orders', 0, 2)
  await assert.rejects(query(), refusal(22))
  await client.call(broker.address, consumeRequests.UPDATE_CONSUMER_OFFSET, { header: { ...header, commitOffset: 2 } })
  assert.equal((await query()).header.offset, 2)
  assert.equal(broker.committed('Orders', 'readers', 0), 2)
})

test('members get a notice when one joins or leaves', async t => {
  const notices: string[] = []
  const router = new Router(
    { NOTIFY_CONSUMER_IDS_CHANGED: clientNotices.NOTIFY_CONSUMER_IDS_CHANGED },
    {
      NOTIFY_CONSUMER_IDS_CHANGED({ header }) {
        notices.push(header.consumerGroup)
        return {}
      },
    },
    null,
  )
  const { client, broker, cluster } = await connected(t, {}, (command, peer) => router.dispatch(command, peer))
  const { clock, dial } = cluster
  const beat = (by: RemotingClient, id: string) =>
    by.call(broker.address, membershipRequests.HEART_BEAT, { header: {}, body: joining(id) })
  await beat(client, 'one')
  await beat(client, 'one')
  await cluster.settle()
  assert.deepEqual(notices, ['readers'], 'the same heartbeat again sends no notice')
  const other = new RemotingClient({ clock, dial })
  await beat(other, 'two')
  const header = { consumerGroup: 'readers' }
  const list = await client.call(broker.address, membershipRequests.GET_CONSUMER_LIST_BY_GROUP, { header })
  assert.deepEqual(list.body?.consumerIdList, ['one', 'two'])
  await other.close()
  await cluster.until(() => notices.length === 3)
  assert.deepEqual(broker.clientIds, ['one'])
  await cluster.advance(119_000)
  broker.dropSilentClients()
  assert.deepEqual(broker.clientIds, ['one'])
  // The client itself closes idle connections after 120 s, too.
  await cluster.advance(2000)
  broker.dropSilentClients()
  assert.deepEqual(broker.clientIds, [])
})

test('a queue is locked for one client until it unlocks the queue or is silent for a minute', async t => {
  const { client, broker, cluster } = await connected(t)
  const mqSet = [{ topic: 'Orders', brokerName: 'broker-a', queueId: 0 }]
  const lock = async (clientId: string) => {
    const body = { clientId, consumerGroup: 'readers', mqSet }
    const reply = await client.call(broker.address, consumeRequests.LOCK_BATCH_MQ, { header: {}, body })
    return reply.body?.lockOKMQSet.length
  }
  assert.equal(await lock('one'), 1)
  assert.equal(await lock('two'), 0)
  await cluster.advance(60_001, 1000)
  assert.equal(await lock('two'), 1)
  const body = { clientId: 'one', consumerGroup: 'readers', mqSet }
  await client.call(broker.address, consumeRequests.UNLOCK_BATCH_MQ, { header: {}, body })
  assert.equal(await lock('one'), 0, 'only the owner of a lock can release it')
})

test('a message that is sent back goes to the retry topic, and after the last retry to the dead letter topic', async t => {
  const { client, broker } = await connected(t, { brokers: [{ delays: 'by-hand' }] })
  const sendBack = (offset: number) => {
    const header = { offset, group: 'readers', delayLevel: 0, maxReconsumeTimes: 1 }
    return client.call(broker.address, sendRequests.CONSUMER_SEND_MSG_BACK, { header })
  }
  await sendBack(broker.put({ topic: 'Orders' }).physicalOffset)
  assert.equal(broker.log.messages('%RETRY%readers').length, 0, 'the delay of the message has not passed')
  assert.equal(broker.log.messages('SCHEDULE_TOPIC_XXXX', 2)[0]?.message.properties.get('DELAY'), '3')
  broker.deliverDelayed()
  const [retried] = broker.log.messages('%RETRY%readers')
  assert.equal(retried?.message.reconsumeTimes, 1)
  assert.equal(retried?.message.properties.get('RETRY_TOPIC'), 'Orders')
  await sendBack(retried?.physicalOffset ?? -1)
  assert.equal(broker.log.messages('%DLQ%readers').length, 1)
  await assert.rejects(sendBack(999), refusal(1))
})

test('5.x allows one retry more than 4.9 before a message is a dead letter', async t => {
  for (const [release, dead] of [
    ['4.9', 1],
    ['5.x', 0],
  ] as const) {
    const on = await connected(t, { brokers: [{ release }] })
    await send(on, '%RETRY%readers', {}, { j: 16 })
    assert.equal(on.broker.log.messages('%DLQ%readers').length, dead, release)
  }
})

test('consumers see a half message when its producer commits it, at once or after a check', async t => {
  const checked: number[] = []
  const router = new Router(
    { CHECK_TRANSACTION_STATE: clientNotices.CHECK_TRANSACTION_STATE },
    {
      CHECK_TRANSACTION_STATE({ header, body }) {
        assert.equal(decodeMessages(body as Buffer)[0]?.topic, 'Orders')
        checked.push(header.commitLogOffset, header.tranStateTableOffset)
        return {}
      },
    },
    null,
  )
  const on = await connected(t, {}, (command, peer) => router.dispatch(command, peer))
  const { client, broker, cluster } = on
  await client.call(broker.address, membershipRequests.HEART_BEAT, { header: {}, body: joining('one') })
  await send(on, 'Orders', { TRAN_MSG: 'true', PGROUP: 'senders', UNIQ_KEY: 'U1' })
  assert.equal(broker.log.messages('Orders').length, 0)
  assert.equal(broker.checkBack(), 1)
  await cluster.until(() => checked.length > 0)
  const [commitLogOffset = 0, tranStateTableOffset = 0] = checked
  const header = { commitLogOffset, tranStateTableOffset, commitOrRollback: 8, msgId: 'U1' }
  const end = (producerGroup: string) =>
    client.call(broker.address, sendRequests.END_TRANSACTION, { header: { ...header, producerGroup } })
  await assert.rejects(end('others'), /The producer group wrong/)
  await end('senders')
  assert.equal(broker.log.messages('Orders')[0]?.message.sysFlag, 8)
  assert.equal(broker.checkBack(), 0)
})

test('the broker sends a reply to the producer that waits for it', async t => {
  const pushed: (string | undefined)[] = []
  const { PUSH_REPLY_MESSAGE_TO_CLIENT } = clientNotices
  const router = new Router(
    { PUSH_REPLY_MESSAGE_TO_CLIENT },
    {
      PUSH_REPLY_MESSAGE_TO_CLIENT({ body }) {
        pushed.push(body?.toString())
        return {}
      },
    },
    null,
  )
  const { client, broker } = await connected(t, {}, (command, peer) => router.dispatch(command, peer))
  const reply = () => {
    const input = { header: sendHeader('Replies', { REPLY_TO_CLIENT: 'one' }), body: Buffer.from('yes') }
    return client.call(broker.address, sendRequests.SEND_REPLY_MESSAGE_V2, input)
  }
  await assert.rejects(reply(), /channel of <one> not found/)
  await client.call(broker.address, membershipRequests.HEART_BEAT, { header: {}, body: joining('one') })
  await reply()
  assert.deepEqual(pushed, ['yes'])
  await assert.rejects(broker.callUnknown('one'), refusal(3))
})

test('a popped message arrives again from the retry topic unless it is acknowledged in time', async t => {
  const { client, broker, cluster } = await connected(t)
  broker.put({ topic: 'Orders' })
  broker.put({ topic: 'Orders' })
  const pop = async () => {
    const header = { consumerGroup: 'readers', topic: 'Orders', queueId: -1, maxMsgNums: 32, invisibleTime: 10_000 }
    const more = { pollTime: 0, bornTime: cluster.clock.now(), initMode: 0 }
    return client.call(broker.address, popRequests.POP_MESSAGE, { header: { ...header, ...more } })
  }
  const first = await pop()
  assert.equal(first.header.msgOffsetInfo, '0 0 0,1')
  assert.equal((await pop()).code, 210)
  const extraInfo = `0 ${first.header.popTime} 10000 0 0 broker-a 0 0`
  const ack = { consumerGroup: 'readers', topic: 'Orders', queueId: 0, offset: 0, extraInfo }
  await client.call(broker.address, popRequests.ACK_MESSAGE, { header: ack })
  assert.equal(broker.committed('Orders', 'readers', 0), 1)
  await cluster.advance(10_000, 1000)
  const again = await pop()
  assert.equal(again.header.msgOffsetInfo, '1 0 0')
  const [message] = decodeMessages(again.body as Buffer)
  assert.equal(message?.topic, 'Orders')
  assert.equal(message?.reconsumeTimes, 1)
  assert.equal(message?.properties.get('POP_CK'), `0 ${cluster.clock.now()} 10000 0 1 broker-a 0 0`)
  assert.equal(broker.committed('Orders', 'readers', 0), 2)
})

test('4.9 does not support pop', async t => {
  const { client, broker } = await connected(t, { brokers: [{ release: '4.9' }] })
  const header = { consumerGroup: 'readers', topic: 'Orders', queueId: 0 }
  await assert.rejects(client.call(broker.address, popRequests.POLLING_INFO, { header }), refusal(3))
})

test('the first clients get one queue more, and clients in pop mode all queues of each broker', async t => {
  const { client, broker } = await connected(t, { brokers: 2 })
  broker.setTopic('Orders', { readQueues: 3 })
  await client.call(broker.address, membershipRequests.HEART_BEAT, { header: {}, body: joining('one') })
  const query = async () => {
    const body = { topic: 'Orders', consumerGroup: 'readers', clientId: 'one', strategyName: 'AVG' }
    const input = { body: { ...body, messageModel: 'CLUSTERING' as const } }
    const reply = await client.call(broker.address, popRequests.QUERY_ASSIGNMENT, input)
    return reply.body?.messageQueueAssignments?.map(each => `${each.mode} ${each.messageQueue.queueId}`)
  }
  assert.deepEqual(await query(), ['PULL 0', 'PULL 1', 'PULL 2'])
  const mode = { topic: 'Orders', consumerGroup: 'readers', mode: 'POP' as const, popShareQueueNum: 0 }
  await client.call(broker.address, popRequests.SET_MESSAGE_REQUEST_MODE, { body: mode })
  assert.deepEqual(await query(), ['POP -1'])
})
