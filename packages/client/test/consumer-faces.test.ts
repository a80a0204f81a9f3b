import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { clientNotices } from '@gantrymq/protocol'
import { type Stage, stage } from '@gantrymq/testkit'
import { LitePullConsumer } from '../src/consumer/lite-pull-consumer.ts'
import { PullConsumer } from '../src/consumer/pull-consumer.ts'
import { SimpleConsumer } from '../src/consumer/simple-consumer.ts'
import type { MessageQueue } from '../src/message/message.ts'
import { noted, startConsumer } from './push-scene.ts'

const GROUP = 'readers'
/** As users name it, whatever the namespace. */
const queue: MessageQueue = { topic: 'Orders', brokerName: 'broker-a', queueId: 0 }

async function played(t: TestContext, topic = 'Orders'): Promise<Stage> {
  const play = await stage(t)
  play.broker.setTopic(topic, { readQueues: 1 })
  return play
}

const optionsOf = ({ nameServerList: nameServers, clock, dial }: Stage, namespace: string) => {
  return { nameServers, clock, dial, namespace, group: GROUP }
}

async function startLite(play: Stage, namespace = '', onQueues?: (...told: unknown[]) => void) {
  const given = { ...optionsOf(play, namespace), subscriptions: { Orders: '*' }, onQueues, autoCommitMs: 1000 }
  return play.own(await play.outcome(LitePullConsumer.start(given)))
}

async function startPull(play: Stage, namespace = '', onQueues?: (...told: unknown[]) => void) {
  return play.own(
    await play.outcome(PullConsumer.start({ ...optionsOf(play, namespace), topics: ['Orders'], onQueues })),
  )
}

async function startSimple(play: Stage, namespace = '') {
  const given = { ...optionsOf(play, namespace), subscriptions: { Orders: '*' } }
  return play.own(await play.outcome(SimpleConsumer.start(given)))
}

/** Collects what `onQueues` is told. */
function listener() {
  const told: unknown[][] = []
  return { told, onQueues: (...all: unknown[]): void => void told.push(all) }
}

// -- Names -------------------------------------------------------------------------------------------------------------

for (const orderly of [false, true]) {
  test(`a push consumer in a namespace shows queues by their own names, orderly: ${orderly}`, async t => {
    const play = await played(t, 'ns%Orders')
    const { told, onQueues } = listener()
    const seen: MessageQueue[] = []
    const consumer = await startConsumer(play, {
      namespace: 'ns',
      orderly,
      onQueues,
      onMessage: (message, context) => void seen.push(message.queue, context.queue),
    })
    play.broker.put({ topic: 'ns%Orders' })
    await play.until(() => seen.length === 2)
    assert.deepEqual(seen, [queue, queue])
    assert.equal(seen[0], seen[1])
    assert.deepEqual(
      told.find(([topic]) => topic === 'Orders'),
      ['Orders', [queue], [queue]],
    )
    assert.deepEqual(consumer.queues.map(({ topic }) => topic).toSorted(), ['%RETRY%readers', 'Orders'])
  })
}

test('a popping consumer in a namespace shows queues by their own names, also what comes again', async t => {
  const play = await played(t, 'ns%Orders')
  const wanted = { topic: 'ns%Orders', consumerGroup: 'ns%readers', mode: 'POP', popShareQueueNum: 0 } as const
  play.broker.state.requestModes.set('ns%Orders@ns%readers', wanted)
  const seen: string[] = []
  await startConsumer(play, {
    namespace: 'ns',
    serverAssignment: true,
    onMessage: (message, context) => {
      seen.push([message.topic, message.queue.topic, context.queue.topic].join(' '))
      if (message.reconsumeTimes === 0) throw new Error('again')
    },
  })
  await play.advance(1000)
  play.broker.put({ topic: 'ns%Orders' })
  await play.until(() => seen.length === 2, { stepMs: 50 })
  assert.deepEqual(seen, ['Orders Orders Orders', 'Orders %RETRY%readers_Orders Orders'])
})

test('a lite pull consumer in a namespace takes and shows queues by their own names', async t => {
  const play = await played(t, 'ns%Orders')
  const { told, onQueues } = listener()
  const consumer = await startLite(play, 'ns', onQueues)
  await play.until(() => consumer.assignment.length === 1)
  play.broker.put({ topic: 'ns%Orders' })
  assert.deepEqual(consumer.assignment, [queue])
  assert.deepEqual(told, [['Orders', [queue], [queue]]])
  const changed: unknown[] = []
  consumer.onTopicQueues('Orders', queues => changed.push(queues))
  await play.outcome(consumer.seekToBegin(queue))
  const [message] = await play.outcome(consumer.poll())
  assert.deepEqual([message?.topic, message?.queue], ['Orders', queue])
  await play.outcome(consumer.commit([{ queue, offset: 1 }]))
  assert.equal(play.broker.committed('ns%Orders', 'ns%readers', 0), 1)
  assert.equal(await play.outcome(consumer.committed(queue)), 1)
  assert.deepEqual(await play.outcome(consumer.queuesOf('Orders')), [queue])
  play.broker.setTopic('ns%Orders', { readQueues: 2 })
  await play.until(() => changed.length === 1, { stepMs: 1000 })
  assert.deepEqual(changed, [[queue, { ...queue, queueId: 1 }]])
  consumer.pause([queue])
  consumer.resume([queue])
})

test('assigned queues are taken and shown by their own names', async t => {
  const play = await played(t, 'ns%Orders')
  const consumer = play.own(await play.outcome(LitePullConsumer.start(optionsOf(play, 'ns'))))
  await play.outcome(consumer.assign([queue]))
  assert.deepEqual(consumer.assignment, [queue])
})

test('a pull consumer in a namespace takes and shows queues by their own names', async t => {
  const play = await played(t, 'ns%Orders')
  const { told, onQueues } = listener()
  const consumer = await startPull(play, 'ns', onQueues)
  play.broker.put({ topic: 'ns%Orders' })
  await play.until(() => told.length === 1)
  assert.deepEqual(told, [['Orders', [queue], [queue]]])
  assert.deepEqual(consumer.queuesInBalance('Orders'), [queue])
  assert.deepEqual(await play.outcome(consumer.queuesOf('Orders')), [queue])
  const { messages } = await play.outcome(consumer.pull(queue, '*', 0, 10))
  assert.deepEqual([messages[0]?.topic, messages[0]?.queue], ['Orders', queue])
  consumer.updateOffset(queue, 1)
  await play.outcome(consumer.persist(queue))
  assert.equal(play.broker.committed('ns%Orders', 'ns%readers', 0), 1)
})

test('a simple consumer in a namespace shows queues by their own names, also what comes again', async t => {
  const play = await played(t, 'ns%Orders')
  const consumer = await startSimple(play, 'ns')
  play.broker.put({ topic: 'ns%Orders' })
  const [first] = await play.outcome(consumer.receive({ invisibleMs: 5000 }))
  assert.deepEqual([first?.topic, first?.queue], ['Orders', queue])
  await play.advance(10_000, 100)
  const [again] = await play.outcome(consumer.receive())
  assert.deepEqual([again?.topic, again?.queue.topic], ['Orders', '%RETRY%readers_Orders'])
  await play.outcome(again?.ack() ?? assert.fail())
})

test('without a namespace queues stay the same objects', async t => {
  const play = await played(t)
  const seen: MessageQueue[] = []
  const consumer = await startConsumer(play, {
    onMessage: ({ queue: from }, context) => void seen.push(from, context.queue),
  })
  play.broker.put({ topic: 'Orders' })
  await play.until(() => seen.length === 2)
  assert.equal(seen[0], seen[1])
  assert.ok(consumer.queues.includes(seen[0] ?? assert.fail()))
})

// -- Counts ------------------------------------------------------------------------------------------------------------

async function runningInfo(play: Stage, clientId: string) {
  const header = { consumerGroup: GROUP, clientId, jstackEnable: false }
  const asked = play.broker.call(clientId, clientNotices.GET_CONSUMER_RUNNING_INFO, { header })
  return (await play.outcome(asked)).body ?? assert.fail('no answer')
}

test('a lite pull consumer counts what it pulled and gave out, and operators see it', async t => {
  const play = await played(t)
  const consumer = await startLite(play)
  await play.until(() => play.broker.waitingPulls === 1)
  for (let n = 0; n < 3; n++) play.broker.put({ topic: 'Orders' })
  await play.until(() => consumer.stats.pulled === 3)
  assert.deepEqual(consumer.stats, { pulled: 3, received: 0, skipped: 0, queued: 3 })
  while (consumer.stats.received < 3) await play.outcome(consumer.poll())
  assert.equal(consumer.stats.received, 3)
  const { mqTable, statusTable, properties } = await runningInfo(play, consumer.clientId)
  const [held] = mqTable
  assert.deepEqual(held?.queue, queue)
  assert.equal(held.cachedMsgCount, consumer.stats.queued)
  assert.ok((statusTable.get('Orders')?.pullTPS ?? 0) > 0)
  assert.ok((statusTable.get('Orders')?.consumeOKTPS ?? 0) > 0)
  assert.equal(properties.get('PROP_CONSUME_TYPE'), 'CONSUME_ACTIVELY')
  assert.equal(properties.get('pullBatchSize'), '10')
  await play.outcome(consumer.poll({ timeoutMs: 1 }))
  assert.equal(consumer.stats.queued, 0)
})

test('a pull consumer counts what it received, and operators see its queues', async t => {
  const play = await played(t)
  const consumer = await startPull(play)
  await play.until(() => consumer.queuesInBalance('Orders').length === 1)
  for (let n = 0; n < 3; n++) play.broker.put({ topic: 'Orders' })
  await play.outcome(consumer.pull(queue, '*', 1, 10))
  assert.deepEqual(consumer.stats, { received: 2, skipped: 0 })
  consumer.updateOffset(queue, 3)
  const { mqTable, statusTable } = await runningInfo(play, consumer.clientId)
  assert.deepEqual(
    mqTable.map(({ queue: own, commitOffset }) => [own, commitOffset]),
    [[queue, 3]],
  )
  assert.ok((statusTable.get('Orders')?.pullTPS ?? 0) > 0)
})

test('a simple consumer counts what it received and acknowledged, and operators see it', async t => {
  const play = await played(t)
  const consumer = await startSimple(play)
  for (let n = 0; n < 3; n++) play.broker.put({ topic: 'Orders' })
  const [first, ...rest] = await play.outcome(consumer.receive())
  assert.deepEqual(consumer.stats, { received: 3, acked: 0 })
  await play.outcome(first?.ack() ?? assert.fail())
  assert.equal(consumer.stats.acked, 1)
  await play.outcome(consumer.ack(rest))
  assert.equal(consumer.stats.acked, 3)
  const { statusTable, properties } = await runningInfo(play, consumer.clientId)
  assert.ok((statusTable.get('Orders')?.consumeOKTPS ?? 0) > 0)
  assert.equal(properties.get('popBatchNums'), '16')
})

// -- Retry topics ------------------------------------------------------------------------------------------------------

test('that a new group has no retry topic yet is no news, that a topic is missing is', async t => {
  const play = await played(t)
  const { log, texts } = noted()
  await startConsumer(play, { log, onMessage() {}, subscriptions: { Orders: '*', Missing: '*' } })
  assert.deepEqual(texts.filter(text => text.includes('topic')).toSorted(), [
    'debug the group has no retry topic yet',
    'info topic not known yet',
  ])
})

test('a group that brokers of 5.5 would not make is told to the logger', async t => {
  const play = await played(t)
  const warned: string[] = []
  const log = { debug() {}, info() {}, warn: (_: object, text: string) => void warned.push(text), error() {} }
  for (const length of [120, 121]) {
    const given = { ...optionsOf(play, ''), group: 'g'.repeat(length), topics: ['Orders'], log }
    play.own(await play.outcome(PullConsumer.start(given)))
  }
  assert.equal(warned.filter(text => text.includes('120 letters')).length, 1)
})
