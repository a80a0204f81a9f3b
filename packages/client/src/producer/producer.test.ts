import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { test } from 'node:test'
import { decompress, readMessageProperties } from '@gantrymq/protocol'
import { type TestBroker, type TestCluster, type TestClusterOptions, testCluster } from '@gantrymq/testkit/cluster'
import { json } from '../message/codec.ts'
import { sendChannel } from '../diagnostics.ts'
import { ClientError } from '../errors.ts'
import type { SendReceipt } from '../message/message.ts'
import { Producer, type ProducerOptions } from './producer.ts'

type Settings = Partial<ProducerOptions>

async function started(cluster: TestCluster, settings: Settings = {}): Promise<Producer> {
  const { nameServerList: nameServers, clock, dial } = cluster
  return cluster.own(await cluster.outcome(Producer.start({ nameServers, clock, dial, group: 'orders', ...settings })))
}

async function setUp(t: TestContext, settings: Settings = {}, options: TestClusterOptions = {}) {
  const cluster = await testCluster(t, options)
  for (const broker of cluster.brokers) await broker.setTopic('Orders', { readQueues: 2 })
  return { cluster, producer: await started(cluster, settings) }
}

const sends = (cluster: TestCluster, broker = 0) => cluster.brokers[broker]?.server.requestsOf('SEND_MESSAGE_V2') ?? []
const message = { topic: 'Orders', body: 'hello' }

test('a message arrives with all of its properties', async t => {
  const { cluster, producer } = await setUp(t)
  const given = {
    ...message,
    tags: 'new',
    keys: ['a', 'b'],
    properties: { colour: 'grün' },
    flag: 7,
    waitStored: false,
  }
  const receipt = await cluster.outcome(producer.send(given))
  const [stored] = cluster.broker.messages('Orders')
  assert.equal(stored?.body.toString(), 'hello')
  assert.equal(stored.flag, 7)
  const { TAGS, KEYS, colour, UNIQ_KEY } = Object.fromEntries(stored.properties)
  assert.deepEqual([TAGS, KEYS, colour, UNIQ_KEY], ['new', 'a b', 'grün', receipt.messageId])
  assert.deepEqual([receipt.status, receipt.queueOffset, receipt.traceOn], ['SEND_OK', 0, true])
  assert.deepEqual(receipt.queue, { topic: 'Orders', brokerName: 'broker-a', queueId: stored.queueId })
  assert.equal(readMessageProperties(sends(cluster)[0]?.header['i'] ?? '').get('WAIT'), 'false')
  assert.match(receipt.messageId, /^[0-9A-F]{32}$/)
})

test('producers of one process have different message ids in the same millisecond', async t => {
  const { cluster, producer } = await setUp(t)
  const other = await started(cluster, { group: 'others' })
  const ids = await Promise.all([producer, other].map(each => cluster.outcome(each.send(message))))
  assert.notEqual(ids[0]?.messageId, ids[1]?.messageId)
})

test('an illegal message is refused before anything is sent', async t => {
  const { cluster, producer } = await setUp(t, { maxMessageSize: 100 })
  const wrong: [object, string, RegExp][] = [
    [{ body: '' }, 'MESSAGE_ILLEGAL', /body of a message is empty/],
    [{ body: null }, 'MESSAGE_ILLEGAL', /a message has no body/],
    [{ body: 7 }, 'MESSAGE_ILLEGAL', /bytes or a string, not 7/],
    [{ body: Buffer.alloc(101) }, 'MESSAGE_ILLEGAL', /has 101 bytes, more than option maxMessageSize, 100/],
    [{ topic: 'a b' }, 'BAD_NAME', /has characters other than/],
    [{ topic: 'SCHEDULE_TOPIC_XXXX' }, 'BAD_NAME', /forbidden/],
    [{ topic: undefined }, 'BAD_NAME', /no topic/],
    [{ tags: 7 }, 'MESSAGE_ILLEGAL', /tags of a message must be a string/],
    [{ flag: 1.5 }, 'MESSAGE_ILLEGAL', /flag/],
    [{ properties: { TAGS: 'x' } }, 'MESSAGE_ILLEGAL', /the property TAGS of a message is RocketMQ's own/],
    [{ properties: { a: ' ' } }, 'MESSAGE_ILLEGAL', /the property a of a message is blank/],
    [{ properties: { a: 'x\u0001' } }, 'MESSAGE_ILLEGAL', /U\+0001/],
    [{ properties: { a: 'x'.repeat(40_000) } }, 'MESSAGE_ILLEGAL', /longer than 32767/],
    [{ properties: { INNER_MULTI_DISPATCH: 'a/b' } }, 'MESSAGE_ILLEGAL', /must not contain \//],
    [{ delayLevel: 1, delayMs: 5 }, 'MESSAGE_ILLEGAL', /only one of/],
    [{ delayMs: -1 }, 'MESSAGE_ILLEGAL', /delayMs/],
  ]
  for (const [change, code, text] of wrong) {
    await assert.rejects(producer.send({ ...message, ...change }), { code, message: text })
  }
  await assert.rejects(producer.send(null as never), {
    code: 'MESSAGE_ILLEGAL',
    message: 'a message must be an object such as { topic, body }, not null',
  })
  assert.equal(sends(cluster).length, 0)
})

test('wrong options of a send are refused', async t => {
  const { producer } = await setUp(t)
  await assert.rejects(producer.send(message, { timeoutMs: 0 }), { code: 'BAD_OPTION', message: /timeoutMs/ })
  await assert.rejects(producer.send(message, { timeoutMs: Number.NaN }), { code: 'BAD_OPTION' })
})

test('a wrong option of the producer is named in the error', async () => {
  for (const wrong of [
    { group: 7 },
    { checkTransaction: 7 },
    { retries: -1 },
    { compression: 'zstd', compressionLevel: 0 },
  ]) {
    await assert.rejects(Producer.start({ group: 'orders', nameServers: 'a:1', ...wrong } as never), {
      code: 'BAD_OPTION',
    })
  }
  await assert.rejects(Producer.start({ group: 'DEFAULT_PRODUCER', nameServers: 'a:1' }), { code: 'BAD_NAME' })
})

test('a failed send is retried on another broker', async t => {
  const { cluster, producer } = await setUp(t, {}, { brokers: 3 })
  for (const broker of cluster.brokers) broker.fault('SEND_MESSAGE_V2', { answer: 'code', code: 1, remark: 'busy' })
  const failed = await cluster.outcome(producer.send(message).catch((error: unknown) => error))
  assert.ok(failed instanceof ClientError)
  assert.equal(failed.code, 'SEND_FAILED')
  assert.match(failed.message, /^Send \[3\] times, still failed, cost \[\d+\]ms, Topic: Orders: broker-.: .*busy/)
  assert.deepEqual(
    cluster.brokers.map((_, index) => sends(cluster, index).length),
    [1, 1, 1],
  )
  assert.equal(producer.stats.retried, 2)
  assert.equal(producer.stats.failed, 1)
})

test('a refusal that every broker would repeat is not retried', async t => {
  const { cluster, producer } = await setUp(t, {}, { brokers: 2 })
  for (const broker of cluster.brokers) broker.fault('SEND_MESSAGE_V2', { answer: 'code', code: 13, remark: 'illegal' })
  await assert.rejects(cluster.outcome(producer.send(message)), {
    code: 'BROKER_REFUSED',
    responseCode: 13,
    remark: 'illegal',
  })
  assert.equal(sends(cluster, 0).length + sends(cluster, 1).length, 1)
})

test('an unreachable broker is avoided while there is another', async t => {
  const { cluster, producer } = await setUp(t, {}, { brokers: 2 })
  cluster.broker.down()
  for (let turn = 0; turn < 10; turn++) {
    const receipt = await cluster.outcome(producer.send(message))
    assert.equal(receipt.queue.brokerName, 'broker-b')
  }
  assert.ok(producer.stats.retried <= 1, `${producer.stats.retried} attempts at a dead broker`)
})

test('a send to a broker that does not answer is retried on another within the timeout', async t => {
  const { cluster, producer } = await setUp(t, { attemptTimeoutMs: 500 }, { brokers: 2 })
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'never', times: Number.POSITIVE_INFINITY })
  for (let turn = 0; turn < 4; turn++) {
    const receipt = await cluster.outcome(producer.send(message))
    assert.equal(receipt.queue.brokerName, 'broker-b')
  }
})

test('the deadline covers all attempts', async t => {
  const { cluster, producer } = await setUp(t)
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'never', times: Number.POSITIVE_INFINITY })
  const began = cluster.clock.now()
  await assert.rejects(cluster.outcome(producer.send(message, { timeoutMs: 1000 })), { code: 'TIMEOUT' })
  assert.ok(cluster.clock.now() - began <= 1200)
})

test('the only broker is retried at its new address', async t => {
  const cluster = await testCluster(t, { brokers: [{ name: 'broker-a' }, { name: 'broker-a', joined: false }] })
  const [before, after] = cluster.brokers
  for (const broker of cluster.brokers) await broker.setTopic('Orders', { readQueues: 2 })
  const producer = await started(cluster)
  await cluster.outcome(producer.send(message))
  before?.down()
  before?.leave()
  after?.join()
  await cluster.advance(30_000, 1000)
  const receipt = await cluster.outcome(producer.send(message))
  assert.equal(receipt.status, 'SEND_OK')
  assert.equal(after?.messages('Orders').length, 1)
})

test('a busy broker is retried without a route query per refusal, while no name server answers', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders')
  const producer = await started(cluster)
  await cluster.outcome(producer.send(message))
  const asked = () => cluster.nameServer.server.requestsOf('GET_ROUTEINFO_BY_TOPIC').length
  const before = asked()
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'code', code: 2, times: 60 })
  for (let turn = 0; turn < 20; turn++)
    await assert.rejects(cluster.outcome(producer.send(message)), { responseCode: 2 })
  assert.ok(asked() - before <= 1, `${asked() - before} questions`)
  cluster.nameServer.fault('*', { answer: 'never', times: Number.POSITIVE_INFINITY })
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'code', code: 2 })
  assert.equal((await cluster.outcome(producer.send(message))).status, 'SEND_OK')
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'hang-up', handled: false })
  assert.equal((await cluster.outcome(producer.send(message))).status, 'SEND_OK')
})

test('while the only broker is down, the route is fetched at most ten times a second', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders')
  const producer = await started(cluster)
  await cluster.outcome(producer.send(message))
  const asked = () => cluster.nameServer.server.requestsOf('GET_ROUTEINFO_BY_TOPIC').length
  const [before, began] = [asked(), cluster.clock.elapsed()]
  cluster.broker.down()
  const failed = async () => assert.rejects(producer.send(message), { code: 'SEND_FAILED' })
  for (let turn = 0; turn < 10; turn++) await cluster.outcome(Promise.all([failed(), failed(), failed()]))
  const most = Math.ceil((cluster.clock.elapsed() - began) / 100) + 1
  assert.ok(asked() - before <= most, `${asked() - before} questions, ${most} at most`)
})

test('a topic that moved to another broker is found there within the call, however quickly the old one refuses', async t => {
  const cluster = await testCluster(t, { brokers: 2 })
  const [before, after] = cluster.brokers as [TestBroker, TestBroker]
  await before.setTopic('Orders')
  const producer = await started(cluster)
  await cluster.outcome(producer.send(message))
  before.leave()
  before.fault('SEND_MESSAGE_V2', { answer: 'code', code: 17, times: Number.POSITIVE_INFINITY })
  await after.setTopic('Orders')
  await cluster.advance(2000)
  cluster.nameServer.fault('*', { answer: 'late', ms: 100, times: Number.POSITIVE_INFINITY })
  assert.equal((await cluster.outcome(producer.send(message))).queue.brokerName, after.name)
})

test('a message that was not flushed in time is sent again only with option retryNotStored', async t => {
  const { cluster, producer } = await setUp(t)
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'code', code: 10, handled: true })
  assert.equal((await cluster.outcome(producer.send(message))).status, 'FLUSH_DISK_TIMEOUT')
  const eager = await started(cluster, { retryNotStored: true })
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'code', code: 12, handled: true })
  assert.equal((await cluster.outcome(eager.send(message))).status, 'SEND_OK')
})

test('a send to a queue chosen by queue, key or selector is not retried at another queue', async t => {
  const { cluster, producer } = await setUp(t, {}, { brokers: 2 })
  const queue = { topic: 'Orders', brokerName: 'broker-b', queueId: 1 }
  assert.deepEqual((await cluster.outcome(producer.send(message, { queue }))).queue, queue)
  const byKey = await cluster.outcome(producer.send(message, { hashKey: 'order-1001' }))
  assert.deepEqual(byKey.queue, (await producer.queues('Orders'))[708_180_863 % 4])
  const sharded = await cluster.outcome(producer.send({ ...message, shardingKey: 'order-1001' }))
  assert.deepEqual(sharded.queue, byKey.queue)
  assert.deepEqual(
    (await cluster.outcome(producer.send(message, { selector: queues => queues[2] }))).queue,
    queue0('broker-b'),
  )
  cluster.brokers[1]?.fault('SEND_MESSAGE_V2', { answer: 'hang-up', handled: false, times: 9 })
  await assert.rejects(cluster.outcome(producer.send(message, { queue })), { code: 'CONNECT_FAILED' })
  assert.equal(sends(cluster, 0).length, 0)
})

test('a message for a chosen queue is sent again to its busy broker, so that the order is kept', async t => {
  const { cluster, producer } = await setUp(t, {}, { brokers: 2 })
  const queue = { topic: 'Orders', brokerName: 'broker-b', queueId: 1 }
  cluster.brokers[1]?.fault('SEND_MESSAGE_V2', { answer: 'code', code: 2, times: 2 })
  assert.deepEqual((await cluster.outcome(producer.send(message, { queue }))).queue, queue)
  assert.equal(producer.stats.retried, 2)
  cluster.brokers[1]?.fault('SEND_MESSAGE_V2', { answer: 'code', code: 2, times: 3 })
  await assert.rejects(cluster.outcome(producer.send(message, { queue })), { code: 'BROKER_REFUSED', responseCode: 2 })
})

const queue0 = (brokerName: string) => ({ topic: 'Orders', brokerName, queueId: 0 })

test('a selector that throws or returns no queue, and a queue of another topic, are errors', async t => {
  const { cluster, producer } = await setUp(t)
  const bad = { code: 'BAD_OPTION' }
  await assert.rejects(cluster.outcome(producer.send(message, { selector: () => undefined })), {
    ...bad,
    message: /must return one of the queues/,
  })
  const broken = (): never => {
    throw new Error('boom')
  }
  await assert.rejects(cluster.outcome(producer.send(message, { selector: broken })), {
    ...bad,
    message: /option selector threw: boom/,
  })
  const queue = { topic: 'Other', brokerName: 'broker-a', queueId: 0 }
  await assert.rejects(cluster.outcome(producer.send(message, { queue })), {
    ...bad,
    message: /the message is of topic Orders, but option queue of Other/,
  })
})

test('a topic without a writable queue is not created again', async t => {
  const { cluster, producer } = await setUp(t)
  await cluster.broker.setTopic('Closed', { perm: 4 })
  const refused = { code: 'ROUTE_MISSING', message: /No route info of this topic: Closed.*broker-a has permission 4/ }
  await assert.rejects(cluster.outcome(producer.send({ topic: 'Closed', body: 'x' })), refused)
  await cluster.broker.setTopic('Closed', { perm: 6 })
  assert.equal((await cluster.outcome(producer.send({ topic: 'Closed', body: 'x' }))).status, 'SEND_OK')
})

test('the first message creates a missing topic if brokers do that', async t => {
  const { cluster, producer } = await setUp(t, { defaultTopicQueues: 3 })
  assert.equal((await cluster.outcome(producer.send({ topic: 'Fresh', body: 'first' }))).status, 'SEND_OK')
  assert.equal(cluster.broker.topic('Fresh')?.readQueueNums, 3)
  const { cluster: strict, producer: other } = await setUp(
    t,
    {},
    { brokers: [{ options: { autoCreateTopicEnable: false } }] },
  )
  const missing = { code: 'ROUTE_MISSING', responseCode: 10005, message: /No route info of this topic: Fresh/ }
  await assert.rejects(strict.outcome(other.send({ topic: 'Fresh', body: 'first' })), missing)
})

for (const compression of ['zlib', 'zstd'] as const) {
  test(`large bodies are compressed with ${compression}, small ones are not`, async t => {
    const { cluster, producer } = await setUp(t, { compression })
    const body = 'ab'.repeat(100_000)
    for (const each of ['x'.repeat(4095), 'x'.repeat(4096), body]) {
      const sending = producer.send({ topic: 'Orders', body: each }, { queue: queue0('broker-a') })
      // Compression runs in the thread pool, in real time.
      await cluster.outcome(sending, { stepMs: 0 })
    }
    const [small, edge, large] = cluster.broker.messages('Orders')
    assert.equal((small?.sysFlag ?? -1) & 0x701, 0)
    assert.equal(edge?.sysFlag, compression === 'zlib' ? 0x301 : 0x201)
    assert.equal(decompress(large?.body as Buffer, compression).toString(), body)
  })
}

test('sends beyond maxInFlight wait, and fail at their deadline', async t => {
  const { cluster, producer } = await setUp(t, { maxInFlight: 2 })
  const stuck = cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'late', ms: 500, times: 2 })
  const all = Array.from({ length: 4 }, () => producer.send(message))
  const impatient = producer.send(message, { timeoutMs: 100 })
  impatient.catch(() => {})
  await cluster.settle()
  assert.deepEqual([producer.stats.inFlight, producer.stats.waiting], [2, 3])
  await assert.rejects(cluster.outcome(impatient), { code: 'BACK_PRESSURE', retriable: true })
  await cluster.outcome(Promise.all(all))
  assert.equal(stuck.met, 2)
  assert.deepEqual([producer.stats.sent, producer.stats.inFlight, producer.stats.bytes], [4, 0, 20])
  assert.ok(producer.stats.latency.max >= 500)
})

test('an aborted send fails with ABORTED, and its broker is not avoided', async t => {
  const { cluster, producer } = await setUp(t)
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'never' })
  const stop = new AbortController()
  const sending = producer.send(message, { signal: stop.signal })
  sending.catch(() => {})
  await cluster.settle()
  stop.abort()
  await assert.rejects(cluster.outcome(sending), { code: 'ABORTED' })
  assert.equal((await cluster.outcome(producer.send(message))).status, 'SEND_OK')
})

test('a one-way message is stored without an answer', async t => {
  const { cluster, producer } = await setUp(t)
  await cluster.outcome(producer.sendOneway(message))
  await cluster.settle()
  const [request] = sends(cluster)
  assert.equal(request?.oneway, true)
  assert.equal(cluster.broker.messages('Orders').length, 1)
  await assert.rejects(producer.sendOneway({ ...message, body: '' }), { code: 'MESSAGE_ILLEGAL' })
  assert.equal(producer.stats.sent, 1)
})

test('one-way messages avoid a broker that could not be reached', async t => {
  const { cluster, producer } = await setUp(t, {}, { brokers: 2 })
  await cluster.outcome(producer.queues('Orders'))
  cluster.broker.down()
  let failed = 0
  for (let turn = 0; turn < 10; turn++) await cluster.outcome(producer.sendOneway(message).catch(() => failed++))
  assert.ok(failed <= 1, `${failed} failed`)
})

test('with a namespace brokers see prefixed names, the caller plain ones', async t => {
  const { cluster, producer } = await setUp(t, { namespace: 'shop' })
  await cluster.broker.setTopic('shop%Orders', { readQueues: 1 })
  const seen: string[] = []
  const selector = (queues: readonly { readonly topic: string }[]) => {
    seen.push(...queues.map(({ topic }) => topic))
    return queues[0] as never
  }
  const receipt = await cluster.outcome(producer.send(message, { selector }))
  assert.deepEqual(receipt.queue, queue0('broker-a'))
  assert.deepEqual(seen, ['Orders'])
  const [request] = sends(cluster)
  assert.deepEqual([request?.header['a'], request?.header['b']], ['shop%orders', 'shop%Orders'])
  assert.equal(readMessageProperties(request?.header['i'] ?? '').get('INSTANCE_ID'), 'shop')
})

test('delays and timers are sent as properties of the message', async t => {
  const { cluster, producer } = await setUp(t)
  const later = new Date(cluster.clock.now() + 5000)
  for (const delay of [{ delayLevel: 3 }, { delayMs: 700 }, { deliverAt: later }, { delayLevel: 0 }]) {
    await cluster.outcome(producer.send({ ...message, ...delay }))
  }
  const properties = sends(cluster).map(({ header }) => readMessageProperties(header['i'] ?? ''))
  const delays = properties.map(all => all.get('DELAY') ?? all.get('TIMER_DELAY_MS') ?? all.get('TIMER_DELIVER_MS'))
  assert.deepEqual(delays, ['3', '700', String(later.getTime()), undefined])
})

test('a timer message is recalled by the handle in its receipt', async t => {
  const { cluster, producer } = await setUp(t, {}, { brokers: [{ options: { recallMessageEnable: true } }] })
  const receipt = await cluster.outcome(producer.send({ ...message, deliverAt: cluster.clock.now() + 60_000 }))
  const handle = receipt.recallHandle ?? assert.fail('no handle')
  assert.equal(await cluster.outcome(producer.recall('Orders', handle)), receipt.messageId)
  await cluster.advance(61_000, 500)
  assert.equal(cluster.broker.messages('Orders').length, 0)
  await assert.rejects(producer.recall('Orders', 'nonsense'), { code: 'BAD_OPTION', message: /handle is invalid/ })
  await assert.rejects(producer.recall('%RETRY%g', handle), { code: 'BAD_NAME' })
})

test('the codec encodes the body, and its failure is an illegal message', async t => {
  const cluster = await testCluster(t)
  const { nameServerList: nameServers, clock, dial } = cluster
  const starting = Producer.start({ nameServers, clock, dial, group: 'orders', codec: json<{ id: bigint | number }>() })
  const producer = cluster.own(await cluster.outcome(starting))
  await cluster.outcome(producer.send({ topic: 'Orders', body: { id: 7 } }))
  assert.equal(cluster.broker.messages('Orders')[0]?.body.toString(), '{"id":7}')
  await assert.rejects(producer.send({ topic: 'Orders', body: { id: 7n } }), {
    code: 'MESSAGE_ILLEGAL',
    message: /codec/,
  })
})

test('subscribers of the send channel see each send and may add properties', async t => {
  const { cluster, producer } = await setUp(t)
  const seen: string[] = []
  const receipts: (SendReceipt | undefined)[] = []
  const subscriber = {
    start: (event: object) => {
      const { kind, topic, properties } = event as { kind: string; topic: string; properties: Record<string, string> }
      seen.push(`start ${kind} ${topic}`)
      properties['traceparent'] = '00-1'
    },
    end: () => {},
    asyncStart: () => {},
    asyncEnd: (event: object) => {
      receipts.push((event as { receipt?: SendReceipt }).receipt)
      seen.push('end')
    },
    error: () => seen.push('error'),
  }
  sendChannel.subscribe(subscriber)
  t.after(() => sendChannel.unsubscribe(subscriber))
  const sent = await cluster.outcome(producer.send(message))
  await assert.rejects(producer.send({ ...message, body: '' }))
  assert.deepEqual(seen, ['start send Orders', 'end', 'start send Orders', 'error', 'end'])
  assert.deepEqual(receipts, [sent, undefined])
  assert.equal(cluster.broker.messages('Orders')[0]?.properties.get('traceparent'), '00-1')
})

test('brokers get a heartbeat when the producer connects, and an unregistration when it closes', async t => {
  const { cluster, producer } = await setUp(t)
  await cluster.outcome(producer.send(message))
  await cluster.settle()
  assert.deepEqual(cluster.broker.clientIds, [producer.clientId])
  await cluster.outcome(producer.close())
  const [leaving] = cluster.broker.server.requestsOf('UNREGISTER_CLIENT')
  assert.deepEqual([leaving?.header['clientID'], leaving?.header['producerGroup']], [producer.clientId, 'orders'])
})

test('closing lets sends in flight finish and refuses waiting ones', async t => {
  const { cluster, producer } = await setUp(t, { maxInFlight: 1 })
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'late', ms: 1000 })
  const sending = producer.send(message)
  await cluster.settle()
  const waiting = assert.rejects(producer.send(message), { code: 'CLOSED' })
  const closing = producer.close()
  assert.equal(producer.close(), closing)
  await assert.rejects(producer.send(message), { code: 'CLOSED' })
  await assert.rejects(producer.sendBatch([message]), { code: 'CLOSED' })
  await cluster.outcome(closing)
  assert.equal((await sending).status, 'SEND_OK')
  await waiting
})

test('closing waits at most drainMs', async t => {
  const { cluster, producer } = await setUp(t)
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'never' })
  const sending = assert.rejects(producer.send(message, { timeoutMs: 60_000 }), { code: 'CLOSED' })
  await cluster.settle()
  const began = cluster.clock.now()
  await cluster.outcome(producer.close({ drainMs: 300 }))
  assert.ok(cluster.clock.now() - began <= 1000)
  await sending
})

test('a message with a time goes to no broker of 4.9, which would deliver it at once, unless that is allowed', async t => {
  const cluster = await testCluster(t, { brokers: [{ release: '4.9' }] })
  await cluster.broker.setTopic('T')
  const { nameServerList: nameServers, clock, dial } = cluster
  const start = async (options: object) =>
    cluster.own(await cluster.outcome(Producer.start({ nameServers, clock, dial, group: 'orders', ...options })))
  const message = { topic: 'T', body: 'x', delayMs: 60_000 }
  const expected = {
    code: 'UNSUPPORTED',
    retriable: false,
    message: /broker-a at .* is older than 5\.0 .* use delayLevel/,
  }
  const strict = await start({})
  await assert.rejects(cluster.outcome(strict.send(message)), expected)
  await assert.rejects(
    cluster.outcome(strict.send({ ...message, delayMs: undefined, deliverAt: new Date() })),
    expected,
  )
  await assert.rejects(cluster.outcome(strict.sendOneway(message)), expected)
  const lax = await start({ allowImmediateDelivery: true })
  assert.equal((await cluster.outcome(lax.send(message))).status, 'SEND_OK')
})

test('a message with a time does not wait for the heartbeat of a broker that hangs', async t => {
  const cluster = await testCluster(t, { brokers: 2 })
  const [first, second] = cluster.brokers
  await first?.setTopic('Orders')
  await second?.setTopic('Others')
  second?.fault('HEART_BEAT', { answer: 'never', times: 100 })
  const producer = await started(cluster)
  await cluster.outcome(producer.queues('Others'))
  const began = cluster.clock.elapsed()
  await cluster.outcome(producer.send({ ...message, delayMs: 60_000 }))
  assert.ok(cluster.clock.elapsed() - began <= 1100, `${cluster.clock.elapsed() - began} ms`)
})

test('all steps of closing together take no longer than drainMs and a second', async t => {
  const { cluster, producer } = await setUp(t, { autoBatch: true, trace: true, timeoutMs: 60_000 })
  await cluster.outcome(producer.queues('Orders'))
  cluster.broker.fault('*', { answer: 'never', times: Infinity })
  const sends = [producer.send(message), producer.send({ ...message, delayLevel: 1 })].map(each => each.catch(() => {}))
  await cluster.advance(100)
  const began = cluster.clock.elapsed()
  await cluster.outcome(producer.close({ drainMs: 2000 }))
  assert.ok(cluster.clock.elapsed() - began <= 3200, `${cluster.clock.elapsed() - began} ms`)
  await Promise.all(sends)
})
