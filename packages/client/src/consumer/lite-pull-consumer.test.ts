import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Position, type TestCluster, type TestClusterOptions, testCluster } from '@gantrymq/testkit/cluster'
import { forgetsFirstMessages } from '../../test/push-fixture.ts'
import { ClientError } from '../errors.ts'
import { text } from '../message/codec.ts'
import type { MessageQueue } from '../message/message.ts'
import type { ReceivedMessage } from '../message/received-message.ts'
import type { LitePullConsumerOptions } from './lite-pull/options.ts'
import { LitePullConsumer } from './lite-pull-consumer.ts'

const GROUP = 'billing'
const queue: MessageQueue = { topic: 'Orders', brokerName: 'broker-a', queueId: 0 }

type Options = Partial<LitePullConsumerOptions<string>>

async function started(t: TestContext, options: Options = {}, on: TestClusterOptions = {}, queues = 1) {
  const cluster = await testCluster(t, on)
  for (const broker of cluster.brokers) await broker.setTopic('Orders', { readQueues: queues })
  const consumer = await joined(cluster, options)
  return { cluster, consumer, broker: cluster.broker }
}

async function joined(cluster: TestCluster, options: Options = {}): Promise<LitePullConsumer<string>> {
  const { nameServerList: nameServers, clock, dial } = cluster
  const given = { nameServers, clock, dial, group: GROUP, codec: text(), ...options }
  return cluster.own(await cluster.outcome(LitePullConsumer.start(given)))
}

/** @param stored bodies of messages that are in the queue before the consumer reads it */
async function assigned(
  t: TestContext,
  options: Options = {},
  on: TestClusterOptions = {},
  stored: readonly string[] = [],
) {
  const all = await started(t, options, on)
  put(all.cluster, stored)
  await all.cluster.outcome(all.consumer.assign([queue]))
  return all
}

function put(cluster: TestCluster, bodies: readonly string[], tags?: string): void {
  for (const body of bodies) {
    const properties = new Map(tags === undefined ? [] : [['TAGS', tags]])
    cluster.broker.put({ topic: 'Orders', queueId: 0, body: Buffer.from(body), properties })
  }
}

const bodies = (messages: readonly ReceivedMessage<string>[]): string[] => messages.map(({ body }) => body)
const failure =
  (code: string, pattern = /./) =>
  (error: unknown) =>
    error instanceof ClientError && error.code === code && pattern.test(error.message)

test('subscribed queues are assigned, pulled, and polled pull by pull', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  put(cluster, ['a', 'b', 'c'])
  const consumer = await joined(cluster, { subscriptions: { Orders: '*' }, pullBatchSize: 2 })
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['a', 'b'])
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['c'])
  assert.deepEqual(await cluster.outcome(consumer.poll({ timeoutMs: 100 })), [])
  assert.deepEqual(consumer.assignment, [queue])
})

test('two members share the queues, and onQueues is called with each change', async t => {
  const counts: number[] = []
  const subscriptions = { Orders: '*' }
  const onQueues = (_topic: string, _all: unknown, mine: readonly MessageQueue[]) => counts.push(mine.length)
  const { cluster, consumer } = await started(t, { subscriptions, onQueues }, {}, 4)
  await cluster.until(() => consumer.assignment.length === 4, { stepMs: 50 })
  const other = await joined(cluster, { subscriptions })
  await cluster.until(() => consumer.assignment.length === 2 && other.assignment.length === 2, { stepMs: 50 })
  assert.deepEqual(counts, [4, 2])
})

test('an assigned queue is pulled with code 361 from brokers of 5.x, and with code 11 from 4.9', async t => {
  for (const [release, name] of [
    ['5.x', 'LITE_PULL_MESSAGE'],
    ['4.9', 'PULL_MESSAGE'],
  ] as const) {
    await t.test(release, async t => {
      const { cluster, consumer, broker } = await assigned(t, {}, { brokers: [{ release }] })
      put(cluster, ['a'])
      assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['a'])
      await cluster.settle()
      assert.deepEqual(broker.server.requestsOf('HEART_BEAT').length > 0, true)
      const last = broker.requests.findLast(each => each.name.endsWith('PULL_MESSAGE'))
      assert.equal(last?.name, name)
      assert.equal(last?.header['sysFlag'], String(2 + 4 + 16))
      assert.equal(last?.header['suspendTimeoutMillis'], '20000')
    })
  }
})

test('heartbeats describe a consumer that pulls actively, without subscriptions if its queues were assigned', async t => {
  const { cluster, broker } = await assigned(t)
  await cluster.settle()
  const beat = broker.server.requestsOf('HEART_BEAT').at(-1)
  const [data] = JSON.parse(String(beat?.body)).consumerDataSet as [Record<string, unknown>]
  assert.equal(data['consumeType'], 'CONSUME_ACTIVELY')
  assert.deepEqual(data['subscriptionDataSet'], [])
})

test('subscribe and assign exclude each other', async t => {
  const { cluster, consumer } = await assigned(t)
  await assert.rejects(
    cluster.outcome(consumer.subscribe('Orders')),
    failure('BAD_OPTION', /has assigned queues: it cannot subscribe/),
  )
  const other = await joined(cluster, { group: 'other', subscriptions: { Orders: '*' } })
  await assert.rejects(
    cluster.outcome(other.assign([queue])),
    failure('BAD_OPTION', /has subscribed to topics: it cannot assign/),
  )
  await assert.rejects(cluster.outcome(consumer.assign([])), failure('BAD_OPTION', /assign needs at least one queue/))
})

test('the filter of an assigned queue does not make the consumer rebalance its topic', async t => {
  const { cluster, consumer, broker } = await started(t, {}, {}, 3)
  await cluster.outcome(consumer.assign([queue], { Orders: 'new' }))
  put(cluster, ['a'], 'old')
  put(cluster, ['b'], 'new')
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['b'])
  broker.notify(GROUP)
  await cluster.advance(5000)
  assert.deepEqual(consumer.assignment, [queue])
  assert.equal(broker.server.requestsOf('GET_CONSUMER_LIST_BY_GROUP').length, 0)
})

test('for await returns messages one by one and leaves the rest to the next reader', async t => {
  const { cluster, consumer } = await assigned(t)
  put(cluster, ['a', 'b', 'c'])
  const seen: string[] = []
  const first = (async () => {
    for await (const { body } of consumer) {
      seen.push(body)
      if (body === 'b') break
    }
  })()
  await cluster.outcome(first)
  assert.deepEqual(seen, ['a', 'b'])
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['c'])
})

test('for await ends when the consumer closes, and with ABORTED when its signal says so', async t => {
  const { cluster, consumer } = await assigned(t)
  const abort = new AbortController()
  const aborted = consumer.messages({ signal: abort.signal }).next()
  await cluster.settle()
  abort.abort()
  await assert.rejects(aborted, failure('ABORTED'))
  const ended = consumer[Symbol.asyncIterator]().next()
  const polled = consumer.poll()
  await cluster.outcome(consumer.close())
  assert.deepEqual(await ended, { done: true, value: undefined })
  assert.deepEqual(await polled, [])
  await assert.rejects(consumer.poll(), failure('CLOSED'))
})

test('messages() ends when none has arrived for timeoutMs, which starts again with each message', async t => {
  const { cluster, consumer } = await assigned(t, { pollTimeoutMs: 0 })
  const seen: string[] = []
  let isOver = false
  const reading = (async () => {
    for await (const { body } of consumer.messages({ timeoutMs: 12_000 })) seen.push(body)
    isOver = true
  })()
  await cluster.advance(9000, 500)
  put(cluster, ['late'])
  await cluster.advance(9000, 500)
  assert.deepEqual([seen, isOver], [['late'], false])
  await cluster.advance(5000, 500)
  assert.equal(isOver, true)
  await reading
  await assert.rejects(consumer.messages({ timeoutMs: -1 }).next(), failure('BAD_OPTION'))
})

test('concurrent polls share the messages without loss or duplicates', async t => {
  const { cluster, consumer } = await assigned(t, { pullBatchSize: 1 })
  const all = Promise.all(Array.from({ length: 8 }, () => consumer.poll()))
  await cluster.settle()
  put(cluster, ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
  assert.deepEqual((await cluster.outcome(all)).flatMap(bodies).toSorted(), ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
})

// -- Offsets -----------------------------------------------------------------------------------------------------------

test('messages of earlier polls are committed automatically, those of the last poll are not', async t => {
  const { cluster, consumer, broker } = await assigned(t, { pullBatchSize: 2 }, {}, ['a', 'b', 'c', 'd'])
  await cluster.outcome(consumer.poll())
  await cluster.advance(6000)
  await cluster.outcome(consumer.poll())
  await cluster.advance(6000)
  assert.equal(broker.committed('Orders', GROUP, 0), 2)
  await cluster.outcome(consumer.close())
  assert.equal(broker.committed('Orders', GROUP, 0), 2)
})

test('messages that a later, empty poll marked as done are committed at the end', async t => {
  const { cluster, consumer, broker } = await assigned(t, {}, {}, ['a', 'b'])
  await cluster.outcome(consumer.poll())
  await cluster.outcome(consumer.poll({ timeoutMs: 0 }))
  await cluster.outcome(consumer.close())
  assert.equal(broker.committed('Orders', GROUP, 0), 2)
})

test('a message of for await is done with the next iteration, not when the loop is left', async t => {
  const { cluster, consumer, broker } = await assigned(t)
  put(cluster, ['a', 'b', 'c'])
  const loop = (async () => {
    for await (const { body } of consumer) if (body === 'b') throw new Error('broken listener')
  })()
  await assert.rejects(cluster.outcome(loop), /broken listener/)
  await cluster.outcome(consumer.close())
  assert.equal(broker.committed('Orders', GROUP, 0), 1)
})

test('if readers finish out of order, the offset of the oldest unfinished message is committed', async t => {
  const { cluster, consumer, broker } = await assigned(t, { pullBatchSize: 1 })
  put(cluster, ['a', 'b'])
  const slow = consumer.messages()
  const quick = consumer.messages()
  assert.equal((await cluster.outcome(slow.next())).value?.body, 'a')
  assert.equal((await cluster.outcome(quick.next())).value?.body, 'b')
  const later = quick.next()
  await cluster.settle()
  await cluster.outcome(consumer.close())
  await later
  assert.equal(broker.committed('Orders', GROUP, 0) ?? 0, 0)
})

test('autoCommit does not take back what commit has committed', async t => {
  const { cluster, consumer, broker } = await assigned(t, { pullBatchSize: 2, autoCommitMs: 1000 })
  put(cluster, ['a', 'b', 'c', 'd'])
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['a', 'b'])
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['c', 'd'])
  await cluster.outcome(consumer.commit())
  assert.equal(broker.committed('Orders', GROUP, 0), 4)
  await cluster.outcome(consumer.close())
  assert.equal(broker.committed('Orders', GROUP, 0), 4)
})

test('after a seek autoCommit commits lower offsets than commit did', async t => {
  const { cluster, consumer, broker } = await assigned(t, { pullBatchSize: 1 })
  put(cluster, ['a', 'b'])
  await cluster.outcome(consumer.commit([{ queue, offset: 2 }]))
  await cluster.outcome(consumer.seek(queue, 0))
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['a'])
  await cluster.outcome(consumer.poll({ timeoutMs: 0 }))
  await cluster.outcome(consumer.close())
  assert.equal(broker.committed('Orders', GROUP, 0), 1)
})

test('without autoCommit only commit commits: what was returned, or the given offsets', async t => {
  const { cluster, consumer, broker } = await assigned(t, { autoCommit: false, pullBatchSize: 2 }, {}, [
    'a',
    'b',
    'c',
    'd',
  ])
  await cluster.outcome(consumer.poll())
  await cluster.advance(20_000)
  await cluster.outcome(consumer.poll())
  assert.equal(broker.committed('Orders', GROUP, 0) ?? 0, 0)
  await cluster.outcome(consumer.commit([{ queue, offset: 1 }]))
  assert.equal(broker.committed('Orders', GROUP, 0), 1)
  assert.equal(await cluster.outcome(consumer.committed(queue)), 1)
  await cluster.outcome(consumer.commit())
  assert.equal(broker.committed('Orders', GROUP, 0), 4)
  await assert.rejects(cluster.outcome(consumer.commit([{ queue, offset: -1 }])), failure('BAD_OPTION'))
  const stranger = { ...queue, queueId: 7 }
  await assert.rejects(cluster.outcome(consumer.commit([{ queue: stranger, offset: 1 }])), failure('NOT_ASSIGNED'))
})

test('offsets of messages that the filter excludes are committed too', async t => {
  const { cluster, consumer, broker } = await started(t, {}, {}, 1)
  await cluster.outcome(consumer.assign([queue], { Orders: 'wanted' }))
  put(cluster, ['a'], 'wanted')
  put(cluster, ['b', 'c'], 'unwanted')
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['a'])
  await cluster.advance(10_000)
  await cluster.outcome(consumer.poll({ timeoutMs: 0 }))
  await cluster.outcome(consumer.close())
  assert.equal(broker.committed('Orders', GROUP, 0), 3)
})

test('a queue starts at the stored offset, or where consumeFrom says if there is none', async t => {
  const begins = async (options: Options, stored?: number) => {
    const cluster = await testCluster(t)
    await cluster.broker.setTopic('Orders', { readQueues: 1 })
    forgetsFirstMessages(cluster.broker)
    put(cluster, ['a'])
    await cluster.advance(1000)
    put(cluster, ['b'])
    if (stored !== undefined) await cluster.broker.commit('Orders', GROUP, 0, stored)
    const consumer = await joined(cluster, options)
    await cluster.outcome(consumer.assign([queue]))
    await cluster.settle()
    put(cluster, ['c'])
    return (await cluster.outcome(consumer.poll()))[0]?.body
  }
  const now = 1_700_000_000_000
  assert.equal(await begins({ consumeFrom: 'last' }), 'c')
  assert.equal(await begins({ consumeFrom: 'first' }), 'a')
  assert.equal(await begins({ consumeFrom: new Date(now + 500) }), 'b')
  assert.equal(await begins({ consumeFrom: 'last' }, 1), 'b')
})

// -- Positions ---------------------------------------------------------------------------------------------------------

test('seek continues at another offset and drops the messages that were pulled before', async t => {
  const { cluster, consumer } = await assigned(t, { pullBatchSize: 1 })
  put(cluster, ['a', 'b', 'c', 'd'])
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['a'])
  await cluster.settle()
  await cluster.outcome(consumer.seek(queue, 2))
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['c'])
  await cluster.outcome(consumer.seekToBegin(queue))
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['a'])
  await cluster.outcome(consumer.seekToEnd(queue))
  assert.deepEqual(await cluster.outcome(consumer.poll({ timeoutMs: 500 })), [])
  put(cluster, ['e'])
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['e'])
  await assert.rejects(
    cluster.outcome(consumer.seek(queue, 6)),
    failure('BAD_OPTION', /the offset 6 to seek is not one of this queue, which has those from \d to 5/),
  )
  await assert.rejects(cluster.outcome(consumer.seek({ ...queue, queueId: 3 }, 0)), failure('NOT_ASSIGNED'))
})

test('seekToTime continues at the first message stored at a time or later', async t => {
  const { cluster, consumer } = await assigned(t)
  put(cluster, ['a'])
  await cluster.advance(1000)
  const time = new Date(cluster.clock.now())
  put(cluster, ['b'])
  assert.equal(await cluster.outcome(consumer.offsetForTime(queue, time)), 1)
  await cluster.outcome(consumer.seekToTime(queue, time))
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['b'])
})

test('a pull in flight delivers no messages after a seek or a pause', async t => {
  const { cluster, consumer, broker } = await assigned(t)
  await cluster.settle()
  assert.equal(broker.waitingPulls, 1)
  consumer.pause([queue])
  put(cluster, ['a'])
  assert.deepEqual(await cluster.outcome(consumer.poll({ timeoutMs: 3000 })), [])
  consumer.resume([queue])
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['a'])
  await cluster.settle()
  const sought = consumer.seek(queue, 0)
  put(cluster, ['b'])
  await cluster.outcome(sought)
  // The first answer after the seek may have one of them or both.
  const seen = bodies(await cluster.outcome(consumer.poll()))
  if (seen.length === 1) seen.push(...bodies(await cluster.outcome(consumer.poll())))
  assert.deepEqual(seen, ['a', 'b'])
})

test('an offset that the broker no longer has is replaced by the one it suggests', async t => {
  const options = { mappedFileSizeCommitLog: 1 << 16 }
  const { cluster, consumer, broker } = await started(t, {}, { brokers: [{ options }] })
  const large = 'x'.repeat(40_000)
  put(cluster, [large, large, 'c'])
  await cluster.settle()
  cluster.clock.jump(73 * 3_600_000)
  await broker.broker.store.deleteExpired()
  assert.equal(broker.broker.status.topic('Orders')?.queues[0]?.minOffset, 1)
  await broker.commit('Orders', GROUP, 0, 0)
  await cluster.outcome(consumer.assign([queue]))
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), [large, 'c'])
})

test('messages after one with a wrong size are pulled again', async t => {
  const { cluster, consumer, broker } = await started(t)
  const entries = ['a', 'b', 'c', 'd'].map(body => broker.put({ topic: 'Orders', body: Buffer.from(body) }))
  broker.corrupt(entries[1] as Position, bytes => void bytes.writeInt32BE(3, 0))
  await cluster.outcome(consumer.assign([queue]))
  await cluster.outcome(consumer.seekToBegin(queue))
  const seen: string[] = []
  for (let polls = 0; polls < 4; polls++) seen.push(...bodies(await cluster.outcome(consumer.poll({ timeoutMs: 500 }))))
  assert.deepEqual(seen, ['a', 'c', 'd'])
})

test('flow control stops pulling until messages are polled', async t => {
  const { cluster, consumer, broker } = await assigned(t, { pullBatchSize: 1, maxQueuedTotal: 3 })
  put(
    cluster,
    Array.from({ length: 20 }, (_, index) => String(index)),
  )
  await cluster.advance(2000)
  const before = broker.requests.filter(each => each.name.endsWith('PULL_MESSAGE')).length
  assert.equal(before, 4)
  const seen: string[] = []
  while (seen.length < 20) seen.push(...bodies(await cluster.outcome(consumer.poll())))
  assert.deepEqual(
    seen,
    Array.from({ length: 20 }, (_, index) => String(index)),
  )
})

test('assign keeps queues that are assigned again, gives up the others and commits their offsets', async t => {
  const { cluster, consumer, broker } = await started(t, {}, {}, 2)
  const second = { ...queue, queueId: 1 }
  await cluster.outcome(consumer.assign([queue]))
  put(cluster, ['a'])
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['a'])
  await cluster.outcome(consumer.poll({ timeoutMs: 0 }))
  await cluster.outcome(consumer.assign([second]))
  assert.deepEqual(consumer.assignment, [second])
  assert.equal(broker.committed('Orders', GROUP, 0), 1)
  put(cluster, ['b'])
  await cluster.outcome(consumer.assign([queue, second]))
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['b'])
})

test('an assignment replaces the filters and the problems of the one before', async t => {
  const { cluster, consumer } = await started(t, { onProblem() {} })
  put(cluster, ['a'])
  await cluster.outcome(consumer.assign([queue], { Orders: 'paid' }))
  assert.deepEqual(await cluster.outcome(consumer.poll({ timeoutMs: 1000 })), [])
  await cluster.outcome(consumer.assign([{ ...queue, topic: 'Missing' }]))
  await cluster.until(() => consumer.readiness.problems.length > 0, { stepMs: 50 })
  await cluster.outcome(consumer.assign([queue]))
  await cluster.outcome(consumer.seekToBegin(queue))
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['a'])
  await cluster.until(() => consumer.readiness.ready, { stepMs: 50 })
  assert.deepEqual(consumer.readiness.problems, [])
})

test('onTopicQueues calls the listener when a topic gets more queues', async t => {
  const { cluster, consumer, broker } = await assigned(t)
  const counts: number[] = []
  consumer.onTopicQueues('Orders', queues => counts.push(queues.length))
  assert.equal((await cluster.outcome(consumer.queuesOf('Orders'))).length, 1)
  await broker.setTopic('Orders', { readQueues: 3 })
  await cluster.advance(31_000, 500)
  assert.deepEqual(counts, [3])
})

test('pulling continues after a broker was down', async t => {
  const { cluster, consumer, broker } = await assigned(t)
  await cluster.settle()
  broker.down()
  await cluster.advance(5000)
  broker.up()
  put(cluster, ['a'])
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll({ timeoutMs: 60_000 }))), ['a'])
})

test('contradicting options are refused with an error that names them', async t => {
  const cluster = await testCluster(t)
  const { nameServerList: nameServers, clock, dial } = cluster
  const wrong = LitePullConsumer.start({ nameServers, clock, dial, group: GROUP, pullTimeoutMs: 1000 })
  await assert.rejects(wrong, failure('BAD_OPTION', /pullTimeoutMs 1000 must not be less than suspendMs 20000/))
  const nameless = LitePullConsumer.start({ nameServers, clock, dial, group: 'a b' })
  await assert.rejects(nameless, failure('BAD_NAME'))
})

test('a filter that a broker refuses fails the start, or the call of assign', async t => {
  const { cluster, consumer, broker } = await started(t)
  const wrong = { Orders: { sql: 'a >' } }
  broker.fault('CHECK_CLIENT_CONFIG', { answer: 'code', code: 23, remark: 'parse error', times: 2 })
  await assert.rejects(cluster.outcome(consumer.assign([queue], wrong)), failure('BAD_OPTION', /a >.*parse error/))
  const { nameServerList: nameServers, clock, dial } = cluster
  const other = LitePullConsumer.start({ nameServers, clock, dial, group: 'other', subscriptions: wrong })
  await assert.rejects(cluster.outcome(other), failure('BAD_OPTION', /a >.*parse error/))
})

// Only polls wait for the clock, because writing files takes real time.
test('broadcast members read all queues and store their offsets in a file', async t => {
  const offsetsFolder = await mkdtemp(join(tmpdir(), 'gantry-offsets-'))
  t.after(() => rm(offsetsFolder, { recursive: true }))
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  put(cluster, ['a', 'b'])
  const { nameServerList: nameServers, clock, dial } = cluster
  const common = { nameServers, clock, dial, group: GROUP, clientIp: '10.0.0.9', offsetsFolder, broadcast: true }
  const options = { ...common, consumeFrom: 'first', codec: text(), subscriptions: { Orders: '*' } } as const
  const first = await LitePullConsumer.start({ ...options, pullBatchSize: 1 })
  assert.deepEqual(bodies(await cluster.outcome(first.poll())), ['a'])
  await first.commit()
  await first.close()
  assert.equal(cluster.broker.committed('Orders', GROUP, 0), undefined)
  const again = await LitePullConsumer.start(options)
  assert.equal(again.clientId, '10.0.0.9@DEFAULT')
  assert.deepEqual(bodies(await cluster.outcome(again.poll())), ['b'])
  await again.close()
})

test('an unsubscribed topic keeps its filter until its queues are given up', async t => {
  const { cluster, broker, consumer } = await started(t, { subscriptions: { Orders: 'new' }, suspendMs: 100 })
  await cluster.until(() => consumer.assignment.length === 1)
  await cluster.advance(2000)
  // Delays the next rebalance.
  broker.fault('GET_CONSUMER_LIST_BY_GROUP', { answer: 'late', ms: 2000 })
  broker.notify(GROUP)
  await cluster.advance(500)
  const leaving = consumer.unsubscribe('Orders')
  for (const tag of ['new', 'old', 'new']) {
    put(cluster, [tag], tag)
    await cluster.advance(200)
  }
  const polled = [await cluster.outcome(consumer.poll()), await cluster.outcome(consumer.poll())]
  assert.deepEqual(polled.map(bodies), [['new'], ['new']])
  await leaving
})

const badListeners: readonly (readonly [string, () => unknown])[] = [
  ['throws', () => assert.fail('no')],
  ['rejects', () => Promise.reject(new Error('no'))],
]
for (const [how, listener] of badListeners) {
  test(`a listener for queues that ${how} does not affect other listeners`, async t => {
    const { cluster, broker, consumer } = await started(t, { subscriptions: { Orders: '*' }, onQueues: listener })
    const counts: number[] = []
    consumer.onTopicQueues('Orders', listener)
    consumer.onTopicQueues('Orders', queues => counts.push(queues.length))
    await cluster.until(() => consumer.assignment.length === 1)
    await broker.setTopic('Orders', { readQueues: 3 })
    assert.equal((await cluster.outcome(consumer.queuesOf('Orders'))).length, 3)
    assert.deepEqual(counts, [3])
    await cluster.until(() => consumer.assignment.length === 3, { stepMs: 50 })
  })
}

test('a queue that is assigned starts at its current offset, even if an older one was queried before', async t => {
  const { cluster, broker, consumer } = await started(t)
  put(cluster, ['a', 'b', 'c', 'd'])
  await broker.commit('Orders', GROUP, 0, 1)
  await cluster.outcome(consumer.queuesOf('Orders'))
  assert.equal(await cluster.outcome(consumer.committed(queue)), 1)
  await broker.commit('Orders', GROUP, 0, 3)
  await cluster.outcome(consumer.assign([queue]))
  assert.deepEqual(bodies(await cluster.outcome(consumer.poll())), ['d'])
})
