import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { clientNotices } from '@gantrymq/protocol'
import { type Stage, stage, type StageOptions } from '@gantrymq/testkit'
import { text } from '../../message/codec.ts'
import type { PushConsumer, PushConsumerOptions } from '../push-consumer.ts'
import { startConsumer } from '../../../test/push-scene.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'

const GROUP = 'readers'
type Options = Partial<PushConsumerOptions<string>>

async function played(t: TestContext, on: StageOptions = {}): Promise<Stage> {
  const play = await stage(t, on)
  for (const broker of play.brokers) broker.setTopic('Orders', { readQueues: 2 })
  setMode(play, 'POP')
  return play
}

function setMode(play: Stage, mode: 'PULL' | 'POP', popShareQueueNum = 0): void {
  const wanted = { topic: 'Orders', consumerGroup: GROUP, mode, popShareQueueNum }
  for (const { state } of play.brokers) state.requestModes.set(`Orders@${GROUP}`, wanted)
}

function join(play: Stage, options: Options): Promise<PushConsumer<string>> {
  return startConsumer<string>(play, { serverAssignment: true, codec: text(), ...options })
}

function put({ broker }: Stage, body: string, queueId = 0): void {
  broker.put({ topic: 'Orders', queueId, body: Buffer.from(body) })
}

/** Collects bodies; `fails` says which are to come again. */
function listener(fails: (message: ReceivedMessage<string>) => boolean = () => false) {
  const seen: string[] = []
  const onMessage = (message: ReceivedMessage<string>): void => {
    seen.push(message.body)
    if (fails(message)) throw new Error('not now')
  }
  return { seen, onMessage }
}

test('where the broker says pop, messages of all its queues are popped and acknowledged', async t => {
  const play = await played(t)
  const { seen, onMessage } = listener()
  const consumer = await join(play, { onMessage })
  await play.until(() => consumer.queues.some(({ topic }) => topic === 'Orders'), { stepMs: 50 })
  put(play, 'a', 0)
  put(play, 'b', 1)
  await play.until(() => seen.length === 2, { stepMs: 20 })
  await play.advance(200)
  assert.deepEqual(seen.toSorted(), ['a', 'b'])
  const [queue] = consumer.queues.filter(({ topic }) => topic === 'Orders')
  assert.deepEqual(queue, { topic: 'Orders', brokerName: 'broker-a', queueId: -1 })
  assert.equal(play.broker.state.pops.out.length, 0)
  const pulls = play.broker.server.requestsOf('PULL_MESSAGE').filter(({ header }) => header['topic'] === 'Orders')
  assert.equal(pulls.length, 0)
  assert.equal(play.broker.server.requestsOf('GET_CONSUMER_LIST_BY_GROUP').length, 0)
  assert.equal(consumer.stats.consumed, 2)
})

test('a pop asks for what the options say', async t => {
  const play = await played(t)
  const { onMessage } = listener()
  const options = { popBatchSize: 7, popInvisibleMs: 30_000, subscriptions: { Orders: 'red' } }
  await join(play, { onMessage, ...options })
  await play.until(() => play.broker.server.requestsOf('POP_MESSAGE').length > 0, { stepMs: 50 })
  const { header } = play.broker.server.requestsOf('POP_MESSAGE')[0] ?? assert.fail()
  const { queueId, maxMsgNums, invisibleTime, pollTime, initMode, exp, expType, order } = header
  assert.deepEqual(
    { queueId, maxMsgNums, invisibleTime, pollTime, initMode, exp, expType, order },
    {
      queueId: '-1',
      maxMsgNums: '7',
      invisibleTime: '30000',
      pollTime: '15000',
      initMode: '0',
      exp: 'red',
      expType: 'TAG',
      order: 'false',
    },
  )
})

test('a message that failed comes again after the delay of its try, through the retry topic', async t => {
  const play = await played(t)
  const { seen, onMessage } = listener(message => message.reconsumeTimes === 0)
  await join(play, { onMessage })
  put(play, 'a')
  await play.until(() => seen.length === 1, { stepMs: 50 })
  const failedAt = play.clock.now()
  await play.until(() => seen.length === 2, { stepMs: 50 })
  const delay = play.clock.now() - failedAt
  assert.ok(delay >= 9500 && delay < 12_500, String(delay))
  await play.advance(200)
  assert.equal(play.broker.state.pops.out.length, 0)
  const [change] = play.broker.server.requestsOf('CHANGE_MESSAGE_INVISIBLETIME')
  assert.equal(change?.header['invisibleTime'], '10000')
})

test('a message that failed too often goes to the dead letters instead of being lost', async t => {
  const play = await played(t)
  const { seen, onMessage } = listener(() => true)
  await join(play, { onMessage, maxReconsumeTimes: 1 })
  put(play, 'bad')
  await play.until(() => seen.length === 2, { stepMs: 50 })
  await play.until(() => play.broker.log.messages(`%DLQ%${GROUP}`).length === 1, { stepMs: 50 })
  await play.advance(500)
  assert.equal(play.broker.state.pops.out.length, 0)
  await play.advance(120_000, 1000)
  assert.equal(seen.length, 2)
})

test('of a batch only what is not done comes again', async t => {
  const play = await played(t)
  const calls: string[][] = []
  const consumer = await join(play, {
    batchSize: 4,
    onMessages: messages => {
      calls.push(messages.map(({ body }) => body))
      return calls.length === 1 ? { retry: { from: 2 } } : undefined
    },
  })
  consumer.pause()
  for (const body of ['a', 'b', 'c', 'd']) put(play, body)
  consumer.resume()
  await play.until(() => calls.length >= 2, { stepMs: 50 })
  assert.deepEqual(calls[0], ['a', 'b', 'c', 'd'])
  await play.until(() => calls.slice(1).flat().length === 2, { stepMs: 50 })
  assert.deepEqual(calls.slice(1).flat().toSorted(), ['c', 'd'])
})

test('no more is popped than may be in hand', async t => {
  const play = await played(t)
  const gate = Promise.withResolvers<void>()
  let begun = 0
  const onMessage = async (): Promise<void> => {
    begun++
    await gate.promise
  }
  for (let index = 0; index < 50; index++) put(play, String(index))
  const consumer = await join(play, { onMessage, maxPopped: 10, popBatchSize: 4, concurrency: 3 })
  await play.until(() => begun === 3, { stepMs: 50 })
  await play.advance(2000)
  assert.equal(consumer.stats.queued, 12)
  assert.equal(consumer.stats.running, 3)
  gate.resolve()
  await play.until(() => consumer.stats.consumed === 50, { stepMs: 50 })
})

test('what the broker says changes from pull to pop and back, and no message is lost or doubled', async t => {
  const play = await played(t)
  const { seen, onMessage } = listener()
  setMode(play, 'PULL')
  const consumer = await join(play, { onMessage })
  const orders = () => consumer.queues.filter(({ topic }) => topic === 'Orders').map(({ queueId }) => queueId)
  await play.until(() => orders().length === 2, { stepMs: 50 })
  put(play, 'a')
  await play.until(() => seen.length === 1, { stepMs: 20 })
  await play.advance(6000)
  setMode(play, 'POP')
  await play.until(() => orders().join() === '-1', { stepMs: 500 })
  put(play, 'b')
  await play.until(() => seen.length === 2, { stepMs: 20 })
  setMode(play, 'PULL')
  await play.until(() => orders().length === 2, { stepMs: 500 })
  put(play, 'c')
  await play.until(() => seen.length === 3, { stepMs: 20 })
  assert.deepEqual(seen, ['a', 'b', 'c'])
})

test('what failed after a pop comes again where its topic is pulled now, and is popped again where that is wanted', async t => {
  const play = await played(t)
  const retryTopic = `%RETRY%${GROUP}_Orders`
  const seen: string[] = []
  const onMessage = ({ body, topic }: ReceivedMessage<string>): void => void seen.push(`${body} of ${topic}`)
  const consumer = await join(play, { rebalanceMs: 1000, onMessage })
  const pulls = (): boolean => consumer.queues.some(({ topic }) => topic === retryTopic)
  play.broker.setTopic(retryTopic, { readQueues: 1 })
  await play.until(() => consumer.queues.some(({ queueId }) => queueId === -1), { stepMs: 50 })
  await play.advance(5000)
  assert.equal(pulls(), false)
  setMode(play, 'PULL')
  await play.until(() => pulls(), { stepMs: 500 })
  play.broker.put({ topic: retryTopic, queueId: 0, body: Buffer.from('a') })
  await play.until(() => seen.length === 1, { stepMs: 500 })
  assert.deepEqual(seen, ['a of Orders'])
  const lastTold = (): string => play.broker.server.requestsOf('HEART_BEAT').at(-1)?.body?.toString() ?? ''
  assert.ok(lastTold().includes(retryTopic))
  setMode(play, 'POP')
  await play.until(() => !pulls(), { stepMs: 500 })
  assert.ok(!lastTold().includes(retryTopic))
})

test('the retries of a topic that is not wanted any more are not pulled either', async t => {
  const play = await played(t)
  setMode(play, 'PULL')
  play.broker.setTopic(`%RETRY%${GROUP}_Orders`, { readQueues: 1 })
  const { onMessage } = listener()
  const consumer = await join(play, { onMessage })
  const retries = (): number => consumer.queues.filter(({ topic }) => topic === `%RETRY%${GROUP}_Orders`).length
  await play.until(() => retries() === 1, { stepMs: 50 })
  await play.outcome(consumer.unsubscribe('Orders'))
  await play.until(() => retries() === 0, { stepMs: 50 })
})

test('a broker that cannot tell the assignment takes nothing away, one of 4.9 leaves it to the client', async t => {
  const play = await played(t)
  const { seen, onMessage } = listener()
  const consumer = await join(play, { onMessage })
  await play.until(() => consumer.queues.some(({ topic }) => topic === 'Orders'), { stepMs: 50 })
  const fault = play.broker.fault('QUERY_ASSIGNMENT', { answer: 'code', code: 1, times: Number.POSITIVE_INFINITY })
  await play.advance(60_000, 1000)
  assert.ok(consumer.queues.some(({ topic }) => topic === 'Orders'))
  fault.lift()
  play.broker.fault('QUERY_ASSIGNMENT', { answer: 'code', code: 3, times: Number.POSITIVE_INFINITY })
  await play.until(() => consumer.queues.filter(({ topic }) => topic === 'Orders').length === 2, { stepMs: 500 })
  put(play, 'a')
  await play.until(() => seen.length === 1, { stepMs: 20 })
})

test('two members share popped messages without double', async t => {
  const play = await played(t)
  const one = listener()
  const two = listener()
  await join(play, { onMessage: one.onMessage, instanceName: 'one' })
  await join(play, { onMessage: two.onMessage, instanceName: 'two' })
  await play.advance(3000)
  for (let index = 0; index < 40; index++) put(play, String(index), index % 2)
  await play.until(() => one.seen.length + two.seen.length === 40, { stepMs: 50 })
  await play.advance(1000)
  assert.equal(new Set([...one.seen, ...two.seen]).size, 40)
})

test('at the end listeners finish, and what was not begun comes to others soon', async t => {
  const play = await played(t)
  const gate = Promise.withResolvers<void>()
  const seen: string[] = []
  for (const body of ['a', 'b', 'c']) put(play, body)
  const consumer = await join(play, {
    concurrency: 1,
    onMessage: async ({ body }) => {
      seen.push(body)
      await gate.promise
    },
  })
  await play.until(() => seen.length === 1, { stepMs: 50 })
  const closing = consumer.close()
  await play.settle()
  gate.resolve()
  await play.outcome(closing)
  assert.deepEqual(seen, ['a'])
  const { out } = play.broker.state.pops
  assert.deepEqual(
    out.map(({ entry, invisibleMs }) => [String(entry.message.body), invisibleMs]),
    [
      ['b', 1000],
      ['c', 1000],
    ],
  )
})

test('messages popped for a loop are settled by ack and retry', async t => {
  const play = await played(t)
  const consumer = await join(play, {})
  put(play, 'a')
  const seen: string[] = []
  const loop = (async () => {
    for await (const message of consumer) {
      seen.push(`${message.body} ${message.reconsumeTimes}`)
      if (message.reconsumeTimes === 0) await message.retry({ delayLevel: 1 })
      else await message.ack()
    }
  })()
  await play.until(() => seen.length === 2, { stepMs: 50 })
  await play.advance(200)
  assert.deepEqual(seen, ['a 0', 'a 1'])
  assert.equal(play.broker.state.pops.out.length, 0)
  await play.outcome(consumer.close())
  await loop
})

test('operators see popped queues apart', async t => {
  const play = await played(t)
  const { onMessage } = listener()
  const consumer = await join(play, { onMessage })
  await play.until(() => consumer.queues.some(({ topic }) => topic === 'Orders'), { stepMs: 50 })
  const { clientId } = consumer
  const header = { consumerGroup: GROUP, clientId, jstackEnable: false }
  const asked = play.broker.call(clientId, clientNotices.GET_CONSUMER_RUNNING_INFO, { header })
  const { body } = await play.outcome(asked)
  assert.deepEqual(
    body?.mqPopTable?.map(({ queue, waitAckCount }) => [queue.topic, queue.queueId, waitAckCount]),
    [['Orders', -1, 0]],
  )
})

test('when more listeners may run at a time, popped messages that wait are begun at once', async t => {
  const play = await played(t)
  const ends = Promise.withResolvers<undefined>()
  let running = 0
  const consumer = await join(play, { concurrency: 1, onMessage: () => (running++, ends.promise) })
  for (const body of ['a', 'b']) put(play, body)
  await play.until(() => consumer.stats.queued === 2, { stepMs: 50 })
  assert.equal(running, 1)
  consumer.updateConcurrency(2)
  await play.settle()
  assert.equal(running, 2)
  ends.resolve(undefined)
})
