import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stage } from '@gantrymq/testkit'
import { ClientError } from '../errors.ts'
import { PushConsumer } from './push-consumer.ts'
import { consumerOptions, noted, startConsumer } from '../../test/push-scene.ts'

test('messages of all queues reach the listener, and the offsets are kept when it closes', async t => {
  const play = await stage(t, { brokers: 2 })
  for (const broker of play.brokers) broker.setTopic('Orders', { readQueues: 2 })
  const seen: string[] = []
  const consumer = await startConsumer(play, { onMessage: message => void seen.push(message.body.toString()) })
  for (const broker of play.brokers) {
    for (let n = 0; n < 10; n++)
      broker.put({ topic: 'Orders', queueId: n % 2, body: Buffer.from(`${broker.name} ${n}`) })
  }
  await play.until(() => seen.length === 20)
  await play.outcome(consumer.close())
  assert.equal(new Set(seen).size, 20)
  for (const broker of play.brokers) {
    assert.equal(broker.committed('Orders', 'readers', 0), 5)
    assert.equal(broker.committed('Orders', 'readers', 1), 5)
  }
  await play.assertNothingLeft()
})

test('a listener that ends at once and one that takes its time are committed alike', async t => {
  const play = await stage(t)
  play.broker.setTopic('Orders', { readQueues: 1 })
  const holds = Promise.withResolvers<void>()
  const seen: number[] = []
  const consumer = await startConsumer(play, {
    onMessage: ({ queueOffset }) => {
      seen.push(queueOffset)
      return queueOffset === 2 ? holds.promise : undefined
    },
  })
  for (let n = 0; n < 6; n++) play.broker.put({ topic: 'Orders' })
  await play.until(() => seen.length === 6)
  await play.advance(6000)
  assert.equal(play.broker.committed('Orders', 'readers', 0), 2, 'what is behind a message in the works waits')
  holds.resolve()
  await play.advance(6000)
  assert.equal(play.broker.committed('Orders', 'readers', 0), 6)
  assert.equal(consumer.stats.consumed, 6)
})

test('a pull commits only what later commits cannot exceed before its answer', async t => {
  const play = await stage(t)
  play.broker.setTopic('Orders', { readQueues: 1 })
  const holds = Promise.withResolvers<void>()
  const seen: number[] = []
  await startConsumer(play, {
    onMessage: ({ queueOffset }) => {
      seen.push(queueOffset)
      return queueOffset === 1 ? holds.promise : undefined
    },
  })
  const lastPull = () => {
    const pulls = play.broker.server.requestsOf('PULL_MESSAGE').filter(({ header }) => header['topic'] === 'Orders')
    const { queueOffset, sysFlag, commitOffset } = pulls.at(-1)?.header ?? {}
    return [Number(queueOffset), Number(sysFlag) & 1, Number(commitOffset)]
  }
  for (const count of [1, 2]) {
    play.broker.put({ topic: 'Orders' })
    await play.until(() => seen.length === count && lastPull()[0] === count)
  }
  assert.deepEqual(lastPull(), [2, 0, 1], 'the second message is in the works')
  holds.resolve()
  // The broker lets the pull go, and it is repeated.
  await play.advance(16_000)
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
  test(`${what} is refused at once, and leaves nothing behind`, async t => {
    const play = await stage(t)
    await assert.rejects(PushConsumer.start(consumerOptions(play, more)), sentence)
    // The group is free again.
    await startConsumer(play, { instanceName: 'one', onMessage() {} })
  })
}

test('an SQL92 filter that the broker cannot read fails the start with its text', async t => {
  const play = await stage(t)
  play.broker.setTopic('Orders')
  const options = consumerOptions(play, { subscriptions: { Orders: { sql: 'a > (5' } }, onMessage() {} })
  const error = await play.outcome(PushConsumer.start(options).catch((cause: unknown) => cause))
  assert.ok(error instanceof ClientError)
  assert.deepEqual([error.code, error.responseCode], ['BAD_OPTION', 23])
  assert.match(error.message, /Orders, "a > \(5", is not accepted by .*ParseException/)
  await play.assertNothingLeft()
})

test('a corrupt message is reported and passed over, and the offset goes on', async t => {
  const play = await stage(t)
  play.broker.setTopic('Orders', { readQueues: 1 })
  const seen: number[] = []
  const { log, texts } = noted()
  const consumer = await startConsumer(play, { log, onMessage: ({ queueOffset }) => void seen.push(queueOffset) })
  const entries = Array.from({ length: 4 }, () => play.broker.put({ topic: 'Orders', body: Buffer.from('hello') }))
  await play.until(() => seen.length === 4)
  const bad = play.broker.state.log.put(
    { topic: 'Orders', queueId: 0, body: Buffer.from('hello'), properties: new Map() },
    play.clock.now(),
  )
  // A byte of the body, so that its sum is wrong.
  bad.bytes[bad.bytes.indexOf('hello')]! ^= 1
  play.broker.put({ topic: 'Orders' })
  await play.until(() => seen.length === 5)
  assert.equal(entries.length, 4)
  assert.deepEqual(seen, [0, 1, 2, 3, 5])
  await play.advance(6000)
  assert.equal(play.broker.committed('Orders', 'readers', 0), 6)
  assert.equal(consumer.stats.skipped, 1)
  assert.ok(texts.includes('error corrupt message skipped'))
})

test('what stands behind a message whose size is wrong is pulled again', async t => {
  const play = await stage(t)
  play.broker.setTopic('Orders', { readQueues: 1 })
  const entries = Array.from({ length: 6 }, () => play.broker.put({ topic: 'Orders' }))
  entries[2]?.bytes.writeInt32BE(3, 0)
  const seen: number[] = []
  await startConsumer(play, { onMessage: ({ queueOffset }) => void seen.push(queueOffset) })
  await play.until(() => seen.length === 5, { stepMs: 10 })
  assert.deepEqual(seen, [0, 1, 3, 4, 5])
})

test('an offset that the broker does not have moves to where it says', async t => {
  const play = await stage(t)
  play.broker.setTopic('Orders', { readQueues: 1 })
  play.broker.commit('Orders', 'readers', 0, 100)
  for (let n = 0; n < 3; n++) play.broker.put({ topic: 'Orders' })
  const seen: number[] = []
  const consumer = await startConsumer(play, { onMessage: ({ queueOffset }) => void seen.push(queueOffset) })
  await play.until(() => play.broker.committed('Orders', 'readers', 0) === 3)
  play.broker.put({ topic: 'Orders' })
  await play.until(() => seen.length === 1)
  assert.deepEqual(seen, [3])
  await play.outcome(consumer.close())
  assert.equal(play.broker.committed('Orders', 'readers', 0), 4)
})

test('a group without offsets begins where it is told: last, first or a time', async t => {
  const play = await stage(t, { brokers: [{ startsAtZero: false }] })
  play.broker.setTopic('Orders', { readQueues: 1 })
  play.broker.put({ topic: 'Orders' })
  play.broker.put({ topic: 'Orders' })
  play.clock.advance(10_000)
  const since = new Date(play.clock.now() - 5000)
  play.broker.put({ topic: 'Orders' })
  const seen: string[] = []
  for (const [group, consumeFrom] of [
    ['a', 'last'],
    ['b', 'first'],
    ['c', since],
  ] as const) {
    await startConsumer(play, {
      group,
      consumeFrom,
      onMessage: ({ queueOffset }) => void seen.push(`${group}${queueOffset}`),
    })
  }
  await play.advance(1000)
  play.broker.put({ topic: 'Orders' })
  await play.until(() => seen.length === 1 + 4 + 2)
  assert.deepEqual(seen.toSorted(), ['a3', 'b0', 'b1', 'b2', 'b3', 'c2', 'c3'])
})

test('an offset that cannot be read does not make the group a new one', async t => {
  const play = await stage(t)
  play.broker.setTopic('Orders', { readQueues: 1 })
  for (let n = 0; n < 4; n++) play.broker.put({ topic: 'Orders' })
  play.broker.commit('Orders', 'readers', 0, 2)
  play.broker.fault('QUERY_CONSUMER_OFFSET', { answer: 'code', code: 1, times: 3 })
  const seen: number[] = []
  await startConsumer(play, { onMessage: ({ queueOffset }) => void seen.push(queueOffset) })
  await play.until(() => seen.length === 2, { stepMs: 50 })
  assert.deepEqual(seen, [2, 3])
})

test('a paused consumer pulls nothing new, and goes on when it is resumed', async t => {
  const play = await stage(t)
  play.broker.setTopic('Orders', { readQueues: 1 })
  const seen: number[] = []
  const consumer = await startConsumer(play, { onMessage: ({ queueOffset }) => void seen.push(queueOffset) })
  await play.until(() => play.broker.waitingPulls === 2)
  consumer.pause()
  play.broker.put({ topic: 'Orders' })
  // The pull that was under way still brings its message.
  await play.advance(3000)
  play.broker.put({ topic: 'Orders' })
  await play.advance(30_000)
  assert.deepEqual(seen, [0])
  consumer.resume()
  await play.until(() => seen.length === 2)
})

test('topics may be added and removed while it runs', async t => {
  const play = await stage(t)
  play.broker.setTopic('Orders', { readQueues: 1 })
  play.broker.setTopic('Returns', { readQueues: 1 })
  const seen: string[] = []
  const consumer = await startConsumer(play, { namespace: '', onMessage: ({ topic }) => void seen.push(topic) })
  await play.outcome(consumer.subscribe('Returns', 'a || b'))
  await play.until(() => consumer.queues.some(({ topic }) => topic === 'Returns'))
  play.broker.put({ topic: 'Returns', properties: new Map([['TAGS', 'a']]) })
  play.broker.put({ topic: 'Returns', properties: new Map([['TAGS', 'c']]) })
  play.broker.put({ topic: 'Orders' })
  await play.until(() => seen.length === 2)
  assert.deepEqual(seen.toSorted(), ['Orders', 'Returns'])
  await play.outcome(consumer.unsubscribe('Returns'))
  await play.until(() => !consumer.queues.some(({ topic }) => topic === 'Returns'))
  const told = play.broker.requests.findLast(({ name }) => name === 'HEART_BEAT')
  assert.doesNotMatch(String(told?.body), /Returns/)
  await assert.rejects(consumer.subscribe('a b'), { code: 'BAD_NAME' })
  await play.outcome(consumer.close())
  await assert.rejects(consumer.subscribe('Returns'), { code: 'CLOSED' })
})

test('pulls name no subscription that the broker has not heard of', async t => {
  const play = await stage(t, { brokers: 2 })
  for (const broker of play.brokers) broker.setTopic('Orders', { readQueues: 2 })
  const { log, texts } = noted()
  const consumer = await startConsumer(play, { log, onMessage() {} })
  await play.until(() => consumer.queues.length === 6)
  for (const broker of play.brokers) broker.fault('HEART_BEAT', { answer: 'late', ms: 500, times: 10 })
  const other = await startConsumer(play, { log, instanceName: 'other', onMessage() {} })
  await play.advance(5000)
  await play.outcome(other.close())
  await play.advance(5000)
  assert.ok(!texts.includes('warn pull failed'))
})

test('closing waits for the listener that runs and keeps what it did, but begins nothing new', async t => {
  const play = await stage(t)
  play.broker.setTopic('Orders', { readQueues: 1 })
  for (let n = 0; n < 3; n++) play.broker.put({ topic: 'Orders' })
  const end = Promise.withResolvers<void>()
  const seen: number[] = []
  const consumer = await startConsumer(play, {
    concurrency: 1,
    onMessage: ({ queueOffset }) => {
      seen.push(queueOffset)
      return end.promise
    },
  })
  await play.until(() => seen.length === 1)
  const closing = consumer.close()
  assert.equal(consumer.close(), closing)
  await play.advance(1000)
  end.resolve()
  await play.outcome(closing)
  assert.deepEqual(seen, [0])
  assert.equal(play.broker.committed('Orders', 'readers', 0), 1)
  assert.deepEqual(play.broker.clientIds, [])
})

test('closing does not wait for ever, and leaves what is not done to the next', async t => {
  const play = await stage(t)
  play.broker.setTopic('Orders', { readQueues: 1 })
  play.broker.put({ topic: 'Orders' })
  let signal: AbortSignal | undefined
  const consumer = await startConsumer(play, {
    onMessage: (_, context) => {
      signal = context.signal
      return new Promise<undefined>(() => {})
    },
  })
  await play.until(() => signal !== undefined)
  await play.outcome(consumer.close({ drainMs: 2000 }))
  assert.equal(signal?.aborted, true)
  assert.equal(play.broker.committed('Orders', 'readers', 0) ?? 0, 0)
})

test('a broker that is slow to keep offsets is not asked again meanwhile, and the end keeps the last one', async t => {
  const play = await stage(t)
  play.broker.setTopic('Orders', { readQueues: 1 })
  const seen: number[] = []
  const consumer = await startConsumer(play, {
    persistOffsetsMs: 100,
    onMessage: ({ queueOffset }) => void seen.push(queueOffset),
  })
  await play.until(() => play.broker.waitingPulls === 2)
  const slow = play.broker.fault('UPDATE_CONSUMER_OFFSET', {
    answer: 'late',
    ms: 3000,
    times: Infinity,
    where: ({ header }) => header['topic'] === 'Orders',
  })
  play.broker.put({ topic: 'Orders' })
  await play.until(() => seen.length === 1)
  await play.advance(2900)
  assert.equal(slow.met, 1)
  play.broker.put({ topic: 'Orders' })
  await play.until(() => seen.length === 2)
  await play.outcome(consumer.close())
  assert.equal(play.broker.committed('Orders', 'readers', 0), 2)
})

test('offsets that cannot be kept at the end are reported, and the end comes', async t => {
  const play = await stage(t)
  play.broker.setTopic('Orders', { readQueues: 1 })
  const { log, texts } = noted()
  const consumer = await startConsumer(play, { log, persistOffsetsMs: 60_000, onMessage() {} })
  play.broker.put({ topic: 'Orders' })
  await play.until(() => consumer.stats.consumed === 1)
  play.broker.down()
  const since = play.clock.now()
  await play.outcome(consumer.close())
  assert.ok(play.clock.now() - since < 15_000)
  assert.ok(texts.includes('warn offset not kept'))
})

test('one queue of a topic is committed ahead of the others: Apache’s brokers forget one of two first commits', async t => {
  const play = await stage(t)
  play.broker.setTopic('Orders', { readQueues: 4 })
  const consumer = await startConsumer(play, { persistOffsetsMs: 60_000, onMessage() {} })
  for (let queueId = 0; queueId < 4; queueId++) play.broker.put({ topic: 'Orders', queueId })
  await play.until(() => consumer.stats.consumed === 4)
  const isOrders = ({ header }: { header: Readonly<Record<string, string>> }): boolean => header['topic'] === 'Orders'
  const slow = play.broker.fault('UPDATE_CONSUMER_OFFSET', { answer: 'late', ms: 1000, times: 4, where: isOrders })
  const closed = consumer.close()
  await play.until(() => slow.met > 0)
  await play.advance(900)
  assert.equal(slow.met, 1)
  await play.advance(200)
  assert.equal(slow.met, 4)
  await play.outcome(closed)
  for (let queueId = 0; queueId < 4; queueId++) assert.equal(play.broker.committed('Orders', 'readers', queueId), 1)
})

test('a namespace stays out of what the listener sees, also of what comes again', async t => {
  const play = await stage(t)
  play.broker.setTopic('ns%Orders', { readQueues: 1 })
  const seen: string[] = []
  const consumer = await startConsumer(play, {
    namespace: 'ns',
    onMessage: ({ topic, reconsumeTimes }) => {
      seen.push(topic)
      if (reconsumeTimes === 0) throw new Error('again')
    },
  })
  play.broker.put({ topic: 'ns%Orders' })
  await play.until(() => seen.length === 2)
  assert.deepEqual(seen, ['Orders', 'Orders'])
  assert.equal(consumer.group, 'readers')
  assert.ok(play.broker.log.messages('%RETRY%ns%readers').length === 1)
})

test('brokers hear of a topic that is given up while it is being subscribed to', async t => {
  const play = await stage(t)
  for (const topic of ['Orders', 'Returns']) play.broker.setTopic(topic, { readQueues: 1 })
  const consumer = await startConsumer(play, { onMessage() {} })
  const known = (): boolean => play.broker.state.members.consumers.get('readers')?.subscriptions.has('Returns') ?? false
  const beats = play.broker.fault('HEART_BEAT', { answer: 'late', ms: 500 })
  const joining = consumer.subscribe('Returns')
  await play.until(() => beats.met === 1)
  await play.outcome(consumer.unsubscribe('Returns'))
  await play.outcome(joining)
  assert.equal(known(), false)
})

test('the queues of a topic that is given up leave their part of the limits to the others', async t => {
  const play = await stage(t)
  play.broker.setTopic('Orders', { readQueues: 1 })
  play.broker.setTopic('Returns', { readQueues: 3 })
  const ends = Promise.withResolvers<undefined>()
  const consumer = await startConsumer(play, {
    subscriptions: { Orders: '*', Returns: '*' },
    concurrency: 1,
    maxTopicMessages: 50,
    pullBatchSize: 1,
    onMessage: () => ends.promise,
  })
  await play.until(() => consumer.queues.length === 5, { stepMs: 50 })
  for (let n = 0; n < 100; n++) play.broker.put({ topic: 'Orders' })
  await play.advance(3000)
  assert.equal(consumer.stats.queued, 11, 'passed before it holds')
  await play.outcome(consumer.unsubscribe('Returns'))
  await play.advance(3000)
  assert.equal(consumer.stats.queued, 26)
  ends.resolve(undefined)
})
