import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deadLetterTopicOf, retryTopicOf } from '@gantrymq/protocol'
import { testCluster } from '@gantrymq/testkit'
import { noted, startConsumer } from '../../test/push-scene.ts'

const RETRY = retryTopicOf('readers')
const DEAD = deadLetterTopicOf('readers')

test('a message whose listener throws comes again, with the topic it was sent to and its count', async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders', { readQueues: 1 })
  const calls: string[] = []
  await startConsumer(cluster, {
    onMessage: ({ topic, reconsumeTimes, body }) => {
      calls.push(`${topic} ${body.toString()} ${reconsumeTimes}`)
      if (reconsumeTimes < 2) throw new Error('not yet')
    },
  })
  cluster.broker.put({ topic: 'Orders', body: Buffer.from('a') })
  await cluster.until(() => calls.length === 3)
  assert.deepEqual(calls, ['Orders a 0', 'Orders a 1', 'Orders a 2'])
  await cluster.advance(6000)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 1)
  assert.equal(cluster.broker.committed(RETRY, 'readers', 0), 2)
})

test('after the last try, or when nobody wants it again, a message is among the dead letters', async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders', { readQueues: 1 })
  const calls: number[] = []
  await startConsumer(cluster, {
    maxReconsumeTimes: 2,
    onMessage: ({ keys: [key], reconsumeTimes }) => {
      calls.push(reconsumeTimes)
      if (key === 'bad') return { retry: { delayLevel: -1 } }
      throw new Error('never')
    },
  })
  cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => cluster.broker.log.messages(DEAD).length === 1)
  assert.deepEqual(calls, [0, 1, 2])
  cluster.broker.put({ topic: 'Orders', properties: new Map([['KEYS', 'bad']]) })
  await cluster.until(() => cluster.broker.log.messages(DEAD).length === 2)
  assert.equal(calls.length, 4)
})

test('of a batch only what is named comes again', async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders', { readQueues: 1 })
  for (let n = 0; n < 4; n++) cluster.broker.put({ topic: 'Orders', body: Buffer.from(`m${n}`) })
  const calls: string[] = []
  await startConsumer(cluster, {
    batchSize: 4,
    onMessages: messages => {
      calls.push(messages.map(({ body }) => body.toString()).join())
      return messages.length === 4 ? { retry: { from: 2, delayLevel: 1 } } : undefined
    },
  })
  await cluster.until(() => calls.join().split(',').length === 6)
  assert.equal(calls[0], 'm0,m1,m2,m3')
  assert.equal(calls.slice(1).join(), 'm2,m3')
})

test('where the broker does not take a message back it is sent to the retry topic', async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders', { readQueues: 1 })
  cluster.broker.fault('CONSUMER_SEND_MSG_BACK', { answer: 'code', code: 1, remark: 'no', times: 1 })
  const seen: (readonly [number, string | undefined, string | undefined])[] = []
  await startConsumer(cluster, {
    onMessage: message => {
      seen.push([message.reconsumeTimes, message.property('ORIGIN_MESSAGE_ID'), message.property('KEYS')])
      if (message.reconsumeTimes === 0) throw new Error('no')
    },
  })
  cluster.broker.put({
    topic: 'Orders',
    properties: new Map([
      ['UNIQ_KEY', 'ID1'],
      ['KEYS', 'k'],
    ]),
  })
  await cluster.until(() => seen.length === 2)
  assert.deepEqual(seen, [
    [0, undefined, 'k'],
    [1, 'ID1', 'k'],
  ])
})

test('what nobody takes back is consumed again here, and its offset waits for it', async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders', { readQueues: 1 })
  const { log, texts } = noted()
  const calls: number[] = []
  await startConsumer(cluster, {
    log,
    onMessage: ({ reconsumeTimes }) => {
      calls.push(reconsumeTimes)
      if (calls.length < 3) throw new Error('no')
    },
  })
  await cluster.until(() => cluster.broker.waitingPulls === 2)
  cluster.broker.fault('CONSUMER_SEND_MSG_BACK', { answer: 'code', code: 1, times: Infinity })
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'code', code: 13, times: Infinity })
  cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => calls.length === 1)
  await cluster.advance(4000)
  assert.equal(calls.length, 1)
  await cluster.until(() => calls.length === 3, { stepMs: 100 })
  assert.deepEqual(calls, [0, 1, 2])
  assert.ok(texts.includes('error message not given back'))
  await cluster.advance(6000)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 1)
})

test('a listener that takes too long loses its message, and the offset goes on', async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders', { readQueues: 1 })
  const calls: string[] = []
  await startConsumer(cluster, {
    consumeTimeoutMs: 2000,
    onMessage: ({ queue }) => {
      calls.push(queue.topic)
      return queue.topic === 'Orders' ? new Promise<undefined>(() => {}) : undefined
    },
  })
  cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => calls.length === 2, { stepMs: 100 })
  assert.deepEqual(calls, ['Orders', RETRY])
  await cluster.advance(6000)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 1)
})

test('no more listeners run than are allowed', async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders', { readQueues: 4 })
  let [running, most, ended] = [0, 0, 0]
  await startConsumer(cluster, {
    concurrency: 3,
    onMessage: async () => {
      most = Math.max(most, ++running)
      await new Promise(resolve => setImmediate(resolve))
      running--
      ended++
    },
  })
  for (let n = 0; n < 40; n++) cluster.broker.put({ topic: 'Orders', queueId: n % 4 })
  await cluster.until(() => ended === 40)
  assert.equal(most, 3)
})

test('a queue of which too much waits is not pulled until there is room', async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders', { readQueues: 1 })
  for (let n = 0; n < 100; n++) cluster.broker.put({ topic: 'Orders' })
  const ends: (() => void)[] = []
  const consumer = await startConsumer(cluster, {
    concurrency: 1,
    maxQueuedMessages: 20,
    pullBatchSize: 8,
    onMessage: () => new Promise<undefined>(resolve => ends.push(() => resolve(undefined))),
  })
  await cluster.advance(5000)
  assert.equal(consumer.stats.queued, 24, 'it stops when the limit is passed')
  let done = 0
  while (done < 100) {
    await cluster.until(() => ends.length > 0)
    ends.shift()?.()
    done++
    assert.ok(consumer.stats.queued <= 28)
  }
  await cluster.until(() => consumer.stats.consumed === 100)
})

test("a late message that nobody takes stays its listener's, who may end meanwhile", async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders', { readQueues: 1 })
  const ends: (() => void)[] = []
  await startConsumer(cluster, {
    consumeTimeoutMs: 10_000,
    onMessage: () => new Promise<undefined>(resolve => ends.push(() => resolve(undefined))),
  })
  await cluster.until(() => cluster.broker.waitingPulls === 2)
  cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => ends.length === 1)
  const fault = { answer: 'never', handled: false, times: Infinity } as const
  const asked = cluster.broker.fault('CONSUMER_SEND_MSG_BACK', fault)
  cluster.broker.fault('SEND_MESSAGE_V2', fault)
  await cluster.until(() => asked.met === 1, { stepMs: 100 })
  ends[0]?.()
  await cluster.advance(20_000)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 1)
  assert.equal(ends.length, 1)
})

test('a late message whose listener has failed is given back once', async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders', { readQueues: 1 })
  const failing = Promise.withResolvers<undefined>()
  await startConsumer(cluster, {
    consumeTimeoutMs: 10_000,
    onMessage: ({ queue }) => (queue.topic === 'Orders' ? failing.promise : undefined),
  })
  await cluster.until(() => cluster.broker.waitingPulls === 2)
  cluster.broker.put({ topic: 'Orders' })
  await cluster.advance(18_000)
  cluster.broker.fault('CONSUMER_SEND_MSG_BACK', { answer: 'late', ms: 4000 })
  failing.reject(new Error('no'))
  await cluster.advance(12_000)
  assert.equal(cluster.broker.server.requestsOf('CONSUMER_SEND_MSG_BACK').length, 1)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 1)
})

test('of a late batch a broker takes what it can, and the rest is given back at the next look', async t => {
  const cluster = await testCluster(t)
  cluster.broker.setTopic('Orders', { readQueues: 1 })
  for (let n = 0; n < 2; n++) cluster.broker.put({ topic: 'Orders' })
  const seen: string[] = []
  await startConsumer(cluster, {
    consumeTimeoutMs: 10_000,
    batchSize: 2,
    onMessages: (messages, { queue }) => {
      seen.push(...messages.map(({ body }) => `${queue.topic} ${body.toString()}`))
      return queue.topic === 'Orders' ? new Promise<undefined>(() => {}) : undefined
    },
  })
  await cluster.until(() => seen.length === 2)
  cluster.broker.fault('CONSUMER_SEND_MSG_BACK', { answer: 'code', code: 1, after: 1 })
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'code', code: 13 })
  await cluster.advance(16_000)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 1)
  await cluster.advance(12_000)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 2)
  assert.deepEqual(seen.slice(2), [`${RETRY} hello`, `${RETRY} hello`])
})

for (const orderly of [false, true]) {
  test(`dead letters are asked for also where the broker does not take a message back, orderly ${orderly}`, async t => {
    const cluster = await testCluster(t)
    cluster.broker.setTopic('Orders', { readQueues: 1 })
    cluster.broker.fault('CONSUMER_SEND_MSG_BACK', { answer: 'code', code: 1 })
    let calls = 0
    await startConsumer(cluster, {
      orderly,
      onMessage() {
        calls++
        return { retry: { delayLevel: -1 } }
      },
    })
    cluster.broker.put({ topic: 'Orders' })
    await cluster.until(() => cluster.broker.log.messages(DEAD).length === 1, { stepMs: 10 })
    await cluster.advance(6000)
    assert.equal(calls, 1)
    const sent = cluster.broker.server.requestsOf('SEND_MESSAGE_V2').map(({ header }) => header['i'])
    assert.equal(sent.length, 1)
    assert.doesNotMatch(String(sent[0]), /DELAY/, 'brokers of 4.9 delay dead letters too')
  })
}
