import assert from 'node:assert/strict'
import {
  clientNotices,
  consumeRequests,
  decodeMessages,
  membershipRequests,
  queryRequests,
  readOffsetMessageId,
} from '@gantrymq/protocol'
import {
  BROKER,
  type BrokerCall,
  clientId,
  GROUP,
  queueOf,
  type BrokerUnderTest,
  send,
  subscription,
  until,
} from './broker-under-test.ts'

const pullFields = (topic: string, queueOffset: number) => ({
  consumerGroup: GROUP,
  topic,
  queueId: 0,
  queueOffset,
  maxMsgNums: 32,
  sysFlag: 4,
  commitOffset: 0,
  suspendTimeoutMillis: 0,
  subscription: '*',
  subVersion: 1700000000000,
  expressionType: 'TAG',
})

const pull = (call: BrokerCall, topic: string, offset: number) =>
  call(consumeRequests.PULL_MESSAGE, { header: pullFields(topic, offset) })

/** Sends and pulls with both kinds of header, also where no message is. */
export async function checkSendAndPull({ call, callBinary }: BrokerUnderTest, topic: string): Promise<void> {
  const sent = await send(call, topic, 'first')
  assert.equal(sent.header.queueOffset, 0)
  assert.equal(sent.header.MSG_REGION, 'DefaultRegion')
  assert.equal((await send(callBinary, topic, 'second')).header.queueOffset, 1)
  await until(
    () => pull(call, topic, 1),
    reply => reply.code === 0,
  )
  for (const each of [call, callBinary]) {
    const found = await pull(each, topic, 0)
    const messages = decodeMessages(found.body ?? Buffer.alloc(0))
    assert.deepEqual(
      messages.map(message => message.body.toString()),
      ['first', 'second'],
    )
    assert.deepEqual([found.header.nextBeginOffset, found.header.maxOffset], [2, 2])
    const none = await pull(each, topic, 2)
    assert.deepEqual([none.code, none.header.nextBeginOffset, none.body], [19, 2, null])
    const beyond = await pull(each, topic, 100)
    assert.deepEqual([beyond.code, beyond.header.nextBeginOffset], [21, 2])
  }
}

/** Finds messages by offset, time, id and key. */
export async function checkQueries({ call }: BrokerUnderTest, topic: string): Promise<void> {
  const sent = await send(call, topic, 'found')
  const queue = { topic, queueId: 0 }
  await until(
    () => call(queryRequests.GET_MAX_OFFSET, { header: queue }),
    ({ header }) => header?.offset === 1,
  )
  assert.equal((await call(queryRequests.GET_MIN_OFFSET, { header: queue })).header.offset, 0)
  const { header } = await call(queryRequests.GET_EARLIEST_MSG_STORETIME, { header: queue })
  assert.ok(Math.abs(header.timestamp - Date.now()) < 60_000)
  const search = { ...queue, timestamp: header.timestamp }
  assert.equal((await call(queryRequests.SEARCH_OFFSET_BY_TIMESTAMP, { header: search })).header.offset, 0)
  const { physicalOffset } = readOffsetMessageId(sent.header.msgId)
  const viewed = await call(queryRequests.VIEW_MESSAGE_BY_ID, { header: { topic, offset: Number(physicalOffset) } })
  assert.equal(decodeMessages(viewed.body ?? Buffer.alloc(0))[0]?.body.toString(), 'found')
  const query = { topic, key: 'the-key', maxNum: 32, beginTimestamp: 0, endTimestamp: 9223372036854775807n }
  const byKey = await until(
    () => call(queryRequests.QUERY_MESSAGE, { header: query }),
    reply => reply.code === 0,
  )
  assert.equal(decodeMessages(byKey.body ?? Buffer.alloc(0))[0]?.topic, topic)
}

/** Joins a group, locks a queue, commits an offset, answers an admin, and leaves. */
export async function checkMembership(broker: BrokerUnderTest, topic: string): Promise<void> {
  const { call, notices } = broker
  const sent = await send(call, topic, 'consumed')
  const group = 'membership-group'
  const consumer = {
    groupName: group,
    consumeType: 'CONSUME_PASSIVELY',
    messageModel: 'CLUSTERING',
    consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
    subscriptionDataSet: [subscription(topic)],
  } as const
  const heartbeat = { clientID: clientId, producerDataSet: [{ groupName: 'p' }], consumerDataSet: [consumer] }
  await call(membershipRequests.HEART_BEAT, { body: heartbeat })
  const members = await call(membershipRequests.GET_CONSUMER_LIST_BY_GROUP, { header: { consumerGroup: group } })
  assert.deepEqual(members.body, { consumerIdList: [clientId] })
  const sql = { ...subscription(topic), subString: 'a >', expressionType: 'SQL92' }
  await assert.rejects(
    call(membershipRequests.CHECK_CLIENT_CONFIG, { body: { clientId, group, subscriptionData: sql } }),
    { name: 'ResponseError' },
  )
  const queues = { consumerGroup: group, clientId, mqSet: [queueOf(topic)] }
  const locked = await call(consumeRequests.LOCK_BATCH_MQ, { body: queues })
  assert.deepEqual(locked.body, { lockOKMQSet: queues.mqSet })
  await call(consumeRequests.UNLOCK_BATCH_MQ, { body: queues })
  await checkOffsets(broker, group, topic)
  await checkNotices(broker, { group, topic, msgId: sent.header.msgId })
  await call(membershipRequests.UNREGISTER_CLIENT, { header: { clientID: clientId, consumerGroup: group } })
  await until(
    async () => notices.includes(`changed ${group}`),
    found => found,
  )
}

async function checkOffsets({ call, maker }: BrokerUnderTest, consumerGroup: string, topic: string): Promise<void> {
  const queue = { consumerGroup, topic, queueId: 0 }
  await call(consumeRequests.UPDATE_CONSUMER_OFFSET, { header: { ...queue, commitOffset: 1 } })
  const known = await call(consumeRequests.QUERY_CONSUMER_OFFSET, { header: queue })
  assert.equal(known.header.offset, 1)
  const unknown = { ...queue, queueId: 3, consumerGroup: 'unknown', setZeroIfNotFound: false }
  const asked = call(consumeRequests.QUERY_CONSUMER_OFFSET, { header: unknown })
  // 4.9 ignores setZeroIfNotFound: in a queue that still has its first message a new group starts at 0.
  if (maker === '4.9.7') assert.equal((await asked).header.offset, 0)
  else await assert.rejects(asked, { responseCode: 22 })
}

interface SentMessage {
  readonly group: string
  readonly topic: string
  readonly msgId: string
}

/** An admin asks a client; the broker forwards the question. */
async function checkNotices({ callAsAdmin }: BrokerUnderTest, { group, topic, msgId }: SentMessage): Promise<void> {
  const of = { consumerGroup: group, clientId }
  const info = await callAsAdmin(clientNotices.GET_CONSUMER_RUNNING_INFO, { header: of })
  assert.deepEqual(info.body?.properties, new Map([['of', clientId]]))
  const message = { ...of, topic, msgId, brokerName: BROKER }
  const consumed = await callAsAdmin(clientNotices.CONSUME_MESSAGE_DIRECTLY, { header: message })
  assert.equal(consumed.body?.consumeResult, 'CR_LATER')
  assert.equal(consumed.body?.remark, `${topic} consumed`)
}
