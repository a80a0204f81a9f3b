// Many large pieces of work at once: what others see while they are pending. Turns of the event loop are counted, not time.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { nameServerRequests } from '@gantrymq/protocol'
import { Connection } from '@gantrymq/remoting'
import { ManualClock, memorySockets } from '@gantrymq/remoting/testing'
import { NameServer } from '../src/index.ts'
import { registerBody } from './registrations.ts'

const { REGISTER_BROKER, GET_ROUTEINFO_BY_TOPIC, GET_ALL_TOPIC_LIST_FROM_NAMESERVER } = nameServerRequests
const PATIENT = { timeoutMs: 120_000 }
const TOPICS = 5000
const BROKERS = 12

class Fixture {
  readonly server: NameServer
  readonly client: Connection
  #body: Buffer | undefined

  static async open(t: TestContext): Promise<Fixture> {
    const server = await NameServer.start({ port: 0, host: '127.0.0.1', clock: new ManualClock() })
    t.after(() => server.close({ drainMs: 0 }))
    return new Fixture(server)
  }

  private constructor(server: NameServer) {
    this.server = server
    this.client = this.dial()
  }

  dial(): Connection {
    const [near, far] = memorySockets()
    this.server.accept(near, '10.0.0.1:50000')
    return new Connection(far, { remoteAddress: 'server:9876', limits: { maxFrame: 1 << 26 } })
  }

  register(broker: number, connection = this.dial()) {
    this.#body ??= registerBody({ topics: Array.from({ length: TOPICS }, (_, i) => `T${i}`) })
    const header = { clusterName: 'C', brokerName: `b${broker}`, brokerAddr: `10.0.0.1:${broker}`, brokerId: 0 }
    return { connection, done: connection.call(REGISTER_BROKER, { header, body: this.#body }, PATIENT) }
  }

  async registerAll() {
    const brokers = Array.from({ length: BROKERS }, (_, broker) => this.register(broker))
    await Promise.all(brokers.map(({ done }) => done))
    return brokers.map(({ connection }) => connection)
  }

  route(topic: string) {
    return this.client.call(GET_ROUTEINFO_BY_TOPIC, { header: { topic } }, PATIENT)
  }

  /** Waits for turns until there is no work left. */
  async idle(): Promise<void> {
    for (let turns = 0; this.server.status.topicCount() > 0; turns++) {
      assert.ok(turns < 100_000, 'topics are still there')
      await turn()
    }
  }
}

test('route queries are answered within a few turns while large registrations are pending', async t => {
  const fixture = await Fixture.open(t)
  await fixture.register(BROKERS).done
  const state = { isDone: false }
  const all = fixture.registerAll().then(() => (state.isDone = true))
  let asked = 0
  for (; !state.isDone && asked < 1000; asked++) {
    let turns = 0
    const answered = fixture.route('T1').then(() => (turns = -turns - 1))
    while (turns >= 0) {
      await turn()
      if (turns >= 0) turns++
      assert.ok(turns < 10, 'a route query waits')
    }
    await answered
  }
  await all
  assert.ok(asked > 5, `${asked} queries`)
})

test('a topic list does not wait for registrations that came before it', async t => {
  const fixture = await Fixture.open(t)
  await fixture.register(BROKERS).done
  let registered = 0
  const brokers = Array.from({ length: BROKERS }, async (_, broker) => {
    await fixture.register(broker).done
    registered++
  })
  await Promise.race(brokers)
  const list = await fixture.client.call(GET_ALL_TOPIC_LIST_FROM_NAMESERVER, {}, PATIENT)
  assert.equal(list.body?.topicList.length, TOPICS)
  assert.ok(registered < BROKERS, 'the list came last')
  await Promise.all(brokers)
})

test('brokers that hang up together are in no route and no list at once, and their topics are dropped later', async t => {
  const fixture = await Fixture.open(t)
  const connections = await fixture.registerAll()
  for (const connection of connections) connection.destroy()
  while (fixture.server.status.brokerCount() > 0) await turn()
  await assert.rejects(fixture.route('T1'), { responseCode: 17 })
  assert.deepEqual([...fixture.server.status.topics()], [])
  assert.equal(fixture.server.status.departures.ofTopic(`T${TOPICS - 1}`)?.reason, 'channel_closed')
  await fixture.idle()
})

test('a broker that registers again while its topics are being dropped keeps them', async t => {
  const fixture = await Fixture.open(t)
  const connections = await fixture.registerAll()
  for (const connection of connections) connection.destroy()
  while (fixture.server.status.brokerCount() > 0) await turn()
  await fixture.register(3).done
  for (const topic of ['T0', 'T2500', 'T4999']) {
    const { body } = await fixture.route(topic)
    assert.deepEqual(
      body?.brokerDatas.map(({ brokerName }) => brokerName),
      ['b3'],
    )
  }
  assert.equal([...fixture.server.status.topics()].length, TOPICS)
})

test('a server that is closed gives up pending work', async t => {
  const fixture = await Fixture.open(t)
  const pending = Promise.allSettled(Array.from({ length: BROKERS }, (_, broker) => fixture.register(broker).done))
  await turn()
  await fixture.server.close({ drainMs: 0 })
  assert.ok((await pending).some(({ status }) => status === 'rejected'))
})
