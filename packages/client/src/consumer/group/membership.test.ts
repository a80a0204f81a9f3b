import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { TopicRoute } from '@gantrymq/protocol'
import { type TestCluster, testCluster } from '@gantrymq/testkit/cluster'
import { LitePullConsumer } from '../lite-pull-consumer.ts'
import { PullConsumer } from '../pull-consumer.ts'
import { PushConsumer } from '../push-consumer.ts'
import { SimpleConsumer } from '../simple-consumer.ts'

const REFUSAL = { code: 'UNSUPPORTED', retriable: false, message: /^the topic "Static" is a static topic/ }

/** A name server's route of a static topic of 5.x. */
function staticRoute(cluster: TestCluster, topic: string): TopicRoute {
  const info = { topic, scope: '__global__', totalQueues: 1, bname: 'broker-a', epoch: 1, dirty: false }
  const mapping = new Map([['broker-a', { ...info, currIdMap: new Map([[0, 0]]) }]])
  const queues = { readQueueNums: 1, writeQueueNums: 1, perm: 6, topicSysFlag: 0 }
  return {
    brokerDatas: [cluster.broker.brokerData],
    queueDatas: [{ brokerName: 'broker-a', ...queues }],
    filterServerTable: new Map(),
    topicQueueMappingByBroker: mapping,
  }
}

async function setUp(t: TestContext) {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  cluster.nameServer.routes.set('Static', staticRoute(cluster, 'Static'))
  const { nameServerList: nameServers, clock, dial } = cluster
  const warnings: unknown[] = []
  const quiet = (): void => {}
  const warn = (_: unknown, text: string): void => void warnings.push(text)
  const log = { debug: quiet, info: quiet, warn, error: quiet }
  return { cluster, warnings, options: { nameServers, clock, dial, log, group: 'billing' } }
}

const onMessage = (): void => {}

test('a consumer that subscribes to a static topic fails to start', async t => {
  const { cluster, options } = await setUp(t)
  const subscriptions = { Orders: '*', Static: '*' }
  await assert.rejects(cluster.outcome(PushConsumer.start({ ...options, subscriptions, onMessage })), REFUSAL)
  await assert.rejects(cluster.outcome(SimpleConsumer.start({ ...options, subscriptions })), REFUSAL)
  await assert.rejects(cluster.outcome(LitePullConsumer.start({ ...options, subscriptions })), REFUSAL)
})

test('subscribe refuses a static topic, and the other topics are still consumed', async t => {
  const { cluster, options } = await setUp(t)
  const bodies: string[] = []
  const given = { ...options, consumeFrom: 'first', subscriptions: { Orders: '*' } } as const
  const onMessage = ({ bytes }: { readonly bytes: Buffer }): void => void bodies.push(bytes.toString())
  const push = cluster.own(await cluster.outcome(PushConsumer.start({ ...given, onMessage })))
  await assert.rejects(cluster.outcome(push.subscribe('Static')), REFUSAL)
  cluster.broker.put({ topic: 'Orders', queueId: 0, body: Buffer.from('one'), properties: new Map() })
  await cluster.until(() => bodies.length === 1)
  assert.deepEqual(bodies, ['one'])
})

test('queues of a static topic can be neither listed nor assigned', async t => {
  const { cluster, options } = await setUp(t)
  const lite = cluster.own(await cluster.outcome(LitePullConsumer.start(options)))
  await assert.rejects(cluster.outcome(lite.queuesOf('Static')), REFUSAL)
  await assert.rejects(cluster.outcome(lite.assign([{ topic: 'Static', brokerName: 'broker-a', queueId: 0 }])), REFUSAL)
  const pull = cluster.own(await cluster.outcome(PullConsumer.start({ ...options, group: 'pulling' })))
  await assert.rejects(cluster.outcome(pull.queuesOf('Static')), REFUSAL)
})

test('a topic that becomes static later is logged', async t => {
  const { cluster, options, warnings } = await setUp(t)
  const subscriptions = { Later: '*' }
  cluster.own(await cluster.outcome(PushConsumer.start({ ...options, routeRefreshMs: 1000, subscriptions, onMessage })))
  const simple = cluster.own(
    await cluster.outcome(SimpleConsumer.start({ ...options, routeRefreshMs: 1000, group: 'simple', subscriptions })),
  )
  cluster.nameServer.routes.set('Later', staticRoute(cluster, 'Later'))
  const isLogged = (text: unknown): boolean => String(text).startsWith('the topic "Later" is a static topic')
  await cluster.until(() => warnings.filter(isLogged).length === 2, { stepMs: 50 })
  await assert.rejects(cluster.outcome(simple.receive()), { code: 'UNSUPPORTED', message: /"Later" is a static topic/ })
})
