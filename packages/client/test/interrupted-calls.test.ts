// The state after a change or a receive that ended early.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { connectionRequests } from '@gantrymq/protocol'
import type { Fault } from '@gantrymq/testkit/cluster'
import { LitePullConsumer } from '../src/consumer/lite-pull-consumer.ts'
import { PullConsumer } from '../src/consumer/pull-consumer.ts'
import { SimpleConsumer } from '../src/consumer/simple-consumer.ts'
import type { CallOptions, MessageQueue } from '../src/message/message.ts'
import { type OutageCluster, type OutageClusterOptions, outageCluster, TOPIC } from './outage-cluster.ts'

const GROUP = 'readers'
const OTHER = 'Other'
const SILENT: Fault = { answer: 'never', handled: false, times: Number.POSITIVE_INFINITY }

interface Subscribing {
  subscribe(topic: string, expression?: string, options?: CallOptions): Promise<void>
  unsubscribe(topic: string, options?: CallOptions): Promise<void>
}

const given = (fixture: OutageCluster) => {
  const { clock, nameServers, log, dial } = fixture.consumerOptions()
  return { clock, nameServers, log, dial, group: GROUP }
}

const subscriptions = { [TOPIC]: '*' }

async function simpleOf(fixture: OutageCluster): Promise<SimpleConsumer> {
  const options = { ...given(fixture), subscriptions, consumeFrom: 'first' } as const
  return fixture.cluster.own(await fixture.cluster.outcome(SimpleConsumer.start(options)))
}

async function liteOf(
  fixture: OutageCluster,
  more: { readonly subscriptions?: Readonly<Record<string, string>> } = {},
) {
  return fixture.cluster.own(await fixture.cluster.outcome(LitePullConsumer.start({ ...given(fixture), ...more })))
}

const SUBSCRIBERS: Readonly<Record<string, (fixture: OutageCluster) => Promise<Subscribing>>> = {
  'a push consumer': fixture => fixture.consumer({ group: GROUP }),
  'a lite pull consumer': fixture => liteOf(fixture, { subscriptions }),
  'a simple consumer': simpleOf,
}

async function withOther(t: TestContext, options?: OutageClusterOptions): Promise<OutageCluster> {
  const fixture = await outageCluster(t, options)
  for (const broker of fixture.cluster.brokers) await broker.setTopic(OTHER, { readQueues: 1 })
  return fixture
}

/** The topics in the last heartbeat. */
async function subscribedTopics({ cluster }: OutageCluster): Promise<string[]> {
  const header = { consumerGroup: GROUP }
  const { body } = await cluster.broker.operate(connectionRequests.GET_CONSUMER_CONNECTION_LIST, { header })
  return [...(body?.subscriptions.keys() ?? [])].filter(topic => !topic.startsWith('%')).toSorted()
}

for (const [who, start] of Object.entries(SUBSCRIBERS)) {
  test(`${who} is not subscribed after a subscribe that timed out before the route was known`, async t => {
    const fixture = await withOther(t)
    const { cluster } = fixture
    const consumer = await start(fixture)
    const faults = cluster.nameServers.map(({ server }) => server.fault('*', SILENT))
    await assert.rejects(cluster.outcome(consumer.subscribe(OTHER, '*', { timeoutMs: 500 })), { code: 'TIMEOUT' })
    for (const fault of faults) fault.lift()
    await cluster.advance(100_000, 1000)
    assert.deepEqual(await subscribedTopics(fixture), [TOPIC])
    await cluster.outcome(consumer.subscribe(OTHER))
    assert.deepEqual(await subscribedTopics(fixture), [TOPIC, OTHER])
  })

  test(`${who} is subscribed after a subscribe that timed out during the heartbeat, and brokers learn it later`, async t => {
    const fixture = await withOther(t)
    const { cluster } = fixture
    const consumer = await start(fixture)
    await cluster.settle()
    const fault = cluster.broker.fault('HEART_BEAT', SILENT)
    const since = cluster.clock.elapsed()
    await cluster.outcome(consumer.subscribe(OTHER, '*', { timeoutMs: 500 }))
    assert.ok(cluster.clock.elapsed() - since <= 550)
    assert.deepEqual(await subscribedTopics(fixture), [TOPIC])
    fault.lift()
    await cluster.advance(60_000, 1000)
    assert.deepEqual(await subscribedTopics(fixture), [TOPIC, OTHER])
  })

  test(`${who} is unsubscribed after an unsubscribe that was aborted during the heartbeat`, async t => {
    const fixture = await withOther(t)
    const { cluster } = fixture
    const consumer = await start(fixture)
    await cluster.outcome(consumer.subscribe(OTHER))
    const fault = cluster.broker.fault('HEART_BEAT', SILENT)
    const stop = new AbortController()
    const leaving = consumer.unsubscribe(OTHER, { signal: stop.signal })
    await cluster.settle(2)
    stop.abort()
    await cluster.outcome(leaving)
    fault.lift()
    await cluster.advance(60_000, 1000)
    assert.deepEqual(await subscribedTopics(fixture), [TOPIC])
  })

  test(`${who} stays subscribed after an unsubscribe with an aborted signal`, async t => {
    const fixture = await withOther(t)
    const { cluster } = fixture
    const consumer = await start(fixture)
    await assert.rejects(consumer.unsubscribe(TOPIC, { signal: AbortSignal.abort() }), { code: 'ABORTED' })
    await cluster.advance(60_000, 1000)
    assert.deepEqual(await subscribedTopics(fixture), [TOPIC])
  })
}

test('queues are not consumed after an assign that timed out, and the consumer may still subscribe', async t => {
  const fixture = await outageCluster(t)
  const { cluster } = fixture
  const consumer = await liteOf(fixture)
  const queue: MessageQueue = { topic: TOPIC, brokerName: 'broker-a', queueId: 0 }
  const faults = cluster.nameServers.map(({ server }) => server.fault('*', SILENT))
  await assert.rejects(cluster.outcome(consumer.assign([queue], {}, { timeoutMs: 500 })), { code: 'TIMEOUT' })
  for (const fault of faults) fault.lift()
  assert.deepEqual(consumer.assignment, [])
  await cluster.outcome(consumer.subscribe(TOPIC))
  await cluster.until(() => consumer.assignment.length === 2)
})

test('a message that its broker does not take back within half of the timeout is sent to another broker', async t => {
  const fixture = await outageCluster(t, { brokers: 2 })
  const { cluster } = fixture
  cluster.broker.put({ topic: TOPIC })
  for (const broker of cluster.brokers) await broker.setTopic(`%RETRY%${GROUP}`, { readQueues: 1 })
  const consumer = cluster.own(await cluster.outcome(PullConsumer.start(given(fixture))))
  const { messages } = await cluster.outcome(
    consumer.pull({ topic: TOPIC, brokerName: 'broker-a', queueId: 0 }, '*', 0, 1),
  )
  cluster.broker.fault('CONSUMER_SEND_MSG_BACK', SILENT)
  const [message] = messages
  assert.ok(message)
  const since = cluster.clock.elapsed()
  await cluster.outcome(consumer.sendMessageBack(message, 0, { timeoutMs: 1000 }))
  assert.ok(cluster.clock.elapsed() - since <= 550)
})

// -- Receive -----------------------------------------------------------------------------------------------------------

test('a receive with a short timeout returns the messages of one broker although the other is silent', async t => {
  const fixture = await outageCluster(t, { brokers: 2 })
  const { cluster } = fixture
  const consumer = await simpleOf(fixture)
  const [silent, other] = cluster.brokers
  silent?.fault('POP_MESSAGE', SILENT)
  for (let turn = 0; turn < 2; turn++) {
    other?.put({ topic: TOPIC })
    await cluster.settle()
    const since = cluster.clock.elapsed()
    assert.equal((await cluster.outcome(consumer.receive({ timeoutMs: 2000 }))).length, 1)
    assert.ok(cluster.clock.elapsed() - since <= 1050)
  }
})

test('a receive without messages waits only as long as leaves time for the answer', async t => {
  const fixture = await outageCluster(t)
  const { cluster } = fixture
  const consumer = await simpleOf(fixture)
  for (const [timeoutMs, waitsMs] of [
    [5000, 4000],
    [2000, 1000],
  ] as const) {
    const since = cluster.clock.elapsed()
    assert.deepEqual(await cluster.outcome(consumer.receive({ timeoutMs })), [])
    assert.ok(Math.abs(cluster.clock.elapsed() - since - waitsMs) <= 100, `${cluster.clock.elapsed() - since} ms`)
  }
})

test('a receive returns the messages of a slow broker, unless its timeout is shorter', async t => {
  const fixture = await outageCluster(t)
  const { cluster } = fixture
  const consumer = await simpleOf(fixture)
  cluster.broker.put({ topic: TOPIC })
  await cluster.settle()
  cluster.broker.fault('POP_MESSAGE', { answer: 'late', ms: 9000, times: 2 })
  assert.equal((await cluster.outcome(consumer.receive({ waitMs: 0 }))).length, 1)
  cluster.broker.put({ topic: TOPIC })
  await cluster.settle()
  const early = cluster.outcome(consumer.receive({ waitMs: 0, timeoutMs: 3000, invisibleMs: 20_000 }))
  await assert.rejects(early, { code: 'TIMEOUT' })
  assert.deepEqual(await cluster.outcome(consumer.receive({ waitMs: 0 })), [], 'hidden')
  assert.equal(
    (await cluster.outcome(consumer.receive({ waitMs: 60_000 }))).length,
    1,
    'delivered after its invisible time',
  )
})
