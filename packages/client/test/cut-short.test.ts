// What is so after a change, or a receive, that was cut short.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Fault } from '@gantrymq/remoting/testing'
import { LitePullConsumer } from '../src/consumer/lite-pull-consumer.ts'
import { PullConsumer } from '../src/consumer/pull-consumer.ts'
import { SimpleConsumer } from '../src/consumer/simple-consumer.ts'
import type { CallOptions, MessageQueue } from '../src/message/message.ts'
import { type Scene, type SceneOptions, scene, TOPIC } from './survival-scene.ts'

const GROUP = 'readers'
const OTHER = 'Other'
const SILENT: Fault = { answer: 'never', handled: false, times: Number.POSITIVE_INFINITY }

interface Subscribing {
  subscribe(topic: string, expression?: string, options?: CallOptions): Promise<void>
  unsubscribe(topic: string, options?: CallOptions): Promise<void>
}

const given = (scenery: Scene) => {
  const { clock, nameServers, log, dial } = scenery.consumerOptions()
  return { clock, nameServers, log, dial, group: GROUP }
}

const subscriptions = { [TOPIC]: '*' }

async function simpleOf(scenery: Scene): Promise<SimpleConsumer> {
  const options = { ...given(scenery), subscriptions, consumeFrom: 'first' } as const
  return scenery.cluster.own(await scenery.cluster.outcome(SimpleConsumer.start(options)))
}

async function liteOf(scenery: Scene, more: { readonly subscriptions?: Readonly<Record<string, string>> } = {}) {
  return scenery.cluster.own(await scenery.cluster.outcome(LitePullConsumer.start({ ...given(scenery), ...more })))
}

const SUBSCRIBERS: Readonly<Record<string, (scenery: Scene) => Promise<Subscribing>>> = {
  'a push consumer': scenery => scenery.consumer({ group: GROUP }),
  'a lite pull consumer': scenery => liteOf(scenery, { subscriptions }),
  'a simple consumer': simpleOf,
}

async function withOther(t: TestContext, options?: SceneOptions): Promise<Scene> {
  const scenery = await scene(t, options)
  for (const broker of scenery.cluster.brokers) broker.setTopic(OTHER, { readQueues: 1 })
  return scenery
}

/** As the broker was told. */
function wanted({ cluster }: Scene): string[] {
  const { subscriptions } = cluster.broker.state.members.consumers.get(GROUP) ?? {}
  return [...(subscriptions?.keys() ?? [])].filter(topic => !topic.startsWith('%')).toSorted()
}

for (const [who, start] of Object.entries(SUBSCRIBERS)) {
  test(`${who} that gave a subscription up before its route was known does not want the topic`, async t => {
    const scenery = await withOther(t)
    const { cluster } = scenery
    const consumer = await start(scenery)
    const faults = cluster.nameServers.map(({ server }) => server.fault('*', SILENT))
    await assert.rejects(cluster.outcome(consumer.subscribe(OTHER, '*', { timeoutMs: 500 })), { code: 'TIMEOUT' })
    for (const fault of faults) fault.lift()
    await cluster.advance(100_000, 1000)
    assert.deepEqual(wanted(scenery), [TOPIC])
    await cluster.outcome(consumer.subscribe(OTHER))
    assert.deepEqual(wanted(scenery), [TOPIC, OTHER])
  })

  test(`${who} that does not wait for brokers to hear of a subscription has it, and they hear`, async t => {
    const scenery = await withOther(t)
    const { cluster } = scenery
    const consumer = await start(scenery)
    await cluster.settle()
    const fault = cluster.broker.fault('HEART_BEAT', SILENT)
    const since = cluster.clock.elapsed()
    await cluster.outcome(consumer.subscribe(OTHER, '*', { timeoutMs: 500 }))
    assert.ok(cluster.clock.elapsed() - since <= 550)
    assert.deepEqual(wanted(scenery), [TOPIC])
    fault.lift()
    await cluster.advance(60_000, 1000)
    assert.deepEqual(wanted(scenery), [TOPIC, OTHER])
  })

  test(`${who} that does not wait for brokers to hear that it gives a topic up has given it up`, async t => {
    const scenery = await withOther(t)
    const { cluster } = scenery
    const consumer = await start(scenery)
    await cluster.outcome(consumer.subscribe(OTHER))
    const fault = cluster.broker.fault('HEART_BEAT', SILENT)
    const stop = new AbortController()
    const leaving = consumer.unsubscribe(OTHER, { signal: stop.signal })
    await cluster.settle(2)
    stop.abort()
    await cluster.outcome(leaving)
    fault.lift()
    await cluster.advance(60_000, 1000)
    assert.deepEqual(wanted(scenery), [TOPIC])
  })

  test(`${who} whose signal was aborted before gives nothing up`, async t => {
    const scenery = await withOther(t)
    const { cluster } = scenery
    const consumer = await start(scenery)
    await assert.rejects(consumer.unsubscribe(TOPIC, { signal: AbortSignal.abort() }), { code: 'ABORTED' })
    await cluster.advance(60_000, 1000)
    assert.deepEqual(wanted(scenery), [TOPIC])
  })
}

test('queues whose assignment was cut short are not worked on, and the consumer may still subscribe', async t => {
  const scenery = await scene(t)
  const { cluster } = scenery
  const consumer = await liteOf(scenery)
  const queue: MessageQueue = { topic: TOPIC, brokerName: 'broker-a', queueId: 0 }
  const faults = cluster.nameServers.map(({ server }) => server.fault('*', SILENT))
  await assert.rejects(cluster.outcome(consumer.assign([queue], {}, { timeoutMs: 500 })), { code: 'TIMEOUT' })
  for (const fault of faults) fault.lift()
  assert.deepEqual(consumer.assignment, [])
  await cluster.outcome(consumer.subscribe(TOPIC))
  await cluster.until(() => consumer.assignment.length === 2)
})

test('a message that its broker does not take back in half of the time is sent to another', async t => {
  const scenery = await scene(t, { brokers: 2 })
  const { cluster } = scenery
  cluster.broker.put({ topic: TOPIC })
  for (const broker of cluster.brokers) broker.setTopic(`%RETRY%${GROUP}`, { readQueues: 1 })
  const consumer = cluster.own(await cluster.outcome(PullConsumer.start(given(scenery))))
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

test('a receive with little time has messages of a broker although the other is silent', async t => {
  const scenery = await scene(t, { brokers: 2 })
  const { cluster } = scenery
  const consumer = await simpleOf(scenery)
  const [silent, other] = cluster.brokers
  silent?.fault('POP_MESSAGE', SILENT)
  for (let turn = 0; turn < 2; turn++) {
    other?.put({ topic: TOPIC })
    const since = cluster.clock.elapsed()
    assert.equal((await cluster.outcome(consumer.receive({ timeoutMs: 2000 }))).length, 1)
    assert.ok(cluster.clock.elapsed() - since <= 1050)
  }
})

test('a receive that finds nothing waits no longer than leaves time for the answer', async t => {
  const scenery = await scene(t)
  const { cluster } = scenery
  const consumer = await simpleOf(scenery)
  for (const [timeoutMs, waitsMs] of [
    [5000, 4000],
    [2000, 1000],
  ] as const) {
    const since = cluster.clock.elapsed()
    assert.deepEqual(await cluster.outcome(consumer.receive({ timeoutMs })), [])
    assert.ok(Math.abs(cluster.clock.elapsed() - since - waitsMs) <= 100, `${cluster.clock.elapsed() - since} ms`)
  }
})

test('a receive that a slow broker answers late has its messages, unless it was told to end before', async t => {
  const scenery = await scene(t)
  const { cluster } = scenery
  const consumer = await simpleOf(scenery)
  cluster.broker.put({ topic: TOPIC })
  cluster.broker.fault('POP_MESSAGE', { answer: 'late', ms: 9000, times: 2 })
  assert.equal((await cluster.outcome(consumer.receive({ waitMs: 0 }))).length, 1)
  cluster.broker.put({ topic: TOPIC })
  const early = cluster.outcome(consumer.receive({ waitMs: 0, timeoutMs: 3000, invisibleMs: 20_000 }))
  await assert.rejects(early, { code: 'TIMEOUT' })
  assert.deepEqual(await cluster.outcome(consumer.receive({ waitMs: 0 })), [], 'hidden')
  assert.equal((await cluster.outcome(consumer.receive({ waitMs: 60_000 }))).length, 1, 'comes when its time is over')
})
