// A consumer that cannot work says so: at its start, or later through `onProblem`, with a stable code.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { membershipRequests } from '@gantrymq/protocol'
import { RemotingClient } from '@gantrymq/remoting'
import { type RocketMQ, startRocketMQ } from '@gantrymq/testing'
import {
  Admin,
  LitePullConsumer,
  type Problem,
  PushConsumer,
  type PushConsumerOptions,
  SimpleConsumer,
} from '../src/index.ts'

let mq: RocketMQ
before(async () => {
  mq = await startRocketMQ({ broker: { autoCreateTopicEnable: false } })
})
beforeEach(() => mq.reset())
after(() => mq.close())

async function topic(name: string, settings: object = {}): Promise<void> {
  await using admin = await Admin.start(mq.connection)
  await admin.topics.create(name, { topic: 'SELF_TEST_TOPIC' }, { queues: 2, ...settings })
}

/** Moves time until the condition holds. */
async function until(condition: () => boolean, seconds = 1): Promise<void> {
  for (let step = 0; step < 300 && !condition(); step++) {
    await mq.advance({ seconds })
  }
  assert.ok(condition(), String(condition))
}

async function started(given: Partial<PushConsumerOptions> = {}) {
  const problems: Problem[] = []
  const consumer = await PushConsumer.start({
    ...mq.connection,
    group: 'billing',
    subscriptions: { Orders: '*' },
    onMessage() {},
    onProblem: problem => problems.push(problem),
    ...given,
  })
  const codes = (): string[] => problems.map(({ code }) => code)
  return { consumer, problems, codes, [Symbol.asyncDispose]: () => consumer.close({ drainMs: 0 }) }
}

const options = () => ({ nameServers: '127.0.0.1:1', group: 'g', requestTimeoutMs: 500 })
const starts = {
  'a push consumer': (given: object) =>
    PushConsumer.start({ ...options(), subscriptions: { T: '*' }, onMessage() {}, ...given }),
  'a lite pull consumer': (given: object) => LitePullConsumer.start({ ...options(), ...given }),
  'a simple consumer': (given: object) => SimpleConsumer.start({ ...options(), subscriptions: { T: '*' }, ...given }),
}

for (const [who, start] of Object.entries(starts)) {
  test(`${who} does not start without a name server, unless it is told not to wait`, async () => {
    await assert.rejects(start({}), { code: 'CONNECT_FAILED', message: /nothing listens on this port/ })
    await using consumer = await start({ waitForNameServer: false, log: false })
    assert.equal(consumer.readiness.ready, false)
  })
}

test('a consumer is ready when a broker has taken its heartbeat and its queues are assigned', async () => {
  await topic('Orders')
  await using started_ = await started()
  const { consumer, problems } = started_
  await until(() => consumer.readiness.ready)
  assert.deepEqual(consumer.readiness, { ready: true, reason: '', problems: [] })
  assert.deepEqual(problems, [])
  await consumer.close({ drainMs: 0 })
  assert.deepEqual(consumer.readiness.reason, 'it is closed')
})

test('TOPIC_MISSING has the name server’s reason, and ends when the topic exists', async () => {
  await using started_ = await started()
  const { consumer, problems } = started_
  await until(() => problems.length > 0)
  const [problem] = problems
  assert.equal(problem?.code, 'TOPIC_MISSING')
  assert.equal(problem.subject, 'Orders')
  assert.match(problem.message, /there are no messages of Orders to read: .*explains: /)
  assert.equal(consumer.readiness.ready, false)
  assert.equal(consumer.readiness.reason, problem.message)
  await topic('Orders')
  await until(() => consumer.readiness.ready)
  assert.deepEqual(consumer.readiness.problems, [])
})

test('the problems of a topic end when it is unsubscribed', async () => {
  await topic('Parcels')
  await using started_ = await started({ subscriptions: { Orders: '*', Parcels: '*' } })
  await until(() => started_.codes().includes('TOPIC_MISSING'))
  await started_.consumer.unsubscribe('Orders')
  await until(() => started_.consumer.readiness.ready)
  assert.deepEqual(started_.consumer.readiness.problems, [])
})

test('NOT_READABLE: the topic gives no permission to read', async () => {
  await topic('Orders', { perm: 2 })
  await using started_ = await started()
  await until(() => started_.codes().includes('NOT_READABLE'))
  assert.match(started_.problems[0]?.message ?? '', /no queue of Orders can be read: broker-a has permission 2/)
})

test('NO_PERMISSION: the broker refuses the pulls of this user', async () => {
  await topic('Orders')
  mq.fail.next('PULL_MESSAGE', {
    code: 16,
    remark: 'User:orders has no permission to access Topic:Orders',
    times: 1000,
  })
  await using started_ = await started()
  await until(() => started_.codes().includes('NO_PERMISSION'))
  assert.match(
    started_.problems[0]?.message ?? '',
    /the broker lets this consumer read nothing of Orders: .*User:orders/,
  )
})

test('NO_BROKER: no broker takes the heartbeat', async () => {
  await topic('Orders')
  mq.fail.next('HEART_BEAT', { code: 1, remark: 'no', times: 1000 })
  await using started_ = await started()
  await until(() => started_.codes().includes('NO_BROKER'))
  assert.match(started_.consumer.readiness.reason, /no broker takes the heartbeat of this consumer/)
  mq.fail.clear()
  await until(() => started_.consumer.readiness.ready, 10)
})

test('ALL_PULLS_FAIL: no queue gave messages for ten seconds, and it ends with the first pull that works', async () => {
  await topic('Orders')
  await using started_ = await started()
  await until(() => started_.consumer.readiness.ready)
  mq.fail.next('PULL_MESSAGE', { code: 1, remark: 'disk is broken', times: 10_000 })
  await until(() => started_.codes().includes('ALL_PULLS_FAIL'), 2)
  assert.match(
    started_.problems.at(-1)?.message ?? '',
    /no messages have been pulled from .* for 10 s: .*disk is broken/,
  )
  mq.fail.clear()
  await until(() => started_.consumer.readiness.ready, 2)
})

test('DIFFERENT_SUBSCRIPTIONS: another member subscribes to something else', async () => {
  await topic('Orders')
  await using first = await started()
  await using second = await started({ subscriptions: { Orders: 'paid' }, instanceName: 'other' })
  await until(() => [...first.codes(), ...second.codes()].includes('DIFFERENT_SUBSCRIPTIONS'), 7)
  const [problem] = [...first.problems, ...second.problems]
  assert.match(problem?.message ?? '', /Orders is subscribed with "(\*|paid)" here, and with "(\*|paid)" there/)
})

test('CLIENT_ID_TWICE: another process has this client id in the same group', async t => {
  await topic('Orders')
  await using started_ = await started({ instanceName: 'one' })
  const { clientId } = started_.consumer
  await using admin = await Admin.start(mq.connection)
  const { brokerAddrTable } = await admin.clusters.info()
  const [address = ''] = [...brokerAddrTable.values()].flatMap(({ brokerAddrs }) => [...brokerAddrs.values()])
  const other = new RemotingClient()
  t.after(() => other.close())
  const [own] = (await admin.consumers.connections('billing')).connections
  assert.equal(own?.clientId, clientId)
  const subscription = {
    topic: 'Orders',
    subString: '*',
    tagsSet: [],
    codeSet: [],
    subVersion: 1,
    expressionType: 'TAG',
  }
  const member = {
    groupName: 'billing',
    consumeType: 'CONSUME_PASSIVELY',
    messageModel: 'CLUSTERING',
    consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
    subscriptionDataSet: [subscription],
    unitMode: false,
  } as const
  const body = {
    clientID: clientId,
    producerDataSet: [],
    consumerDataSet: [member],
    heartbeatFingerprint: 0,
    withoutSub: false,
  }
  const beat = () => other.call(address, membershipRequests.HEART_BEAT, { body })
  for (let step = 0; step < 20 && !started_.codes().includes('CLIENT_ID_TWICE'); step++) {
    await beat()
    await mq.advance({ seconds: 10 })
  }
  const problem = started_.problems.find(({ code }) => code === 'CLIENT_ID_TWICE')
  assert.match(
    problem?.message ?? '',
    new RegExp(`two processes have the client id ${clientId.replaceAll('.', String.raw`\.`)} in this group`),
  )
  assert.equal(started_.consumer.readiness.ready, true)
})

test('without onProblem a problem is a warning of the log; what onProblem throws is no failure', async () => {
  const warnings: string[] = []
  const log = { debug() {}, info() {}, error() {}, warn: (_: object, text: string) => void warnings.push(text) }
  await using started_ = await started({ onProblem: undefined, log })
  await until(() => warnings.some(text => text.startsWith('there are no messages of Orders to read')))
  await using throwing = await started({
    group: 'other',
    log: false,
    onProblem() {
      throw new Error('broken')
    },
  })
  await until(() => throwing.consumer.readiness.problems.length > 0)
  assert.equal(started_.consumer.readiness.ready, false)
})

test('a poll with nothing to read is refused', async () => {
  await using consumer = await LitePullConsumer.start({ ...mq.connection, group: 'reports' })
  await assert.rejects(consumer.poll(), { code: 'NOT_ASSIGNED', message: /call subscribe or assign first/ })
  assert.throws(() => consumer.messages(), { code: 'NOT_ASSIGNED' })
  await topic('Orders')
  await consumer.assign(await consumer.queuesOf('Orders'))
  assert.deepEqual(await consumer.poll({ timeoutMs: 1 }), [])
})
