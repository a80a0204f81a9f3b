import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deadLetterTopicOf, retryTopicOf } from '@gantrymq/protocol'
import { testCluster } from '@gantrymq/testkit/cluster'
import { recordingLog, startConsumer } from '../../../test/push-fixture.ts'

const RETRY = retryTopicOf('readers')
const DEAD = deadLetterTopicOf('readers')

test('a message whose listener throws is redelivered with its original topic and its count', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const calls: string[] = []
  await startConsumer(cluster, {
    onMessage: ({ topic, reconsumeTimes, body }) => {
      calls.push(`${topic} ${body.toString()} ${reconsumeTimes}`)
      if (reconsumeTimes < 2) throw new Error('not yet')
    },
  })
  cluster.broker.put({ topic: 'Orders', body: Buffer.from('a') })
  await cluster.until(() => calls.length === 3, { stepMs: 100 })
  assert.deepEqual(calls, ['Orders a 0', 'Orders a 1', 'Orders a 2'])
  await cluster.advance(6000)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 1)
  assert.equal(cluster.broker.committed(RETRY, 'readers', 0), 2)
})

test('a message becomes a dead letter after its last retry, or when the listener asks for it', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
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
  await cluster.until(() => cluster.broker.messages(DEAD).length === 1, { stepMs: 100 })
  assert.deepEqual(calls, [0, 1, 2])
  cluster.broker.put({ topic: 'Orders', properties: new Map([['KEYS', 'bad']]) })
  await cluster.until(() => cluster.broker.messages(DEAD).length === 2, { stepMs: 100 })
  assert.equal(calls.length, 4)
})

test('of a batch, only the messages that the listener names are redelivered', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  for (let n = 0; n < 4; n++) cluster.broker.put({ topic: 'Orders', body: Buffer.from(`m${n}`) })
  const calls: string[] = []
  await startConsumer(cluster, {
    batchSize: 4,
    onMessages: messages => {
      calls.push(messages.map(({ body }) => body.toString()).join())
      return messages.length === 4 ? { retry: { from: 2, delayLevel: 1 } } : undefined
    },
  })
  await cluster.until(() => calls.join().split(',').length === 6, { stepMs: 100 })
  assert.equal(calls[0], 'm0,m1,m2,m3')
  assert.equal(calls.slice(1).join(), 'm2,m3')
})

test('if the broker does not take a message back, it is sent to the retry topic', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
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
  await cluster.until(() => seen.length === 2, { stepMs: 100 })
  assert.deepEqual(seen, [
    [0, undefined, 'k'],
    [1, 'ID1', 'k'],
  ])
})

test('a message that no broker takes is consumed again here, and its offset waits for it', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const { log, texts } = recordingLog()
  const calls: number[] = []
  await startConsumer(cluster, {
    log,
    onMessage: ({ reconsumeTimes }) => {
      calls.push(reconsumeTimes)
      if (calls.length < 3) throw new Error('no')
    },
  })
  await cluster.until(() => cluster.broker.waitingPulls === 2, { stepMs: 100 })
  cluster.broker.fault('CONSUMER_SEND_MSG_BACK', { answer: 'code', code: 1, times: Infinity })
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'code', code: 13, times: Infinity })
  cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => calls.length === 1)
  await cluster.advance(4000)
  assert.equal(calls.length, 1)
  await cluster.until(() => calls.length === 3, { stepMs: 100 })
  assert.deepEqual(calls, [0, 1, 2])
  assert.ok(texts.includes('error cannot send a message back'))
  await cluster.advance(6000)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 1)
})

for (const orderly of [false, true]) {
  test(`a message reaches the dead letters even if the broker does not take it back, orderly ${orderly}`, async t => {
    const cluster = await testCluster(t)
    await cluster.broker.setTopic('Orders', { readQueues: 1 })
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
    await cluster.until(() => cluster.broker.messages(DEAD).length === 1, { stepMs: 10 })
    await cluster.advance(6000)
    assert.equal(calls, 1)
    const sent = cluster.broker.server.requestsOf('SEND_MESSAGE_V2').map(({ header }) => header['i'])
    assert.equal(sent.length, 1)
    assert.doesNotMatch(String(sent[0]), /DELAY/, 'with this property brokers of 4.9 would delay a dead letter too')
  })
}
