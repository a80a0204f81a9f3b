import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { batchedSize, decodeBatch } from '@gantrymq/protocol'
import { type TestBroker, type TestCluster, testCluster } from '@gantrymq/testkit/cluster'
import fc from 'fast-check'
import type { OutgoingMessage } from '../message/message.ts'
import { BatchError, type BatchItem, groupsOf, batchesOf } from './batches.ts'
import { prepare } from './prepared-message.ts'
import { Producer } from './producer.ts'

async function setUp(t: TestContext, settings: object = {}, brokers = 1) {
  const cluster = await testCluster(t, { brokers })
  for (const broker of cluster.brokers) for (const topic of ['Orders', 'Bills']) await broker.setTopic(topic)
  const { nameServerList: nameServers, clock, dial } = cluster
  const starting = Producer.start({ nameServers, clock, dial, group: 'orders', ...settings })
  return { cluster, producer: cluster.own(await cluster.outcome(starting)) }
}

const batches = (cluster: TestCluster) => cluster.broker.server.requestsOf('SEND_BATCH_MESSAGE')
const orders = (count: number): OutgoingMessage<string>[] =>
  Array.from({ length: count }, (_, index) => ({ topic: 'Orders', body: `order ${index}`, tags: `t${index}` }))

test('messages of one topic are sent in one request, and each gets its own receipt', async t => {
  const { cluster, producer } = await setUp(t)
  const receipts = await cluster.outcome(producer.sendBatch(orders(3)))
  assert.equal(batches(cluster).length, 1)
  const stored = cluster.broker.messages('Orders')
  assert.deepEqual(
    stored.map(({ body, properties, queueOffset }) => [
      body.toString(),
      properties.get('UNIQ_KEY'),
      Number(queueOffset),
    ]),
    receipts.map(({ messageId, queueOffset }, index) => [`order ${index}`, messageId, queueOffset]),
  )
  assert.deepEqual(
    receipts.map(({ queueOffset }) => queueOffset),
    [0, 1, 2],
  )
  assert.equal(new Set(receipts.map(({ offsetMessageId }) => offsetMessageId)).size, 3)
  assert.equal(producer.stats.sent, 3)
})

test('one call takes several topics, and the receipts keep the order of the messages', async t => {
  const { cluster, producer } = await setUp(t)
  const mixed = orders(4).map((message, index) => ({ ...message, topic: index % 2 === 0 ? 'Orders' : 'Bills' }))
  const receipts = await cluster.outcome(producer.sendBatch(mixed))
  assert.deepEqual(
    receipts.map(({ queue }) => queue.topic),
    ['Orders', 'Bills', 'Orders', 'Bills'],
  )
  assert.deepEqual(
    receipts.map(({ queueOffset }) => queueOffset),
    [0, 0, 1, 1],
  )
  assert.equal(batches(cluster).length, 2)
})

test('messages too large for one request are sent in several, in order', async t => {
  const { cluster, producer } = await setUp(t, { maxBatchBytes: 2048 })
  const queue = { topic: 'Orders', brokerName: 'broker-a', queueId: 2 }
  const large = orders(9).map((message, index) => ({ ...message, body: `${index}`.repeat(index === 4 ? 3000 : 700) }))
  const receipts = await cluster.outcome(producer.sendBatch(large, { queue }))
  assert.deepEqual(
    receipts.map(({ queueOffset }) => queueOffset),
    [0, 1, 2, 3, 4, 5, 6, 7, 8],
  )
  for (const { body } of batches(cluster)) assert.ok((body?.length ?? 0) <= 2048)
  // The fifth is larger than a batch: it is sent alone, as a single message.
  assert.equal(cluster.broker.server.requestsOf('SEND_MESSAGE_V2').length, 1)
})

test('a request has at most a thousand messages, because the answer’s header lists their ids', async t => {
  const { cluster, producer } = await setUp(t)
  const queue = { topic: 'Orders', brokerName: 'broker-a', queueId: 0 }
  const receipts = await cluster.outcome(producer.sendBatch(orders(3500), { queue }))
  assert.deepEqual(
    receipts.map(({ queueOffset }) => queueOffset),
    [...orders(3500).keys()],
  )
  assert.deepEqual(
    batches(cluster).map(({ body }) => decodeBatch(body as Buffer).length),
    [1000, 1000, 1000, 500],
  )
})

test('a message whose properties leave no room for those of the broker is sent alone', async t => {
  const { cluster, producer } = await setUp(t)
  const queue = { topic: 'Orders', brokerName: 'broker-a', queueId: 0 }
  const [one, two, three, four] = orders(4) as [OutgoingMessage, OutgoingMessage, OutgoingMessage, OutgoingMessage]
  const long = { ...orders(1)[0], topic: 'Orders', body: 'long', properties: { a: 'ü'.repeat(16_000) } }
  const receipts = await cluster.outcome(producer.sendBatch([one, two, long, three, four], { queue }))
  assert.deepEqual(
    receipts.map(({ queueOffset }) => queueOffset),
    [0, 1, 2, 3, 4],
  )
  assert.deepEqual(
    batches(cluster).map(({ body }) => decodeBatch(body as Buffer).length),
    [2, 2],
  )
})

test('messages with a sharding key reach the queue of their key', async t => {
  const { cluster, producer } = await setUp(t)
  const keyed = orders(6).map((message, index) => ({ ...message, shardingKey: `key ${index % 3}` }))
  const receipts = await cluster.outcome(producer.sendBatch(keyed))
  const alone = await cluster.outcome(producer.send(keyed[1] as OutgoingMessage<string>))
  assert.equal(receipts[1]?.queue.queueId, alone.queue.queueId)
  assert.equal(receipts[4]?.queue.queueId, alone.queue.queueId)
})

test('a message that may not be in a batch is refused before anything is sent', async t => {
  const { cluster, producer } = await setUp(t)
  const wrong: [object, RegExp][] = [
    [{ delayLevel: 1 }, /a message of a batch cannot be delayed/],
    [{ delayMs: 1000 }, /cannot be delayed/],
    [{ topic: '%RETRY%group' }, /a message of a batch cannot go to a retry topic/],
    [{ body: '' }, /body of a message is empty/],
  ]
  for (const [change, message] of wrong) {
    const batch = [...orders(2), { topic: 'Orders', body: 'x', ...change }]
    await assert.rejects(producer.sendBatch(batch), { code: 'MESSAGE_ILLEGAL', message })
  }
  assert.equal(batches(cluster).length, 0)
  assert.deepEqual(await producer.sendBatch([]), [])
})

test('when only some messages are stored, the error has their receipts', async t => {
  const { cluster, producer } = await setUp(t)
  cluster.broker.fault('SEND_BATCH_MESSAGE', {
    answer: 'code',
    code: 13,
    where: ({ header }) => header['b'] === 'Bills',
  })
  const mixed = [...orders(2), ...orders(2).map(message => ({ ...message, topic: 'Bills' }))]
  const error = await cluster.outcome(producer.sendBatch(mixed).catch((failure: unknown) => failure))
  assert.ok(error instanceof BatchError)
  assert.deepEqual([error.code, error.responseCode], ['SEND_FAILED', 13])
  assert.match(error.message, /^2 of 4 messages were stored/)
  assert.deepEqual(
    error.receipts.map(receipt => receipt?.queue.topic),
    ['Orders', 'Orders', undefined, undefined],
  )
})

test('when no message is stored, the error is the first failure', async t => {
  const { cluster, producer } = await setUp(t)
  cluster.broker.fault('SEND_BATCH_MESSAGE', { answer: 'code', code: 13 })
  await assert.rejects(cluster.outcome(producer.sendBatch(orders(2))), { code: 'BROKER_REFUSED', responseCode: 13 })
})

test('a caller that aborts after one topic has failed gets ABORTED', async t => {
  const { cluster, producer } = await setUp(t)
  const isOf = (topic: string) => ({ where: ({ header }: { header: Record<string, string> }) => header['b'] === topic })
  cluster.broker.fault('SEND_BATCH_MESSAGE', { answer: 'code', code: 13, ...isOf('Orders') })
  cluster.broker.fault('SEND_BATCH_MESSAGE', { answer: 'never', handled: false, ...isOf('Bills') })
  const mixed = [...orders(2), ...orders(2).map(message => ({ ...message, topic: 'Bills' }))]
  const stop = new AbortController()
  const sending = producer.sendBatch(mixed, { signal: stop.signal })
  await cluster.settle()
  stop.abort(new Error('enough'))
  await assert.rejects(cluster.outcome(sending), { code: 'ABORTED' })
})

test('batches are never compressed', async t => {
  const { cluster, producer } = await setUp(t, { compressOver: 100 })
  await cluster.outcome(producer.sendBatch(orders(3).map(message => ({ ...message, body: 'x'.repeat(500) }))))
  assert.deepEqual(
    cluster.broker.messages('Orders').map(({ body }) => body.length),
    [500, 500, 500],
  )
  assert.equal(batches(cluster)[0]?.header['f'], '0')
})

test('for 4.9 brokers a batch has no id, which they would give to each of its messages', async t => {
  const cluster = await testCluster(t, { brokers: [{ release: '4.9' }] })
  const { nameServerList: nameServers, clock, dial } = cluster
  const producer = cluster.own(await cluster.outcome(Producer.start({ nameServers, clock, dial, group: 'orders' })))
  const receipts = await cluster.outcome(producer.sendBatch(orders(2)))
  assert.equal(batches(cluster)[0]?.header['i'], 'WAIT\u0001true\u0002')
  assert.equal(new Set(receipts.map(({ messageId }) => messageId)).size, 2)
})

test('a broker that does not answer delays one batch by a second, and later ones go to other brokers', async t => {
  const cluster = await testCluster(t, { brokers: 2 })
  for (const broker of cluster.brokers) await broker.setTopic('Orders')
  const { nameServerList: nameServers, clock, dial } = cluster
  cluster.brokers[1]?.fault('*', { answer: 'never', handled: false, times: Number.POSITIVE_INFINITY })
  const producer = cluster.own(await cluster.outcome(Producer.start({ nameServers, clock, dial, group: 'orders' })))
  const queue = { topic: 'Orders', brokerName: 'broker-a', queueId: 0 }
  const started = clock.elapsed()
  assert.equal((await cluster.outcome(producer.sendBatch(orders(2), { queue }))).length, 2)
  assert.ok(clock.elapsed() - started <= 1100)
  const second = clock.elapsed()
  assert.equal((await cluster.outcome(producer.sendBatch(orders(2), { queue }))).length, 2)
  assert.ok(clock.elapsed() - second <= 100)
  assert.match(batches(cluster)[1]?.header['i'] ?? '', /UNIQ_KEY/)
})

test('the version of a broker that was away is learned again', async t => {
  const cluster = await testCluster(t, { brokers: [{}, { release: '4.9' }] })
  for (const broker of cluster.brokers) await broker.setTopic('Orders')
  const { nameServerList: nameServers, clock, dial } = cluster
  const old = cluster.brokers[1] as TestBroker
  const given = { nameServers, clock, dial, group: 'orders', heartbeatMs: 100_000 }
  const producer = cluster.own(await cluster.outcome(Producer.start(given)))
  await cluster.outcome(producer.sendBatch(orders(2)))
  old.down()
  old.leave()
  await cluster.advance(31_000, 1000)
  old.up()
  old.join()
  await cluster.advance(61_000, 1000)
  const queue = { topic: 'Orders', brokerName: old.name, queueId: 0 }
  await cluster.outcome(producer.sendBatch(orders(2), { queue }))
  assert.equal(old.server.requestsOf('SEND_BATCH_MESSAGE').at(-1)?.header['i'], 'WAIT\u0001true\u0002')
})

test('a batch has its own id and the waitStored of its messages', async t => {
  const { cluster, producer } = await setUp(t)
  await cluster.outcome(producer.sendBatch(orders(2).map(message => ({ ...message, waitStored: false }))))
  const properties = batches(cluster)[0]?.header['i'] ?? ''
  assert.match(JSON.stringify(properties), /^"WAIT\\u0001false\\u0002UNIQ_KEY\\u0001[0-9A-F]{32}\\u0002"$/)
  assert.equal(decodeBatch(batches(cluster)[0]?.body as Buffer).length, 2)
})

const rules = {
  namespace: '',
  maxMessageSize: 10_000,
  compressOver: 10_000,
  compression: 'zlib',
  compressionLevel: 5,
} as const

function itemsOf(messages: readonly OutgoingMessage<string>[]): BatchItem<string>[] {
  return messages.map((message, index) => {
    const additions = { messageId: String(index), now: 0 }
    return { index, message, prepared: prepare(message, Buffer.from(message.body), rules, additions) }
  })
}

test('groups and batches keep every message once, in order, and within the limit', () => {
  const message = fc.record({
    topic: fc.constantFrom('A', 'B'),
    body: fc.string({ minLength: 1, maxLength: 300 }),
    waitStored: fc.boolean(),
    shardingKey: fc.option(fc.constantFrom('x', 'y'), { nil: undefined }),
  })
  fc.assert(
    fc.property(fc.array(message), fc.integer({ min: 100, max: 2000 }), (messages, limit) => {
      const groups = groupsOf(itemsOf(messages))
      const batches = groups.flatMap(group => batchesOf(group, limit))
      for (const group of groups) {
        assert.deepEqual(
          group.map(({ index }) => index),
          batchesOf(group, limit)
            .flat()
            .map(({ index }) => index),
        )
      }
      for (const batch of batches) {
        const bytes = batch.reduce((sum, { prepared }) => sum + batchedSize(prepared), 0)
        assert.ok(batch.length === 1 || bytes <= limit)
        assert.equal(
          new Set(
            batch.map(({ message: { topic, waitStored, shardingKey } }) => `${topic} ${waitStored} ${shardingKey}`),
          ).size,
          1,
        )
      }
      assert.deepEqual(
        batches
          .flat()
          .map(({ index }) => index)
          .sort((a, b) => a - b),
        [...messages.keys()],
      )
    }),
  )
})
