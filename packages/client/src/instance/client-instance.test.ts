import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { clientNotices, queryRequests } from '@gantrymq/protocol'
import { type TestCluster, testCluster, type TestClusterOptions } from '@gantrymq/testkit/cluster'
import { type ClientOptions, instanceOptions } from './instance-options.ts'
import type { ConsumerMember, ProducerMember, PushedReply, TransactionCheck } from './instance-members.ts'
import { readOptions } from '../options.ts'
import { acquireInstance } from './shared-instances.ts'

function settingsOf(cluster: TestCluster, given: ClientOptions = {}) {
  const { clock, dial, nameServerList: nameServers } = cluster
  return readOptions('test', instanceOptions, { clock, dial, nameServers, ...given })
}

async function open(t: TestContext, options: TestClusterOptions = {}, given: ClientOptions = {}) {
  const cluster = await testCluster(t, options)
  for (const broker of cluster.brokers) await broker.setTopic('T')
  const { instance, release } = acquireInstance(settingsOf(cluster, given))
  cluster.own({ close: () => release() })
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

function consumer(group: string, more: Partial<ConsumerMember> = {}): ConsumerMember & { rebalances: number } {
  return {
    kind: 'consumer',
    group,
    rebalances: 0,
    describe: () => ({
      groupName: group,
      consumeType: 'CONSUME_PASSIVELY',
      messageModel: 'CLUSTERING',
      consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
      subscriptionDataSet: [],
    }),
    rebalance() {
      this.rebalances++
    },
    offsets: () => [],
    runningInfo: () => ({ properties: new Map(), subscriptionSet: [], mqTable: [], statusTable: new Map() }),
    ...more,
  }
}

const heartbeats = (cluster: TestCluster, broker = 0) =>
  cluster.brokers[broker]?.server.requestsOf('HEART_BEAT').length ?? 0

test('a member unregisters after the heartbeat in flight, which may still list it', async t => {
  const { cluster, instance } = await open(t)
  const leaving = consumer('c')
  instance.join(leaving)
  await cluster.outcome(instance.routes.get('T'))
  await cluster.outcome(instance.heartbeat())
  cluster.broker.fault('HEART_BEAT', { answer: 'late', ms: 500 })
  void instance.heartbeat()
  const left = instance.leave(leaving)
  await cluster.advance(400)
  assert.equal(cluster.broker.server.requestsOf('UNREGISTER_CLIENT').length, 0)
  await cluster.outcome(left)
  assert.equal(cluster.broker.server.requestsOf('UNREGISTER_CLIENT').length, 1)
})

test('a stalled broker is not asked again and again to record the reply connection of a producer', async t => {
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
  const unregistrations = () => cluster.broker.server.requestsOf('UNREGISTER_CLIENT').length
  const before = unregistrations()
  await cluster.advance(120_000, 100)
  assert.ok(unregistrations() - before <= 1, `${unregistrations() - before} times in two minutes`)
})

test('heartbeats go out every 30 seconds, for producers to masters only, for consumers to slaves too', async t => {
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

test('a broker that does not answer a heartbeat gets no second one meanwhile, and other brokers get theirs', async t => {
  const { cluster, instance } = await open(t, { brokers: 2 }, { heartbeatMs: 1000 })
  instance.join(producer('p'))
  await cluster.outcome(instance.routes.get('T'))
  cluster.broker.fault('HEART_BEAT', { answer: 'never', times: 100 })
  await cluster.advance(3000, 500)
  assert.equal(heartbeats(cluster, 0), 1)
  assert.ok(heartbeats(cluster, 1) >= 3)
})

test('a heartbeat requested while another is in flight lists the members that joined since', async t => {
  const { cluster, instance } = await open(t)
  instance.join(producer('p'))
  await cluster.outcome(instance.routes.get('T'))
  const first = instance.heartbeat()
  instance.join(consumer('c'))
  await cluster.outcome(Promise.all([first, instance.heartbeat(), instance.heartbeat()]))
  assert.equal(heartbeats(cluster), 2)
  assert.deepEqual(cluster.broker.consumerIds('c'), [instance.clientId])
})

test('a broker that comes back gets a heartbeat at once, and consumers rebalance', async t => {
  const { cluster, instance } = await open(t)
  const member = consumer('c')
  instance.join(member)
  await cluster.outcome(instance.routes.get('T'))
  await cluster.outcome(instance.heartbeat())
  cluster.broker.down()
  await cluster.settle()
  cluster.broker.up()
  assert.deepEqual(cluster.broker.clientIds, [])
  const rebalances = member.rebalances
  const header = { topic: 'T', queueId: 0 }
  await cluster.advance(1000)
  await cluster.outcome(instance.call(cluster.broker.address, queryRequests.GET_MAX_OFFSET, { header }))
  await cluster.settle()
  assert.deepEqual(cluster.broker.clientIds, [instance.clientId])
  assert.ok(member.rebalances > rebalances)
})

test('a member that leaves unregisters at the brokers, once', async t => {
  const { cluster, instance } = await open(t)
  const member = producer('p')
  instance.join(member)
  await cluster.outcome(instance.routes.get('T'))
  await cluster.outcome(instance.heartbeat())
  await cluster.outcome(instance.leave(member))
  await cluster.outcome(instance.leave(member))
  const [unregistration, ...more] = cluster.broker.server.requestsOf('UNREGISTER_CLIENT')
  assert.equal(unregistration?.header['producerGroup'], 'p')
  assert.equal(unregistration?.header['consumerGroup'], undefined)
  assert.deepEqual(more, [])
})

test('a broker that answers neither a heartbeat nor an unregistration delays a member that leaves by a second at most', async t => {
  const { cluster, instance } = await open(t)
  const member = producer('p')
  instance.join(member)
  instance.join(producer('q'))
  await cluster.outcome(instance.routes.get('T'))
  await cluster.outcome(instance.heartbeat())
  cluster.broker.fault('*', { answer: 'never', times: Number.POSITIVE_INFINITY })
  void instance.heartbeat()
  const began = cluster.clock.elapsed()
  await cluster.outcome(instance.leave(member))
  assert.ok(cluster.clock.elapsed() - began <= 1100, `${cluster.clock.elapsed() - began} ms`)
})

test('a group is unregistered when its last member leaves', async t => {
  const { cluster, instance } = await open(t)
  const [first, second] = [producer('p'), producer('p')]
  instance.join(first)
  instance.join(second)
  await cluster.outcome(instance.routes.get('T'))
  await cluster.outcome(instance.heartbeat())
  await cluster.outcome(instance.leave(first))
  assert.ok(cluster.broker.producerIds('p').length > 0)
  await cluster.outcome(instance.leave(second))
  assert.ok(cluster.broker.producerIds('p').length === 0)
})

test('a broker that drops the client with a retired connection gets a heartbeat over the current one', async t => {
  const { cluster, instance } = await open(t)
  instance.join(producer('p'))
  await cluster.outcome(instance.routes.get('T'))
  await cluster.outcome(instance.heartbeat())
  const beats = () => cluster.broker.server.requestsOf('HEART_BEAT')
  const old = beats().at(-1)?.from
  cluster.broker.fault('GET_MAX_OFFSET', { answer: 'never', handled: false })
  cluster.broker.fault('GET_MIN_OFFSET', { answer: 'never', handled: false })
  const header = { topic: 'T', queueId: 0 }
  const slow = instance.call(cluster.broker.address, queryRequests.GET_MIN_OFFSET, { header }, { timeoutMs: 9000 })
  const ended = assert.rejects(slow)
  const late = instance.call(cluster.broker.address, queryRequests.GET_MAX_OFFSET, { header }, { timeoutMs: 200 })
  await assert.rejects(cluster.outcome(late), { code: 'TIMEOUT' })
  await cluster.outcome(instance.heartbeat())
  const current = beats().at(-1)?.from
  assert.notEqual(current, old)
  const before = beats().length
  await cluster.outcome(ended)
  await cluster.until(() => cluster.broker.server.connections === 1)
  await cluster.advance(1100)
  assert.deepEqual(
    beats()
      .slice(before)
      .map(({ from }) => from),
    [current],
  )
})

test("a refusal becomes an error with the broker's code, its remark and advice", async t => {
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

test('calls on a closed instance fail with CLOSED', async t => {
  const cluster = await testCluster(t)
  const { instance, release } = acquireInstance(settingsOf(cluster))
  await cluster.outcome(instance.start())
  await release()
  const header = { topic: 'T', queueId: 0 }
  await assert.rejects(instance.call('10.0.1.1:10911', queryRequests.GET_MAX_OFFSET, { header }), { code: 'CLOSED' })
  await cluster.assertNothingLeft()
})

test('option vipChannel sends requests to the port two below the first, but not heartbeats', async t => {
  const { cluster, instance } = await open(t, {}, { vipChannel: true })
  instance.join(producer('p'))
  await cluster.outcome(instance.routes.get('T'))
  await cluster.outcome(instance.heartbeat())
  assert.equal(heartbeats(cluster), 1)
  const header = { topic: 'T', queueId: 0 }
  const call = instance.call(cluster.broker.address, queryRequests.GET_MAX_OFFSET, { header })
  await assert.rejects(cluster.outcome(call), { message: /10\.0\.1\.1:10909/ })
})

// -- Requests of brokers ------------------------------------------------------------------------------------------------

async function joined(t: TestContext, member: ConsumerMember | ProducerMember) {
  const { cluster, instance } = await open(t)
  instance.join(member)
  await cluster.outcome(instance.routes.get('T'))
  await cluster.outcome(instance.heartbeat())
  return { cluster, instance }
}

test('a notice that a group has changed makes its consumers rebalance', async t => {
  const member = consumer('c')
  const { cluster } = await joined(t, member)
  cluster.broker.notify('c')
  await cluster.settle()
  assert.ok(member.rebalances >= 1)
})

test('a broker gets the state of a consumer, and Java’s error for a group that this client does not have', async t => {
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

test('an offset reset reaches the consumer, and one for an unknown group is ignored', async t => {
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

test('an unknown request is refused, and the connection stays open', async t => {
  const { cluster, instance } = await joined(t, consumer('c'))
  await assert.rejects(cluster.outcome(cluster.broker.callUnknown(instance.clientId, 4711)), {
    responseCode: 3,
    remark: ' request type 4711 not supported',
  })
  await cluster.outcome(instance.heartbeat())
})

test('a close that drains its calls does not wait for a heartbeat', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('T')
  const { instance, release } = acquireInstance(settingsOf(cluster))
  instance.join(producer('p'))
  await cluster.outcome(instance.start())
  await cluster.outcome(instance.routes.get('T'))
  cluster.broker.fault('HEART_BEAT', { answer: 'never', times: 100 })
  void instance.heartbeat()
  await cluster.settle()
  const began = cluster.clock.elapsed()
  await cluster.outcome(release(5000))
  assert.ok(cluster.clock.elapsed() - began < 200, `${cluster.clock.elapsed() - began} ms`)
})

test('the answer to a heartbeat says nothing about a member that joined meanwhile', async t => {
  const { cluster, instance } = await open(t)
  const told: string[] = []
  const noting = (group: string) => consumer(group, { heartbeatEnded: () => void told.push(group) })
  instance.join(noting('listed'))
  await cluster.outcome(instance.routes.get('T'))
  const beat = instance.heartbeat()
  instance.join(noting('later'))
  await cluster.outcome(beat)
  assert.deepEqual(told, ['listed'])
})
