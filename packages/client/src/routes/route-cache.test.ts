import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { RemotingClient, silent } from '@gantrymq/remoting'
import { type TestCluster, testCluster, type TestClusterOptions } from '@gantrymq/testkit/cluster'
import { BrokerTable } from './broker-table.ts'
import { Deadline } from '../deadline.ts'
import { type KnownTopic, RouteCache } from './route-cache.ts'
import { NameServers } from './name-servers.ts'
import { RouteReasons } from './route-reasons.ts'

async function open(t: TestContext, options: TestClusterOptions = {}) {
  const cluster = await testCluster(t, options)
  const { clock, dial } = cluster
  const client = new RemotingClient({ clock, dial })
  const common = { clock, log: silent }
  const source = cluster.nameServerList
  const nameServers = new NameServers({ ...common, source, client, refreshMs: 120_000, resolve: null })
  const brokers = new BrokerTable()
  const reasons = new RouteReasons({ client, clock, zone: '' })
  const cache = new RouteCache({ ...common, nameServers, reasons, brokers, refreshMs: 30_000, timeoutMs: 3000 })
  cluster.own({
    async close() {
      cache.close()
      nameServers.close()
      await client.close()
    },
  })
  await nameServers.start()
  cache.start()
  return { cluster, cache, brokers }
}

const asked = (cluster: TestCluster, topic: string) =>
  cluster.nameServer.server.requestsOf('GET_ROUTEINFO_BY_TOPIC').filter(({ header }) => header['topic'] === topic)
    .length

test('concurrent calls for a topic share one query, and later calls use the cache', async t => {
  const { cluster, cache, brokers } = await open(t, { brokers: 2 })
  for (const broker of cluster.brokers) await broker.setTopic('T', { readQueues: 3, writeQueues: 2 })
  const all = await cluster.outcome(Promise.all([cache.get('T'), cache.get('T'), cache.get('T')]))
  const [known] = all
  assert.equal(known?.publish.length, 4)
  assert.equal(known?.read.length, 6)
  assert.equal(await cache.get('T'), known)
  assert.equal(asked(cluster, 'T'), 1)
  assert.equal(brokers.master('broker-b'), '10.0.1.2:10911')
})

test('a call that gives up does not end the query for the others', async t => {
  const { cluster, cache } = await open(t)
  await cluster.broker.setTopic('T')
  cluster.nameServer.fault('GET_ROUTEINFO_BY_TOPIC', { answer: 'late', ms: 1000 })
  const stop = new AbortController()
  const [hasty, aborted, patient] = [
    assert.rejects(cache.get('T', { timeoutMs: 500 }), { code: 'TIMEOUT' }),
    assert.rejects(cache.get('T', { signal: stop.signal }), { code: 'ABORTED' }),
    cache.get('T'),
  ]
  stop.abort()
  await cluster.outcome(Promise.all([hasty, aborted, patient]))
  assert.equal(asked(cluster, 'T'), 1)
})

test('routes in use are refreshed every 30 seconds, and watchers hear of changes only', async t => {
  const { cluster, cache } = await open(t)
  await cluster.broker.setTopic('T', { readQueues: 2 })
  const heard: number[] = []
  const watch = cache.watch('T', ({ read }: KnownTopic) => heard.push(read.length))
  await cluster.outcome(cache.get('T'))
  await cluster.advance(30_000, 5000)
  assert.deepEqual(heard, [2])
  await cluster.broker.setTopic('T', { readQueues: 4 })
  await cluster.advance(30_000, 5000)
  assert.deepEqual(heard, [2, 4])
  watch[Symbol.dispose]()
  await cluster.broker.setTopic('T', { readQueues: 8 })
  await cluster.advance(30_000, 5000)
  assert.deepEqual(heard, [2, 4])
})

test('a cached topic stays when the name server no longer knows it', async t => {
  const { cluster, cache } = await open(t)
  await cluster.broker.setTopic('T')
  const known = await cluster.outcome(cache.get('T'))
  cluster.nameServer.routes.set('T', null)
  await cluster.advance(60_000, 5000)
  assert.equal(cache.peek('T'), known)
})

test('a topic that does not exist is not refreshed again and again', async t => {
  const { cluster, cache } = await open(t)
  await assert.rejects(cluster.outcome(cache.get('Typo')), {
    code: 'ROUTE_MISSING',
    message: /No route info of this topic: Typo/,
  })
  await cluster.advance(90_000, 5000)
  assert.ok(asked(cluster, 'Typo') <= 2)
})

test('after failed calls a topic is refreshed at most once a second', async t => {
  const { cluster, cache } = await open(t)
  await cluster.broker.setTopic('T')
  await cluster.outcome(cache.get('T'))
  await cluster.advance(1000)
  for (let failure = 0; failure < 100; failure++) cache.suspect('T')
  await cluster.settle()
  for (let failure = 0; failure < 100; failure++) cache.suspect('T')
  await cluster.settle()
  assert.equal(asked(cluster, 'T'), 2)
  await cluster.advance(1000)
  cache.suspect('T')
  await cluster.settle()
  assert.equal(asked(cluster, 'T'), 3)
})

test('a topic that a broker will create gets the queues of the template topic', async t => {
  const { cluster, cache } = await open(t, { brokers: 1 })
  const known = await cluster.outcome(cache.toPublish('New', 4, 'TBW102'))
  assert.deepEqual(
    known.publish.map(({ topic, brokerName, queueId }) => `${topic} ${brokerName} ${queueId}`),
    ['New broker-a 0', 'New broker-a 1', 'New broker-a 2', 'New broker-a 3'],
  )
})

test('brokers of only the template topic or an operator’s query are dropped when they are gone', async t => {
  const { cluster, cache, brokers } = await open(t, { brokers: 2 })
  const [kept, gone] = cluster.brokers
  await cluster.outcome(cache.toPublish('New', 4, 'TBW102'))
  await gone?.setTopic('Looked')
  assert.equal((await cluster.outcome(cache.look('Looked', new Deadline(cluster.clock, 1000)))).queueDatas.length, 1)
  await kept?.setTopic('New')
  gone?.leave()
  await cluster.advance(30_000, 5000)
  assert.deepEqual(
    brokers.all().map(({ name }) => name),
    ['broker-a'],
  )
})

test('when brokers create no topics, the error names the requested topic', async t => {
  const { cluster, cache } = await open(t, { brokers: [{ options: { autoCreateTopicEnable: false } }] })
  await assert.rejects(cluster.outcome(cache.toPublish('New', 4, 'TBW102')), {
    code: 'ROUTE_MISSING',
    responseCode: 10005,
    message: /No route info of this topic: New\. .*create the topic/,
  })
})

test('the error for a topic that may not be written to says so', async t => {
  const { cluster, cache } = await open(t)
  await cluster.broker.setTopic('T', { perm: 4 })
  await assert.rejects(cluster.outcome(cache.toPublish('T', 4, 'TBW102')), {
    code: 'ROUTE_MISSING',
    message: /broker-a has permission 4/,
  })
})
