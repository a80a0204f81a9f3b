import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { RemotingClient, silent } from '@gantrymq/remoting'
import { type TestCluster, testCluster, type TestClusterOptions } from '@gantrymq/testkit'
import { BrokerTable } from './broker-table.ts'
import { Deadline } from '../deadline.ts'
import { type KnownTopic, RouteBook } from './route-book.ts'
import { NameServers } from './name-servers.ts'

async function open(t: TestContext, options: TestClusterOptions = {}) {
  const cluster = await testCluster(t, options)
  const { clock, dial } = cluster
  const client = new RemotingClient({ clock, dial })
  const common = { clock, log: silent }
  const source = cluster.nameServerList
  const nameServers = new NameServers({ ...common, source, client, refreshMs: 120_000, resolve: null })
  const brokers = new BrokerTable()
  const book = new RouteBook({ ...common, nameServers, brokers, refreshMs: 30_000, timeoutMs: 3000 })
  cluster.own({
    async close() {
      book.close()
      nameServers.close()
      await client.close()
    },
  })
  await nameServers.start()
  book.start()
  return { cluster, book, brokers }
}

const asked = (cluster: TestCluster, topic: string) =>
  cluster.nameServer.server.requestsOf('GET_ROUTEINFO_BY_TOPIC').filter(({ header }) => header['topic'] === topic)
    .length

test('a topic is asked for once, however many want it, and known from then on', async t => {
  const { cluster, book, brokers } = await open(t, { brokers: 2 })
  for (const broker of cluster.brokers) broker.setTopic('T', { readQueues: 3, writeQueues: 2 })
  const all = await cluster.outcome(Promise.all([book.get('T'), book.get('T'), book.get('T')]))
  const [known] = all
  assert.equal(known?.publish.length, 4)
  assert.equal(known?.read.length, 6)
  assert.equal(await book.get('T'), known)
  assert.equal(asked(cluster, 'T'), 1)
  assert.equal(brokers.master('broker-b'), '10.0.1.2:10911')
})

test('who gives up waiting does not end the query for the others', async t => {
  const { cluster, book } = await open(t)
  cluster.broker.setTopic('T')
  cluster.nameServer.fault('GET_ROUTEINFO_BY_TOPIC', { answer: 'late', ms: 1000 })
  const stop = new AbortController()
  const [hasty, aborted, patient] = [
    assert.rejects(book.get('T', { timeoutMs: 500 }), { code: 'TIMEOUT' }),
    assert.rejects(book.get('T', { signal: stop.signal }), { code: 'ABORTED' }),
    book.get('T'),
  ]
  stop.abort()
  await cluster.outcome(Promise.all([hasty, aborted, patient]))
  assert.equal(asked(cluster, 'T'), 1)
})

test('routes in use are asked for every 30 seconds, and who watches hears of changes only', async t => {
  const { cluster, book } = await open(t)
  cluster.broker.setTopic('T', { readQueues: 2 })
  const heard: number[] = []
  const watch = book.watch('T', ({ read }: KnownTopic) => heard.push(read.length))
  await cluster.outcome(book.get('T'))
  await cluster.advance(30_000, 5000)
  assert.deepEqual(heard, [2])
  cluster.broker.setTopic('T', { readQueues: 4 })
  await cluster.advance(30_000, 5000)
  assert.deepEqual(heard, [2, 4])
  watch[Symbol.dispose]()
  cluster.broker.setTopic('T', { readQueues: 8 })
  await cluster.advance(30_000, 5000)
  assert.deepEqual(heard, [2, 4])
})

test('a name server that forgot everything does not make a known topic unknown', async t => {
  const { cluster, book } = await open(t)
  cluster.broker.setTopic('T')
  const known = await cluster.outcome(book.get('T'))
  cluster.nameServer.routes.set('T', null)
  await cluster.advance(60_000, 5000)
  assert.equal(book.peek('T'), known)
})

test('a topic that nobody made is not asked for again and again', async t => {
  const { cluster, book } = await open(t)
  await assert.rejects(cluster.outcome(book.get('Typo')), {
    code: 'ROUTE_MISSING',
    message: /No route info of this topic: Typo/,
  })
  await cluster.advance(90_000, 5000)
  assert.ok(asked(cluster, 'Typo') <= 2)
})

test('after failures a topic is asked for at most once a second', async t => {
  const { cluster, book } = await open(t)
  cluster.broker.setTopic('T')
  await cluster.outcome(book.get('T'))
  await cluster.advance(1000)
  for (let failure = 0; failure < 100; failure++) book.suspect('T')
  await cluster.settle()
  for (let failure = 0; failure < 100; failure++) book.suspect('T')
  await cluster.settle()
  assert.equal(asked(cluster, 'T'), 2)
  await cluster.advance(1000)
  book.suspect('T')
  await cluster.settle()
  assert.equal(asked(cluster, 'T'), 3)
})

test('a topic to be made by sending gets the queues of the topic that brokers copy', async t => {
  const { cluster, book } = await open(t, { brokers: [{ autoCreateTopics: true }] })
  const known = await cluster.outcome(book.toPublish('New', 4, 'TBW102'))
  assert.deepEqual(
    known.publish.map(({ topic, brokerName, queueId }) => `${topic} ${brokerName} ${queueId}`),
    ['New broker-a 0', 'New broker-a 1', 'New broker-a 2', 'New broker-a 3'],
  )
})

test('brokers that only the copied topic or an operator asked for are forgotten when they are gone', async t => {
  const { cluster, book, brokers } = await open(t, { brokers: 2 })
  const [kept, gone] = cluster.brokers
  await cluster.outcome(book.toPublish('New', 4, 'TBW102'))
  gone?.setTopic('Looked')
  assert.equal((await cluster.outcome(book.look('Looked', new Deadline(cluster.clock, 1000)))).queueDatas.length, 1)
  kept?.setTopic('New')
  cluster.nameServer.brokers.delete(gone as never)
  await cluster.advance(30_000, 5000)
  assert.deepEqual(
    brokers.all().map(({ name }) => name),
    ['broker-a'],
  )
})

test('where brokers make no topics the error tells of the topic that was wanted', async t => {
  const { cluster, book } = await open(t, { brokers: [{ autoCreateTopics: false }] })
  await assert.rejects(cluster.outcome(book.toPublish('New', 4, 'TBW102')), {
    code: 'ROUTE_MISSING',
    responseCode: 10005,
    message: /No route info of this topic: New\. .*create the topic/,
  })
})

test('a topic that may not be written to says so', async t => {
  const { cluster, book } = await open(t)
  cluster.broker.setTopic('T', { perm: 4 })
  await assert.rejects(cluster.outcome(book.toPublish('T', 4, 'TBW102')), {
    code: 'ROUTE_MISSING',
    message: /broker-a has permission 4/,
  })
})
