// What has to work by default: a broker that hangs, a topic that is made again, large bodies, lost answers, and two processes at one file.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { nameServerRequests } from '@gantrymq/protocol'
import { RemotingClient } from '@gantrymq/remoting'
import { type RocketMQ, startRocketMQ } from '@gantrymq/testing'
import { Admin, type ClientError, LitePullConsumer, type Problem, Producer, PushConsumer } from '../src/index.ts'

let mq: RocketMQ
before(async () => {
  mq = await startRocketMQ()
})
beforeEach(() => mq.reset())
after(() => mq.close())

const ALL = { topic: 'SELF_TEST_TOPIC' }

async function until(condition: () => boolean, seconds = 1): Promise<void> {
  for (let step = 0; step < 200 && !condition(); step++) {
    await mq.advance({ seconds })
  }
  assert.ok(condition(), String(condition))
}

test('a broker that hangs costs no send while another one is well', async t => {
  const hanging = createServer(socket => socket.on('error', () => {}).unref())
  await new Promise<void>(done => void hanging.listen(0, '127.0.0.1', done))
  const { port } = hanging.address() as { port: number }
  const registering = new RemotingClient()
  t.after(async () => {
    hanging.close()
    await registering.close()
  })
  await using admin = await Admin.start(mq.connection)
  await admin.topics.create('Orders', ALL, { queues: 1 })
  const config = { topicName: 'Orders', readQueueNums: 1, writeQueueNums: 1, perm: 6, topicFilterType: 'SINGLE_TAG' }
  const dataVersion = { counter: 1, timestamp: 1, stateVersion: 0 }
  const wrapper = { dataVersion, topicConfigTable: { Orders: config } }
  await registering.call(mq.connection.nameServers, nameServerRequests.REGISTER_BROKER, {
    header: {
      brokerName: 'hangs',
      brokerAddr: `127.0.0.1:${port}`,
      clusterName: 'DefaultCluster',
      haServerAddr: '',
      brokerId: 0,
      compressed: false,
      bodyCrc32: 0,
    },
    body: Buffer.from(JSON.stringify({ topicConfigSerializeWrapper: wrapper, filterServerList: [] })),
  })
  await using producer = await Producer.start({ nameServers: mq.connection.nameServers, group: 'shop', timeoutMs: 900 })
  assert.equal((await producer.queues('Orders')).length, 2)
  for (let sends = 0; sends < 4; sends++) {
    const { queue } = await producer.send({ topic: 'Orders', body: 'x' })
    assert.equal(queue.brokerName, 'broker-a')
  }
})

test('a timed send ends within its time while heartbeats get no answer', async () => {
  await using admin = await Admin.start(mq.connection)
  await admin.topics.create('Orders', ALL, { queues: 1 })
  mq.fail.hang('HEART_BEAT', { times: 1000 })
  await using producer = await Producer.start({ ...mq.connection, group: 'shop', retries: 0 })
  const started = mq.connection.clock.elapsed()
  const message = { topic: 'Orders', body: 'x', delayMs: 1000 }
  // The broker may still take the message in the last millisecond.
  await producer.send(message, { timeoutMs: 200 }).catch(({ code }: ClientError) => assert.equal(code, 'TIMEOUT'))
  assert.ok(mq.connection.clock.elapsed() - started < 1500)
  mq.fail.clear()
})

for (const kind of ['push', 'lite pull'] as const) {
  for (const later of [2, 9]) {
    test(`a ${kind} consumer gets all ${later} messages of a topic that was deleted and made again`, async () => {
      await using admin = await Admin.start(mq.connection)
      await using producer = await Producer.start({ ...mq.connection, group: 'shop' })
      const received: string[] = []
      const options = {
        ...mq.connection,
        group: 'billing',
        subscriptions: { Orders: '*' },
        consumeFrom: 'first',
        log: false,
      } as const
      const send = async (name: string, count: number): Promise<void> => {
        for (let at = 0; at < count; at++) await producer.send({ topic: 'Orders', body: `${name} ${at}` })
      }
      await admin.topics.create('Orders', ALL, { queues: 1 })
      await using consumer =
        kind === 'push'
          ? await PushConsumer.start({ ...options, onMessage: message => void received.push(message.body.toString()) })
          : await LitePullConsumer.start(options)
      const poll = async (): Promise<void> => {
        if (consumer instanceof LitePullConsumer)
          for (const message of await consumer.poll({ timeoutMs: 1 })) received.push(message.body.toString())
      }
      const untilReceived = async (count: number): Promise<void> => {
        for (let step = 0; step < 200 && received.length < count; step++) {
          await mq.advance({ seconds: 1 })
          await poll()
        }
        assert.equal(received.length, count)
      }
      await send('old', 5)
      await untilReceived(5)
      await admin.topics.delete('Orders', { cluster: 'DefaultCluster' })
      for (let step = 0; step < 5; step++) {
        await mq.advance({ seconds: 5 })
      }
      await admin.topics.create('Orders', ALL, { queues: 1 })
      // The question whether the queue is another one is asked again after a failure.
      mq.fail.next('GET_EARLIEST_MSG_STORETIME')
      await send('new', later)
      await untilReceived(5 + later)
      assert.deepEqual(
        received.slice(5),
        Array.from({ length: later }, (_, at) => `new ${at}`),
      )
    })
  }
}

test('a body that does not get smaller is sent as it is, and the size that counts is the one that is sent', async () => {
  await using producer = await Producer.start({ ...mq.connection, group: 'shop', maxMessageSize: 10_000 })
  const noise = randomBytes(10_000)
  await producer.send({ topic: 'Orders', body: noise })
  await producer.send({ topic: 'Orders', body: 'a'.repeat(50_000) })
  const [first, second] = await mq.messages('Orders')
  assert.deepEqual(first?.body, noise)
  assert.ok((second?.body.length ?? 0) < 1000)
  const tooLarge = { code: 'MESSAGE_ILLEGAL', message: /has \d+ bytes, more than option maxMessageSize, 10000/ }
  await assert.rejects(producer.send({ topic: 'Orders', body: randomBytes(10_001) }), tooLarge)
  await assert.rejects(producer.sendOneway({ topic: 'Orders', body: randomBytes(10_001) }), tooLarge)
  await assert.rejects(producer.sendBatch([{ topic: 'Orders', body: randomBytes(10_001) }]), tooLarge)
})

test('a lock that the broker grants after the request timed out is given back', async () => {
  await using admin = await Admin.start(mq.connection)
  await admin.topics.create('Orders', ALL, { queues: 1 })
  mq.fail.loseAnswer('LOCK_BATCH_MQ', { times: 1000 })
  const options = {
    ...mq.connection,
    group: 'billing',
    subscriptions: { Orders: '*' },
    orderly: true,
    log: false,
  } as const
  const first = await PushConsumer.start({ ...options, onMessage() {}, instanceName: 'first' })
  for (let step = 0; step < 5; step++) {
    await mq.advance({ seconds: 1 })
  }
  await first.close({ drainMs: 0 })
  mq.fail.clear()
  await using second = await PushConsumer.start({ ...options, onMessage() {}, instanceName: 'second' })
  const began = mq.now.getTime()
  await until(() => second.queues.some(({ topic }) => topic === 'Orders'))
  assert.ok(mq.now.getTime() - began < 20_000, 'the lock was held until it expired')
})

test('OFFSETS_SHARED: another process writes the offset file of a broadcast consumer', async t => {
  const offsetsFolder = await mkdtemp(join(tmpdir(), 'offsets-'))
  t.after(() => rm(offsetsFolder, { recursive: true, force: true }))
  await using admin = await Admin.start(mq.connection)
  await admin.topics.create('Orders', ALL, { queues: 1 })
  const problems: Problem[] = []
  const start = () =>
    PushConsumer.start({
      ...mq.connection,
      group: 'news',
      broadcast: true,
      offsetsFolder,
      subscriptions: { Orders: '*' },
      onMessage() {},
      onProblem: problem => problems.push(problem),
    })
  const consumer = await start()
  await consumer.close()
  assert.equal(problems.length, 0)
  // The parent of this process is another one that is alive.
  const owner = join(offsetsFolder, consumer.clientId, 'news', 'offsets.json.owner')
  const { writeFile } = await import('node:fs/promises')
  await writeFile(owner, String(process.ppid))
  await using again = await start()
  assert.deepEqual(
    problems.map(({ code }) => code),
    ['OFFSETS_SHARED'],
  )
  assert.match(
    problems[0]?.message ?? '',
    new RegExp(`the process ${process.ppid} writes the offset file .*offsets.json`),
  )
  assert.equal(again.readiness.problems.length, 1)
})

test('a producer of transactions that has sent nothing is asked about the transactions of an earlier process', async () => {
  const paid = { topic: 'Payments', body: '20' }
  const earlier = await Producer.start({ ...mq.connection, group: 'payments', checkTransaction: () => 'unknown' })
  await earlier.sendInTransaction(paid, async () => 'unknown')
  await earlier.close()
  let asked = 0
  await using later = await Producer.start({
    ...mq.connection,
    group: 'payments',
    checkTransaction() {
      asked++
      return 'commit'
    },
  })
  await until(() => asked > 0, 10)
  assert.equal(later.stats.sent, 0)
})

test('without a default topic, a producer of transactions is known to all brokers', async t => {
  const strict = await startRocketMQ({ broker: { autoCreateTopicEnable: false } })
  t.after(() => strict.close())
  await using producer = await Producer.start({
    ...strict.connection,
    group: 'payments',
    checkTransaction: () => 'commit',
  })
  await using admin = await Admin.start(strict.connection)
  for (let step = 0; step < 100; step++) {
    const producers = await admin.producers.ofBroker({ brokerName: 'broker-a' })
    if (producers.has('payments')) return
    await strict.advance({ ms: 100 })
  }
  assert.fail(`no broker knows ${producer.group}`)
})
