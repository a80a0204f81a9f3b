import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Position, testCluster } from '@gantrymq/testkit/cluster'
import { ClientError } from '../errors.ts'
import { PushConsumer } from './push-consumer.ts'
import { consumerOptions, forgetsFirstMessages, recordingLog, startConsumer } from '../../test/push-fixture.ts'

test('messages of all queues reach the listener, and the offsets are stored when the consumer closes', async t => {
  const cluster = await testCluster(t, { brokers: 2 })
  for (const broker of cluster.brokers) await broker.setTopic('Orders', { readQueues: 2 })
  const seen: string[] = []
  const consumer = await startConsumer(cluster, { onMessage: message => void seen.push(message.body.toString()) })
  for (const broker of cluster.brokers) {
    for (let n = 0; n < 10; n++)
      broker.put({ topic: 'Orders', queueId: n % 2, body: Buffer.from(`${broker.name} ${n}`) })
  }
  await cluster.until(() => seen.length === 20)
  await cluster.outcome(consumer.close())
  assert.equal(new Set(seen).size, 20)
  for (const broker of cluster.brokers) {
    assert.equal(broker.committed('Orders', 'readers', 0), 5)
    assert.equal(broker.committed('Orders', 'readers', 1), 5)
  }
  await cluster.assertNothingLeft()
})

test('offsets are committed whether listeners return at once or later', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const holds = Promise.withResolvers<void>()
  const seen: number[] = []
  const consumer = await startConsumer(cluster, {
    onMessage: ({ queueOffset }) => {
      seen.push(queueOffset)
      return queueOffset === 2 ? holds.promise : undefined
    },
  })
  for (let n = 0; n < 6; n++) cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => seen.length === 6)
  await cluster.advance(6000)
  assert.equal(
    cluster.broker.committed('Orders', 'readers', 0),
    2,
    'messages after an unfinished one are not committed',
  )
  holds.resolve()
  await cluster.advance(6000)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 6)
  assert.equal(consumer.stats.consumed, 6)
})

test('a pull commits an offset only while no message is being consumed', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const holds = Promise.withResolvers<void>()
  const seen: number[] = []
  await startConsumer(cluster, {
    onMessage: ({ queueOffset }) => {
      seen.push(queueOffset)
      return queueOffset === 1 ? holds.promise : undefined
    },
  })
  const lastPull = () => {
    const pulls = cluster.broker.server.requestsOf('PULL_MESSAGE').filter(({ header }) => header['topic'] === 'Orders')
    const { queueOffset, sysFlag, commitOffset } = pulls.at(-1)?.header ?? {}
    return [Number(queueOffset), Number(sysFlag) & 1, Number(commitOffset)]
  }
  for (const count of [1, 2]) {
    cluster.broker.put({ topic: 'Orders' })
    await cluster.until(() => seen.length === count && lastPull()[0] === count)
  }
  assert.deepEqual(lastPull(), [2, 0, 1], 'the second message is being consumed')
  holds.resolve()
  // The broker answers the held pull, and it is repeated.
  await cluster.advance(16_000)
  assert.deepEqual(lastPull(), [2, 1, 2])
})

for (const [what, more, sentence] of [
  [
    'a batch size for a listener of single messages',
    { onMessage() {}, batchSize: 8 },
    /batchSize must be 1 without onMessages/,
  ],
  ['two listeners', { onMessage() {}, onMessages() {} }, /onMessages must be left out where onMessage is given/],
  ['a topic that cannot be one', { subscriptions: { 'a b': '*' } }, /topic "a b" has characters/],
  ['an expression without tags', { subscriptions: { Orders: '||' } }, /names no tag/],
] as const) {
  test(`${what} is refused at once, and the group can be used again`, async t => {
    const cluster = await testCluster(t)
    await assert.rejects(PushConsumer.start(consumerOptions(cluster, more)), sentence)
    // Another consumer of the group can start.
    await startConsumer(cluster, { instanceName: 'one', onMessage() {} })
  })
}

test('an SQL92 filter that the broker cannot parse fails the start with an error that quotes it', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders')
  const remark = 'org.apache.rocketmq.filter.parser.ParseException: Encountered "<EOF>"'
  cluster.broker.fault('CHECK_CLIENT_CONFIG', { answer: 'code', code: 23, remark })
  const options = consumerOptions(cluster, { subscriptions: { Orders: { sql: 'a > (5' } }, onMessage() {} })
  const error = await cluster.outcome(PushConsumer.start(options).catch((cause: unknown) => cause))
  assert.ok(error instanceof ClientError)
  assert.deepEqual([error.code, error.responseCode], ['BAD_OPTION', 23])
  assert.match(error.message, /Orders, "a > \(5", is not accepted by .*ParseException/)
  await cluster.assertNothingLeft()
})

test('a corrupt message is logged and skipped, and the offset advances', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const seen: number[] = []
  const { log, texts } = recordingLog()
  const consumer = await startConsumer(cluster, { log, onMessage: ({ queueOffset }) => void seen.push(queueOffset) })
  const entries = Array.from({ length: 4 }, () => cluster.broker.put({ topic: 'Orders', body: Buffer.from('hello') }))
  await cluster.until(() => seen.length === 4)
  // Changes a byte of the body, so that its checksum is wrong.
  cluster.broker.corrupt(cluster.broker.put({ topic: 'Orders' }), bytes => void (bytes[bytes.indexOf('hello')]! ^= 1))
  cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => seen.length === 5)
  assert.equal(entries.length, 4)
  assert.deepEqual(seen, [0, 1, 2, 3, 5])
  await cluster.advance(6000)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 6)
  assert.equal(consumer.stats.skipped, 1)
  assert.ok(texts.includes('error corrupt message skipped'))
})

test('messages after one with a wrong size are pulled again', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const entries = Array.from({ length: 6 }, () => cluster.broker.put({ topic: 'Orders' }))
  cluster.broker.corrupt(entries[2] as Position, bytes => void bytes.writeInt32BE(3, 0))
  const seen: number[] = []
  await startConsumer(cluster, { onMessage: ({ queueOffset }) => void seen.push(queueOffset) })
  await cluster.until(() => seen.length === 5, { stepMs: 10 })
  assert.deepEqual(seen, [0, 1, 3, 4, 5])
})

test('an offset that the broker does not have is replaced by the one it suggests', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  await cluster.broker.commit('Orders', 'readers', 0, 100)
  for (let n = 0; n < 3; n++) cluster.broker.put({ topic: 'Orders' })
  // The first messages have expired, so the queue is not a new one.
  cluster.broker.fault('PULL_MESSAGE', {
    answer: 'altered',
    where: ({ header }) => header['topic'] === 'Orders',
    alter: reply => ({ ...reply, extFields: new Map([...(reply.extFields ?? []), ['minOffset', '1']]) }),
  })
  await cluster.settle()
  const seen: number[] = []
  const consumer = await startConsumer(cluster, { onMessage: ({ queueOffset }) => void seen.push(queueOffset) })
  await cluster.until(() => cluster.broker.committed('Orders', 'readers', 0) === 3)
  cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => seen.length === 1)
  assert.deepEqual(seen, [3])
  await cluster.outcome(consumer.close())
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 4)
})

test('a group without offsets starts where consumeFrom says: last, first or a time', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  forgetsFirstMessages(cluster.broker)
  cluster.broker.put({ topic: 'Orders' })
  cluster.broker.put({ topic: 'Orders' })
  await cluster.settle()
  cluster.clock.advance(10_000)
  const since = new Date(cluster.clock.now() - 5000)
  cluster.broker.put({ topic: 'Orders' })
  await cluster.settle()
  const seen: string[] = []
  for (const [group, consumeFrom] of [
    ['a', 'last'],
    ['b', 'first'],
    ['c', since],
  ] as const) {
    await startConsumer(cluster, {
      group,
      consumeFrom,
      onMessage: ({ queueOffset }) => void seen.push(`${group}${queueOffset}`),
    })
  }
  await cluster.advance(1000)
  cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => seen.length === 1 + 4 + 2, { stepMs: 100 })
  assert.deepEqual(seen.toSorted(), ['a3', 'b0', 'b1', 'b2', 'b3', 'c2', 'c3'])
})

test('a group whose offset cannot be read is not treated as new', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  for (let n = 0; n < 4; n++) cluster.broker.put({ topic: 'Orders' })
  await cluster.broker.commit('Orders', 'readers', 0, 2)
  cluster.broker.fault('QUERY_CONSUMER_OFFSET', { answer: 'code', code: 1, times: 3 })
  const seen: number[] = []
  await startConsumer(cluster, { onMessage: ({ queueOffset }) => void seen.push(queueOffset) })
  await cluster.until(() => seen.length === 2, { stepMs: 50 })
  assert.deepEqual(seen, [2, 3])
})

test('a paused consumer does not pull, and continues when it is resumed', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const seen: number[] = []
  const consumer = await startConsumer(cluster, { onMessage: ({ queueOffset }) => void seen.push(queueOffset) })
  await cluster.until(() => cluster.broker.waitingPulls === 2, { stepMs: 100 })
  consumer.pause()
  cluster.broker.put({ topic: 'Orders' })
  // The pull that was in flight still returns its message.
  await cluster.advance(3000)
  cluster.broker.put({ topic: 'Orders' })
  await cluster.advance(30_000)
  assert.deepEqual(seen, [0])
  consumer.resume()
  await cluster.until(() => seen.length === 2)
})

test('topics can be subscribed and unsubscribed while the consumer runs', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  await cluster.broker.setTopic('Returns', { readQueues: 1 })
  const seen: string[] = []
  const consumer = await startConsumer(cluster, { namespace: '', onMessage: ({ topic }) => void seen.push(topic) })
  await cluster.outcome(consumer.subscribe('Returns', 'a || b'))
  await cluster.until(() => consumer.queues.some(({ topic }) => topic === 'Returns'))
  cluster.broker.put({ topic: 'Returns', properties: new Map([['TAGS', 'a']]) })
  cluster.broker.put({ topic: 'Returns', properties: new Map([['TAGS', 'c']]) })
  cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => seen.length === 2)
  assert.deepEqual(seen.toSorted(), ['Orders', 'Returns'])
  await cluster.outcome(consumer.unsubscribe('Returns'))
  await cluster.until(() => !consumer.queues.some(({ topic }) => topic === 'Returns'))
  const beat = cluster.broker.requests.findLast(({ name }) => name === 'HEART_BEAT')
  assert.doesNotMatch(String(beat?.body), /Returns/)
  await assert.rejects(consumer.subscribe('a b'), { code: 'BAD_NAME' })
  await cluster.outcome(consumer.close())
  await assert.rejects(consumer.subscribe('Returns'), { code: 'CLOSED' })
})

test('pulls name only subscriptions that the broker knows from a heartbeat', async t => {
  const cluster = await testCluster(t, { brokers: 2 })
  for (const broker of cluster.brokers) await broker.setTopic('Orders', { readQueues: 2 })
  const { log, texts } = recordingLog()
  const consumer = await startConsumer(cluster, { log, onMessage() {} })
  await cluster.until(() => consumer.queues.length === 6, { stepMs: 100 })
  for (const broker of cluster.brokers) broker.fault('HEART_BEAT', { answer: 'late', ms: 500, times: 10 })
  const other = await startConsumer(cluster, { log, instanceName: 'other', onMessage() {} })
  await cluster.advance(5000)
  await cluster.outcome(other.close())
  await cluster.advance(5000)
  assert.ok(!texts.includes('warn pull failed'))
})

test('closing waits for running listeners and commits their messages, but starts no more', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  for (let n = 0; n < 3; n++) cluster.broker.put({ topic: 'Orders' })
  const end = Promise.withResolvers<void>()
  const seen: number[] = []
  const consumer = await startConsumer(cluster, {
    concurrency: 1,
    onMessage: ({ queueOffset }) => {
      seen.push(queueOffset)
      return end.promise
    },
  })
  await cluster.until(() => seen.length === 1)
  const closing = consumer.close()
  assert.equal(consumer.close(), closing)
  await cluster.advance(1000)
  end.resolve()
  await cluster.outcome(closing)
  assert.deepEqual(seen, [0])
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 1)
  assert.deepEqual(cluster.broker.clientIds, [])
})

test('closing waits no longer than drainMs, and leaves unfinished messages to the next member', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  cluster.broker.put({ topic: 'Orders' })
  let signal: AbortSignal | undefined
  const consumer = await startConsumer(cluster, {
    onMessage: (_, context) => {
      signal = context.signal
      return new Promise<undefined>(() => {})
    },
  })
  await cluster.until(() => signal !== undefined)
  await cluster.outcome(consumer.close({ drainMs: 2000 }))
  assert.equal(signal?.aborted, true)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0) ?? 0, 0)
})

test('a broker that is slow to commit gets one commit at a time, and the last offset when the consumer closes', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const seen: number[] = []
  const consumer = await startConsumer(cluster, {
    persistOffsetsMs: 100,
    onMessage: ({ queueOffset }) => void seen.push(queueOffset),
  })
  await cluster.until(() => cluster.broker.waitingPulls === 2, { stepMs: 100 })
  const slow = cluster.broker.fault('UPDATE_CONSUMER_OFFSET', {
    answer: 'late',
    ms: 3000,
    times: Infinity,
    where: ({ header }) => header['topic'] === 'Orders',
  })
  cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => seen.length === 1)
  await cluster.advance(2900)
  assert.equal(slow.met, 1)
  cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => seen.length === 2)
  await cluster.outcome(consumer.close())
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 2)
})

test('offsets that cannot be committed at the end are logged, and close resolves', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const { log, texts } = recordingLog()
  const consumer = await startConsumer(cluster, { log, persistOffsetsMs: 60_000, onMessage() {} })
  cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => consumer.stats.consumed === 1)
  cluster.broker.down()
  const since = cluster.clock.now()
  await cluster.outcome(consumer.close())
  assert.ok(cluster.clock.now() - since < 15_000)
  assert.ok(texts.includes('warn cannot commit an offset'))
})

test('one queue of a topic is committed ahead of the others, as Apache’s brokers lose one of two concurrent first commits', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 4 })
  const consumer = await startConsumer(cluster, { persistOffsetsMs: 60_000, onMessage() {} })
  for (let queueId = 0; queueId < 4; queueId++) cluster.broker.put({ topic: 'Orders', queueId })
  await cluster.until(() => consumer.stats.consumed === 4)
  const isOrders = ({ header }: { header: Readonly<Record<string, string>> }): boolean => header['topic'] === 'Orders'
  const slow = cluster.broker.fault('UPDATE_CONSUMER_OFFSET', { answer: 'late', ms: 1000, times: 4, where: isOrders })
  const closed = consumer.close()
  await cluster.until(() => slow.met > 0)
  await cluster.advance(900)
  assert.equal(slow.met, 1)
  await cluster.advance(200)
  assert.equal(slow.met, 4)
  await cluster.outcome(closed)
  for (let queueId = 0; queueId < 4; queueId++) assert.equal(cluster.broker.committed('Orders', 'readers', queueId), 1)
})

test('listeners see topics without the namespace, also for redelivered messages', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('ns%Orders', { readQueues: 1 })
  const seen: string[] = []
  const consumer = await startConsumer(cluster, {
    namespace: 'ns',
    onMessage: ({ topic, reconsumeTimes }) => {
      seen.push(topic)
      if (reconsumeTimes === 0) throw new Error('again')
    },
  })
  cluster.broker.put({ topic: 'ns%Orders' })
  await cluster.until(() => seen.length === 2, { stepMs: 100 })
  assert.deepEqual(seen, ['Orders', 'Orders'])
  assert.equal(consumer.group, 'readers')
  assert.ok(cluster.broker.messages('%RETRY%ns%readers').length === 1)
})

test('brokers learn that a topic was unsubscribed while it was being subscribed to', async t => {
  const cluster = await testCluster(t)
  for (const topic of ['Orders', 'Returns']) await cluster.broker.setTopic(topic, { readQueues: 1 })
  const consumer = await startConsumer(cluster, { onMessage() {} })
  const known = (): boolean => cluster.broker.topicsOf('readers').has('Returns')
  const beats = cluster.broker.fault('HEART_BEAT', { answer: 'late', ms: 500 })
  const joining = consumer.subscribe('Returns')
  await cluster.until(() => beats.met === 1)
  await cluster.outcome(consumer.unsubscribe('Returns'))
  await cluster.outcome(joining)
  assert.equal(known(), false)
})

test('queues of an unsubscribed topic leave their part of the limits to the other queues', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  await cluster.broker.setTopic('Returns', { readQueues: 3 })
  const ends = Promise.withResolvers<undefined>()
  const consumer = await startConsumer(cluster, {
    subscriptions: { Orders: '*', Returns: '*' },
    concurrency: 1,
    maxTopicMessages: 50,
    pullBatchSize: 1,
    onMessage: () => ends.promise,
  })
  await cluster.until(() => consumer.queues.length === 5, { stepMs: 50 })
  for (let n = 0; n < 100; n++) cluster.broker.put({ topic: 'Orders' })
  await cluster.advance(3000)
  assert.equal(consumer.stats.queued, 11, 'the limit is exceeded before it takes effect')
  await cluster.outcome(consumer.unsubscribe('Returns'))
  await cluster.advance(3000)
  assert.equal(consumer.stats.queued, 26)
  ends.resolve(undefined)
})
