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
  const health = new MemberHealth({
    instance,
    group: 'readers',
    namespace: '',
    log: silent,
    subscriptions: () => [],
    onProblem: problem => void problems.push(problem),
  })
  return { instance, health, problems }
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
