import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Position, type TestCluster, testCluster, type TestClusterOptions } from '@gantrymq/testkit/cluster'
import { text } from '../message/codec.ts'
import { ClientError } from '../errors.ts'
import { SimpleConsumer, type SimpleConsumerOptions } from './simple-consumer.ts'
import type { SimpleMessage } from './pop/simple-message.ts'

const GROUP = 'billing'

type Options = Partial<SimpleConsumerOptions<string>>

async function clusterWithTopic(t: TestContext, on: TestClusterOptions = {}): Promise<TestCluster> {
  const cluster = await testCluster(t, on)
  for (const broker of cluster.brokers) await broker.setTopic('Orders', { readQueues: 2 })
  return cluster
}

async function join(cluster: TestCluster, options: Options = {}): Promise<SimpleConsumer<string>> {
  const { nameServerList: nameServers, clock, dial } = cluster
  const given = { nameServers, clock, dial, group: GROUP, codec: text(), subscriptions: { Orders: '*' }, ...options }
  return cluster.own(await cluster.outcome(SimpleConsumer.start(given)))
}

async function started(t: TestContext, options: Options = {}, on: TestClusterOptions = {}) {
  const cluster = await clusterWithTopic(t, on)
  return { cluster, broker: cluster.broker, consumer: await join(cluster, options) }
}

function put({ broker }: TestCluster, body: string, tag?: string, queueId = 0): Position {
  const properties = new Map(tag === undefined ? [] : [['TAGS', tag]])
  return broker.put({ topic: 'Orders', queueId, body: Buffer.from(body), properties })
}

const bodies = (messages: readonly SimpleMessage<string>[]): string[] => messages.map(({ body }) => body).toSorted()
const failure =
  (code: string, pattern = /./) =>
  (error: unknown) =>
    error instanceof ClientError && error.code === code && pattern.test(error.message)

test('messages of all queues are received once, and are done when they are acknowledged', async t => {
  const { cluster, broker, consumer } = await started(t)
  put(cluster, 'a', undefined, 0)
  put(cluster, 'b', undefined, 1)
  const messages = await cluster.outcome(consumer.receive())
  assert.deepEqual(bodies(messages), ['a', 'b'])
  assert.deepEqual(await cluster.outcome(consumer.receive({ waitMs: 0 })), [])
  for (const message of messages) await cluster.outcome(message.ack())
  assert.equal(broker.lag(GROUP), 0)
  assert.equal(broker.committed('Orders', GROUP, 1), 1)
  await cluster.advance(120_000, 1000)
  assert.deepEqual(await cluster.outcome(consumer.receive({ waitMs: 0 })), [])
})

test('receive waits for messages, but no longer than waitMs', async t => {
  const { cluster, consumer } = await started(t)
  const received = consumer.receive({ waitMs: 5000 })
  await cluster.advance(2000)
  put(cluster, 'a')
  assert.deepEqual(bodies(await cluster.outcome(received)), ['a'])
  const before = cluster.clock.now()
  assert.deepEqual(await cluster.outcome(consumer.receive({ waitMs: 5000 })), [])
  assert.ok(cluster.clock.now() - before < 6500, String(cluster.clock.now() - before))
})

test('receive ends when its signal is aborted or the consumer closes', async t => {
  const { cluster, consumer } = await started(t)
  const abort = new AbortController()
  const aborted = consumer.receive({ signal: abort.signal })
  await cluster.settle()
  abort.abort()
  await assert.rejects(cluster.outcome(aborted), failure('ABORTED'))
  const waiting = consumer.receive()
  waiting.catch(() => {})
  await cluster.settle()
  await cluster.outcome(consumer.close())
  await assert.rejects(waiting, failure('CLOSED'))
  await assert.rejects(consumer.receive(), failure('CLOSED'))
})

test('an unacknowledged message is redelivered through the retry topic, with its original topic', async t => {
  const { cluster, broker, consumer } = await started(t)
  put(cluster, 'a', 'red')
  const [first] = await cluster.outcome(consumer.receive({ invisibleMs: 10_000 }))
  assert.ok(first)
  assert.equal(first.reconsumeTimes, 0)
  await cluster.advance(11_000, 500)
  const [again] = await cluster.outcome(consumer.receive())
  assert.ok(again)
  assert.deepEqual([again.topic, again.body, again.tags, again.reconsumeTimes], ['Orders', 'a', 'red', 1])
  assert.equal(again.queue.topic, `%RETRY%${GROUP}_Orders`)
  assert.equal(again.property('1ST_POP_TIME'), String(first.property('1ST_POP_TIME')))
  await cluster.outcome(again.ack())
  assert.equal(broker.lag(GROUP), 0)
})

test('a receipt contains the offset of the message, and changes with changeInvisible', async t => {
  const { cluster, broker, consumer } = await started(t)
  put(cluster, 'first', undefined, 1)
  put(cluster, 'a', undefined, 1)
  const [first, message] = await cluster.outcome(consumer.receive({ invisibleMs: 20_000 }))
  assert.ok(first && message)
  await cluster.outcome(first.ack())
  const popTime = Number(message.receipt.split(' ')[1])
  assert.match(message.receipt, new RegExp(`^0 ${popTime} 20000 \\d 0 broker-a 1 1$`))
  assert.equal(message.properties.get('POP_CK'), message.receipt)
  assert.equal(message.invisibleUntil, popTime + 20_000)
  await cluster.advance(15_000, 500)
  await cluster.outcome(message.changeInvisible(30_000))
  assert.match(message.receipt, /^1 \d+ 30000 \d 0 broker-a 1 1$/)
  assert.ok(Number(message.receipt.split(' ')[1]) >= popTime + 15_000)
  await cluster.advance(20_000, 500)
  assert.deepEqual(await cluster.outcome(consumer.receive({ waitMs: 0 })), [], 'still invisible')
  await cluster.outcome(message.ack())
  assert.equal(broker.lag(GROUP), 0)
  await assert.rejects(cluster.outcome(message.changeInvisible(-1)), failure('BAD_OPTION'))
})

test('several messages are acknowledged with one request per broker', async t => {
  const { cluster, broker, consumer } = await started(t)
  for (const body of ['a', 'b', 'c']) put(cluster, body)
  const messages = await cluster.outcome(consumer.receive())
  await cluster.outcome(consumer.ack(messages))
  assert.equal(broker.server.requestsOf('BATCH_ACK_MESSAGE').length, 1)
  assert.equal(broker.server.requestsOf('ACK_MESSAGE').length, 0)
  assert.equal(broker.lag(GROUP), 0)
})

test('a broker that does not know the batch request gets single acknowledgements', async t => {
  const { cluster, broker, consumer } = await started(t)
  broker.fault('BATCH_ACK_MESSAGE', { answer: 'code', code: 3 })
  for (const body of ['a', 'b']) put(cluster, body)
  await cluster.outcome(consumer.ack(await cluster.outcome(consumer.receive())))
  assert.equal(broker.server.requestsOf('ACK_MESSAGE').length, 2)
  assert.equal(broker.lag(GROUP), 0)
})

test('topics and brokers are popped in turn, and awaited all at once', async t => {
  const cluster = await clusterWithTopic(t, { brokers: 2 })
  for (const broker of cluster.brokers) await broker.setTopic('Other', { readQueues: 1 })
  const consumer = await join(cluster, { subscriptions: { Orders: '*', Other: '*' } })
  const received = consumer.receive({ waitMs: 20_000 })
  await cluster.advance(3000)
  cluster.brokers[1]?.put({ topic: 'Other', body: Buffer.from('late') })
  const before = cluster.clock.now()
  const [late] = await cluster.outcome(received)
  assert.deepEqual([late?.topic, late?.body], ['Other', 'late'])
  assert.ok(cluster.clock.now() - before < 1000)
  for (const broker of cluster.brokers) {
    for (const topic of ['Orders', 'Other']) broker.put({ topic, body: Buffer.from(`${broker.name} ${topic}`) })
  }
  const all: SimpleMessage<string>[] = []
  while (all.length < 4) all.push(...(await cluster.outcome(consumer.receive())))
  assert.deepEqual(bodies(all), ['broker-a Orders', 'broker-a Other', 'broker-b Orders', 'broker-b Other'])
})

test('messages whose tag only has the same hash as a wanted one are acknowledged and not returned', async t => {
  const { cluster, broker, consumer } = await started(t, { subscriptions: { Orders: 'Aa' } })
  put(cluster, 'wanted', 'Aa')
  // Both tags have the same hash code in Java, and brokers compare only hash codes.
  put(cluster, 'other', 'BB')
  assert.deepEqual(bodies(await cluster.outcome(consumer.receive())), ['wanted'])
  await cluster.settle()
  assert.deepEqual(
    broker.server.requestsOf('ACK_MESSAGE').map(({ header }) => header['offset']),
    ['1'],
  )
  const asked = broker.server.requestsOf('POP_MESSAGE')[0]?.header
  assert.deepEqual([asked?.['exp'], asked?.['expType']], ['Aa', 'TAG'])
})

test('for await returns messages one by one, and releases the rest when the loop is left', async t => {
  const { cluster, broker, consumer } = await started(t)
  for (const body of ['a', 'b', 'c']) put(cluster, body)
  const seen: string[] = []
  const loop = (async () => {
    for await (const message of consumer) {
      seen.push(message.body)
      await message.ack()
      if (seen.length === 2) break
    }
  })()
  await cluster.outcome(loop)
  assert.deepEqual(seen, ['a', 'b'])
  await cluster.advance(2000)
  const [left] = await cluster.outcome(consumer.receive())
  assert.equal(left?.body, 'c')
  assert.equal(broker.server.requestsOf('CHANGE_MESSAGE_INVISIBLETIME').length, 1)
})

test('for await continues after failures and ends when the consumer closes', async t => {
  const { cluster, broker, consumer } = await started(t)
  const seen: string[] = []
  const loop = (async () => {
    for await (const message of consumer) seen.push(message.body)
  })()
  await cluster.settle()
  broker.down()
  await cluster.advance(5000)
  broker.up()
  put(cluster, 'a')
  await cluster.until(() => seen.length === 1, { stepMs: 50 })
  await cluster.outcome(consumer.close())
  await loop
})

test('a message that is missing from the tables of the reply is left out and logged', async t => {
  const reported: unknown[] = []
  const nothing = (): void => {}
  const log = { debug: nothing, info: nothing, warn: nothing, error: (fields: unknown) => reported.push(fields) }
  const { cluster, broker, consumer } = await started(t, { log })
  // Changes the queue offset to one that is not in the tables.
  broker.corrupt(put(cluster, 'a'), record => void record.writeBigInt64BE(7n, 20))
  await cluster.settle()
  assert.deepEqual(await cluster.outcome(consumer.receive({ waitMs: 0 })), [])
  assert.equal(reported.length, 1)
})

test('with brokers of 4.9 the start fails with an error that names them', async t => {
  const cluster = await clusterWithTopic(t, { brokers: [{ release: '4.9' }] })
  await assert.rejects(join(cluster), failure('UNSUPPORTED', /needs brokers of 5\.0 or later.*broker-a/))
})

test('a broker that does not support pop causes an error with code UNSUPPORTED', async t => {
  const { cluster, broker, consumer } = await started(t)
  broker.fault('POP_MESSAGE', { answer: 'code', code: 3 })
  await assert.rejects(cluster.outcome(consumer.receive()), failure('UNSUPPORTED', /does not support pop/))
})

test('the options of receive are checked', async t => {
  const { consumer } = await started(t)
  await assert.rejects(consumer.receive({ max: 33 }), failure('BAD_OPTION', /max/))
  await assert.rejects(consumer.receive({ invisibleMs: 1 }), failure('BAD_OPTION', /invisibleMs/))
})

test('a filter that a broker refuses fails the start, and topics can be subscribed and unsubscribed', async t => {
  const { cluster, broker, consumer } = await started(t)
  broker.fault('CHECK_CLIENT_CONFIG', { answer: 'code', code: 23, remark: 'parse error' })
  await assert.rejects(
    join(cluster, { group: 'other', subscriptions: { Orders: { sql: 'a >' } } }),
    failure('BAD_OPTION', /a >.*parse error/),
  )
  await broker.setTopic('Other', { readQueues: 1 })
  broker.put({ topic: 'Other', body: Buffer.from('x') })
  await cluster.outcome(consumer.subscribe('Other'))
  await cluster.outcome(consumer.unsubscribe('Orders'))
  put(cluster, 'unsubscribed')
  assert.deepEqual(bodies(await cluster.outcome(consumer.receive())), ['x'])
  await cluster.outcome(consumer.unsubscribe('Other'))
  await assert.rejects(cluster.outcome(consumer.receive()), failure('BAD_OPTION', /has no subscription/))
})
