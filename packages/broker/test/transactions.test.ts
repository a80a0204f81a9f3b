import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex, Readable } from 'node:stream'
import { test, type TestContext } from 'node:test'
import {
  brokerAdminRequests,
  clientNotices,
  connectionRequests,
  decodeMessage,
  membershipRequests,
  offsetMessageId,
  PROPERTY,
  readOffsetMessageId,
  responseCodes,
  sendRequests,
  type StoredMessage,
  topicRequests,
  TRANSACTION_COMMIT,
  TRANSACTION_ROLLBACK,
} from '@gantrymq/protocol'
import { type Call, type CallInput, type Dial, RemotingClient, request, Router } from '@gantrymq/remoting'
import type { BrokerStartOptions } from '@gantrymq/broker'
import { MemoryDisk } from '@gantrymq/store'
import { brokerInMemory, type InMemory } from './broker-in-memory.ts'
import { messagesIn, sendMessage, settle } from './requests.ts'

const { CHECK_TRANSACTION_STATE } = clientNotices
const END_TRANSACTION = request({
  code: 37,
  purpose: 'Ends a transaction, and says whether it did.',
  header: sendRequests.END_TRANSACTION.header,
})
type EndHeader = NonNullable<CallInput<(typeof sendRequests)['END_TRANSACTION']>['header']>
type Check = Call<typeof CHECK_TRANSACTION_STATE>

const HALF = 'RMQ_SYS_TRANS_HALF_TOPIC'
const GIVEN_UP = 'TRANS_CHECK_MAX_TIME_TOPIC'
const EXPIRY_MS = 6000
const INTERVAL_MS = 30_000

interface Producer extends InMemory {
  /** The checks that the broker has asked for. */
  readonly checks: { readonly header: Check['header']; readonly half: StoredMessage }[]
  readonly producer: RemotingClient
}

async function start(t: TestContext, options: BrokerStartOptions = {}): Promise<Producer> {
  const mq = await brokerInMemory(t, options)
  const checks: Producer['checks'] = []
  const handlers = {
    CHECK_TRANSACTION_STATE: ({ header, body }: Check) => {
      checks.push({ header, half: decodeMessage(body!) })
      return {}
    },
  }
  const router = new Router({ CHECK_TRANSACTION_STATE }, handlers, {})
  const producer = new RemotingClient({
    clock: mq.clock,
    dial: mq.dial,
    onRequest: (command, peer) => router.dispatch(command, peer),
  })
  t.after(() => producer.close())
  await beat({ ...mq, checks, producer })
  return { ...mq, checks, producer }
}

function beat({ producer, brokerAddress }: Producer) {
  const body = { clientID: 'c', producerDataSet: [{ groupName: 'payments' }], consumerDataSet: [] }
  return producer.call(brokerAddress, membershipRequests.HEART_BEAT, { body })
}

async function sendHalf(mq: InMemory, more = '', bornTimestamp = mq.clock.now()): Promise<EndHeader> {
  const properties = `UNIQ_KEY\u0001u1\u0002TRAN_MSG\u0001true\u0002PGROUP\u0001payments\u0002TAGS\u0001paid\u0002${more}`
  const { header } = await sendMessage(mq, { queueId: 2, properties, sysFlag: 4, bornTimestamp }, 'half')
  return endOf(Number(readOffsetMessageId(header.msgId).physicalOffset), header.queueOffset)
}

function endOf(commitLogOffset: number, tranStateTableOffset: number, more: Partial<EndHeader> = {}): EndHeader {
  return { producerGroup: 'payments', commitLogOffset, tranStateTableOffset, commitOrRollback: TRANSACTION_COMMIT, msgId: 'u1', ...more } // biome-ignore format: one thought
}

/** Asks for an answer, which producers do not. */
const end = ({ client, brokerAddress }: InMemory, header: EndHeader) =>
  client.call(brokerAddress, END_TRANSACTION, { header })

/** Lets time pass in steps, so that checks follow one another. */
async function pass(mq: Producer, intervals: number): Promise<void> {
  for (let count = 0; count < intervals; count++) {
    await beat(mq)
    mq.clock.advance(INTERVAL_MS)
    await settle()
  }
}

const bodies = async (mq: InMemory, topic: string, queueId: number) =>
  (await messagesIn(mq, topic, queueId)).map(({ body }) => body.toString())

test('consumers get the message of a transaction when it is committed, and only then', async t => {
  const mq = await start(t)
  const header = await sendHalf(mq)
  await sendMessage(mq, { queueId: 2 }, 'other')
  assert.deepEqual(await bodies(mq, 'Orders', 2), ['other'])
  await end(mq, header)
  const [, message] = await messagesIn(mq, 'Orders', 2)
  assert.equal(message?.body.toString(), 'half')
  assert.equal(message.sysFlag & TRANSACTION_ROLLBACK, TRANSACTION_COMMIT)
  assert.equal(message.preparedTransactionOffset, header.commitLogOffset)
  assert.equal(message.properties.get(PROPERTY.TAGS), 'paid')
  // As in Apache, whose text of the properties is made before the two are removed.
  assert.deepEqual([message.properties.get(PROPERTY.REAL_TOPIC), message.properties.get(PROPERTY.REAL_QUEUE_ID)], ['Orders', '2']) // biome-ignore format: one thought
  await pass(mq, 3)
  assert.equal(mq.checks.length, 0)
  const [operation] = await messagesIn(mq, 'RMQ_SYS_TRANS_OP_HALF_TOPIC', 0)
  assert.deepEqual([operation?.body.toString(), operation?.properties.get(PROPERTY.TAGS)], ['0', 'd'])
})

test('no one gets the message of a transaction that is rolled back, and its producer is not asked', async t => {
  const mq = await start(t)
  const header = await sendHalf(mq)
  await sendMessage(mq, { queueId: 2 }, 'other')
  await end(mq, { ...header, commitOrRollback: TRANSACTION_ROLLBACK })
  await pass(mq, 3)
  assert.deepEqual(await bodies(mq, 'Orders', 2), ['other'])
  assert.equal(mq.checks.length, 0)
})

test('a message that asks for a time waits for it when its transaction is committed', async t => {
  const mq = await start(t)
  const header = await sendHalf(mq, 'TIMER_DELAY_SEC\u000120\u0002')
  mq.clock.advance(5000)
  await end(mq, header)
  mq.clock.advance(19_000)
  await settle()
  assert.deepEqual(await bodies(mq, 'Orders', 2), [])
  mq.clock.advance(1100)
  await settle()
  assert.deepEqual(await bodies(mq, 'Orders', 2), ['half'])
})

test('a delay begins when the transaction is committed', async t => {
  const mq = await start(t)
  const header = await sendHalf(mq, 'DELAY\u00012\u0002')
  await sendMessage(mq, { queueId: 2 }, 'other')
  mq.clock.advance(5500)
  await settle()
  await end(mq, header)
  await settle()
  assert.deepEqual(await bodies(mq, 'Orders', 2), ['other'])
  mq.clock.advance(5100)
  await settle()
  assert.deepEqual(await bodies(mq, 'Orders', 2), ['other', 'half'])
})

test('a producer is asked about a transaction that has not ended, and its answer ends it', async t => {
  const mq = await start(t)
  mq.clock.advance(INTERVAL_MS - EXPIRY_MS + 1000)
  await sendHalf(mq)
  await pass(mq, 1)
  const [check] = mq.checks
  assert.equal(mq.checks.length, 1)
  const { topic, queueId, body, properties } = check!.half
  assert.deepEqual([topic, queueId, body.toString()], ['Orders', 2, 'half'])
  assert.equal(properties.get(PROPERTY.TRANSACTION_CHECK_TIMES), '1')
  const { commitLogOffset, tranStateTableOffset, msgId, transactionId } = check!.header
  assert.deepEqual([msgId, transactionId, tranStateTableOffset], ['u1', 'u1', 1])
  await end(mq, endOf(commitLogOffset, tranStateTableOffset, { fromTransactionCheck: true }))
  await pass(mq, 3)
  assert.deepEqual(await bodies(mq, 'Orders', 2), ['half'])
  assert.equal(mq.checks.length, 1)
})

test('a half message that is younger than transactionTimeOut is not asked about', async t => {
  const mq = await start(t)
  mq.clock.advance(INTERVAL_MS - EXPIRY_MS + 100)
  await sendHalf(mq)
  mq.clock.advance(EXPIRY_MS - 100)
  await settle()
  assert.equal(mq.checks.length, 0)
  await pass(mq, 1)
  assert.equal(mq.checks.length, 1)
})

test('after transactionCheckMax checks the broker gives up, and keeps the message in a topic of its own', async t => {
  const mq = await start(t, { transactionCheckMax: 3 })
  await sendHalf(mq)
  await pass(mq, 10)
  assert.equal(mq.checks.length, 3)
  assert.deepEqual(mq.checks.map(({ half }) => half.properties.get(PROPERTY.TRANSACTION_CHECK_TIMES)), ['1', '2', '3']) // biome-ignore format: one thought
  const [givenUp, ...more] = await messagesIn(mq, GIVEN_UP, 0)
  assert.equal(givenUp?.body.toString(), 'half')
  assert.equal(more.length, 0)
})

test('a half message that has no room for the number of its checks is given up, and holds up no other', async t => {
  const mq = await start(t)
  const refused = async (length: number): Promise<boolean> => {
    const sent = sendHalf(mq, `LONG\u0001${'x'.repeat(length)}\u0002`).then(() => false, () => true) // biome-ignore format: one thought
    return await sent
  }
  let length = 32_400
  while (!(await refused(length + 10))) length += 10
  const longest = (await messagesIn(mq, HALF, 0)).length
  await sendHalf(mq, 'KEYS\u0001other\u0002')
  await pass(mq, 3)
  assert.equal(
    mq.checks.some(({ half }) => half.properties.get(PROPERTY.KEYS) === 'other'),
    true,
  )
  const givenUp = await messagesIn(mq, GIVEN_UP, 0)
  assert.ok(givenUp.length > 0 && givenUp.length <= longest)
})

test('what the broker notes of the checks of a message does not come from its producer', async t => {
  const mq = await start(t)
  // As in a message that was received and is sent again.
  await sendHalf(mq, 'TRANSACTION_CHECK_TIMES\u000115\u0002TRAN_PREPARED_QUEUE_OFFSET\u00017\u0002')
  await pass(mq, 1)
  assert.deepEqual(
    mq.checks.map(({ half }) => half.properties.get(PROPERTY.TRANSACTION_CHECK_TIMES)),
    ['1'],
  )
})

test('a commit that cannot wait for its time is refused like a send', async t => {
  const mq = await start(t, { timerMaxDelaySec: 10 })
  const remark = /^timer message illegal, the delay time should not be bigger than the max delay 10000ms;/
  await assert.rejects(end(mq, await sendHalf(mq, 'TIMER_DELAY_SEC\u000120\u0002')), { responseCode: 13, remark })
})

test('an operator has a half message checked again that the broker has given up on', async t => {
  const mq = await start(t, { transactionCheckMax: 3 })
  await sendHalf(mq)
  await pass(mq, 10)
  const [givenUp] = await messagesIn(mq, GIVEN_UP, 0)
  const resume = (msgId: string) =>
    mq.client.call(mq.brokerAddress, brokerAdminRequests.RESUME_CHECK_HALF_MESSAGE, { header: { msgId } })
  await resume(offsetMessageId(givenUp!.storeHost, givenUp!.physicalOffset))
  await pass(mq, 2)
  const { header, half } = mq.checks.at(-1)!
  assert.deepEqual([mq.checks.length > 3, half.properties.get(PROPERTY.TRANSACTION_CHECK_TIMES)], [true, '2'])
  await end(mq, endOf(header.commitLogOffset, header.tranStateTableOffset))
  assert.deepEqual(await bodies(mq, 'Orders', 2), ['half'])
})

test('a message that is no half message is not put among them', async t => {
  const mq = await start(t)
  const { header } = await sendMessage(mq)
  for (const msgId of [header.msgId, 'F'.repeat(32), 'x']) {
    const resumed = mq.client.call(mq.brokerAddress, brokerAdminRequests.RESUME_CHECK_HALF_MESSAGE, { header: { msgId } }) // biome-ignore format: one thought
    await assert.rejects(resumed, { responseCode: 1 })
  }
  assert.deepEqual(await messagesIn(mq, HALF, 0), [])
})

test('an end that comes after a check ends the half message that was stored again, too', async t => {
  const mq = await start(t)
  const header = await sendHalf(mq)
  await pass(mq, 2)
  assert.equal(mq.checks.length, 2)
  await end(mq, header)
  await pass(mq, 5)
  assert.deepEqual(await bodies(mq, 'Orders', 2), ['half'])
  assert.equal(mq.checks.length, 2)
})

test('a transaction that its producer ends by itself and in answer to a check ends once', async t => {
  for (const isCheckFirst of [false, true]) {
    const mq = await start(t)
    const header = await sendHalf(mq)
    await pass(mq, 2)
    const { commitLogOffset, tranStateTableOffset } = mq.checks.at(-1)!.header
    const answer = endOf(commitLogOffset, tranStateTableOffset, { fromTransactionCheck: true })
    const first = mq.checks[0]!.header
    const older = endOf(first.commitLogOffset, first.tranStateTableOffset, { fromTransactionCheck: true })
    for (const each of isCheckFirst ? [answer, older, header] : [header, answer, older]) await end(mq, each)
    await pass(mq, 1)
    await end(mq, { ...answer, commitOrRollback: TRANSACTION_ROLLBACK })
    assert.deepEqual(await bodies(mq, 'Orders', 2), ['half'])
    await pass(mq, 3)
    assert.equal(mq.checks.length, 2)
  }
})

test('CHECK_IMMUNITY_TIME_IN_SECONDS postpones the check of its message, and not of the others', async t => {
  const mq = await start(t)
  const slow = await sendHalf(mq, 'CHECK_IMMUNITY_TIME_IN_SECONDS\u0001100\u0002')
  await sendHalf(mq)
  await pass(mq, 1)
  assert.deepEqual(mq.checks.map(({ half }) => half.properties.has(PROPERTY.CHECK_IMMUNITY_TIME_IN_SECONDS)), [false]) // biome-ignore format: one thought
  await end(mq, slow)
  await pass(mq, 5)
  const asked = mq.checks.filter(({ half }) => half.properties.has(PROPERTY.CHECK_IMMUNITY_TIME_IN_SECONDS))
  assert.equal(asked.length, 0)
  const late = await sendHalf(mq, 'CHECK_IMMUNITY_TIME_IN_SECONDS\u000140\u0002')
  await pass(mq, 2)
  await assert.rejects(end(mq, late), { responseCode: responseCodes.ILLEGAL_OPERATION })
  const check = mq.checks.findLast(({ half }) => half.properties.has(PROPERTY.CHECK_IMMUNITY_TIME_IN_SECONDS))
  const { commitLogOffset, tranStateTableOffset } = check!.header
  await end(mq, endOf(commitLogOffset, tranStateTableOffset, { fromTransactionCheck: true }))
})

test('a half message that is postponed again and again is known by its first and its last offset only', async t => {
  const mq = await start(t)
  const slow = await sendHalf(mq, 'CHECK_IMMUNITY_TIME_IN_SECONDS\u00011000\u0002')
  await pass(mq, 10)
  const halves = await messagesIn(mq, HALF, 0)
  await end(mq, slow)
  const operations = await bodies(mq, 'RMQ_SYS_TRANS_OP_HALF_TOPIC', 0)
  assert.deepEqual(operations, ['0', String(halves.at(-1)?.queueOffset)])
  await pass(mq, 30)
  assert.deepEqual([mq.checks.length, await bodies(mq, 'Orders', 2)], [0, ['half']])
})

test('the broker gives up on a half message even if there are too many topics', async t => {
  const mq = await start(t, { transactionCheckMax: 1, maxTopics: 1 })
  await mq.client.call(mq.brokerAddress, topicRequests.UPDATE_AND_CREATE_TOPIC, {
    header: { topic: 'Orders', defaultTopic: 'TBW102', readQueueNums: 4, writeQueueNums: 4, perm: 6, topicFilterType: 'SINGLE_TAG', order: false }, // biome-ignore format: one thought
  })
  await sendHalf(mq)
  await pass(mq, 4)
  assert.equal((await messagesIn(mq, GIVEN_UP, 0)).length, 1)
})

test('a producer that does not read is not asked about more than it can take, and stays connected', async t => {
  // Before the broker ends, which would wait for the connection.
  t.after(() => socket?.destroy())
  let socket: Duplex | undefined
  const mq = await brokerInMemory(t, { maxUnreadBytes: 16_000_000 })
  const dial: Dial = async (address, signal) => {
    socket = await mq.dial(address, signal)
    return Duplex.from({ readable: new Readable({ read() {} }), writable: socket })
  }
  const deaf = new RemotingClient({ clock: mq.clock, dial })
  t.after(() => deaf.close())
  const heartbeat = { clientID: 'deaf', producerDataSet: [{ groupName: 'deaf' }], consumerDataSet: [] }
  deaf
    .call(mq.brokerAddress, membershipRequests.HEART_BEAT, { body: heartbeat }, { timeoutMs: 1_000_000 })
    .catch(() => {})
  const properties = 'TRAN_MSG\u0001true\u0002PGROUP\u0001deaf\u0002'
  for (let count = 0; count < 10; count++) {
    await sendMessage(mq, { properties, sysFlag: 4, bornTimestamp: mq.clock.now() }, 'x'.repeat(4_000_000))
  }
  mq.clock.advance(INTERVAL_MS)
  await settle()
  assert.equal((await messagesIn(mq, HALF, 0)).length, 20, 'all were looked at')
  const producers = connectionRequests.GET_PRODUCER_CONNECTION_LIST
  const { body } = await mq.client.call(mq.brokerAddress, producers, { header: { producerGroup: 'deaf' } })
  assert.deepEqual(body?.map(({ clientId }) => clientId), ['deaf']) // biome-ignore format: one thought
})

test('a broker that starts again asks about the transactions that have not ended, and about no others', async t => {
  const storePathRootDir = await mkdtemp(join(tmpdir(), 'broker-'))
  t.after(() => rm(storePathRootDir, { recursive: true, force: true }))
  const options = { disk: new MemoryDisk(), storePathRootDir }
  const first = await start(t, options)
  await end(first, await sendHalf(first))
  await sendHalf(first, 'KEYS\u0001open\u0002')
  await pass(first, 1)
  assert.equal(first.checks.length, 1)
  await first.broker.close()

  const second = await start(t, options)
  await pass(second, 2)
  assert.deepEqual(second.checks.map(({ half }) => half.properties.get(PROPERTY.KEYS)), ['open']) // biome-ignore format: one thought
  assert.equal(second.checks[0]?.half.properties.get(PROPERTY.TRANSACTION_CHECK_TIMES), '2')
  await second.broker.close()
})

test('a transaction whose check was postponed before the broker started again ends by what its producer knows', async t => {
  const storePathRootDir = await mkdtemp(join(tmpdir(), 'broker-'))
  t.after(() => rm(storePathRootDir, { recursive: true, force: true }))
  const options = { disk: new MemoryDisk(), storePathRootDir }
  const first = await start(t, options)
  const header = await sendHalf(first, 'CHECK_IMMUNITY_TIME_IN_SECONDS\u00011000\u0002')
  await pass(first, 2)
  assert.equal((await messagesIn(first, HALF, 0)).length, 3)
  await first.broker.close()

  const second = await start(t, options)
  await end(second, header)
  await pass(second, 36)
  assert.equal(second.checks.length, 0)
  assert.deepEqual(await bodies(second, 'Orders', 2), ['half'])
  await second.broker.close()
})

test('what does not fit its half message is refused with the remarks of Apache', async t => {
  const mq = await start(t)
  const header = await sendHalf(mq)
  const other = await sendMessage(mq)
  const position = Number(readOffsetMessageId(other.header.msgId).physicalOffset)
  const responseCode = responseCodes.SYSTEM_ERROR
  const missing = 'Find prepared transaction message failed'
  await assert.rejects(end(mq, { ...header, commitLogOffset: 7 }), { responseCode, remark: missing })
  await assert.rejects(end(mq, { ...header, commitLogOffset: position }), { responseCode, remark: missing })
  await assert.rejects(end(mq, { ...header, producerGroup: 'x' }), { responseCode, remark: 'The producer group wrong' })
  await assert.rejects(end(mq, { ...header, tranStateTableOffset: 5 }), { responseCode, remark: 'The transaction state table offset wrong' }) // biome-ignore format: one thought
})

test('half messages are refused if the broker rejects them', async t => {
  const mq = await start(t, { rejectTransactionMessage: true })
  const remark = 'the broker[10.0.1.1] sending transaction message is forbidden'
  await assert.rejects(sendHalf(mq), { responseCode: responseCodes.NO_PERMISSION, remark })
  assert.deepEqual(await messagesIn(mq, HALF, 0), [])
})
