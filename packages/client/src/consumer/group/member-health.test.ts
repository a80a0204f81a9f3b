import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { TopicRoute } from '@gantrymq/protocol'
import { silent } from '@gantrymq/remoting'
import { testCluster } from '@gantrymq/testkit/cluster'
import { ClientError } from '../../errors.ts'
import { instanceOptions } from '../../instance/instance-options.ts'
import { acquireInstance } from '../../instance/shared-instances.ts'
import { readOptions } from '../../options.ts'
import type { Problem } from '../../problems.ts'
import { MemberHealth } from './member-health.ts'

async function setUp(t: TestContext) {
  const cluster = await testCluster(t)
  const { clock, dial, nameServerList: nameServers } = cluster
  const { instance, release } = acquireInstance(readOptions('test', instanceOptions, { clock, dial, nameServers }))
  cluster.own({ close: () => release() })
  const problems: Problem[] = []
  const read = new Set(['Orders'])
  const health = new MemberHealth({
    instance,
    group: 'readers',
    namespace: '',
    log: silent,
    subscriptions: () => [],
    reads: topic => read.has(topic),
    onProblem: problem => void problems.push(problem),
  })
  return { cluster, instance, health, problems, read }
}

/** A route that names these brokers, at addresses of the same names. */
function routeOf(...names: readonly string[]): TopicRoute {
  const brokerDatas = names.map(name => ({
    cluster: 'c',
    brokerName: name,
    brokerAddrs: new Map([[0, name]]),
    enableActingMaster: false,
  }))
  return { brokerDatas, queueDatas: [], filterServerTable: new Map() }
}

const refusal = new ClientError('BROKER_REFUSED', 'no')

test('no broker takes the heartbeat if all that are known refuse it', async t => {
  const { instance, health, problems } = await setUp(t)
  instance.brokers.learn(routeOf('a', 'b'))
  health.heartbeatEnded('a', refusal)
  assert.deepEqual(problems, [])
  health.heartbeatEnded('b', refusal)
  assert.deepEqual(
    problems.map(({ code }) => code),
    ['NO_BROKER'],
  )
})

test('what a broker answered before it left does not count when one comes to its address', async t => {
  const { instance, health, problems } = await setUp(t)
  instance.brokers.learn(routeOf('a', 'b'))
  health.heartbeatEnded('a', refusal)
  instance.brokers.dropUnknown([routeOf('b')])
  health.heartbeatEnded('b', undefined)
  instance.brokers.learn(routeOf('a', 'b'))
  health.heartbeatEnded('b', refusal)
  assert.deepEqual(problems, [])
})

test('a missing topic is a problem only if it is still read when the name server has given the reason', async t => {
  const { cluster, health, problems, read } = await setUp(t)
  const missing = new ClientError('ROUTE_MISSING', 'no route')
  const explained = health.missing('Orders', missing)
  read.delete('Orders')
  await cluster.outcome(explained)
  assert.deepEqual(problems, [])
  read.add('Orders')
  await cluster.outcome(health.missing('Orders', missing))
  assert.deepEqual(
    problems.map(({ code, subject }) => [code, subject]),
    [['TOPIC_MISSING', 'Orders']],
  )
})

test('a pull that fails after its topic was given up is no problem', async t => {
  const { health, problems, read } = await setUp(t)
  const queue = { topic: 'Orders', brokerName: 'broker-a', queueId: 0 }
  const gone = new ClientError('BROKER_REFUSED', 'gone', { responseCode: 17 })
  health.polls.open(queue)
  read.delete('Orders')
  health.unsubscribed('Orders')
  health.polls.failed(queue, gone)
  assert.deepEqual(problems, [])
})
