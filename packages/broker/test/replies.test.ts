import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import {
  clientNotices,
  membershipRequests,
  offsetMessageId,
  PROPERTY,
  readMessageProperties,
  responseCodes,
  sendRequests,
} from '@gantrymq/protocol'
import { type Call, RemotingClient, ResponseError, Router } from '@gantrymq/remoting'
import type { BrokerStartOptions } from '@gantrymq/broker'
import { brokerInMemory, type InMemory } from './broker-in-memory.ts'
import { messagesIn, settle } from './requests.ts'

const { PUSH_REPLY_MESSAGE_TO_CLIENT } = clientNotices
type Push = Call<typeof PUSH_REPLY_MESSAGE_TO_CLIENT>

const REPLIES = 'DefaultCluster_REPLY_TOPIC'
const PROPERTIES = 'CORRELATION_ID\u0001r1\u0002REPLY_TO_CLIENT\u0001requester\u0002MSG_TYPE\u0001reply\u0002'
const { SYSTEM_ERROR } = responseCodes

interface Requester extends InMemory {
  readonly pushed: Push[]
  answer: () => object | Promise<never>
}

async function start(t: TestContext, options: BrokerStartOptions = {}): Promise<Requester> {
  const requester: Requester = { ...(await brokerInMemory(t, options)), pushed: [], answer: () => ({}) }
  const { clock, dial, brokerAddress } = requester
  const handlers = {
    PUSH_REPLY_MESSAGE_TO_CLIENT: (call: Push) => {
      requester.pushed.push(call)
      return requester.answer()
    },
  }
  const router = new Router({ PUSH_REPLY_MESSAGE_TO_CLIENT }, handlers, {})
  const producer = new RemotingClient({ clock, dial, onRequest: (command, peer) => router.dispatch(command, peer) })
  t.after(() => producer.close())
  const body = { clientID: 'requester', producerDataSet: [{ groupName: 'requesters' }], consumerDataSet: [] }
  await producer.call(brokerAddress, membershipRequests.HEART_BEAT, { body })
  return requester
}

function reply({ client, brokerAddress }: InMemory, properties = PROPERTIES, body = Buffer.from('42')) {
  const header = { producerGroup: 'CLIENT_INNER_PRODUCER', topic: REPLIES, defaultTopic: 'TBW102', defaultTopicQueueNums: 4, queueId: 0, sysFlag: 0, bornTimestamp: 5, flag: 3, properties } // biome-ignore format: one thought
  return client.call(brokerAddress, sendRequests.SEND_REPLY_MESSAGE, { header, body }, { timeoutMs: 60_000 }) // biome-ignore format: one thought
}

test('a reply goes to the producer that waits for it, and a copy is stored', async t => {
  const mq = await start(t)
  const { header } = await reply(mq)
  const [pushed] = mq.pushed
  assert.equal(pushed?.body?.toString(), '42')
  const { topic, bornHost, storeHost, storeTimestamp, properties = '', flag } = pushed.header
  assert.deepEqual(
    [topic, bornHost?.startsWith('10.0.2.1:'), storeHost, storeTimestamp, flag],
    [REPLIES, true, '10.0.1.1:10911', mq.clock.now(), 3],
  )
  const { CORRELATION_ID, PUSH_REPLY_TIME } = Object.fromEntries(readMessageProperties(properties))
  assert.deepEqual([CORRELATION_ID, PUSH_REPLY_TIME], ['r1', String(mq.clock.now())])
  const [copy] = await messagesIn(mq, REPLIES, 0)
  assert.equal(copy?.properties.get(PROPERTY.CORRELATION_ID), 'r1')
  assert.equal(header.msgId, offsetMessageId({ ip: '10.0.1.1', port: 10_911 }, copy.physicalOffset))
})

test('a reply is only delivered if storeReplyMessageEnable is off', async t => {
  const mq = await start(t, { storeReplyMessageEnable: false })
  const { header } = await reply(mq)
  assert.deepEqual([mq.pushed.length, header.msgId, header.queueOffset], [1, '0', 0])
  assert.deepEqual(await messagesIn(mq, REPLIES, 0), [])
})

test('large replies that come together are delivered as they are', async t => {
  const mq = await start(t)
  const replies = Array.from({ length: 20 }, (_, n) => reply(mq, PROPERTIES, Buffer.alloc(300_000 + n, 65 + n)))
  await Promise.all(replies)
  assert.equal(mq.pushed.length, 20)
  for (const { body } of mq.pushed) {
    const first = body![0]!
    assert.ok(body?.length === 300_000 + first - 65 && body.every(byte => byte === first), `reply ${first - 65}`)
  }
})

test('only so many bytes of replies wait for producers that do not answer', async t => {
  const mq = await start(t, { storeReplyMessageEnable: false })
  const { promise: answered, resolve: answer } = Promise.withResolvers<object>()
  mq.answer = () => answered
  const outcomes: string[] = []
  const body = Buffer.alloc(4_000_000)
  const send = async (): Promise<void> => {
    const outcome = await reply(mq, PROPERTIES, body).then(() => 'delivered', ({ remark }: ResponseError) => remark ?? '') // biome-ignore format: one thought
    outcomes.push(outcome)
  }
  const replies: Promise<void>[] = []
  for (let count = 1; count <= 20; count++) {
    replies.push(send())
    for (let n = 0; n < 100 && mq.pushed.length + outcomes.length < count; n++) await settle()
  }
  assert.deepEqual([mq.pushed.length, new Set(outcomes)], [16, new Set(['push reply message to requesterfail.'])])
  answer({})
  await Promise.all(replies)
  assert.equal(outcomes.filter(outcome => outcome === 'delivered').length, 16)
  await reply(mq)
})

test('a reply with short field names is delivered too', async t => {
  const mq = await start(t)
  const header = { a: 'p', b: REPLIES, c: 'TBW102', d: 4, e: 0, f: 0, g: 1, h: 0, i: PROPERTIES }
  await mq.client.call(mq.brokerAddress, sendRequests.SEND_REPLY_MESSAGE_V2, { header, body: Buffer.from('43') })
  assert.equal(mq.pushed[0]?.body?.toString(), '43')
})

test('a reply that cannot be delivered is refused with the remarks of Apache, and stored all the same', async t => {
  const mq = await start(t)
  const responseCode = SYSTEM_ERROR
  await assert.rejects(reply(mq, 'CORRELATION_ID\u0001r1\u0002'), { responseCode, remark: 'reply message properties[REPLY_TO_CLIENT] is null' }) // biome-ignore format: one thought
  await assert.rejects(reply(mq, 'REPLY_TO_CLIENT\u0001gone\u0002'), { responseCode, remark: 'push reply message fail, channel of <gone> not found.' }) // biome-ignore format: one thought
  mq.answer = () => Promise.reject(new ResponseError(SYSTEM_ERROR, 'no'))
  await assert.rejects(reply(mq), { responseCode, remark: 'push reply message to requesterfail.' })
  assert.equal((await messagesIn(mq, REPLIES, 0)).length, 3)
})

test('a producer that does not answer within ten seconds gets no reply, and others are served meanwhile', async t => {
  const mq = await start(t)
  mq.answer = () => new Promise<never>(() => {})
  const waiting = assert.rejects(reply(mq), { remark: 'push reply message to requesterfail.' })
  await settle()
  assert.deepEqual((await messagesIn(mq, REPLIES, 0)).length, 1)
  mq.clock.advance(10_100)
  await waiting
})
