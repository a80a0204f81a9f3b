import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { testCluster, type TestClusterOptions } from '@gantrymq/testkit/cluster'
import { Producer, type ProducerOptions } from './producer.ts'

async function setUp(t: TestContext, settings: Partial<ProducerOptions> = {}, options: TestClusterOptions = {}) {
  const cluster = await testCluster(t, options)
  for (const broker of cluster.brokers) await broker.setTopic('Orders', { readQueues: 2 })
  const { nameServerList: nameServers, clock, dial } = cluster
  const given = { nameServers, clock, dial, group: 'orders', autoBatch: true, ...settings }
  const producer = cluster.own(await cluster.outcome(Producer.start(given)))
  const batches = () => cluster.broker.server.requestsOf('SEND_BATCH_MESSAGE').length
  const singles = () => cluster.broker.server.requestsOf('SEND_MESSAGE_V2').length
  return { cluster, producer, batches, singles }
}

const message = (body: string, more: object = {}) => ({ topic: 'Orders', body, ...more })

test('single sends within the delay are sent as one batch, and each gets its own receipt', async t => {
  const { cluster, producer, batches, singles } = await setUp(t)
  const sends = ['a', 'b', 'c'].map(body => producer.send(message(body)))
  const receipts = await cluster.outcome(Promise.all(sends), { stepMs: 5 })
  assert.deepEqual([batches(), singles()], [1, 0])
  assert.deepEqual(
    receipts.map(({ queueOffset }) => queueOffset),
    [0, 1, 2],
  )
  assert.equal(new Set(receipts.map(({ messageId }) => messageId)).size, 3)
  assert.deepEqual(
    cluster.broker.messages('Orders').map(({ body }) => String(body)),
    ['a', 'b', 'c'],
  )
})

test('a full batch is sent at once', async t => {
  const { cluster, producer, batches } = await setUp(t, { autoBatchBytes: 10 })
  const sends = [producer.send(message('12345')), producer.send(message('67890'))]
  await cluster.outcome(Promise.all(sends), { stepMs: 0 })
  assert.equal(batches(), 1)
})

test('messages with different tags do not share a batch, and delayed ones join none', async t => {
  const { cluster, producer, batches, singles } = await setUp(t)
  const sends = [{ tags: 'x' }, { tags: 'x' }, { tags: 'y' }, { delayLevel: 1 }].map(more =>
    producer.send(message('m', more)),
  )
  await cluster.outcome(Promise.all(sends), { stepMs: 5 })
  assert.deepEqual([batches(), singles()], [1, 2])
})

test('an illegal message is refused alone, and the others of its batch are sent', async t => {
  const { cluster, producer } = await setUp(t, { maxMessageSize: 10 })
  const bad = assert.rejects(producer.send(message('far too long for this')), { code: 'MESSAGE_ILLEGAL' })
  const good = [producer.send(message('a')), producer.send(message('b'))]
  await cluster.outcome(Promise.all([bad, ...good]), { stepMs: 5 })
  assert.equal(cluster.broker.messages('Orders').length, 2)
})

test('a value that is no message or no option is refused as without batching', async t => {
  const { cluster, producer } = await setUp(t)
  const given: readonly (readonly unknown[])[] = [
    [null],
    [{ body: 'x' }],
    [{ topic: 5, body: 'x' }],
    [{ topic: 'Orders', body: 'x' }, null],
    [{ topic: 'Orders', body: 'x' }, { queue: null }],
  ]
  for (const each of given) {
    const sent = Reflect.apply(Reflect.get(producer, 'send'), producer, each)
    await assert.rejects(cluster.outcome(sent), { name: 'ClientError' })
  }
})

test('when too many bytes wait, messages are sent alone', async t => {
  const { cluster, producer, singles } = await setUp(t, { autoBatchHeldBytes: 4 })
  const sends = ['12345', '6'].map(body => producer.send(message(body)))
  await cluster.outcome(Promise.all(sends), { stepMs: 5 })
  assert.equal(singles(), 2)
})

test('open batches are sent before the producer closes', async t => {
  const { cluster, producer } = await setUp(t, { autoBatchDelayMs: 30_000 })
  const sends = [producer.send(message('a')), producer.send(message('b'))]
  await cluster.settle()
  await cluster.outcome(producer.close(), { stepMs: 5 })
  await Promise.all(sends)
  assert.equal(cluster.broker.messages('Orders').length, 2)
})

test('a send after the close is refused, also while open batches are sent', async t => {
  const { cluster, producer } = await setUp(t, { autoBatchDelayMs: 30_000 })
  const open = producer.send(message('a'))
  const closing = producer.close()
  await assert.rejects(producer.send(message('b')), { code: 'CLOSED' })
  await cluster.outcome(Promise.all([open, closing]), { stepMs: 5 })
  assert.deepEqual(
    cluster.broker.messages('Orders').map(({ body }) => String(body)),
    ['a'],
  )
})

test('when a batch fails, each of its sends fails', async t => {
  const { cluster, producer } = await setUp(t)
  cluster.broker.fault('SEND_BATCH_MESSAGE', { answer: 'code', code: 13, remark: 'no', times: 10 })
  const sends = ['a', 'b'].map(body => assert.rejects(producer.send(message(body)), { responseCode: 13 }))
  await cluster.outcome(Promise.all(sends), { stepMs: 5 })
})

test('option topics fetches routes at the start, and a missing topic is no error', async t => {
  const { cluster } = await setUp(t, { topics: ['Orders', 'Missing'], autoBatch: false })
  const asked = cluster.nameServer.server.requestsOf('GET_ROUTEINFO_BY_TOPIC').map(({ header }) => header['topic'])
  assert.ok(asked.includes('Orders') && asked.includes('Missing'))
})

test('a broker at which a send failed is probed until it answers', async t => {
  const { cluster, producer } = await setUp(t, { autoBatch: false, probeBrokers: true }, { brokers: 2 })
  const probes = () => cluster.broker.server.requestsOf('GET_MAX_OFFSET').length
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'hang-up', handled: false })
  for (let sent = 0; sent < 4; sent++) await cluster.outcome(producer.send(message('m')))
  await cluster.advance(6000, 100)
  assert.equal(probes(), 1)
  await cluster.advance(6000, 100)
  assert.equal(probes(), 1)
})
