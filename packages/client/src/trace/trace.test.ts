import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { readMessageProperty } from '@gantrymq/protocol'
import { type TestCluster, testCluster } from '@gantrymq/testkit/cluster'
import { LitePullConsumer } from '../consumer/lite-pull-consumer.ts'
import { PushConsumer } from '../consumer/push-consumer.ts'
import type { Outcome } from '../consumer/push/listener.ts'
import { Producer } from '../producer/producer.ts'
import { decodeEntries, type TraceEntry } from './entries.ts'

const TRACE_TOPIC = 'RMQ_SYS_TRACE_TOPIC'

async function clusterWithTopic(t: TestContext): Promise<TestCluster> {
  const cluster = await testCluster(t, { brokers: [{ options: { traceTopicEnable: true } }] })
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  return cluster
}

function shared({ nameServerList: nameServers, clock, dial }: TestCluster) {
  return { nameServers, clock, dial }
}

async function producing(cluster: TestCluster, options: object = {}): Promise<Producer> {
  const given = { ...shared(cluster), group: 'orders', trace: true, ...options }
  return cluster.own(await cluster.outcome(Producer.start(given)))
}

function traces(cluster: TestCluster, topic = TRACE_TOPIC): TraceEntry[] {
  return cluster.broker.messages(topic).flatMap(({ body }) => decodeEntries(body.toString()))
}

/** Waits until there are so many entries of one kind. */
async function entries<K extends TraceEntry['kind']>(cluster: TestCluster, kind: K, count: number) {
  const found = () => traces(cluster).filter((entry): entry is TraceEntry & { kind: K } => entry.kind === kind)
  await cluster.until(() => found().length >= count, { stepMs: 50 })
  return found()
}

test('a sent message is traced, and found by id and keys', async t => {
  const cluster = await clusterWithTopic(t)
  const producer = await producing(cluster)
  const message = { topic: 'Orders', body: 'hello', tags: 'new', keys: ['42', '43'] }
  const receipt = await cluster.outcome(producer.send(message))
  const [entry] = await entries(cluster, 'Pub', 1)
  assert.ok(entry !== undefined)
  const { at, costMs, region, ...rest } = entry
  assert.ok(costMs >= 0 && at <= cluster.clock.now())
  assert.equal(region, receipt.regionId)
  assert.deepEqual(rest, {
    kind: 'Pub',
    group: 'orders',
    topic: 'Orders',
    messageId: receipt.messageId,
    tags: 'new',
    keys: '42 43',
    storeHost: cluster.broker.address,
    bodyLength: 5,
    messageType: 0,
    offsetMessageId: receipt.offsetMessageId,
    ok: true,
  })
  const [trace] = cluster.broker.messages(TRACE_TOPIC)
  assert.equal(trace?.properties.get('KEYS'), `${receipt.messageId} 42 43`)
})

test('each message of a batch has its own entry', async t => {
  const cluster = await clusterWithTopic(t)
  const producer = await producing(cluster)
  const receipts = await cluster.outcome(
    producer.sendBatch([
      { topic: 'Orders', body: 'one', keys: 'k1' },
      { topic: 'Orders', body: 'two' },
    ]),
  )
  const found = await entries(cluster, 'Pub', 2)
  assert.deepEqual(
    found.map(({ messageId, keys, bodyLength }) => [messageId, keys, bodyLength]),
    [
      [receipts[0]?.messageId, 'k1', 3],
      [receipts[1]?.messageId, undefined, 3],
    ],
  )
})

test('a transaction is traced with its half message and its outcome', async t => {
  const cluster = await clusterWithTopic(t)
  const producer = await producing(cluster, { checkTransaction: () => Promise.resolve('unknown') })
  const message = { topic: 'Orders', body: 'hello', tags: 'new' }
  const receipt = await cluster.outcome(producer.sendInTransaction(message, () => Promise.resolve('commit')))
  const [half] = await entries(cluster, 'Pub', 1)
  assert.equal(half?.messageType, 1)
  const [end] = await entries(cluster, 'EndTransaction', 1)
  const { messageId, state, fromCheck, tags, topic, storeHost } = end ?? assert.fail('no entry')
  assert.deepEqual(
    { messageId, state, fromCheck, tags, topic, storeHost },
    {
      messageId: receipt.messageId,
      state: 'COMMIT_MESSAGE',
      fromCheck: false,
      tags: 'new',
      topic: 'Orders',
      storeHost: cluster.broker.address,
    },
  )
})

test('names in traces are without the namespace', async t => {
  const cluster = await clusterWithTopic(t)
  await cluster.broker.setTopic('shop%Orders', { readQueues: 1 })
  const producer = await producing(cluster, { namespace: 'shop' })
  await cluster.outcome(producer.send({ topic: 'Orders', body: 'hello' }))
  const [entry] = await entries(cluster, 'Pub', 1)
  assert.deepEqual([entry?.topic, entry?.group], ['Orders', 'orders'])
})

test('a trace may be sent to another topic, and is not traced itself', async t => {
  const cluster = await clusterWithTopic(t)
  await cluster.broker.setTopic('MyTrace', { readQueues: 1 })
  const producer = await producing(cluster, { trace: { topic: 'MyTrace' } })
  await cluster.outcome(producer.send({ topic: 'Orders', body: 'hello' }))
  await cluster.outcome(producer.send({ topic: 'MyTrace', body: 'by hand' }))
  await cluster.advance(2000)
  const stored = cluster.broker.messages('MyTrace')
  assert.equal(stored.length, 2, 'the message sent by hand and one of traces')
  assert.equal(traces(cluster, 'MyTrace').length, 1)
  assert.equal(traces(cluster).length, 0)
})

test('a failed send has no entry', async t => {
  const cluster = await clusterWithTopic(t)
  const producer = await producing(cluster, { retries: 0 })
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'code', code: 13, remark: 'illegal' })
  await assert.rejects(cluster.outcome(producer.send({ topic: 'Orders', body: 'hello' })))
  await cluster.advance(1000)
  assert.deepEqual(traces(cluster), [])
})

test('closing sends the remaining entries', async t => {
  const cluster = await clusterWithTopic(t)
  const producer = await producing(cluster)
  await cluster.outcome(producer.send({ topic: 'Orders', body: 'hello' }))
  await cluster.outcome(producer.close(), { stepMs: 0 })
  assert.equal(traces(cluster).length, 1)
})

test('a broker that takes no traces does not delay sends, and delays closing by at most drainMs', async t => {
  const cluster = await clusterWithTopic(t)
  const isTrace = ({ header }: { readonly header: Readonly<Record<string, string>> }) => header['b'] === TRACE_TOPIC
  cluster.broker.fault('SEND_MESSAGE_V2', {
    answer: 'never',
    handled: false,
    times: Number.POSITIVE_INFINITY,
    where: isTrace,
  })
  const producer = await producing(cluster)
  for (let n = 0; n < 3; n++) await cluster.outcome(producer.send({ topic: 'Orders', body: 'hello' }), { stepMs: 0 })
  const before = cluster.clock.now()
  await cluster.outcome(producer.close({ drainMs: 1000 }))
  assert.ok(cluster.clock.now() - before < 3000, `${cluster.clock.now() - before} ms`)
})

test('a consumer traces each message before and after its listener', async t => {
  const cluster = await clusterWithTopic(t)
  const outcomes: Outcome[] = [undefined, { retry: {} }]
  const consumer = await cluster.outcome(
    PushConsumer.start({
      ...shared(cluster),
      group: 'billing',
      subscriptions: { Orders: '*' },
      consumeFrom: 'first',
      trace: true,
      onMessage: ({ tags }) => {
        if (tags === 'bad') throw new Error('no')
        return outcomes.shift()
      },
    }),
  )
  cluster.own(consumer)
  const put = (id: string, extra: Record<string, string> = {}) =>
    cluster.broker.put({
      topic: 'Orders',
      properties: new Map(Object.entries({ UNIQ_KEY: id, KEYS: `k${id}`, MSG_REGION: 'here', ...extra })),
    })
  // Retries arrive at once here, so only the first entry of each message counts.
  const ended = async (id: string) => {
    await cluster.until(() => traces(cluster).some(each => each.kind === 'SubAfter' && each.messageId === id), {
      stepMs: 50,
    })
    return traces(cluster).find(each => each.kind === 'SubAfter' && each.messageId === id)
  }
  put('ID1')
  const first = await ended('ID1')
  const [before] = await entries(cluster, 'SubBefore', 1)
  const { messageId, keys, region, group, retryTimes, requestId } = before ?? assert.fail('no entry')
  assert.deepEqual([messageId, keys, region, group, retryTimes], ['ID1', 'kID1', 'here', 'billing', 0])
  assert.partialDeepStrictEqual(first, { requestId, ok: true, contextCode: 0, keys: 'kID1', group: 'billing' })
  put('ID2')
  assert.partialDeepStrictEqual(await ended('ID2'), { ok: false, contextCode: 4 })
  put('ID3', { TAGS: 'bad' })
  assert.partialDeepStrictEqual(await ended('ID3'), { ok: false, contextCode: 2 })
  put('ID4', { TRACE_ON: 'false' })
  await cluster.advance(1000)
  assert.ok(!traces(cluster).some(entry => entry.messageId === 'ID4'), 'a message that is not to be traced is not')
})

test('the sender of traces is a producer group of its own, which brokers know', async t => {
  const cluster = await clusterWithTopic(t)
  const producer = await producing(cluster)
  await cluster.outcome(producer.send({ topic: 'Orders', body: 'hello' }))
  await entries(cluster, 'Pub', 1)
  const sent = cluster.broker.server.requestsOf('SEND_MESSAGE_V2').find(({ header }) => header['b'] === TRACE_TOPIC)
  assert.match(sent?.header['a'] ?? '', /^_INNER_TRACE_PRODUCER-orders-PRODUCE-\d+$/)
  assert.equal(readMessageProperty(sent?.header['i'] ?? '', 'INSTANCE_ID'), undefined)
})

test('requests with traces have the same fields as those of the traced client', async t => {
  const cluster = await clusterWithTopic(t)
  const onRequest = (fields: Map<string, string>) => void fields.set('token', 'abc')
  const producer = await producing(cluster, { onRequest, zone: 'east', instanceName: 'name' })
  await cluster.outcome(producer.send({ topic: 'Orders', body: 'hello' }))
  await entries(cluster, 'Pub', 1)
  const sent = cluster.broker.server.requestsOf('SEND_MESSAGE_V2').find(({ header }) => header['b'] === TRACE_TOPIC)
  assert.deepEqual([sent?.header['token'], sent?.header['__ZONE_NAME']], ['abc', 'east'])
})

test('messages that a lite pull consumer returns are traced as consumed', async t => {
  const cluster = await clusterWithTopic(t)
  const given = { ...shared(cluster), group: 'billing', subscriptions: { Orders: '*' }, trace: true }
  const consumer = cluster.own(
    await cluster.outcome(LitePullConsumer.start({ ...given, consumeFrom: 'first' as const })),
  )
  const put = (id: string) => cluster.broker.put({ topic: 'Orders', properties: new Map([['UNIQ_KEY', id]]) })
  put('ID1')
  const polled = await cluster.outcome(consumer.poll({ timeoutMs: 60_000 }))
  assert.equal(polled.length, 1)
  const [after] = await entries(cluster, 'SubAfter', 1)
  assert.partialDeepStrictEqual(after, { messageId: 'ID1', ok: true, contextCode: 0, costMs: 0, group: 'billing' })
  put('ID2')
  const loop = consumer.messages()
  await cluster.outcome(loop.next())
  await cluster.outcome(loop.return())
  await entries(cluster, 'SubAfter', 2)
})

test('a logger that throws when a trace message fails disturbs neither the sends nor the process', async t => {
  const cluster = await clusterWithTopic(t)
  const warn = (): void => {
    throw new Error('broken logger')
  }
  const producer = await producing(cluster, { log: { debug() {}, info() {}, warn, error() {} } })
  cluster.broker.fault('SEND_MESSAGE_V2', {
    answer: 'code',
    code: 13,
    times: Infinity,
    where: ({ header }) => header['b'] === TRACE_TOPIC,
  })
  await cluster.outcome(producer.send({ topic: 'Orders', body: 'hello' }))
  await cluster.advance(2000)
  assert.equal(cluster.broker.messages('Orders').length, 1)
  assert.deepEqual(traces(cluster), [])
})
