import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import {
  consumeRequests,
  decodeMessages,
  defaultGroupConfig,
  encodeBatch,
  groupRequests,
  INNER_BATCH,
  membershipRequests,
  nameServerRequests,
  NEED_UNWRAP,
  offsetRequests,
  pullFlags,
  readOffsetMessageId,
  responseCodes,
  sendRequests,
  topicRequests,
} from '@gantrymq/protocol'
import { type CallInput, RemotingClient, ResponseError } from '@gantrymq/remoting'
import { brokerInMemory, type InMemory } from './broker-in-memory.ts'
import { sendInput } from './requests.ts'

type PullInput = CallInput<(typeof consumeRequests)['PULL_MESSAGE']>

function pullOf(given: Partial<NonNullable<PullInput['header']>> = {}): PullInput {
  const header = {
    consumerGroup: 'consumers',
    topic: 'Orders',
    queueId: 1,
    queueOffset: 0,
    maxMsgNums: 32,
    sysFlag: pullFlags.subscription,
    commitOffset: 0,
    suspendTimeoutMillis: 15_000,
    subscription: '*',
    subVersion: 0,
    expressionType: 'TAG',
    ...given,
  }
  return { header }
}

const send = ({ client, brokerAddress }: InMemory, input = sendInput()) =>
  client.call(brokerAddress, sendRequests.SEND_MESSAGE, input)
const pull = ({ client, brokerAddress }: InMemory, input = pullOf(), timeoutMs = 30_000) =>
  client.call(brokerAddress, consumeRequests.PULL_MESSAGE, input, { timeoutMs })

const newTopic = { topic: 'Orders', defaultTopic: 'TBW102', readQueueNums: 4, writeQueueNums: 4, perm: 6, topicFilterType: 'SINGLE_TAG', topicSysFlag: 0, order: false } as const // biome-ignore format: one thought

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await setImmediate()
}

test('a message is stored in a new topic, which name servers know, and is pulled as it was sent', async t => {
  const mq = await brokerInMemory(t)
  const sent = await send(
    mq,
    sendInput({ properties: 'KEYS\u00011\u0002TAGS\u0001new\u0002UNIQ_KEY\u0001id\u0002WAIT\u0001true\u0002' }),
  )
  assert.equal(sent.header.queueId, 1)
  assert.equal(sent.header.queueOffset, 0)
  assert.equal(sent.header.transactionId, 'id')
  assert.deepEqual(readOffsetMessageId(sent.header.msgId), {
    store: { ip: '10.0.1.1', port: 10_911 },
    physicalOffset: 0,
  })

  // The broker registers the topic beside its answer.
  await settle()
  const route = await mq.client.call(mq.nameServers, nameServerRequests.GET_ROUTEINFO_BY_TOPIC, {
    header: { topic: 'Orders' },
  })
  assert.equal(route.body?.queueDatas[0]?.writeQueueNums, 4)

  const pulled = await pull(mq)
  assert.equal(pulled.remark, 'FOUND')
  assert.deepEqual(
    { ...pulled.header },
    { suggestWhichBrokerId: 0, nextBeginOffset: 1, minOffset: 0, maxOffset: 1, topicSysFlag: 0, groupSysFlag: 0 },
  )
  const [stored] = decodeMessages(pulled.body!)
  assert.equal(stored?.body.toString(), 'hello')
  assert.equal(stored?.flag, 7)
  assert.deepEqual(stored?.bornHost, { ip: '10.0.2.1', port: 50_002 })
  const ofBroker = { CLUSTER: 'DefaultCluster', MSG_REGION: 'DefaultRegion', TRACE_ON: 'true' }
  const properties = { KEYS: '1', TAGS: 'new', UNIQ_KEY: 'id', ...ofBroker }
  assert.deepEqual(Object.fromEntries(stored?.properties ?? []), properties)
})

test('the messages of a batch get consecutive offsets in one queue', async t => {
  const mq = await brokerInMemory(t)
  const parts = ['a', 'b', 'c'].map(text => ({
    flag: 0,
    body: Buffer.from(text),
    properties: `TAGS\u0001${text}\u0002`,
  }))
  const header = { a: 'p', b: 'Orders', c: 'TBW102', d: 4, e: 0, f: 0, g: 1, h: 0, i: 'WAIT\u0001true\u0002', m: true }
  const sent = await mq.client.call(mq.brokerAddress, sendRequests.SEND_BATCH_MESSAGE, {
    header,
    body: encodeBatch(parts),
  })
  assert.equal(sent.header.msgId.split(',').length, 3)
  assert.equal(sent.header.queueOffset, 0)
  const pulled = await pull(mq, pullOf({ queueId: 0, subscription: 'a || c' }))
  const stored = decodeMessages(pulled.body!).map(({ body, queueOffset, properties }) => {
    return [body.toString(), queueOffset, Object.fromEntries(properties)]
  })
  assert.deepEqual(stored, [
    ['a', 0, { TAGS: 'a' }],
    ['c', 2, { TAGS: 'c' }],
  ])
  assert.equal(pulled.header.nextBeginOffset, 3)
})

test('a batch that is cut off is refused, and nothing of it is stored', async t => {
  const mq = await brokerInMemory(t)
  const body = encodeBatch([{ flag: 0, body: Buffer.from('a'), properties: '' }]).subarray(0, 20)
  const refused = send(mq, { ...sendInput({ batch: true }), body })
  await assert.rejects(refused, { responseCode: responseCodes.MESSAGE_ILLEGAL })
  assert.equal((await pull(mq)).header.maxOffset, 0)
})

const DELAYS = { DELAY: '3', TIMER_DELAY_SEC: '10', TIMER_DELAY_MS: '10', TIMER_DELIVER_MS: '9000000000000' }

for (const [name, value] of Object.entries(DELAYS)) {
  test(`a batch with ${name} is refused, whether it or one of its messages has it`, async t => {
    const mq = await brokerInMemory(t)
    const properties = `${name}\u0001${value}\u0002`
    const bodyWith = (own: string) =>
      encodeBatch(['', own].map(each => ({ flag: 0, body: Buffer.from('a'), properties: each })))
    const refused = { responseCode: responseCodes.MESSAGE_ILLEGAL, remark: /^a batch cannot be delivered later: send / }
    await assert.rejects(send(mq, { ...sendInput({ batch: true, properties }), body: bodyWith('') }), refused)
    await assert.rejects(send(mq, { ...sendInput({ batch: true }), body: bodyWith(properties) }), refused)
    assert.equal((await pull(mq)).header.maxOffset, 0)
  })
}

for (const level of ['three', '3.5', '3s', '99999999999']) {
  test(`a message with the delay level ${level} is refused, and not delivered at once`, async t => {
    const mq = await brokerInMemory(t)
    const properties = `DELAY\u0001${level}\u0002`
    const refused = { responseCode: responseCodes.MESSAGE_ILLEGAL, remark: `the property DELAY of the message must be a delay level, a whole number, and is "${level}"` } // biome-ignore format: one thought
    await assert.rejects(send(mq, sendInput({ properties })), refused)
    await assert.rejects(send(mq, sendInput({ properties: `${properties}TRAN_MSG\u0001true\u0002` })), refused)
    assert.equal((await pull(mq)).header.maxOffset, 0)
  })
}

test('a pull without messages is answered when one arrives', async t => {
  const mq = await brokerInMemory(t)
  await send(mq)
  const waiting = pull(mq, pullOf({ queueOffset: 1, sysFlag: pullFlags.subscription | pullFlags.suspend }))
  await settle()
  await send(mq, sendInput({}, 'second'))
  const pulled = await waiting
  assert.equal(decodeMessages(pulled.body!)[0]?.body.toString(), 'second')
})

test('a pull that waits while its topic is deleted and created again gets the messages of the new topic', async t => {
  const mq = await brokerInMemory(t)
  await mq.client.call(mq.brokerAddress, topicRequests.UPDATE_AND_CREATE_TOPIC, { header: newTopic })
  const waiting = pull(mq, pullOf({ sysFlag: pullFlags.subscription | pullFlags.suspend }))
  await settle()
  await mq.client.call(mq.brokerAddress, topicRequests.DELETE_TOPIC_IN_BROKER, { header: { topic: 'Orders' } })
  await mq.client.call(mq.brokerAddress, topicRequests.UPDATE_AND_CREATE_TOPIC, { header: newTopic })
  await send(mq)
  const pulled = await waiting
  assert.equal(decodeMessages(pulled.body!)[0]?.body.toString(), 'hello')
})

test('a pull without messages is answered with code 19 when its time is over', async t => {
  const mq = await brokerInMemory(t)
  await send(mq)
  const waiting = pull(mq, pullOf({ queueOffset: 1, sysFlag: pullFlags.subscription | pullFlags.suspend }))
  await settle()
  mq.clock.advance(14_900)
  let answered = false
  void waiting.then(() => (answered = true))
  await settle()
  assert.equal(answered, false)
  mq.clock.advance(200)
  assert.equal((await waiting).code, responseCodes.PULL_NOT_FOUND)
})

test('messages that a waiting consumer does not want are passed over after 5 s', async t => {
  const mq = await brokerInMemory(t)
  await send(mq, sendInput({ properties: 'TAGS\u0001new\u0002' }))
  const again = pull(
    mq,
    pullOf({ queueOffset: 1, subscription: 'paid', sysFlag: pullFlags.subscription | pullFlags.suspend }),
  )
  await settle()
  await send(mq, sendInput({ properties: 'TAGS\u0001new\u0002' }))
  mq.clock.advance(5200)
  const passed = await again
  assert.equal(passed.code, responseCodes.PULL_RETRY_IMMEDIATELY)
  assert.equal(passed.header.nextBeginOffset, 2)
})

test('a pull commits the offset of its group even if it waits', async t => {
  const mq = await brokerInMemory(t)
  await send(mq)
  const sysFlag = pullFlags.subscription | pullFlags.suspend | pullFlags.commitOffset
  const waiting = pull(mq, pullOf({ queueOffset: 1, commitOffset: 1, sysFlag }))
  await settle()
  const header = { consumerGroup: 'consumers', topic: 'Orders', queueId: 1 }
  const { header: known } = await mq.client.call(mq.brokerAddress, consumeRequests.QUERY_CONSUMER_OFFSET, { header })
  assert.equal(known.offset, 1)
  await mq.broker.close()
  await waiting.catch(() => {})
})

test('names that could leave the folder of the store are refused before anything is created', async t => {
  const mq = await brokerInMemory(t)
  for (const topic of ['../../x', 'a/b', 'a\u0000b', 'Bestellungen ü', '.', 'x'.repeat(128), ' ']) {
    await assert.rejects(send(mq, sendInput({ topic })), { responseCode: responseCodes.INVALID_PARAMETER })
  }
  for (const consumerGroup of ['../../x', 'a\u0000b', 'x'.repeat(256)]) {
    const refused = pull(mq, pullOf({ consumerGroup }))
    await assert.rejects(refused, { responseCode: responseCodes.SUBSCRIPTION_GROUP_NOT_EXIST })
  }
})

test('an unknown request is answered with code 3 in the words of Apache', async t => {
  const mq = await brokerInMemory(t)
  const error: unknown = await mq.client
    .call(mq.brokerAddress, { code: 9999, purpose: '' })
    .catch((caught: unknown) => caught)
  assert.ok(error instanceof ResponseError)
  assert.equal(error.responseCode, 3)
  assert.equal(error.remark, ' request type 9999 not supported')
})

test('a send to a queue that the topic does not have is refused', async t => {
  const mq = await brokerInMemory(t)
  await assert.rejects(send(mq, sendInput({ queueId: 4 })), {
    responseCode: responseCodes.INVALID_PARAMETER,
    remark:
      'request queueId[4] is illegal, TopicConfig [topicName=Orders, readQueueNums=4, writeQueueNums=4, perm=RW-, ' +
      'topicFilterType=SINGLE_TAG, topicSysFlag=0, order=false, attributes={}] Producer: 10.0.2.1:50002',
  })
})

test('a broker that rejects applications that pull serves groups that are pushed to, and the groups of the tools', async t => {
  const mq = await brokerInMemory(t, { rejectPullConsumerEnable: true })
  await send(mq)
  const beat = (groupName: string): Promise<unknown> => {
    const subscription = { topic: 'Orders', subString: '*', tagsSet: [], codeSet: [], subVersion: 1, expressionType: 'TAG', classFilterMode: false, filterClassSource: '' } // biome-ignore format: one thought
    const consumer = { groupName, consumeType: 'CONSUME_PASSIVELY', messageModel: 'CLUSTERING', consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET', subscriptionDataSet: [subscription] } as const // biome-ignore format: one thought
    const body = { clientID: 'c', producerDataSet: [], consumerDataSet: [consumer] }
    return mq.client.call(mq.brokerAddress, membershipRequests.HEART_BEAT, { body })
  }
  await beat('pushed')
  // Its new connection pulls before its first heartbeat.
  const other = new RemotingClient({ clock: mq.clock, dial: mq.dial })
  t.after(() => other.close())
  const codeOf = (given: Parameters<typeof pullOf>[0]): Promise<number> =>
    other.call(mq.brokerAddress, consumeRequests.PULL_MESSAGE, pullOf(given)).then(
      ({ code }) => code,
      (error: unknown) => (error as ResponseError).responseCode,
    )
  assert.equal(await codeOf({ consumerGroup: 'pushed' }), 0)
  for (const group of ['TOOLS_CONSUMER', '__MONITOR_CONSUMER', 'CID_RMQ_SYS_x', 'SELF_TEST_C_GROUP']) {
    assert.equal(await codeOf({ consumerGroup: group }), 0, group)
  }
  assert.equal(await codeOf({ consumerGroup: 'pulling' }), responseCodes.SUBSCRIPTION_NOT_EXIST)
  // As in Apache, this is the last check.
  assert.equal(await codeOf({ consumerGroup: 'pulling', topic: 'Unknown' }), responseCodes.TOPIC_NOT_EXIST)
})

test('an offset that comes along with a pull does not undo a reset that the consumer does not know yet', async t => {
  const mq = await brokerInMemory(t)
  for (let n = 0; n < 3; n++) await send(mq)
  const along = pullOf({ sysFlag: pullFlags.subscription | pullFlags.commitOffset, commitOffset: 3 })
  await pull(mq, along)
  const reset = { topic: 'Orders', group: 'consumers', timestamp: 0, isForce: true, offset: 1, queueId: 1 }
  await mq.client.call(mq.brokerAddress, offsetRequests.INVOKE_BROKER_TO_RESET_OFFSET, { header: reset })
  const { code, header } = await pull(mq, along)
  assert.deepEqual([code, header?.nextBeginOffset], [responseCodes.PULL_OFFSET_MOVED, 1])
  const [{ committed } = {}] = [...mq.broker.status.backlogs('consumers')].filter(({ queueId }) => queueId === 1)
  assert.equal(committed, 1)
  await pull(mq, along)
  assert.equal([...mq.broker.status.backlogs('consumers')][1]?.committed, 3)
})

test('a broker that may not be read says so to lite pull consumers, too', async t => {
  const mq = await brokerInMemory(t, { litePullMessageEnable: false, brokerPermission: 2 })
  const lite = mq.client.call(mq.brokerAddress, consumeRequests.LITE_PULL_MESSAGE, { header: pullOf().header! })
  await assert.rejects(lite, { responseCode: 16, remark: 'the broker[10.0.1.1] pulling message is forbidden' })
})

test('a batch that is too large is refused before its messages are looked at', async t => {
  const mq = await brokerInMemory(t, { maxMessageSize: 1024 })
  const messages = [...Array.from({ length: 50 }, () => new Map()), new Map([['DELAY', 'three']])]
  const body = encodeBatch(messages.map(properties => ({ flag: 0, body: Buffer.alloc(20), properties })))
  const { header } = sendInput({ batch: true })
  const limit = 'msg body length limit 1024B, msg properties length limit 32KB.'
  const remark = `the message is illegal, maybe msg body or properties length not matched. ${limit}`
  const batch = { header, body }
  await assert.rejects(send(mq, batch), { responseCode: responseCodes.MESSAGE_ILLEGAL, remark })
})

test('the group of a retry is looked at before its message, and a dead letter has no delay, as in Apache', async t => {
  const mq = await brokerInMemory(t, { autoCreateSubscriptionGroup: false, rejectTransactionMessage: true })
  const retry = sendInput({ topic: '%RETRY%shop', properties: 'DELAY\u0001three\u0002' }, '')
  await assert.rejects(send(mq, retry), { responseCode: responseCodes.SUBSCRIPTION_GROUP_NOT_EXIST })
  const half = sendInput({ properties: 'TRAN_MSG\u0001true\u0002' }, '')
  await assert.rejects(send(mq, half), { responseCode: responseCodes.NO_PERMISSION })
  const group = defaultGroupConfig('shop')
  await mq.client.call(mq.brokerAddress, groupRequests.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, { body: group })
  const properties = 'DELAY\u0001three\u0002'
  await send(mq, sendInput({ topic: '%RETRY%shop', reconsumeTimes: 17, properties }))
  assert.equal(mq.broker.store.queue('%DLQ%shop', 0)?.maxOffset, 1)
})

test('a batch that calls its messages batches themselves is refused, as one message is', async t => {
  const mq = await brokerInMemory(t)
  const plain = { flag: 0, body: Buffer.from('hello'), properties: new Map() }
  const inner = { ...plain, properties: new Map([['INNER_NUM', '2']]) }
  const batch = (given: object, messages = [plain]) => ({
    header: sendInput({ batch: true, ...given }).header,
    body: encodeBatch(messages),
  })
  const refused = { responseCode: responseCodes.MESSAGE_ILLEGAL }
  for (const sysFlag of [INNER_BATCH, NEED_UNWRAP]) await assert.rejects(send(mq, batch({ sysFlag })), refused)
  await assert.rejects(send(mq, batch({ properties: 'INNER_NUM\u00012\u0002' })), refused)
  await assert.rejects(send(mq, batch({}, [plain, inner])), refused)
  assert.equal((await send(mq, batch({}))).header.queueOffset, 0)
})
