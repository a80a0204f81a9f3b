import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { clientNotices, type StoredMessage, writeMessageProperties } from '@gantrymq/protocol'
import { type TestBroker, type TestCluster, testCluster } from '@gantrymq/testkit/cluster'
import { Producer } from './producer.ts'

async function setUp(t: TestContext, brokers = 1) {
  const cluster = await testCluster(t, { brokers })
  for (const broker of cluster.brokers) await broker.setTopic('Questions', { readQueues: 1 })
  return { cluster, producer: await started(cluster, 'askers'), replier: await started(cluster, 'repliers', 'replier') }
}

async function started(cluster: TestCluster, group: string, instanceName = 'asker'): Promise<Producer> {
  const { nameServerList: nameServers, clock, dial } = cluster
  return cluster.own(await cluster.outcome(Producer.start({ nameServers, clock, dial, group, instanceName })))
}

const question = { topic: 'Questions', body: 'how much?' }

/** The next request that a broker stores, as a consumer would receive it. */
async function requestAt(cluster: TestCluster, broker = 0) {
  const asked = cluster.brokers[broker] as TestBroker
  await cluster.until(() => asked.messages('Questions').length > 0)
  const { properties } = asked.messages('Questions').at(-1) as StoredMessage
  return { properties, queue: { topic: 'Questions', brokerName: asked.name, queueId: 0 } }
}

test('a request gets the reply of its consumer', async t => {
  const { cluster, producer, replier } = await setUp(t)
  const asking = producer.request(question, { timeoutMs: 5000 })
  const receipt = await cluster.outcome(replier.reply(await requestAt(cluster), 'seven'))
  const reply = await cluster.outcome(asking)
  assert.equal(reply.body.toString(), 'seven')
  assert.equal(reply.messageId, receipt.messageId)
  assert.equal(reply.property('MSG_TYPE'), 'reply')
  assert.equal(reply.property('TTL'), '5000')
  assert.ok(Number(reply.property('ARRIVE_TIME')) > 0)
})

test('the requester is registered at the broker before the request arrives, also after plain sends', async t => {
  const { cluster, producer } = await setUp(t)
  await cluster.outcome(producer.send(question))
  producer.request(question, { timeoutMs: 1000 }).catch(() => {})
  await cluster.settle()
  const names = cluster.broker.requests.map(({ name }) => name)
  assert.ok(names.indexOf('HEART_BEAT') >= 0)
  assert.ok(names.indexOf('HEART_BEAT') < names.lastIndexOf('SEND_MESSAGE_V2'))
})

test('the reply may come through any broker of the cluster', async t => {
  const { cluster, producer, replier } = await setUp(t, 3)
  for (const [index, broker] of cluster.brokers.entries())
    if (index > 0) await broker.setTopic('Questions', { perm: 0 })
  const asking = producer.request(question, { timeoutMs: 5000 })
  const { properties } = await requestAt(cluster)
  for (const broker of cluster.brokers.slice(1)) assert.ok(broker.clientIds.includes(producer.clientId))
  cluster.broker.fault('SEND_REPLY_MESSAGE_V2', { answer: 'code', code: 1, times: Number.POSITIVE_INFINITY })
  await cluster.outcome(replier.reply({ properties }, 'over another'))
  assert.equal((await cluster.outcome(asking)).body.toString(), 'over another')
})

test('a reply goes to the broker of the request first', async t => {
  const { cluster, producer, replier } = await setUp(t, 3)
  for (let turn = 0; turn < 3; turn++) {
    const asking = producer.request(question, {
      timeoutMs: 5000,
      queue: { topic: question.topic, brokerName: 'broker-b', queueId: 0 },
    })
    await cluster.settle()
    const { queue } = await cluster.outcome(replier.reply(await requestAt(cluster, 1), 'x'))
    assert.equal(queue.brokerName, 'broker-b')
    await cluster.outcome(asking)
  }
})

test('an unreachable name server does not delay a request to a known topic', async t => {
  const { cluster, producer, replier } = await setUp(t)
  await cluster.outcome(producer.send(question))
  await cluster.outcome(replier.queues('DefaultCluster_REPLY_TOPIC'))
  cluster.nameServer.fault('*', { answer: 'never', times: Number.POSITIVE_INFINITY })
  const asking = producer.request(question, { timeoutMs: 3000 })
  asking.catch(() => {})
  await cluster.advance(1600)
  assert.equal(cluster.broker.messages('Questions').length, 2)
  await cluster.outcome(replier.reply(await requestAt(cluster), 'seven'))
  assert.equal((await cluster.outcome(asking)).body.toString(), 'seven')
})

test('without a reply a request ends at its deadline, and a late reply does no harm', async t => {
  const { cluster, producer, replier } = await setUp(t)
  const asking = producer.request(question, { timeoutMs: 700 })
  asking.catch(() => {})
  const request = await requestAt(cluster)
  const text = 'send request message to <Questions> OK, but wait reply message timeout, 700 ms.'
  await assert.rejects(cluster.outcome(asking), { code: 'REPLY_TIMEOUT', responseCode: 10006, message: text })
  assert.equal((await cluster.outcome(replier.reply(request, 'too late'))).status, 'SEND_OK')
  assert.equal((await cluster.outcome(replier.reply(request, 'and again'))).status, 'SEND_OK')
})

test('replies still arrive after another producer of the process has closed', async t => {
  const { cluster, producer, replier } = await setUp(t)
  const other = await started(cluster, 'others')
  assert.equal(other.clientId, producer.clientId)
  await cluster.outcome(other.send(question))
  await cluster.outcome(other.close())
  const before = cluster.broker.messages('Questions').length
  const asking = producer.request(question, { timeoutMs: 5000 })
  await cluster.until(() => cluster.broker.messages('Questions').length > before)
  await cluster.outcome(replier.reply(await requestAt(cluster), 'seven'))
  assert.equal((await cluster.outcome(asking)).body.toString(), 'seven')
})

test('a request that cannot be sent fails with the reason', async t => {
  const { cluster, producer } = await setUp(t)
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'code', code: 13, remark: 'illegal' })
  await assert.rejects(cluster.outcome(producer.request(question)), { code: 'BROKER_REFUSED', remark: 'illegal' })
})

test('requests end when they are aborted or the producer is closed', async t => {
  const { cluster, producer } = await setUp(t)
  const stop = new AbortController()
  const first = assert.rejects(producer.request(question, { timeoutMs: 60_000, signal: stop.signal }), {
    code: 'ABORTED',
  })
  const second = assert.rejects(producer.request(question, { timeoutMs: 60_000 }), { code: 'CLOSED' })
  await cluster.settle()
  stop.abort()
  await first
  await cluster.outcome(producer.close())
  await second
})

test('only a request can be replied to', async t => {
  const { producer } = await setUp(t)
  const reply = (properties: Record<string, string>) =>
    producer.reply({ properties: new Map(Object.entries(properties)) }, 'x')
  const refused = { code: 'MESSAGE_ILLEGAL', responseCode: 10007 }
  await assert.rejects(reply({}), { ...refused, message: /because it has no property CLUSTER/ })
  await assert.rejects(reply({ CLUSTER: 'c' }), { ...refused, message: /no producer waits/ })
  await assert.rejects(Reflect.apply(Reflect.get(producer, 'reply'), producer, [null, 'x']), refused)
})

test('an unreadable reply fails its request only', async t => {
  const { cluster, producer } = await setUp(t)
  const asking = producer.request(question, { timeoutMs: 5000 })
  asking.catch(() => {})
  const { properties } = await requestAt(cluster)
  const text = writeMessageProperties([['CORRELATION_ID', properties.get('CORRELATION_ID') ?? '']])
  const header = { producerGroup: 'x', topic: 'y', properties: text, sysFlag: 0x301 }
  const pushed = cluster.broker.call(producer.clientId, clientNotices.PUSH_REPLY_MESSAGE_TO_CLIENT, {
    header,
    body: Buffer.from('no zlib'),
  })
  assert.equal((await cluster.outcome(pushed)).code, 0)
  const reply = await cluster.outcome(asking)
  assert.throws(() => reply.body, { code: 'BAD_BODY' })
})

test('a reply with too many properties ends its request at once', async t => {
  const { cluster, producer } = await setUp(t)
  const asking = producer.request(question, { timeoutMs: 5000 })
  const refused = assert.rejects(asking, { code: 'BAD_BODY', message: 'the reply cannot be read' })
  const { properties } = await requestAt(cluster)
  const id = properties.get('CORRELATION_ID') ?? ''
  const text = `CORRELATION_ID\u0001${id}\u0002a\u0001${'x'.repeat(32_767)}\u0002`
  const header = { producerGroup: 'x', topic: 'y', properties: text }
  const body = Buffer.from('seven')
  const pushed = cluster.broker.call(producer.clientId, clientNotices.PUSH_REPLY_MESSAGE_TO_CLIENT, { header, body })
  assert.equal((await cluster.outcome(pushed)).code, 0)
  await cluster.outcome(refused)
})
