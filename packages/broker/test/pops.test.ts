import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  brokerAdminRequests,
  consumeRequests,
  decodeMessages,
  membershipRequests,
  POP_ORDER_REVIVE_QUEUE,
  popRequests,
  type PopReceipt,
  readMessageOffsets,
  readOrderCounts,
  readStartOffsets,
  topicRequests,
  writePopReceipt,
} from '@gantrymq/protocol'
import type { CallInput, Reply } from '@gantrymq/remoting'
import { brokerInMemory, type InMemory } from './broker-in-memory.ts'
import { messagesIn, sendMessage, settle } from './requests.ts'

type PopRequest = (typeof popRequests)['POP_MESSAGE']
type PopHeader = NonNullable<CallInput<PopRequest>['header']>
type PopReply = Reply<PopRequest>

const GROUP = 'billing'
const INVISIBLE_MS = 10_000

function pop({ client, brokerAddress }: InMemory, given: Partial<PopHeader> = {}): Promise<PopReply> {
  const header = {
    consumerGroup: GROUP,
    topic: 'Orders',
    queueId: -1,
    maxMsgNums: 32,
    invisibleTime: INVISIBLE_MS,
    pollTime: 0,
    bornTime: 0,
    initMode: 0,
    ...given,
  }
  return client.call(brokerAddress, popRequests.POP_MESSAGE, { header }, { timeoutMs: 60_000 })
}

const bodiesOf = ({ body }: PopReply): string[] =>
  decodeMessages(body ?? Buffer.alloc(0)).map(each => String(each.body))

/** The receipts of the messages of an answer, as a client makes them. */
function receiptsOf({ header, body }: PopReply): (PopReceipt & { readonly queueOffset: number })[] {
  const starts = readStartOffsets(header.startOffsetInfo ?? '')
  return decodeMessages(body ?? Buffer.alloc(0)).map(({ queueId, queueOffset }) => ({
    startOffset: starts.get(`0@${queueId}`) ?? assert.fail('no start offset'),
    popTime: header.popTime,
    invisibleMs: header.invisibleTime,
    reviveQueueId: header.reviveQid,
    retry: '0' as const,
    brokerName: 'broker-a',
    queueId,
    queueOffset: Number(queueOffset),
  }))
}

const ackHeader = (receipt: PopReceipt & { readonly queueOffset: number }, topic = 'Orders') => ({
  consumerGroup: GROUP,
  topic,
  queueId: receipt.queueId,
  offset: receipt.queueOffset,
  extraInfo: writePopReceipt(receipt),
})

async function acknowledge({ client, brokerAddress }: InMemory, reply: PopReply): Promise<void> {
  for (const receipt of receiptsOf(reply)) {
    await client.call(brokerAddress, popRequests.ACK_MESSAGE, { header: ackHeader(receipt) })
  }
}

async function passes(mq: InMemory, ms: number): Promise<void> {
  mq.clock.advance(ms)
  await settle()
}

const backlogOf = ({ broker }: InMemory): number => broker.status.group(GROUP)?.backlog ?? 0

test('messages of all queues are popped once, and the answer says where they were', async t => {
  const mq = await brokerInMemory(t)
  for (const [body, queueId] of [['a', 1], ['b', 1], ['c', 3]] as const) await sendMessage(mq, { queueId }, body) // biome-ignore format: one thought
  const first = await pop(mq)
  assert.deepEqual(bodiesOf(first).toSorted(), ['a', 'b', 'c'])
  const { header } = first
  assert.deepEqual(Object.fromEntries(readMessageOffsets(header.msgOffsetInfo ?? '')), { '0@1': [0, 1], '0@3': [0] })
  assert.deepEqual([header.invisibleTime, header.popTime, header.restNum], [INVISIBLE_MS, mq.clock.now(), 0])
  await sendMessage(mq, { queueId: 1 }, 'd')
  await sendMessage(mq, { queueId: 1 }, 'e')
  assert.equal((await pop(mq, { maxMsgNums: 1 })).header.restNum, 1)
  await pop(mq)
  const second = await pop(mq)
  assert.deepEqual([second.code, second.remark, bodiesOf(second)], [210, 'NO_MESSAGE_IN_QUEUE', []])
})

test('an acknowledged message never comes again', async t => {
  const mq = await brokerInMemory(t)
  await sendMessage(mq)
  const popped = await pop(mq)
  assert.equal(backlogOf(mq), 1, 'it is not consumed yet')
  await acknowledge(mq, popped)
  assert.equal(backlogOf(mq), 0)
  await passes(mq, 60_000)
  assert.equal((await pop(mq)).code, 210)
})

test('a message that is not acknowledged comes again with its topic, its receipt and the number of its deliveries', async t => {
  const mq = await brokerInMemory(t)
  await sendMessage(mq, { properties: 'TAGS\u0001red\u0002UNIQ_KEY\u0001u1\u0002' })
  const { header } = await pop(mq)
  await passes(mq, INVISIBLE_MS - 200)
  assert.equal((await pop(mq)).code, 210, 'it came too early')
  await passes(mq, 300)
  const again = await pop(mq, { invisibleTime: 5000 })
  const [message] = decodeMessages(again.body ?? Buffer.alloc(0))
  assert.ok(message)
  const { TAGS, UNIQ_KEY, POP_CK, '1ST_POP_TIME': firstPop } = Object.fromEntries(message.properties)
  assert.deepEqual([message.topic, message.reconsumeTimes, TAGS, UNIQ_KEY, firstPop], ['Orders', 1, 'red', 'u1', String(header.popTime)]) // biome-ignore format: one thought
  assert.equal(POP_CK, `0 ${again.header.popTime} 5000 ${again.header.reviveQid} 1 broker-a 0 0`)
  assert.equal(again.header.msgOffsetInfo, '1 0 0')
  const [stored] = await messagesIn(mq, `%RETRY%${GROUP}_Orders`, 0)
  assert.equal(stored?.properties.has('POP_CK'), false)
  await passes(mq, 5100)
  assert.equal(decodeMessages((await pop(mq)).body ?? Buffer.alloc(0))[0]?.reconsumeTimes, 2)
})

for (const [form, mark, enableRetryTopicV2] of [
  ['_', '1', false],
  ['+', '2', true],
] as const) {
  test(`the retry topic is %RETRY%group${form}topic if enableRetryTopicV2 is ${enableRetryTopicV2}`, async t => {
    const mq = await brokerInMemory(t, { enableRetryTopicV2, random: () => 0.51 })
    await sendMessage(mq)
    await pop(mq)
    await passes(mq, INVISIBLE_MS + 100)
    assert.equal((await pop(mq)).header.msgOffsetInfo, `${mark} 0 0`)
    assert.equal(mq.broker.status.topic(`%RETRY%${GROUP}${form}Orders`)?.queues[0]?.maxOffset, 1)
  })
}

for (const [dice, first] of [
  [0.19, 'a'],
  [0.2, 'b'],
] as const) {
  // biome-ignore format: one thought
  test(`of a hundred pops twenty read what comes again before all else: with ${dice} that is ${first}`, async t => {
    const mq = await brokerInMemory(t, { random: () => dice })
    await sendMessage(mq, {}, 'a')
    await pop(mq)
    await passes(mq, INVISIBLE_MS + 100)
    await sendMessage(mq, {}, 'b')
    assert.deepEqual(bodiesOf(await pop(mq, { maxMsgNums: 1 })), [first])
  })
}

test('with the newer name, what is in the older retry topic is popped as well', async t => {
  const mq = await brokerInMemory(t, { random: () => 0.51 })
  await sendMessage(mq)
  await pop(mq)
  await passes(mq, INVISIBLE_MS + 100)
  const { client, brokerAddress } = mq
  await client.call(brokerAddress, brokerAdminRequests.UPDATE_BROKER_CONFIG, { body: 'enableRetryTopicV2=true' })
  assert.equal((await pop(mq)).header.msgOffsetInfo, '1 0 0')
})

test('a late acknowledgement of a message that was popped again has no effect', async t => {
  const mq = await brokerInMemory(t)
  await sendMessage(mq)
  const first = await pop(mq)
  await passes(mq, INVISIBLE_MS + 100)
  const again = await pop(mq)
  assert.equal(bodiesOf(again).length, 1)
  await acknowledge(mq, first)
  assert.equal(backlogOf(mq), 1)
  await passes(mq, INVISIBLE_MS + 100)
  assert.equal(bodiesOf(await pop(mq)).length, 1)
})

test('a pop waits for messages, and gets the first one that its filter accepts', async t => {
  const mq = await brokerInMemory(t)
  await sendMessage(mq, { properties: 'TAGS\u0001old\u0002' }, 'first')
  const waiting = pop(mq, { pollTime: 20_000, exp: 'red', expType: 'TAG' })
  await settle()
  const polling = { consumerGroup: GROUP, topic: 'Orders', queueId: -1 }
  const info = await mq.client.call(mq.brokerAddress, popRequests.POLLING_INFO, { header: polling })
  assert.equal(info.header.pollingNum, 1)
  await sendMessage(mq, { properties: 'TAGS\u0001blue\u0002' }, 'unwanted')
  await sendMessage(mq, { properties: 'TAGS\u0001red\u0002' }, 'wanted')
  assert.deepEqual(bodiesOf(await waiting), ['wanted'])
})

test('messages that a filter does not want are passed over for good', async t => {
  const mq = await brokerInMemory(t)
  await sendMessage(mq, { properties: 'TAGS\u0001old\u0002' })
  assert.equal((await pop(mq, { exp: 'red', expType: 'TAG' })).code, 210)
  assert.equal(backlogOf(mq), 0)
  assert.equal((await pop(mq)).code, 210)
})

test('a pop that waits in vain is answered when its time is over', async t => {
  const mq = await brokerInMemory(t)
  await sendMessage(mq)
  await acknowledge(mq, await pop(mq))
  const codes: number[] = []
  const waiting = pop(mq, { pollTime: 5000 }).then(({ code }) => codes.push(code))
  await settle()
  await passes(mq, 4800)
  assert.deepEqual(codes, [])
  await passes(mq, 300)
  await waiting
  assert.deepEqual(codes, [210])
})

test('of several waiting pops one gets the message, and the others wait on', async t => {
  const mq = await brokerInMemory(t)
  await sendMessage(mq)
  await pop(mq)
  const replies: PopReply[] = []
  const waiting = [1, 2, 3].map(() => pop(mq, { pollTime: 20_000 }).then(reply => replies.push(reply)))
  await settle()
  await sendMessage(mq, {}, 'next')
  await settle()
  assert.deepEqual(replies.map(bodiesOf), [['next']])
  await sendMessage(mq, {}, 'one more')
  await settle()
  assert.equal(replies.length, 2)
  await passes(mq, INVISIBLE_MS + 200)
  assert.equal(replies.length, 3, 'a message that comes again wakes a pop as well')
  await Promise.all(waiting)
})

test('a changed invisible time counts from then on, with a new receipt', async t => {
  const mq = await brokerInMemory(t)
  await sendMessage(mq)
  const [receipt] = receiptsOf(await pop(mq))
  assert.ok(receipt)
  await passes(mq, 8000)
  const header = { ...ackHeader(receipt), invisibleTime: 30_000 }
  const changed = await mq.client.call(mq.brokerAddress, popRequests.CHANGE_MESSAGE_INVISIBLETIME, { header })
  assert.deepEqual([changed.header.popTime, changed.header.invisibleTime], [mq.clock.now(), 30_000])
  await passes(mq, 29_000)
  assert.equal((await pop(mq)).code, 210)
  const newReceipt = { ...receipt, popTime: changed.header.popTime, invisibleMs: 30_000 }
  await mq.client.call(mq.brokerAddress, popRequests.ACK_MESSAGE, { header: ackHeader(receipt) })
  assert.equal(backlogOf(mq), 1, 'the old receipt is not valid any more')
  await mq.client.call(mq.brokerAddress, popRequests.ACK_MESSAGE, { header: ackHeader(newReceipt) })
  assert.equal(backlogOf(mq), 0)
})

/** Acknowledges messages of queue 1 with one request, which has an entry for each list. Offset 400 does not exist. */
async function acknowledgeBits(
  { client, brokerAddress }: InMemory,
  { reviveQid, popTime }: PopReply['header'],
  ...lists: readonly number[][]
) {
  const entry = {
    consumerGroup: GROUP,
    topic: 'Orders',
    retry: '0',
    startOffset: 0,
    queueId: 1,
    reviveQueueId: reviveQid,
    popTime,
    invisibleTime: INVISIBLE_MS,
  }
  const acks = lists.map(bits => ({ ...entry, bits }))
  await client.call(brokerAddress, popRequests.BATCH_ACK_MESSAGE, { body: { brokerName: 'broker-a', acks } })
}

test('several ordered messages are acknowledged by their bits, and bits without a message are passed over', async t => {
  const mq = await brokerInMemory(t)
  for (const body of ['a', 'b', 'c']) await sendMessage(mq, {}, body)
  const { header } = await pop(mq, { order: true, maxMsgNums: 2 })
  await acknowledgeBits(mq, header, [0, 1, 400])
  assert.deepEqual(bodiesOf(await pop(mq, { order: true })), ['c'])
})

test('an ordered message that was not popped is refused, and the others of its request are acknowledged', async t => {
  const mq = await brokerInMemory(t)
  for (const body of ['a', 'b', 'c', 'd']) await sendMessage(mq, {}, body)
  const { header } = await pop(mq, { order: true, maxMsgNums: 2 })
  await assert.rejects(acknowledgeBits(mq, header, [3], [0, 1]), {
    responseCode: 13,
    remark: /^offset is illegal, key:/,
  })
  assert.deepEqual(bodiesOf(await pop(mq, { order: true })), ['c', 'd'])
})

test('several messages are acknowledged by their bits', async t => {
  const mq = await brokerInMemory(t)
  for (const body of ['a', 'b', 'c']) await sendMessage(mq, {}, body)
  const { header } = await pop(mq)
  await acknowledgeBits(mq, header, [0, 2, 400])
  assert.equal(backlogOf(mq), 1)
  await passes(mq, INVISIBLE_MS + 100)
  assert.deepEqual(bodiesOf(await pop(mq)), ['b'])
})

test('an ordered pop blocks its queue until all its messages are acknowledged', async t => {
  const mq = await brokerInMemory(t)
  for (const body of ['a', 'b', 'c']) await sendMessage(mq, {}, body)
  const first = await pop(mq, { order: true, maxMsgNums: 2 })
  assert.equal(first.header.reviveQid, POP_ORDER_REVIVE_QUEUE)
  assert.deepEqual(bodiesOf(first), ['a', 'b'])
  assert.equal((await pop(mq, { order: true })).code, 210)
  const next = pop(mq, { order: true, pollTime: 15_000 })
  await settle()
  await acknowledge(mq, first)
  assert.deepEqual(bodiesOf(await next), ['c'])
  assert.equal(mq.broker.status.group(GROUP)?.backlog, 1)
})

test('ordered messages that are not acknowledged come again in their place, and are counted', async t => {
  const mq = await brokerInMemory(t)
  for (const body of ['a', 'b']) await sendMessage(mq, {}, body)
  const first = await pop(mq, { order: true })
  const [receipt] = receiptsOf(first)
  await mq.client.call(mq.brokerAddress, popRequests.ACK_MESSAGE, { header: ackHeader(receipt ?? assert.fail()) })
  const waiting = pop(mq, { order: true, pollTime: 15_000 })
  await settle()
  await passes(mq, INVISIBLE_MS + 100)
  const again = await waiting
  assert.deepEqual(bodiesOf(again), ['b'])
  assert.deepEqual(Object.fromEntries(readOrderCounts(again.header.orderCountInfo ?? '')), { '0@qo1%1': 1, '0@1': 1 })
  const wrong = { ...ackHeader({ ...receipt!, popTime: again.header.popTime, queueOffset: 2 }) }
  await assert.rejects(mq.client.call(mq.brokerAddress, popRequests.ACK_MESSAGE, { header: wrong }), {
    responseCode: 13,
    remark: /offset is illegal, key:Orders@billing@1, old:1, commit:2, next:-1/,
  })
})

test('an ordered pop that is repeated with the same attempt gets the same messages', async t => {
  const mq = await brokerInMemory(t)
  await sendMessage(mq)
  const first = await pop(mq, { order: true, attemptId: 'one' })
  const again = await pop(mq, { order: true, attemptId: 'one' })
  assert.deepEqual(bodiesOf(again), bodiesOf(first))
  assert.deepEqual(Object.fromEntries(readOrderCounts(again.header.orderCountInfo ?? '')), { '0@1': 0 })
})

test('a pop and a peek of all queues take as many bytes as fit into a frame, and the rest comes with the next', async t => {
  const mq = await brokerInMemory(t)
  for (let queueId = 0; queueId < 4; queueId++) await sendMessage(mq, { queueId }, 'x'.repeat(3_000_000))
  const { header, body } = await mq.client.call(mq.brokerAddress, popRequests.PEEK_MESSAGE, {
    header: { consumerGroup: GROUP, topic: 'Orders', queueId: -1, maxMsgNums: 32 },
  })
  assert.deepEqual([decodeMessages(body ?? Buffer.alloc(0)).length, header.restNum], [2, 4])
  const [first, second] = [await pop(mq), await pop(mq)]
  assert.deepEqual([first, second].map(each => [bodiesOf(each).length, each.header.restNum]), [[2, 2], [2, 0]]) // biome-ignore format: one thought
})

test('a notification says at once that there are messages, or waits for them', async t => {
  const mq = await brokerInMemory(t)
  await sendMessage(mq)
  const header = { consumerGroup: GROUP, topic: 'Orders', queueId: -1, pollTime: 10_000, bornTime: 0 }
  const ask = () => mq.client.call(mq.brokerAddress, popRequests.NOTIFICATION, { header }, { timeoutMs: 60_000 })
  assert.equal((await ask()).header.hasMsg, true)
  await pop(mq)
  const waiting = ask()
  await settle()
  await sendMessage(mq)
  assert.equal((await waiting).header.hasMsg, true)
  await pop(mq)
  const vain = ask()
  await settle()
  await passes(mq, 10_000)
  assert.equal((await vain).header.hasMsg, false)
})

test('a peek returns messages and leaves them where they are', async t => {
  const mq = await brokerInMemory(t)
  for (const body of ['a', 'b']) await sendMessage(mq, {}, body)
  const header = { consumerGroup: GROUP, topic: 'Orders', queueId: 1, maxMsgNums: 1 }
  const peeked = await mq.client.call(mq.brokerAddress, popRequests.PEEK_MESSAGE, { header })
  assert.deepEqual([decodeMessages(peeked.body ?? Buffer.alloc(0)).length, peeked.header.restNum], [1, 2])
  assert.equal(bodiesOf(await pop(mq)).length, 2)
})

test('the offset of the group moves on with the pop, as in Apache', async t => {
  const mq = await brokerInMemory(t)
  for (const body of ['a', 'b']) await sendMessage(mq, {}, body)
  await pop(mq)
  const header = { topic: 'Orders', consumerGroup: GROUP, queueId: 1 }
  const { offset } = (await mq.client.call(mq.brokerAddress, consumeRequests.QUERY_CONSUMER_OFFSET, { header })).header
  assert.equal(offset, 2)
})

test('a group that has popped too much gets nothing more until it acknowledges', async t => {
  const mq = await brokerInMemory(t, { popInflightMessageThreshold: 2 })
  for (const body of ['a', 'b', 'c']) await sendMessage(mq, {}, body)
  const first = await pop(mq)
  assert.deepEqual(bodiesOf(first), ['a', 'b'])
  const waiting = pop(mq, { pollTime: 10_000 })
  await settle()
  await acknowledge(mq, first)
  assert.deepEqual(bodiesOf(await waiting), ['c'])
})

test('a pop that waits because its group has popped too much gets messages when those have come again', async t => {
  const mq = await brokerInMemory(t, { popInflightMessageThreshold: 1 })
  for (const body of ['a', 'b']) await sendMessage(mq, { queueId: 0 }, body)
  assert.deepEqual(bodiesOf(await pop(mq)), ['a'])
  const bodies: string[] = []
  for (let pops = 0; pops < 2; pops++) {
    void pop(mq, { pollTime: 30_000, bornTime: mq.clock.now() }).then(reply => bodies.push(...bodiesOf(reply)))
  }
  await settle()
  mq.clock.advance(INVISIBLE_MS + 100)
  await settle()
  assert.deepEqual(bodies.toSorted(), ['a', 'b'])
})

test('the messages of a deleted topic do not come again, and its retry topic is deleted with it', async t => {
  const mq = await brokerInMemory(t)
  await sendMessage(mq)
  await pop(mq)
  await passes(mq, INVISIBLE_MS + 1000)
  assert.ok(mq.broker.status.topic(`%RETRY%${GROUP}_Orders`))
  await sendMessage(mq)
  assert.equal(bodiesOf(await pop(mq)).length, 2)
  await mq.client.call(mq.brokerAddress, topicRequests.DELETE_TOPIC_IN_BROKER, { header: { topic: 'Orders' } })
  assert.equal(mq.broker.status.traffic().backlog, 0)
  await passes(mq, INVISIBLE_MS + 1000)
  assert.equal(mq.broker.status.traffic().backlog, 0)
  assert.equal(mq.broker.status.topic(`%RETRY%${GROUP}_Orders`), undefined)
})

test('the broker assigns queues, which are pulled until an operator says that they are popped', async t => {
  const mq = await brokerInMemory(t)
  await sendMessage(mq)
  await settle()
  const { client, brokerAddress } = mq
  const consumer = {
    groupName: GROUP,
    consumeType: 'CONSUME_POP',
    messageModel: 'CLUSTERING',
    consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
    subscriptionDataSet: [],
  } as const
  const beat = { clientID: 'c1', producerDataSet: [], consumerDataSet: [consumer] }
  await client.call(brokerAddress, membershipRequests.HEART_BEAT, { body: beat })
  const question = { topic: 'Orders', consumerGroup: GROUP, clientId: 'c1', strategyName: 'AVG', messageModel: 'CLUSTERING' } as const // biome-ignore format: one thought
  const ask = async () => (await client.call(brokerAddress, popRequests.QUERY_ASSIGNMENT, { body: question })).body
  const pulled = (await ask())?.messageQueueAssignments ?? []
  assert.deepEqual(pulled.map(({ messageQueue, mode }) => [messageQueue.queueId, mode]), [[0, 'PULL'], [1, 'PULL'], [2, 'PULL'], [3, 'PULL']]) // biome-ignore format: one thought
  const mode = { topic: 'Orders', consumerGroup: GROUP, mode: 'POP', popShareQueueNum: 0 } as const
  await client.call(brokerAddress, popRequests.SET_MESSAGE_REQUEST_MODE, { body: mode })
  assert.deepEqual((await ask())?.messageQueueAssignments, [
    { messageQueue: { topic: 'Orders', brokerName: 'broker-a', queueId: -1 }, mode: 'POP' },
  ])
})

test('a broker with a folder refuses pops with a sentence, and assigns queues that are pulled', async t => {
  const storePathRootDir = await mkdtemp(join(tmpdir(), 'broker-'))
  const mq = await brokerInMemory(t, { storePathRootDir })
  t.after(() => rm(storePathRootDir, { recursive: true, force: true }))
  await sendMessage(mq)
  const refusal = { responseCode: 1, remark: /pop message is forbidden because timerWheelEnable is false: .*--memory/ }
  await assert.rejects(pop(mq), refusal)
  const body = { topic: 'Orders', consumerGroup: GROUP, mode: 'POP', popShareQueueNum: 0 } as const
  await assert.rejects(mq.client.call(mq.brokerAddress, popRequests.SET_MESSAGE_REQUEST_MODE, { body }), refusal)
})
