import assert from 'node:assert/strict'
import { decodeMessages, membershipRequests, popRequests } from '@gantrymq/protocol'
import {
  BROKER,
  type BrokerCall,
  clientId,
  GROUP,
  type BrokerUnderTest,
  send,
  subscription,
  until,
} from './broker-under-test.ts'

/** Pops, changes invisible times, acknowledges, pops an empty queue, and asks for an assignment (5.x). */
export async function checkPop({ call }: BrokerUnderTest, topic: string): Promise<void> {
  for (const body of ['1', '2', '3']) await send(call, topic, body)
  const popped = await until(
    () => pop(call, topic),
    reply => reply.code === 0,
  )
  const { header } = popped
  const offsets = (header.msgOffsetInfo ?? '').split(' ').at(-1)?.split(',').map(Number) ?? []
  assert.equal(decodeMessages(popped.body ?? Buffer.alloc(0)).length, offsets.length)
  assert.ok(header.popTime > 0 && header.invisibleTime === 60_000)
  await checkInvisibleTime(call, topic, header, offsets[0] ?? 0)
  await checkAcks(call, topic, header, offsets.slice(1))
  const none = await until(
    () => pop(call, topic),
    reply => reply.code !== 0,
  )
  assert.ok([19, 209, 210].includes(none.code), String(none.code))
  const notification = { consumerGroup: GROUP, topic, queueId: 0, pollTime: 0, bornTime: Date.now() }
  assert.equal((await call(popRequests.NOTIFICATION, { header: notification })).header.hasMsg, false)
  await checkAssignment(call, topic)
}

function pop(call: BrokerCall, topic: string) {
  const fields = {
    consumerGroup: GROUP,
    topic,
    queueId: 0,
    maxMsgNums: 32,
    invisibleTime: 60_000,
    pollTime: 0,
    bornTime: Date.now(),
    initMode: 0,
    expType: 'TAG',
    exp: '*',
  }
  return call(popRequests.POP_MESSAGE, { header: fields })
}

interface PopReceipt {
  readonly popTime: number
  readonly reviveQid: number
}

async function checkInvisibleTime(
  call: BrokerCall,
  topic: string,
  { popTime, reviveQid }: PopReceipt,
  offset: number,
): Promise<void> {
  const info = (time: number, invisible: number, revive: number) =>
    [offset, time, invisible, revive, 0, BROKER, 0, offset].join(' ')
  const message = { consumerGroup: GROUP, topic, queueId: 0, offset }
  const change = { ...message, extraInfo: info(popTime, 60_000, reviveQid), invisibleTime: 30_000 }
  const { header } = await call(popRequests.CHANGE_MESSAGE_INVISIBLETIME, { header: change })
  assert.equal(header.invisibleTime, 30_000)
  const extraInfo = info(header.popTime, 30_000, header.reviveQid)
  await call(popRequests.ACK_MESSAGE, { header: { ...message, extraInfo } })
}

async function checkAcks(
  call: BrokerCall,
  topic: string,
  popped: PopReceipt,
  offsets: readonly number[],
): Promise<void> {
  const [startOffset] = offsets
  if (startOffset === undefined) return
  const ack = {
    consumerGroup: GROUP,
    topic,
    retry: '0',
    startOffset,
    queueId: 0,
    reviveQueueId: popped.reviveQid,
    popTime: popped.popTime,
    invisibleTime: 60_000,
    bits: offsets.map(offset => offset - startOffset),
  }
  await call(popRequests.BATCH_ACK_MESSAGE, { body: { brokerName: BROKER, acks: [ack] } })
}

async function checkAssignment(call: BrokerCall, topic: string): Promise<void> {
  const mode = { topic, consumerGroup: GROUP, mode: 'POP', popShareQueueNum: 0 } as const
  await call(popRequests.SET_MESSAGE_REQUEST_MODE, { body: mode })
  const consumer = {
    groupName: GROUP,
    consumeType: 'CONSUME_POP',
    messageModel: 'CLUSTERING',
    consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
    subscriptionDataSet: [subscription(topic)],
  } as const
  await call(membershipRequests.HEART_BEAT, {
    body: { clientID: clientId, producerDataSet: [], consumerDataSet: [consumer] },
  })
  const body = { topic, consumerGroup: GROUP, clientId, strategyName: 'AVG', messageModel: 'CLUSTERING' } as const
  const reply = await until(
    () => call(popRequests.QUERY_ASSIGNMENT, { body }),
    ({ body: answer }) => (answer?.messageQueueAssignments?.length ?? 0) > 0,
  )
  assert.deepEqual([...new Set(reply.body?.messageQueueAssignments?.map(each => each.mode))], ['POP'])
}
