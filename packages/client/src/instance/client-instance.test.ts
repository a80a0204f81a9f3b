import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { clientNotices, queryRequests } from '@gantrymq/protocol'
import type { Logger } from '@gantrymq/remoting'
import { type TestCluster, testCluster, type TestClusterOptions } from '@gantrymq/testkit'
import { ClientInstance } from './client-instance.ts'
import { type ClientOptions, type InstanceOptions, instanceOptions } from './instance-options.ts'
import type { ConsumerMember, ProducerMember, PushedReply, TransactionCheck } from './instance-members.ts'
import { readOptions } from '../options.ts'

function settingsOf(cluster: TestCluster, given: ClientOptions = {}) {
  const { clock, dial, nameServerList: nameServers } = cluster
  return readOptions('test', instanceOptions, { clock, dial, nameServers, ...given })
}

async function open(t: TestContext, options: TestClusterOptions = {}, given: ClientOptions = {}) {
  const cluster = await testCluster(t, options)
  for (const broker of cluster.brokers) broker.setTopic('T')
  const instance = ClientInstance.acquire(settingsOf(cluster, given))
  cluster.own({ close: () => instance.release(undefined) })
  await cluster.outcome(instance.start())
  return { cluster, instance }
}

function producer(group: string): ProducerMember & { checks: TransactionCheck[]; replies: PushedReply[] } {
  const [checks, replies]: [TransactionCheck[], PushedReply[]] = [[], []]
  return {
    kind: 'producer',
    group,
    checks,
    replies,
    checkTransaction: check => checks.push(check) > 0,
    takeReply: reply => replies.push(reply) > 0,
  }
}

function consumer(group: string, more: Partial<ConsumerMember> = {}): ConsumerMember & { rounds: number } {
  return {
    kind: 'consumer',
    group,
    rounds: 0,
    describe: () => ({
      groupName: group,
      consumeType: 'CONSUME_PASSIVELY',
      messageModel: 'CLUSTERING',
      consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
      subscriptionDataSet: [],
    }),
    rebalance() {
      this.rounds++
    },
    offsets: () => [],
    runningInfo: () => ({ properties: new Map(), subscriptionSet: [], mqTable: [], statusTable: new Map() }),
    ...more,
  }
}

const heartbeats = (cluster: TestCluster, broker = 0) =>
  cluster.brokers[broker]?.server.requestsOf('HEART_BEAT').length ?? 0

test('objects with the same options share an instance, others do not, and the last to leave closes it', async t => {
  const cluster = await testCluster(t)
  const [a, b] = [ClientInstance.acquire(settingsOf(cluster)), ClientInstance.acquire(settingsOf(cluster))]
  const other = ClientInstance.acquire(settingsOf(cluster, { unitName: 'u' }))
  assert.equal(a, b)
  assert.notEqual(a, other)
  assert.match(other.clientId, /@\d+#\d+@u$/)
  await a.release(undefined)
  const c = ClientInstance.acquire(settingsOf(cluster))
  assert.equal(c, b)
  await Promise.all([b.release(undefined), c.release(undefined), other.release(undefined)])
  const fresh = ClientInstance.acquire(settingsOf(cluster))
  assert.notEqual(fresh, a)
  await fresh.release(undefined)
})

test('options of a producer’s or consumer’s own do not keep it from sharing', async t => {
  const cluster = await testCluster(t)
  const a = ClientInstance.acquire({ ...settingsOf(cluster), timeoutMs: 1 } as InstanceOptions)
  const b = ClientInstance.acquire({ ...settingsOf(cluster), concurrency: 2 } as InstanceOptions)
  assert.equal(a, b)
  await Promise.all([a.release(undefined), b.release(undefined)])
})

test('two consumers of one group in a process have two ids, as the group must tell them apart', async t => {
  const cluster = await testCluster(t)
  const claim = { kind: 'consumer', group: 'g' } as const
  const [a, b] = [
    ClientInstance.acquire(settingsOf(cluster), claim),
    ClientInstance.acquire(settingsOf(cluster), claim),
  ]
  assert.notEqual(a.clientId, b.clientId)
  await a.release(claim)
  await b.release(claim)
})

test('an instance name that was given is shared, and a group that is there already is an error', async t => {
  const cluster = await testCluster(t)
  const settings = settingsOf(cluster, { instanceName: 'name', clientIp: '10.9.8.7' })
  const claim = { kind: 'consumer', group: 'g' } as const
  const a = ClientInstance.acquire(settings, claim)
  assert.equal(a.clientId, '10.9.8.7@name')
  assert.throws(() => ClientInstance.acquire(settings, claim), {
    code: 'GROUP_TAKEN',
    message: /group\[g\] has been created/,
  })
  await a.release(claim)
  const b = ClientInstance.acquire(settings, claim)
  await b.release(claim)
})

test('equal credentials share an instance name, other ones get an id of their own', async t => {
  const cluster = await testCluster(t)
  const name = { instanceName: 'name', clientIp: '10.9.8.7', unitName: 'u' }
  const named = (credentials: { accessKey: string; secretKey: string }, more: ClientOptions = {}) =>
    ClientInstance.acquire(settingsOf(cluster, { ...name, credentials, ...more }))
  const a = named({ accessKey: 'a', secretKey: 's' })
  const b = named({ accessKey: 'a', secretKey: 's' })
  const other = named({ accessKey: 'a', secretKey: 't' })
  assert.equal(a, b)
  const adding = named({ accessKey: 'a', secretKey: 's' }, { onRequest: () => {} })
  assert.deepEqual(
    [a, other, adding].map(({ clientId }) => clientId),
    ['10.9.8.7@name@u', '10.9.8.7@name#2@u', '10.9.8.7@name#3@u'],
  )
  await Promise.all([a, b, other, adding].map(instance => instance.release(undefined)))
})

test('loggers that look alike are not the same', async t => {
  const cluster = await testCluster(t)
  const methods = { debug() {}, info() {}, warn() {}, error() {} }
  const logging = (lines: string[]) =>
    ClientInstance.acquire(settingsOf(cluster, { log: { ...methods, lines } as Logger }))
  const [a, b] = [logging([]), logging([])]
  assert.notEqual(a, b)
  await Promise.all([a.release(undefined), b.release(undefined)])
})

test('a member takes leave behind a heartbeat that may still tell of it', async t => {
  const { cluster, instance } = await open(t)
  const leaver = consumer('c')
  instance.join(leaver)
  await cluster.outcome(instance.routes.get('T'))
  await cluster.outcome(instance.heartbeat())
  cluster.broker.fault('HEART_BEAT', { answer: 'late', ms: 500 })
  void instance.heartbeat()
  const left = instance.leave(leaver)
  await cluster.advance(400)
  assert.equal(cluster.broker.server.requestsOf('UNREGISTER_CLIENT').length, 0)
  await cluster.outcome(left)
  assert.equal(cluster.broker.server.requestsOf('UNREGISTER_CLIENT').length, 1)
})

test('a broker that has stalled is not made to note a producer anew again and again', async t => {
  const { cluster, instance } = await open(t)
  instance.join(producer('p'))
  await cluster.outcome(instance.routes.get('T'))
  await cluster.outcome(instance.heartbeat())
  cluster.broker.fault('*', { answer: 'never', handled: false, times: Number.POSITIVE_INFINITY })
  const { address } = cluster.broker
  for (let turn = 0; turn < 20; turn++) {
    instance
      .call(address, queryRequests.GET_MAX_OFFSET, { header: { topic: 'T', queueId: 0 } }, { timeoutMs: 1000 })
      .catch(() => {})
    await cluster.advance(300)
  }
  await cluster.advance(30_000, 100)
  const seen = () => cluster.broker.server.requestsOf('UNREGISTER_CLIENT').length
  const before = seen()
  await cluster.advance(120_000, 100)
  assert.ok(seen() - before <= 1, `${seen() - before} times in two minutes`)
})

test('brokers hear of the members every 30 seconds: masters of producers, slaves of consumers too', async t => {
  const { cluster, instance } = await open(t, { brokers: [{}, { name: 'broker-a', id: 1 }] })
  instance.join(producer('p'))
  await cluster.outcome(instance.routes.get('T'))
  await cluster.outcome(instance.heartbeat())
  assert.deepEqual([heartbeats(cluster, 0), heartbeats(cluster, 1)], [1, 0])
  instance.join(consumer('c'))
  await cluster.advance(30_000, 5000)
  assert.deepEqual([heartbeats(cluster, 0), heartbeats(cluster, 1)], [2, 1])
  assert.deepEqual(cluster.broker.clientIds, [instance.clientId])
})

test('a broker that does not answer heartbeats is not sent another meanwhile, and others are', async t => {
  const { cluster, instance } = await open(t, { brokers: 2 }, { heartbeatMs: 1000 })
  instance.join(producer('p'))
  await cluster.outcome(instance.routes.get('T'))
  cluster.broker.fault('HEART_BEAT', { answer: 'never', times: 100 })
  await cluster.advance(3000, 500)
  assert.equal(heartbeats(cluster, 0), 1)
  assert.ok(heartbeats(cluster, 1) >= 3)
})

test('a heartbeat asked for while another is on its way tells of who has joined since', async t => {
  const { cluster, instance } = await open(t)
  instance.join(producer('p'))
  await cluster.outcome(instance.routes.get('T'))
  const first = instance.heartbeat()
  instance.join(consumer('c'))
  await cluster.outcome(Promise.all([first, instance.heartbeat(), instance.heartbeat()]))
  assert.equal(heartbeats(cluster), 2)
  assert.deepEqual(cluster.broker.state.members.consumerIds('c'), [instance.clientId])
})

test('a broker that was away hears who is here as soon as it is back, and consumers balance again', async t => {
  const { cluster, instance } = await open(t)
  const member = consumer('c')
  instance.join(member)
  await cluster.outcome(instance.routes.get('T'))
  await cluster.outcome(instance.heartbeat())
  cluster.broker.down()
  await cluster.settle()
  cluster.broker.up()
  assert.deepEqual(cluster.broker.clientIds, [])
  const rounds = member.rounds
  const header = { topic: 'T', queueId: 0 }
  await cluster.advance(1000)
  await cluster.outcome(instance.call(cluster.broker.address, queryRequests.GET_MAX_OFFSET, { header }))
  await cluster.settle()
  assert.deepEqual(cluster.broker.clientIds, [instance.clientId])
  assert.ok(member.rounds > rounds)
})

test('who leaves takes leave of the brokers', async t => {
  const { cluster, instance } = await open(t)
  const member = producer('p')
  instance.join(member)
  await cluster.outcome(instance.routes.get('T'))
  await cluster.outcome(instance.heartbeat())
  await cluster.outcome(instance.leave(member))
  await cluster.outcome(instance.leave(member))
  const [goodbye, ...more] = cluster.broker.server.requestsOf('UNREGISTER_CLIENT')
  assert.equal(goodbye?.header['producerGroup'], 'p')
  assert.equal(goodbye?.header['consumerGroup'], undefined)
  assert.deepEqual(more, [])
})

test('a broker that does not answer holds up who leaves no longer than one request may take', async t => {
  const { cluster, instance } = await open(t)
  const member = producer('p')
  instance.join(member)
  instance.join(producer('q'))
  await cluster.outcome(instance.routes.get('T'))
  await cluster.outcome(instance.heartbeat())
  cluster.broker.fault('*', { answer: 'never', times: Number.POSITIVE_INFINITY })
  const began = cluster.clock.elapsed()
  await cluster.outcome(instance.leave(member))
  assert.ok(cluster.clock.elapsed() - began <= 3100)
})

test('while another of its group is here nobody takes leave of the brokers', async t => {
  const { cluster, instance } = await open(t)
  const [first, second] = [producer('p'), producer('p')]
  instance.join(first)
  instance.join(second)
  await cluster.outcome(instance.routes.get('T'))
  await cluster.outcome(instance.heartbeat())
  await cluster.outcome(instance.leave(first))
  assert.ok(cluster.broker.state.members.producers.has('p'))
  await cluster.outcome(instance.leave(second))
  assert.ok(!cluster.broker.state.members.producers.has('p'))
})

test('a broker that forgets the client with an old connection hears of it again over the new one', async t => {
  const { cluster, instance } = await open(t)
  instance.join(producer('p'))
  await cluster.outcome(instance.routes.get('T'))
  await cluster.outcome(instance.heartbeat())
  const { members } = cluster.broker.state
  const old = members.producerPeer(instance.clientId)
  cluster.broker.fault('GET_MAX_OFFSET', { answer: 'never', handled: false })
  cluster.broker.fault('GET_MIN_OFFSET', { answer: 'never', handled: false })
  const header = { topic: 'T', queueId: 0 }
  const slow = instance.call(cluster.broker.address, queryRequests.GET_MIN_OFFSET, { header }, { timeoutMs: 9000 })
  const ended = assert.rejects(slow)
  const late = instance.call(cluster.broker.address, queryRequests.GET_MAX_OFFSET, { header }, { timeoutMs: 200 })
  await assert.rejects(cluster.outcome(late), { code: 'TIMEOUT' })
  await cluster.outcome(instance.heartbeat())
  assert.notEqual(members.producerPeer(instance.clientId), old)
  await cluster.outcome(ended)
  await cluster.until(() => members.producerPeer(instance.clientId) === undefined)
  await cluster.advance(1100)
  assert.ok(members.producerPeer(instance.clientId) !== undefined)
})

test('what a broker refuses is an error with its code, its words and what to do', async t => {
  const { cluster, instance } = await open(t)
  cluster.broker.fault('GET_MAX_OFFSET', { answer: 'code', code: 16, remark: 'no' })
  const call = instance.call(cluster.broker.address, queryRequests.GET_MAX_OFFSET, {
    header: { topic: 'T', queueId: 0 },
  })
  await assert.rejects(cluster.outcome(call), {
    name: 'ClientError',
    code: 'BROKER_REFUSED',
    responseCode: 16,
    remark: 'no',
    address: cluster.broker.address,
    message: /refused with code 16 \(NO_PERMISSION\): no; check the permissions/,
  })
})

test('calls on an instance that is closed fail with CLOSED', async t => {
  const cluster = await testCluster(t)
  const instance = ClientInstance.acquire(settingsOf(cluster))
  await cluster.outcome(instance.start())
  await instance.release(undefined)
  const header = { topic: 'T', queueId: 0 }
  await assert.rejects(instance.call('10.0.1.1:10911', queryRequests.GET_MAX_OFFSET, { header }), { code: 'CLOSED' })
  await cluster.assertNothingLeft()
})

test('the second port is two below the first, and heartbeats do not go there', async t => {
  const { cluster, instance } = await open(t, {}, { vipChannel: true })
  instance.join(producer('p'))
  await cluster.outcome(instance.routes.get('T'))
  await cluster.outcome(instance.heartbeat())
  assert.equal(heartbeats(cluster), 1)
  const header = { topic: 'T', queueId: 0 }
  const call = instance.call(cluster.broker.address, queryRequests.GET_MAX_OFFSET, { header })
  await assert.rejects(cluster.outcome(call), { message: /10\.0\.1\.1:10909/ })
})

// -- What brokers ask ------------------------------------------------------------------------------------------------

async function joined(t: TestContext, member: ConsumerMember | ProducerMember) {
  const { cluster, instance } = await open(t)
  instance.join(member)
  await cluster.outcome(instance.routes.get('T'))
  await cluster.outcome(instance.heartbeat())
  return { cluster, instance }
}

test('a notice that the group has changed makes its consumers balance', async t => {
  const member = consumer('c')
  const { cluster } = await joined(t, member)
  cluster.broker.notify('c')
  await cluster.settle()
  assert.ok(member.rounds >= 1)
})

test('a broker may ask for the state of a consumer; of a group that is not here it hears Java’s words', async t => {
  const info = { properties: new Map([['PROP_CONSUME_TYPE', 'CONSUME_PASSIVELY']]) }
  const member = consumer('c', {
    runningInfo: withStack => ({
      ...info,
      subscriptionSet: [],
      mqTable: [],
      statusTable: new Map(),
      jstack: String(withStack),
    }),
  })
  const { cluster, instance } = await joined(t, member)
  const { clientId } = instance
  const ask = (consumerGroup: string) =>
    cluster.outcome(
      cluster.broker.call(clientId, clientNotices.GET_CONSUMER_RUNNING_INFO, {
        header: { consumerGroup, clientId, jstackEnable: true },
      }),
    )
  const reply = await ask('c')
  assert.deepEqual(reply.body?.properties, info.properties)
  assert.equal(reply.body?.jstack, 'true')
  await assert.rejects(ask('other'), {
    responseCode: 1,
    remark: 'The Consumer Group <other> not exist in this consumer',
  })
})

test('offsets to go on from reach the consumer, and a consumer that cannot take them is told to nobody', async t => {
  const reset: unknown[] = []
  const member = consumer('c', { resetOffsets: async (topic, offsets) => void reset.push(topic, offsets) })
  const { cluster } = await joined(t, member)
  const queue = { topic: 'T', brokerName: 'broker-a', queueId: 1 }
  cluster.broker.resetOffsets('T', 'c', new Map([[1, 7]]))
  await cluster.settle()
  assert.deepEqual(reset, ['T', [{ queue, offset: 7 }]])
  cluster.broker.resetOffsets('T', 'other', new Map([[1, 7]]))
  await cluster.settle()
})

test('a request that clients do not know is refused, and the connection lives on', async t => {
  const { cluster, instance } = await joined(t, consumer('c'))
  await assert.rejects(cluster.outcome(cluster.broker.callUnknown(instance.clientId, 4711)), {
    responseCode: 3,
    remark: ' request type 4711 not supported',
  })
  await cluster.outcome(instance.heartbeat())
})
