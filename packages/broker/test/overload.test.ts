import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import {
  brokerAdminRequests,
  clientNotices,
  consumeRequests,
  decodeMessages,
  encodeBatch,
  groupRequests,
  membershipRequests,
  pullFlags,
  queryRequests,
  readOffsetMessageId,
  responseCodes,
  sendRequests,
  topicRequests,
} from '@gantrymq/protocol'
import { type CallInput, RemotingClient, request, type RequestDeclaration, ResponseError } from '@gantrymq/remoting'
import { brokerInMemory } from './broker-in-memory.ts'
import { messagesIn, sendInput, sendMessage, settle } from './requests.ts'
import { StoppableDisk } from './stoppable-disk.ts'

const END_TRANSACTION = request({
  code: 37,
  purpose: 'Ends a transaction, and says whether it did.',
  header: sendRequests.END_TRANSACTION.header,
})

test('while the disk is too slow sends wait, and are refused after a moment; other requests are answered', async t => {
  const disk = new StoppableDisk(t)
  const mq = await brokerInMemory(t, { disk })
  await sendMessage(mq, {}, 'early')
  const goOn = disk.stop()
  const body = 'x'.repeat(4_000_000)
  const answers: string[] = []
  const send = async (): Promise<void> => {
    const answer = sendMessage(mq, { queueId: 2 }, body).then(() => 'stored', (error: unknown) => error instanceof ResponseError ? error.remark ?? '' : String(error)) // biome-ignore format: one thought
    void answer.then(text => answers.push(text))
    await settle()
  }

  // 64 MiB may be written and not yet synced.
  for (let n = 0; n < 18; n++) await send()
  assert.deepEqual(new Set(answers), new Set(['stored']))
  const stored = answers.length
  assert.ok(stored < 18)
  assert.equal((await messagesIn(mq, 'Orders', 1)).length, 1)
  mq.clock.advance(200)
  await settle()
  const remark =
    /^\[TIMEOUT_CLEAN_QUEUE\]broker busy, start flow control for a while, period in queue: 200ms, size of queue: \d$/
  for (const text of answers.slice(stored)) assert.match(text, remark)
  assert.equal(answers.length, 18)

  await send()
  goOn()
  await settle()
  mq.clock.advance(1000)
  await settle()
  assert.equal(answers.at(-1), 'stored')
})

test('what waits counts with the memory that its properties take, and not with its body only', async t => {
  const disk = new StoppableDisk(t)
  const mq = await brokerInMemory(t, { disk })
  await sendMessage(mq)
  const goOn = disk.stop()
  for (let n = 0; n < 17; n++) {
    void sendMessage(mq, {}, 'x'.repeat(4_000_000)).catch(() => {})
    await settle()
  }
  const properties = Array.from({ length: 3000 }, (_, n) => `${n.toString(36)}\u0001v\u0002`).join('')
  const batch = encodeBatch(
    Array.from({ length: 20_000 }, () => ({ flag: 0, body: Buffer.of(1), properties: new Map() })),
  )
  let refused = 0
  const send = async (header: object, body: Buffer | string): Promise<void> => {
    await sendMessage(mq, header, body).catch(({ remark }: ResponseError) => {
      if (remark?.startsWith('[OVERLOAD]')) refused++
    })
  }
  for (let n = 0; n < 400; n++) void send({ properties }, 'x')
  await settle()
  assert.ok(refused > 150 && refused < 250, `${refused} sends of 400 were refused`)
  mq.clock.advance(200)
  await settle()
  refused = 0
  void send({}, 'x'.repeat(4_000_000))
  for (let n = 0; n < 30; n++) void send({ batch: true }, batch)
  await settle()
  assert.ok(refused > 10 && refused < 25, `${refused} batches of 30 were refused`)
  goOn()
})

test('a send that waits for the disk while its topic is deleted is refused, and not stored for a topic that no one can read', async t => {
  const disk = new StoppableDisk(t)
  const mq = await brokerInMemory(t, { disk, brokerFastFailureEnable: false })
  await sendMessage(mq)
  await sendMessage(mq, { topic: 'Bills' })
  const goOn = disk.stop()
  const outcomes: unknown[] = []
  for (let n = 0; n < 17; n++) {
    void sendMessage(mq, { topic: 'Bills' }, 'x'.repeat(4_000_000)).catch((error: unknown) => outcomes.push(error))
    await settle()
  }
  let waited: unknown = 'waits'
  sendMessage(mq).then(
    () => (waited = 'stored'),
    (error: ResponseError) => (waited = error.responseCode),
  )
  const deletion = mq.client.call(mq.brokerAddress, topicRequests.DELETE_TOPIC_IN_BROKER, {
    header: { topic: 'Orders' },
  })
  await settle()
  assert.equal(waited, 'waits')
  goOn()
  await deletion
  mq.clock.advance(100)
  await settle()
  assert.equal(waited, responseCodes.TOPIC_NOT_EXIST)
  assert.deepEqual([...mq.broker.store.queues('Orders')], [])
  assert.deepEqual(outcomes, [])
})

test('while the disk does not answer, a bounded number of pulls waits for it, and everything else goes on', async t => {
  const disk = new StoppableDisk(t)
  const mq = await brokerInMemory(t, { disk, commitLogMemory: 16, maxColdPulls: 6, maxRequestsInProgress: 8 })
  for (let n = 0; n < 12; n++) await sendMessage(mq, { queueId: 2 }, 'x'.repeat(4_000_000))
  await sendMessage(mq, {}, 'new')
  const goOn = disk.stopReads()
  const codes: (number | undefined)[] = []
  const pull = (client: RemotingClient, queueOffset = 0): Promise<number | undefined> =>
    client
      .call(mq.brokerAddress, consumeRequests.PULL_MESSAGE, { header: pullHeader(queueOffset) }, { timeoutMs: 20_000 })
      .then(
        ({ code }) => code,
        (error: unknown) => (error as { responseCode?: number }).responseCode,
      )
  const others = new RemotingClient({ clock: mq.clock, dial: mq.dial })
  t.after(() => others.close())
  for (let n = 0; n < 5; n++) {
    void pull(mq.client).then(code => codes.push(code))
    void pull(others).then(code => codes.push(code))
  }
  await settle()
  assert.deepEqual(codes, [2, 2, 2, 2], 'of 10 pulls 6 wait')
  // The connections read on, and what is in memory is answered.
  assert.equal((await messagesIn(mq, 'Orders', 1)).length, 1)
  const body = { clientID: 'c', producerDataSet: [{ groupName: 'shop' }], consumerDataSet: [] }
  for (const client of [mq.client, others]) await client.call(mq.brokerAddress, membershipRequests.HEART_BEAT, { body })
  mq.clock.advance(5000)
  await settle()
  assert.deepEqual(codes.slice(4), [2, 2, 2, 2, 2, 2], 'those that waited for 5 s')
  goOn()
  assert.equal(await pull(others), 0)
})

test('while the disk does not answer, queries wait like pulls: a bounded number, for a bounded time', async t => {
  const disk = new StoppableDisk(t)
  const mq = await brokerInMemory(t, { disk, commitLogMemory: 16, maxColdPulls: 6, maxRequestsInProgress: 8 })
  // Only the oldest have the key: newer ones are in memory, and so may be their part of the index.
  for (let n = 0; n < 12; n++) {
    const properties = n < 2 ? 'KEYS\u0001k\u0002' : ''
    await sendMessage(mq, { queueId: 2, properties }, 'x'.repeat(3_000_000))
  }
  const goOn = disk.stopReads()
  const codes: number[] = []
  const note = async (answer: Promise<{ code: number }>): Promise<void> => {
    const failed = (error: unknown) => ({ code: (error as ResponseError).responseCode })
    codes.push((await answer.catch(failed)).code)
  }
  const others = new RemotingClient({ clock: mq.clock, dial: mq.dial })
  t.after(() => others.close())
  const byKey = { topic: 'Orders', key: 'k', maxNum: 64, beginTimestamp: 0n, endTimestamp: 2n ** 62n }
  const query = (client: RemotingClient) =>
    client.call(mq.brokerAddress, queryRequests.QUERY_MESSAGE, { header: byKey }, { timeoutMs: 20_000 })
  const view = (client: RemotingClient) =>
    client.call(mq.brokerAddress, queryRequests.VIEW_MESSAGE_BY_ID, { header: { offset: 0 } }, { timeoutMs: 20_000 })
  for (let n = 0; n < 5; n++) {
    void note(view(mq.client))
    void note(n % 2 === 0 ? query(others) : view(others))
  }
  await until(() => codes.length >= 4)
  await settle()
  assert.deepEqual(codes, [2, 2, 2, 2], 'of 10 queries 6 wait')
  mq.clock.advance(5000)
  await until(() => codes.length >= 10)
  assert.deepEqual(codes.slice(4), [2, 2, 2, 2, 2, 2], 'those that waited for 5 s')
  goOn()
  const { body } = await query(others)
  assert.equal(decodeMessages(body!).length, 1, 'two have more than 4 MiB')
})

test('while the disk does not answer, each request that must read it is refused after a moment, and the others are answered', async t => {
  const disk = new StoppableDisk(t)
  const mq = await brokerInMemory(t, { disk, commitLogMemory: 16 })
  const { client, brokerAddress: broker } = mq
  const group = { clientID: 'c', producerDataSet: [{ groupName: 'shop' }], consumerDataSet: [] }
  await client.call(broker, membershipRequests.HEART_BEAT, { body: group })
  const half = { queueId: 2, properties: 'TRAN_MSG\u0001true\u0002PGROUP\u0001shop\u0002', sysFlag: 4 }
  const { header: first } = await sendMessage(mq, half, 'half')
  const { header: orders } = await sendMessage(mq, { queueId: 2 }, 'cold')
  for (let n = 0; n < 12; n++) await sendMessage(mq, { topic: 'Others', queueId: 2 }, 'x'.repeat(4_000_000))
  const { header: hot } = await sendMessage(mq, { queueId: 3 }, 'hot')
  const positionOf = (msgId: string): number => Number(readOffsetMessageId(msgId).physicalOffset)
  const end = { producerGroup: 'shop', tranStateTableOffset: first.queueOffset, commitLogOffset: positionOf(first.msgId), commitOrRollback: 8, msgId: '' } // biome-ignore format: one thought
  const call = <const D extends RequestDeclaration>(declaration: D, input: CallInput<D>) =>
    client.call(broker, declaration, input, { timeoutMs: 20_000 })
  const sendBack = (msgId: string) =>
    call(sendRequests.CONSUMER_SEND_MSG_BACK, {
      header: { offset: positionOf(msgId), group: 'g', delayLevel: 0, originMsgId: '' },
    })
  const times = { topic: 'Orders', queueId: 2, timestamp: 1n }
  const calls = {
    END_TRANSACTION: () => call(END_TRANSACTION, { header: end }),
    CONSUMER_SEND_MSG_BACK: () => sendBack(orders.msgId),
    CONSUME_MESSAGE_DIRECTLY: () =>
      call(clientNotices.CONSUME_MESSAGE_DIRECTLY, {
        header: { consumerGroup: 'g', clientId: 'c', msgId: orders.msgId },
      }),
    RESUME_CHECK_HALF_MESSAGE: () =>
      call(brokerAdminRequests.RESUME_CHECK_HALF_MESSAGE, { header: { msgId: first.msgId } }),
    SEARCH_OFFSET_BY_TIMESTAMP: () => call(queryRequests.SEARCH_OFFSET_BY_TIMESTAMP, { header: times }),
    GET_EARLIEST_MSG_STORETIME: () => call(queryRequests.GET_EARLIEST_MSG_STORETIME, { header: times }),
    GET_TOPIC_STATS_INFO: () => call(topicRequests.GET_TOPIC_STATS_INFO, { header: { topic: 'Orders' } }),
    QUERY_CONSUME_TIME_SPAN: () =>
      call(groupRequests.QUERY_CONSUME_TIME_SPAN, { header: { topic: 'Orders', group: 'g' } }),
  }
  // Makes the retry topic, whose file a stopped disk could not write.
  await sendBack(hot.msgId)
  const goOn = disk.stopReads()
  const info = call(brokerAdminRequests.GET_BROKER_RUNTIME_INFO, {})
  const codes = new Map<string, number | undefined>()
  for (const [name, send] of Object.entries(calls)) {
    const failed = (error: unknown) => ({ code: (error as ResponseError).responseCode })
    void send()
      .catch(failed)
      .then(({ code }) => codes.set(name, code))
  }
  await settle()
  assert.deepEqual([...codes], [])
  // What is in memory is answered, however many wait.
  await sendBack(hot.msgId)
  await call(membershipRequests.HEART_BEAT, { body: group })
  await call(consumeRequests.UPDATE_CONSUMER_OFFSET, { header: { topic: 'Orders', consumerGroup: 'g', queueId: 2, commitOffset: 1 } }) // biome-ignore format: one thought
  await call(topicRequests.GET_TOPIC_STATS_INFO, { header: { topic: 'Others' } })
  mq.clock.advance(5000)
  await until(() => codes.size === Object.keys(calls).length)
  assert.deepEqual(Object.fromEntries(codes), Object.fromEntries(Object.keys(calls).map(name => [name, 2])))
  assert.equal(
    (await info).body?.get('earliestMessageTimeStamp'),
    '-1',
    'operators see all that is known without the disk',
  )
  goOn()
  await settle()
  const waiting = await messagesIn(mq, 'SCHEDULE_TOPIC_XXXX', 2)
  assert.deepEqual(
    waiting.map(({ body }) => body.toString()),
    ['hot', 'hot'],
    'what was refused is not done later',
  )
  assert.equal((await calls.GET_EARLIEST_MSG_STORETIME()).code, 0)
})

test('pulls with long subscriptions are held as long as their texts have room, and those of a closed connection leave it', async t => {
  const mq = await brokerInMemory(t)
  await sendMessage(mq)
  const subscription = `tag || ${'x'.repeat(60_000)}`
  const pull = async (client: RemotingClient): Promise<number> => {
    const header = { ...pullHeader(1), queueId: 1, sysFlag: pullFlags.subscription | pullFlags.suspend, suspendTimeoutMillis: 60_000, subscription } // biome-ignore format: one thought
    const answer = client.call(mq.brokerAddress, consumeRequests.PULL_MESSAGE, { header }, { timeoutMs: 60_000 })
    return answer.then(({ code }) => code, (error: unknown) => (error as ResponseError).responseCode ?? -1) // biome-ignore format: one thought
  }
  const hoard = async (count: number): Promise<number[]> => {
    const client = new RemotingClient({ clock: mq.clock, dial: mq.dial })
    const codes: number[] = []
    for (let n = 0; n < count; n++) {
      void pull(client).then(code => codes.push(code))
      if (n % 100 === 0) await settle()
    }
    await settle()
    assert.equal(mq.broker.status.heldPulls, count - codes.length)
    await client.close()
    await settle()
    return codes.filter(code => code !== -1)
  }
  const refused = await hoard(1200)
  assert.ok(refused.length > 50 && refused.length < 150, `${refused.length} were refused`)
  assert.deepEqual(new Set(refused), new Set([2]))
  assert.equal(mq.broker.status.heldPulls, 0)
  assert.deepEqual(await hoard(50), [])
})

test('while the disk does not store new topics, what needs them is answered after a moment', async t => {
  const disk = new StoppableDisk(t)
  const mq = await brokerInMemory(t, { disk })
  await sendMessage(mq)
  const goOn = disk.stop()
  const codes: number[] = []
  const note = async (answer: Promise<{ code: number }>): Promise<void> => {
    const failed = (error: unknown) => ({ code: (error as ResponseError).responseCode })
    codes.push((await answer.catch(failed)).code)
  }
  const topic = { topic: 'Bills', defaultTopic: 'TBW102', readQueueNums: 4, writeQueueNums: 4, perm: 6, topicFilterType: 'SINGLE_TAG', order: false } // biome-ignore format: one thought
  const update = { header: topic }
  const input = sendInput({ topic: 'New' })
  const limit = { timeoutMs: 20_000 }
  void note(mq.client.call(mq.brokerAddress, topicRequests.UPDATE_AND_CREATE_TOPIC, update, limit))
  void note(mq.client.call(mq.brokerAddress, sendRequests.SEND_MESSAGE, input, limit))
  await settle()
  assert.deepEqual(codes, [])
  mq.clock.advance(5000)
  await settle()
  const { FLUSH_DISK_TIMEOUT, SYSTEM_ERROR } = responseCodes
  assert.deepEqual(
    codes.toSorted((a, b) => a - b),
    [SYSTEM_ERROR, FLUSH_DISK_TIMEOUT],
  )
  goOn()
  await settle()
  assert.equal((await sendMessage(mq, { topic: 'New' })).code, 0)
})

/** Waits for answers: on a busy machine they take more turns of the event loop. */
async function until(holds: () => boolean): Promise<void> {
  for (let n = 0; n < 20_000 && !holds(); n++) await turn()
}

function pullHeader(queueOffset: number) {
  return { consumerGroup: 'g', topic: 'Orders', queueId: 2, queueOffset, maxMsgNums: 1, sysFlag: pullFlags.subscription, commitOffset: 0, suspendTimeoutMillis: 0, subscription: '*', subVersion: 0 } // biome-ignore format: one thought
}
