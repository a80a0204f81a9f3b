import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { deadLetterTopicOf, retryTopicOf } from '@gantrymq/protocol'
import { TestCluster, testCluster } from '@gantrymq/testkit/cluster'
import fc from 'fast-check'
import type { ReceivedMessage } from '../../message/received-message.ts'
import { PushConsumer } from '../push-consumer.ts'
import { consumerOptions, folder, startConsumer } from '../../../test/push-fixture.ts'

/** Locks a queue for a client, or renews its lock. False if another client has it. */
const locked = ({ broker }: TestCluster, clientId: string, queueId = 0) =>
  broker.lock('Orders', 'readers', queueId, clientId)

const unlock = ({ broker }: TestCluster, clientId: string) => broker.unlock('Orders', 'readers', 0, clientId)

test('a queue is consumed in order, one message at a time, and a failed message is retried before the next', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const calls: string[] = []
  await startConsumer(cluster, {
    orderly: true,
    suspendQueueMs: 500,
    onMessage: ({ queueOffset, reconsumeTimes }) => {
      calls.push(`${queueOffset}/${reconsumeTimes}`)
      if (queueOffset === 1 && reconsumeTimes < 2) throw new Error('not yet')
    },
  })
  for (let n = 0; n < 4; n++) cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => calls.length === 2)
  await cluster.advance(400)
  assert.deepEqual(calls, ['0/0', '1/0'], 'the queue rests')
  await cluster.until(() => calls.length === 6, { stepMs: 50 })
  assert.deepEqual(calls, ['0/0', '1/0', '1/1', '1/2', '2/0', '3/0'])
  assert.equal(cluster.broker.messages(retryTopicOf('readers')).length, 0)
})

test('if a message of a batch fails, those before it are done and those after it wait', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const calls: number[][] = []
  let failed = false
  await startConsumer(cluster, {
    orderly: true,
    persistOffsetsMs: 50,
    batchSize: 4,
    onMessages: messages => {
      calls.push(messages.map(({ queueOffset }) => queueOffset))
      if (failed) return undefined
      failed = true
      return { retry: { from: 2, suspendMs: 100 } }
    },
  })
  await cluster.until(() => cluster.broker.waitingPulls === 2, { stepMs: 100 })
  for (let n = 0; n < 6; n++) {
    cluster.broker.put({ topic: 'Orders' })
  }
  await cluster.until(() => calls.length === 1)
  await cluster.advance(90)
  assert.equal(calls.length, 1)
  assert.equal(
    cluster.broker.committed('Orders', 'readers', 0),
    2,
    'finished messages are committed while the queue rests',
  )
  await cluster.until(() => calls.length === 2, { stepMs: 10 })
  assert.deepEqual(calls, [
    [0, 1, 2, 3],
    [2, 3, 4, 5],
  ])
  await cluster.advance(6000)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 6)
})

test('a message becomes a dead letter after its last retry or at once, and the queue continues', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  for (let n = 0; n < 3; n++) cluster.broker.put({ topic: 'Orders' })
  const calls: string[] = []
  await startConsumer(cluster, {
    orderly: true,
    maxReconsumeTimes: 2,
    suspendQueueMs: 10,
    onMessage: ({ queueOffset, reconsumeTimes }) => {
      calls.push(`${queueOffset}/${reconsumeTimes}`)
      if (queueOffset === 0) throw new Error('never')
      return queueOffset === 1 ? { retry: { delayLevel: -1 } } : undefined
    },
  })
  await cluster.until(() => calls.includes('2/0'), { stepMs: 10 })
  assert.deepEqual(calls, ['0/0', '0/1', '0/2', '1/0', '2/0'])
  assert.equal(cluster.broker.messages(deadLetterTopicOf('readers')).length, 2)
  await cluster.advance(6000)
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 3)
})

test('a queue goes to another member as soon as its listener is done, and not earlier', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 2 })
  for (let n = 0; n < 4; n++) cluster.broker.put({ topic: 'Orders', queueId: n % 2 })
  const ends: (() => void)[] = []
  const first: number[] = []
  const one = await startConsumer(cluster, {
    instanceName: 'a',
    orderly: true,
    onMessage: ({ queue }) => {
      first.push(queue.queueId)
      return new Promise<undefined>(resolve => ends.push(() => resolve(undefined)))
    },
  })
  await cluster.until(() => first.length === 2)
  const second: string[] = []
  const two = await startConsumer(cluster, {
    instanceName: 'b',
    orderly: true,
    onMessage: ({ queue, queueOffset }) => void second.push(`${queue.queueId}:${queueOffset}`),
  })
  await cluster.advance(20_000)
  assert.deepEqual(second, [], 'both queues are still being consumed')
  assert.ok(await locked(cluster, one.clientId, 1))
  assert.ok(!(await locked(cluster, two.clientId, 1)))
  for (const end of ends.splice(0)) end()
  await cluster.until(() => second.length > 0, { stepMs: 50 })
  assert.deepEqual(second, ['1:1'], 'it continues after the messages of the first member')
  assert.ok(await locked(cluster, two.clientId, 1))
  for (const end of ends.splice(0)) end()
})

test('no more queues than `concurrency` are consumed at a time, and all of them get a turn', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 4 })
  let [running, most] = [0, 0]
  const queues = new Set<number>()
  await startConsumer(cluster, {
    orderly: true,
    concurrency: 2,
    onMessage: async ({ queue }) => {
      most = Math.max(most, ++running)
      await new Promise(resolve => setImmediate(resolve))
      running--
      queues.add(queue.queueId)
    },
  })
  for (let n = 0; n < 40; n++) cluster.broker.put({ topic: 'Orders', queueId: n % 4 })
  await cluster.until(() => queues.size === 4)
  assert.equal(most, 2)
})

test('locks are renewed, and released at the end', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const seen: number[] = []
  const consumer = await startConsumer(cluster, {
    orderly: true,
    onMessage: ({ queueOffset }) => void seen.push(queueOffset),
  })
  await cluster.until(() => cluster.broker.waitingPulls === 2, { stepMs: 100 })
  await cluster.advance(200_000, 500)
  const renewals = cluster.broker.requests.filter(({ name }) => name === 'LOCK_BATCH_MQ').length
  assert.ok(renewals >= 9 && renewals < 20, `${renewals} requests`)
  cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => seen.length === 1)
  await cluster.outcome(consumer.close())
  assert.ok(await locked(cluster, 'another client'), 'the lock is free')
})

test('a queue is not consumed while its lock cannot be renewed, and continues when it can', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const seen: number[] = []
  await startConsumer(cluster, { orderly: true, onMessage: ({ queueOffset }) => void seen.push(queueOffset) })
  await cluster.until(() => cluster.broker.waitingPulls === 2, { stepMs: 100 })
  const fault = cluster.broker.fault('LOCK_BATCH_MQ', { answer: 'code', code: 1, times: Infinity })
  await cluster.advance(45_000, 200)
  cluster.broker.put({ topic: 'Orders' })
  await cluster.advance(5000)
  assert.deepEqual(seen, [])
  fault.lift()
  await cluster.until(() => seen.length === 1, { stepMs: 100 })
})

test('a queue whose lock went to another client restarts when the lock comes back', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const seen: number[] = []
  const options = { orderly: true, onMessage: ({ queueOffset }: ReceivedMessage) => void seen.push(queueOffset) }
  const { clientId } = await startConsumer(cluster, options)
  for (let n = 0; n < 2; n++) cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => seen.length === 2)
  await cluster.advance(6000)
  // The broker has restarted, and another client got the lock first.
  await unlock(cluster, clientId)
  assert.ok(await locked(cluster, 'stranger'))
  await cluster.advance(25_000)
  cluster.broker.put({ topic: 'Orders' })
  cluster.broker.put({ topic: 'Orders' })
  await cluster.advance(10_000)
  assert.deepEqual(seen, [0, 1], 'the lock is not ours')
  await cluster.broker.commit('Orders', 'readers', 0, 3)
  await unlock(cluster, 'stranger')
  await cluster.until(() => seen.length === 3, { stepMs: 100 })
  assert.deepEqual(seen, [0, 1, 3], 'messages of the other client are not consumed again')
})

test('an orderly broadcast consumer needs no locks', async t => {
  // Writing files takes real time, which a cluster on real ports allows for.
  const cluster = await testCluster(t, { realPorts: true })
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const seen: number[] = []
  await startConsumer(cluster, {
    orderly: true,
    broadcast: true,
    offsetsFolder: await folder(t),
    onMessage: ({ queueOffset }) => void seen.push(queueOffset),
  })
  for (let n = 0; n < 3; n++) cluster.broker.put({ topic: 'Orders' })
  await cluster.until(() => seen.length === 3)
  assert.deepEqual(seen, [0, 1, 2])
  assert.equal(cluster.broker.requests.filter(({ name }) => name === 'LOCK_BATCH_MQ').length, 0)
})

const answers = fc.constantFrom('at once', 'later', 'throws', 'rejects', 'again')

test('whatever listeners do, each queue is consumed in order and completely', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(answers, { maxLength: 40 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 4 }),
      async (script, batchSize, concurrency) => {
        const cluster = await TestCluster.start()
        await cluster.broker.setTopic('Orders', { readQueues: 3 })
        for (let n = 0; n < 30; n++) cluster.broker.put({ topic: 'Orders', queueId: n % 3 })
        const done = new Map<number, number>([
          [0, 0],
          [1, 0],
          [2, 0],
        ])
        const busy = new Set<number>()
        const options = consumerOptions(cluster, {
          orderly: true,
          batchSize,
          concurrency,
          suspendQueueMs: 10,
          onMessages: (messages, { queue: { queueId, topic } }) => {
            if (topic !== 'Orders') return undefined
            assert.ok(!busy.has(queueId), 'one listener per queue')
            const offsets = messages.map(({ queueOffset }) => queueOffset)
            assert.deepEqual(
              offsets,
              offsets.map((_, at) => (done.get(queueId) ?? 0) + at),
              'in order, without gaps',
            )
            const finish = (count: number): void => void done.set(queueId, (done.get(queueId) ?? 0) + count)
            switch (script.shift() ?? 'at once') {
              case 'at once':
                finish(messages.length)
                return undefined
              case 'throws':
                throw new Error('no')
              case 'rejects':
                return Promise.reject(new Error('no'))
              case 'again':
                finish(Math.floor(messages.length / 2))
                return { retry: { from: Math.floor(messages.length / 2) } }
              default:
                busy.add(queueId)
                return Promise.resolve().then(() => {
                  busy.delete(queueId)
                  finish(messages.length)
                })
            }
          },
        })
        const consumer = await cluster.outcome(PushConsumer.start(options))
        await cluster.until(() => [...done.values()].every(count => count === 10), { stepMs: 20 })
        await cluster.outcome(consumer.close())
        for (const queueId of [0, 1, 2]) assert.equal(cluster.broker.committed('Orders', 'readers', queueId), 10)
        await cluster.assertNothingLeft()
        await cluster.close()
      },
    ),
    { numRuns: 40 },
  )
})

/** One member consumes two queues with a message each; another member has just joined and waits for one of the queues. */
async function handingOver(t: TestContext, onQueues?: (topic: string) => void) {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 2 })
  for (let n = 0; n < 2; n++) cluster.broker.put({ topic: 'Orders', queueId: n })
  const ends: (() => void)[] = []
  const onMessage = () => new Promise<undefined>(resolve => ends.push(() => resolve(undefined)))
  const one = await startConsumer(cluster, { instanceName: 'a', orderly: true, onMessage, onQueues })
  await cluster.until(() => ends.length === 2)
  const seen: string[] = []
  const two = await startConsumer(cluster, {
    instanceName: 'b',
    orderly: true,
    onQueues,
    onMessage: ({ queue, queueOffset }) => void seen.push(`${queue.queueId}:${queueOffset}`),
  })
  const end = (): void => {
    for (const each of ends.splice(0)) each()
  }
  return { cluster, one, two, seen, end }
}

test('the lock of a queue that is to be given up is renewed until its listener is done', async t => {
  const { cluster, two, seen, end } = await handingOver(t)
  await cluster.advance(150_000, 250)
  assert.deepEqual(seen, [], 'without a renewal the broker would free the lock after 60 s')
  end()
  await cluster.advance(1000)
  assert.equal(cluster.broker.committed('Orders', 'readers', 1), 1, 'the queue is given up at once')
  await cluster.advance(1500)
  assert.equal(two.queues.length, 1, 'and soon held by the other member')
  assert.deepEqual(seen, [])
})

test('onQueues is called only for changes, while a member waits for the listener of another', async t => {
  const calls: string[] = []
  const { cluster, end } = await handingOver(t, topic => void calls.push(topic))
  await cluster.advance(5000)
  const beats = (): number => cluster.broker.server.requestsOf('HEART_BEAT').length
  const [callsBefore, beatsBefore] = [calls.length, beats()]
  await cluster.advance(28_000, 250)
  assert.equal(calls.length, callsBefore)
  assert.ok(beats() - beatsBefore <= 4, `${beats() - beatsBefore} heartbeats of two members in 28 s`)
  end()
  await cluster.advance(3000)
  assert.deepEqual(calls.slice(callsBefore), ['Orders', 'Orders'], 'once for each of the two members')
})

test('the offset of a queue that is to be given up is stored when the consumer closes', async t => {
  const { cluster, one, end } = await handingOver(t)
  await cluster.advance(2000)
  const closing = one.close()
  await cluster.advance(1000)
  end()
  await cluster.outcome(closing)
  assert.deepEqual(
    [0, 1].map(queueId => cluster.broker.committed('Orders', 'readers', queueId)),
    [1, 1],
  )
})

test('an offset whose reset is under way when the consumer closes is stored', async t => {
  const { cluster, one, seen, end } = await handingOver(t)
  for (let n = 0; n < 3; n++) cluster.broker.put({ topic: 'Orders', queueId: 0 })
  cluster.broker.resetOffsets('Orders', 'readers', new Map([[0, 2]]))
  await cluster.advance(1000)
  const closing = one.close()
  await cluster.advance(1000)
  end()
  await cluster.outcome(closing)
  await cluster.until(() => seen.length === 2, { stepMs: 50 })
  assert.deepEqual(seen, ['0:2', '0:3'])
})

test('an operator can reset a queue that waits for its listener before it is given up', async t => {
  const { cluster, seen, end } = await handingOver(t)
  await cluster.advance(2000)
  cluster.broker.resetOffsets('Orders', 'readers', new Map([[1, 0]]))
  await cluster.advance(2000)
  end()
  await cluster.advance(5000)
  assert.deepEqual(seen, ['1:0'])
})

test('of several resets while a listener is busy only the last one counts', async t => {
  const { cluster, seen, end, one } = await handingOver(t)
  await cluster.advance(2000)
  for (const offset of [1, 0, 1, 0, 1, 0]) {
    cluster.broker.resetOffsets('Orders', 'readers', new Map([[0, offset]]))
    await cluster.advance(200)
  }
  end()
  await cluster.advance(1000)
  assert.equal(one.stats.running, 1, 'the queue has restarted')
  end()
  await cluster.advance(2000)
  assert.equal(one.stats.running, 0, 'once')
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), 1)
  assert.deepEqual(seen, [])
})

test('a queue whose lock is lost during a reset waits for the lock', async t => {
  const { cluster, one, end } = await handingOver(t)
  cluster.broker.resetOffsets('Orders', 'readers', new Map([[0, 0]]))
  await cluster.advance(1000)
  await unlock(cluster, one.clientId)
  assert.ok(await locked(cluster, 'another client'))
  await cluster.advance(21_000)
  end()
  await cluster.advance(1000)
  assert.ok(!one.queues.some(({ topic, queueId }) => topic === 'Orders' && queueId === 0))
  assert.ok(await locked(cluster, 'another client'), 'the other client has it still')
})

test('when the concurrency is raised, waiting queues start at once', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 2 })
  for (let n = 0; n < 2; n++) cluster.broker.put({ topic: 'Orders', queueId: n })
  let running = 0
  const ends = Promise.withResolvers<undefined>()
  const options = { orderly: true, concurrency: 1, onMessage: () => (running++, ends.promise) }
  const consumer = await startConsumer(cluster, options)
  await cluster.advance(2000)
  assert.equal(running, 1)
  consumer.updateConcurrency(2)
  await cluster.settle()
  assert.equal(running, 2)
  ends.resolve(undefined)
})

test('a broker that does not answer does not block the queues of other brokers', async t => {
  const cluster = await testCluster(t, { brokers: 2 })
  const [silent, other] = cluster.brokers as [TestCluster['broker'], TestCluster['broker']]
  await silent.setTopic('Orders', { readQueues: 8 })
  await other.setTopic('Orders', { readQueues: 1 })
  const seen: string[] = []
  await startConsumer(cluster, {
    orderly: true,
    concurrency: 2,
    onMessage: ({ queue: { brokerName } }) => void seen.push(brokerName),
  })
  await cluster.advance(2000)
  const locks = silent.fault('LOCK_BATCH_MQ', { answer: 'never', handled: false, times: Infinity })
  await cluster.advance(35_000)
  for (let queueId = 0; queueId < 8; queueId++) silent.put({ topic: 'Orders', queueId })
  await cluster.advance(200)
  const asked = locks.met
  for (let n = 1; n <= 20; n++) {
    other.put({ topic: 'Orders' })
    await cluster.advance(500)
    assert.deepEqual(
      seen,
      Array.from({ length: n }, () => 'broker-b'),
      'the locks of the others have run out',
    )
  }
  assert.ok(locks.met - asked <= 10, 'one request at a time for all queues')
})

test('a queue with a busy listener does not keep other queues from being reset', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 2 })
  for (let n = 0; n < 2; n++) cluster.broker.put({ topic: 'Orders', queueId: n })
  const ends = Promise.withResolvers<undefined>()
  const seen: number[] = []
  await startConsumer(cluster, {
    orderly: true,
    onMessage: ({ queue: { queueId } }) => {
      seen.push(queueId)
      return queueId === 0 ? ends.promise : undefined
    },
  })
  await cluster.until(() => seen.length === 2)
  for (const queueId of [0, 1]) {
    cluster.broker.resetOffsets('Orders', 'readers', new Map([[queueId, 0]]))
    await cluster.advance(2000)
  }
  assert.deepEqual(
    seen.toSorted((a, b) => a - b),
    [0, 1, 1],
  )
  ends.resolve(undefined)
  await cluster.until(() => seen.length === 4, { stepMs: 50 })
})
