import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  brokerAdminRequests,
  consumeRequests,
  defaultGroupConfig,
  groupRequests,
  offsetMessageId,
  PROPERTY,
  readOffsetMessageId,
  responseCodes,
  sendRequests,
  topicRequests,
} from '@gantrymq/protocol'
import { brokerInMemory, type InMemory } from './broker-in-memory.ts'
import { messagesIn, sendMessage, settle } from './requests.ts'

type Header = Partial<{ offset: number; group: string; delayLevel: number; maxReconsumeTimes: number }>

const sendBack = ({ client, brokerAddress }: InMemory, given: Header = {}) => {
  const header = { offset: 0, group: 'payers', delayLevel: 0, ...given }
  return client.call(brokerAddress, sendRequests.CONSUMER_SEND_MSG_BACK, { header })
}
const positionOf = (msgId: string): number => Number(readOffsetMessageId(msgId).physicalOffset)
const host = { ip: '10.0.1.1', port: 10_911 }

test('a message that is sent back comes again from the retry topic after ten seconds', async t => {
  const mq = await brokerInMemory(t)
  const { header } = await sendMessage(mq, { properties: 'KEYS\u0001k\u0002WAIT\u0001true\u0002' })
  await sendBack(mq, { offset: positionOf(header.msgId) })
  const [waiting] = await messagesIn(mq, 'SCHEDULE_TOPIC_XXXX', 2)
  assert.equal(waiting?.reconsumeTimes, 1)
  mq.clock.advance(10_100)
  await settle()
  const [again] = await messagesIn(mq, '%RETRY%payers', 0)
  assert.deepEqual([again?.reconsumeTimes, again?.body.toString(), again?.flag], [1, 'hello', 7])
  const { RETRY_TOPIC, ORIGIN_MESSAGE_ID, KEYS, DELAY, REAL_TOPIC } = Object.fromEntries(again?.properties ?? [])
  assert.deepEqual(
    { RETRY_TOPIC, ORIGIN_MESSAGE_ID, KEYS, DELAY, REAL_TOPIC },
    { RETRY_TOPIC: 'Orders', ORIGIN_MESSAGE_ID: header.msgId, KEYS: 'k', DELAY: '3', REAL_TOPIC: '%RETRY%payers' },
  )
})

test('a message is not taken back for a group whose retry topic no message can name', async t => {
  const mq = await brokerInMemory(t)
  const { header } = await sendMessage(mq)
  const group = 'g'.repeat(121)
  const refused = { responseCode: responseCodes.SYSTEM_ERROR, remark: 'MESSAGE_ILLEGAL' }
  await assert.rejects(sendBack(mq, { offset: positionOf(header.msgId), group }), refused)
  await sendBack(mq, { offset: positionOf(header.msgId), group: group.slice(1) })
  mq.clock.advance(10_100)
  await settle()
  assert.equal((await messagesIn(mq, `%RETRY%${group.slice(1)}`, 0)).length, 1)
})

test('each retry waits longer, and names the first topic and message; the last one is a dead letter', async t => {
  const mq = await brokerInMemory(t)
  const sent = await sendMessage(mq)
  let position = positionOf(sent.header.msgId)
  for (const DELAY of ['3', '4', '5']) {
    await sendBack(mq, { offset: position, maxReconsumeTimes: 3 })
    mq.clock.advance(61_000)
    await settle()
    const again = (await messagesIn(mq, '%RETRY%payers', 0)).at(-1)
    assert.equal(again?.properties.get(PROPERTY.DELAY), DELAY)
    position = Number(again.physicalOffset)
  }
  await sendBack(mq, { offset: position, maxReconsumeTimes: 3 })
  const [dead] = await messagesIn(mq, '%DLQ%payers', 0)
  assert.equal(dead?.reconsumeTimes, 4)
  const { RETRY_TOPIC, ORIGIN_MESSAGE_ID, DELAY } = Object.fromEntries(dead.properties)
  assert.deepEqual({ RETRY_TOPIC, ORIGIN_MESSAGE_ID, DELAY }, { RETRY_TOPIC: 'Orders', ORIGIN_MESSAGE_ID: sent.header.msgId, DELAY: '0' }) // biome-ignore format: one thought
  const topic = await mq.client.call(mq.brokerAddress, topicRequests.GET_TOPIC_CONFIG, { header: { topic: '%DLQ%payers' } }) // biome-ignore format: one thought
  assert.deepEqual([topic.body?.writeQueueNums, topic.body?.perm], [1, 6])
})

test('a consumer may choose the delay, or that a message becomes a dead letter', async t => {
  const mq = await brokerInMemory(t)
  const { header } = await sendMessage(mq)
  const offset = positionOf(header.msgId)
  await sendBack(mq, { offset, delayLevel: 5 })
  assert.equal((await messagesIn(mq, 'SCHEDULE_TOPIC_XXXX', 4)).length, 1)
  await sendBack(mq, { offset, delayLevel: -1 })
  assert.equal((await messagesIn(mq, '%DLQ%payers', 0)).length, 1)
})

test('the maximum of the group counts if the consumer names none', async t => {
  const mq = await brokerInMemory(t)
  const body = { ...defaultGroupConfig('payers'), retryMaxTimes: 0 }
  await mq.client.call(mq.brokerAddress, groupRequests.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, { body })
  const { header } = await sendMessage(mq)
  await sendBack(mq, { offset: positionOf(header.msgId) })
  assert.equal((await messagesIn(mq, '%DLQ%payers', 0)).length, 1)
})

test('what cannot be sent back is refused with the codes and remarks of Apache', async t => {
  const mq = await brokerInMemory(t, { autoCreateSubscriptionGroup: false })
  await assert.rejects(sendBack(mq), {
    responseCode: responseCodes.SUBSCRIPTION_GROUP_NOT_EXIST,
    remark: /^subscription group not exist, payers/,
  })
  const create = (change: object) => {
    const body = { ...defaultGroupConfig('payers'), ...change }
    return mq.client.call(mq.brokerAddress, groupRequests.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, { body })
  }
  await create({ retryQueueNums: 0 })
  await sendBack(mq, { offset: 77 })
  await create({})
  await assert.rejects(sendBack(mq, { offset: 77 }), {
    responseCode: responseCodes.SYSTEM_ERROR,
    remark: 'look message by offset failed, 77',
  })
  await assert.rejects(sendBack(mq, { offset: -1 }), { remark: 'look message by offset failed, -1' })
})

const toRetryTopic = { topic: '%RETRY%payers', queueId: 0, maxReconsumeTimes: 3 }

test('a message that a consumer sends to the retry topic becomes a dead letter after too many times', async t => {
  const mq = await brokerInMemory(t)
  const properties = 'DELAY\u00016\u0002RETRY_TOPIC\u0001Orders\u0002'
  await sendMessage(mq, { ...toRetryTopic, properties, reconsumeTimes: 3 })
  assert.equal((await messagesIn(mq, 'SCHEDULE_TOPIC_XXXX', 5)).length, 1)
  const answer = await sendMessage(mq, { ...toRetryTopic, properties, reconsumeTimes: 4 })
  const [dead] = await messagesIn(mq, '%DLQ%payers', 0)
  assert.equal(dead?.properties.get(PROPERTY.DELAY), '-1')
  assert.equal(answer.header.msgId, offsetMessageId(host, dead.physicalOffset))
})

test('a group that consumes in order has had its retries: what it sends to its retry topic is a dead letter', async t => {
  const mq = await brokerInMemory(t)
  const body = { clientId: 'c', consumerGroup: 'payers', mqSet: [{ topic: 'Orders', brokerName: 'broker-a', queueId: 0 }] } // biome-ignore format: one thought
  await mq.client.call(mq.brokerAddress, consumeRequests.LOCK_BATCH_MQ, { body })
  await sendMessage(mq, { ...toRetryTopic, reconsumeTimes: 1 })
  assert.equal((await messagesIn(mq, '%DLQ%payers', 0)).length, 1)
})

test('messages that are sent back are counted by their first topic, if it exists', async t => {
  const mq = await brokerInMemory(t)
  const { header: own } = await sendMessage(mq)
  const { header: invented } = await sendMessage(mq, { properties: 'RETRY_TOPIC\u0001Nowhere\u0002' })
  for (const { msgId } of [own, invented]) await sendBack(mq, { offset: positionOf(msgId) })
  mq.clock.advance(10_000)
  const count = (topic: string) =>
    mq.client.call(mq.brokerAddress, brokerAdminRequests.VIEW_BROKER_STATS_DATA, {
      header: { statsName: 'SNDBCK_PUT_NUMS', statsKey: `${topic}@payers` },
    })
  assert.equal((await count('Orders')).body?.statsMinute.sum, 1)
  await assert.rejects(count('Nowhere'), { responseCode: 1 })
})
