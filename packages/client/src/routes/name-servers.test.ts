import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nameServerRequests } from '@gantrymq/protocol'
import { RemotingClient, silent } from '@gantrymq/remoting'
import { type TestCluster, testCluster } from '@gantrymq/testkit/cluster'
import { Deadline } from '../deadline.ts'
import { ClientError } from '../errors.ts'
import { NameServers, type NameServersOptions } from './name-servers.ts'

const { GET_ROUTEINFO_BY_TOPIC } = nameServerRequests

async function open(cluster: TestCluster, given: Partial<NameServersOptions>) {
  const { clock, dial } = cluster
  const client = new RemotingClient({ clock, dial })
  const options = { source: cluster.nameServerList, client, clock, log: silent, refreshMs: 120_000, resolve: null }
  const servers = new NameServers({ ...options, random: () => 0, ...given })
  cluster.own({
    async close() {
      servers.close()
      await client.close()
    },
  })
  await servers.start()
  const route = (topic = 'T', timeoutMs = 3000) =>
    cluster.outcome(servers.call(GET_ROUTEINFO_BY_TOPIC, { header: { topic } }, new Deadline(clock, timeoutMs)))
  return { servers, route }
}

test('calls go to the server that answered last, and to the next within one call when it is gone', async t => {
  const cluster = await testCluster(t, { nameServers: 3 })
  await cluster.broker.setTopic('T')
  const { servers, route } = await open(cluster, {})
  await route()
  const [first] = servers.addresses
  await route()
  assert.equal(servers.addresses[0], first)
  for (const server of cluster.nameServers.filter(({ address }) => address === first)) server.server.down()
  assert.ok((await route()).body)
  assert.notEqual(servers.addresses[0], first)
})

test('a server that never answers uses up only its share of the deadline', async t => {
  const cluster = await testCluster(t, { nameServers: 2 })
  await cluster.broker.setTopic('T')
  const { servers, route } = await open(cluster, {})
  const [first] = servers.addresses
  cluster.nameServers.find(({ address }) => address === first)?.fault('*', { answer: 'never', times: 100 })
  const before = cluster.clock.now()
  assert.ok((await route()).body)
  assert.ok(cluster.clock.now() - before < 2000)
})

test('a topic that one server does not know is looked up at the others', async t => {
  const cluster = await testCluster(t, { nameServers: 2 })
  await cluster.broker.setTopic('T')
  const { servers, route } = await open(cluster, {})
  cluster.nameServers.find(({ address }) => address === servers.addresses[0])?.routes.set('T', null)
  assert.ok((await route()).body)
})

test('when all servers fail, the error quotes each of them', async t => {
  const cluster = await testCluster(t, { nameServers: 2 })
  const { route } = await open(cluster, {})
  await assert.rejects(route('Missing'), (error: Error & { code: string; responseCode: number }) => {
    assert.equal(error.code, 'ROUTE_MISSING')
    assert.equal(error.responseCode, 17)
    for (const { address } of cluster.nameServers)
      assert.match(error.message, new RegExp(`${address}.*: No topic route`))
    return true
  })
  for (const { server } of cluster.nameServers) server.down()
  await assert.rejects(route(), { code: 'CONNECT_FAILED', message: /10\.0\.0\.1:9876.*10\.0\.0\.2:9876/s })
})

test('with several refusals the error has the code of one, preferably that of a missing topic', async t => {
  const cluster = await testCluster(t, { nameServers: 2 })
  const { servers, route } = await open(cluster, {})
  const busy = { answer: 'code', code: 1, remark: 'name server not ready', times: Number.POSITIVE_INFINITY } as const
  for (const server of cluster.nameServers) server.fault('*', busy)
  await assert.rejects(route(), { code: 'BROKER_REFUSED', responseCode: 1, remark: 'name server not ready' })
  const [first] = servers.addresses
  cluster.nameServers.find(({ address }) => address !== first)?.server.clearFaults()
  await assert.rejects(route(), { code: 'ROUTE_MISSING', responseCode: 17 })
})

test('when the only server does not answer, the error says that it is a name server', async t => {
  const cluster = await testCluster(t)
  const { route } = await open(cluster, {})
  cluster.nameServer.server.down()
  const { address } = cluster.nameServer
  const message = new RegExp(`^the name server ${address} did not answer: .*ECONNREFUSED`)
  await assert.rejects(route(), { code: 'CONNECT_FAILED', retriable: true, address, message })
})

test('without any address the error says what to do', async t => {
  const cluster = await testCluster(t)
  const { route } = await open(cluster, { source: undefined })
  await assert.rejects(route(), { code: 'NO_NAME_SERVER', responseCode: 10004, message: /NAMESRV_ADDR/ })
})

test('a function is called for the servers every two minutes, and by a call that has none', async t => {
  const cluster = await testCluster(t, { nameServers: 2 })
  await cluster.broker.setTopic('T')
  let list: string[] = []
  const { servers, route } = await open(cluster, { source: async () => list })
  await assert.rejects(route(), { code: 'NO_NAME_SERVER' })
  list = ['10.0.0.1:9876']
  await route()
  list = ['10.0.0.1:9876', '10.0.0.2:9876']
  await cluster.advance(120_000, 10_000)
  assert.deepEqual(servers.addresses.toSorted(), list)
  assert.equal(servers.addresses[0], '10.0.0.1:9876')
})

test('when the source fails, the known servers stay, and without any the error has the reason', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('T')
  let fails = true
  const source = (): string => {
    if (fails) throw new Error('registry is down')
    return cluster.nameServerList
  }
  const { route } = await open(cluster, { source })
  await assert.rejects(route(), { code: 'NO_NAME_SERVER', message: /registry is down/, retriable: true })
  fails = false
  await route()
  fails = true
  await cluster.advance(120_000, 10_000)
  await route()
})

test('an address server is asked by its URL', async t => {
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('T')
  const asked: string[] = []
  const fetchText = async (url: string) => {
    asked.push(url)
    return cluster.nameServerList
  }
  const { route } = await open(cluster, { source: { url: 'http://ns.example.org:8080/rocketmq/nsaddr' }, fetchText })
  await route()
  assert.deepEqual(asked, ['http://ns.example.org:8080/rocketmq/nsaddr'])
})

test('the error for a missing list has the address server’s failure as its cause', async t => {
  const cluster = await testCluster(t)
  const { route } = await open(cluster, { source: { url: 'no url: hidden' } })
  await assert.rejects(route(), (error: ClientError) => {
    assert.equal(error.message, 'No name server address: the URL of the address server is not an http or https URL')
    assert.ok(error.cause instanceof ClientError)
    assert.deepEqual([error.code, error.retriable], ['NO_NAME_SERVER', true])
    assert.deepEqual([error.cause.code, error.cause.retriable], ['NO_NAME_SERVER', true])
    return true
  })
})

test('when no server answers, names are resolved again within the call, at most once a second', async t => {
  const cluster = await testCluster(t, { nameServers: 2 })
  await cluster.broker.setTopic('T')
  const [before, after] = cluster.nameServers
  let [ip, lookups] = ['10.0.0.1', 0]
  const resolve = async () => (lookups++, [ip])
  const { servers, route } = await open(cluster, { source: 'ns:9876', resolve })
  await route()
  before?.server.down()
  await cluster.advance(1000)
  await assert.rejects(route(), { code: 'CONNECT_FAILED' })
  await assert.rejects(route(), { code: 'CONNECT_FAILED' })
  assert.equal(lookups, 2)
  ip = '10.0.0.2'
  await cluster.advance(1000)
  assert.ok((await route()).body)
  assert.deepEqual(servers.addresses, [after?.address])
})

test('finding the list takes no longer than the deadline of the call that needs it', async t => {
  const cluster = await testCluster(t)
  let finds = 0
  const source = () => (finds++ === 0 ? '' : new Promise<string>(() => {}))
  const { servers, route } = await open(cluster, { source })
  const before = cluster.clock.elapsed()
  await assert.rejects(route('T', 500), { code: 'NO_NAME_SERVER', message: /took longer than 500 ms/ })
  assert.ok(cluster.clock.elapsed() - before < 700)
  const stop = new AbortController()
  const call = servers.call(
    GET_ROUTEINFO_BY_TOPIC,
    { header: { topic: 'T' } },
    new Deadline(cluster.clock, 3000, stop.signal),
  )
  stop.abort()
  await assert.rejects(call, { code: 'ABORTED' })
})

test('a function that never settles does not block the start, and the next call reports it', async t => {
  const cluster = await testCluster(t)
  const { clock, dial } = cluster
  const client = cluster.own(new RemotingClient({ clock, dial }))
  const options = { client, clock, log: silent, refreshMs: 120_000, resolve: null }
  const servers = new NameServers({ ...options, source: () => new Promise<string>(() => {}) })
  cluster.own({ close: () => Promise.resolve(servers.close()) })
  await cluster.outcome(servers.start())
  const call = servers.call(GET_ROUTEINFO_BY_TOPIC, { header: { topic: 'T' } }, new Deadline(clock, 3000))
  await assert.rejects(cluster.outcome(call), { code: 'NO_NAME_SERVER', message: /took longer/ })
})

test('closing while the list is being found leaves no timer', async t => {
  const cluster = await testCluster(t)
  const { clock, dial } = cluster
  const client = cluster.own(new RemotingClient({ clock, dial }))
  const { promise, resolve } = Promise.withResolvers<string>()
  const servers = new NameServers({
    client,
    clock,
    log: silent,
    refreshMs: 120_000,
    resolve: null,
    source: () => promise,
  })
  const starting = servers.start()
  servers.close()
  resolve('10.0.0.1:9876')
  await starting
  assert.equal(cluster.clientTimers, 0)
})

test('calls that wait for the list or for an answer at the close fail with CLOSED', async t => {
  const cluster = await testCluster(t)
  const { clock, dial } = cluster
  cluster.nameServer.fault('*', { answer: 'never' })
  for (const list of ['', cluster.nameServerList]) {
    const client = cluster.own(new RemotingClient({ clock, dial }))
    let finds = 0
    const source = () => (finds++ === 0 ? list : new Promise<string>(() => {}))
    const servers = new NameServers({ client, clock, log: silent, refreshMs: 120_000, resolve: null, source })
    await cluster.outcome(servers.start())
    const call = servers.call(GET_ROUTEINFO_BY_TOPIC, { header: { topic: 'T' } }, new Deadline(clock, 3000))
    await cluster.settle()
    const before = clock.elapsed()
    servers.close()
    void client.close()
    await assert.rejects(cluster.outcome(call), { code: 'CLOSED' })
    assert.ok(clock.elapsed() - before < 1000)
  }
})
