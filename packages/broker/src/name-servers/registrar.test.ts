import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import { test, type TestContext } from 'node:test'
import {
  decodeRegisterBroker,
  nameServerRequests,
  responseCodes,
  type TopicConfig,
  V4_9_8,
  V5_5_0,
} from '@gantrymq/protocol'
import { Connection, type Dial, RemotingClient, ResponseError, Router, silent } from '@gantrymq/remoting'
import { ManualClock, memorySockets } from '@gantrymq/remoting/testing'
import { Registrar } from './registrar.ts'

const { REGISTER_BROKER, UNREGISTER_BROKER, QUERY_DATA_VERSION } = nameServerRequests
const requests = { REGISTER_BROKER, UNREGISTER_BROKER, QUERY_DATA_VERSION }

interface Registered {
  readonly topics: readonly string[]
  readonly compressed: boolean
  readonly perm: number | undefined
}

/** A name server that notes registrations. */
class NotingServer {
  readonly address: string
  readonly registrations: Registered[] = []
  unregistered = 0
  /** Topics of its order configuration. */
  ordered: readonly string[] = []
  /** What it answers to the question whether the topics have changed. */
  changed = true
  isDown = false
  /** It answers registrations with an error. */
  isFailing = false
  /** Accepts the broker at the other end of a stream. */
  readonly accept: (stream: Duplex) => Connection

  constructor(address: string, version: number, clock: ManualClock) {
    this.address = address
    const router = new Router(
      requests,
      {
        REGISTER_BROKER: ({ header, body }) => {
          if (this.isFailing) throw new ResponseError(responseCodes.SYSTEM_ERROR, 'it fails')
          const form = { version, compressed: header.compressed, now: 0 }
          const { topics } = decodeRegisterBroker(body ?? Buffer.alloc(0), form)
          const perm = topics.get('Orders')?.perm
          this.registrations.push({ topics: [...topics.keys()], compressed: header.compressed, perm })
          return { header: {}, body: new Map(this.ordered.map(topic => [topic, 'a:1'])) }
        },
        UNREGISTER_BROKER: () => {
          this.unregistered++
          return {}
        },
        QUERY_DATA_VERSION: ({ body }) => ({ header: { changed: this.changed }, body }),
      },
      {},
    )
    const onRequest = router.dispatch.bind(router)
    this.accept = stream => new Connection(stream, { remoteAddress: '10.0.1.1:1', clock, version, onRequest })
  }
}

function topic(topicName: string): TopicConfig {
  return {
    topicName,
    readQueueNums: 4,
    writeQueueNums: 4,
    perm: 6,
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: 0,
    order: false,
  }
}

function setUp(
  t: TestContext,
  given: { readonly compressed?: boolean; readonly force?: boolean; readonly permission?: number } = {},
) {
  const clock = new ManualClock()
  const old = new NotingServer('10.0.0.1:9876', V4_9_8, clock)
  const modern = new NotingServer('10.0.0.2:9876', V5_5_0, clock)
  const servers = [old, modern]
  const dial: Dial = async address => {
    const server = servers.find(each => each.address === address)
    if (server === undefined || server.isDown) throw new Error('no server listens there')
    const [near, far] = memorySockets()
    server.accept(far)
    return near
  }
  const client = new RemotingClient({ clock, dial })
  const topics = new Map(['Orders', 'Bills'].map(name => [name, topic(name)]))
  const ordered: string[] = []
  const registrar = new Registrar({
    broker: {
      identity: () => ({
        brokerClusterName: 'c',
        brokerName: 'b',
        address: '10.0.1.1:10911',
        haAddress: '10.0.1.1:10912',
      }),
      topics: () => ({ dataVersion: { stateVersion: 0, timestamp: 1, counter: 2 }, topics }),
      settings: () => ({
        brokerPermission: given.permission ?? 6,
        compressedRegister: given.compressed ?? false,
        forceRegister: given.force ?? true,
        registerBrokerTimeoutMills: 6000,
      }),
    },
    client,
    addresses: () => servers.map(({ address }) => address),
    onOrdered: names => ordered.push(...names),
    log: silent,
  })
  t.after(() => client.close())
  return { registrar, old, modern, topics, ordered }
}

test('the broker registers with name servers of both lines, with all its topics', async t => {
  const { registrar, old, modern } = setUp(t)
  await registrar.registerAll()
  const all = [{ topics: ['Orders', 'Bills'], compressed: false, perm: 6 }]
  assert.deepEqual([old.registrations, modern.registrations], [all, all])
})

test('a name server that is down does not keep the others from knowing the broker', async t => {
  const { registrar, old, modern } = setUp(t)
  old.isDown = true
  await registrar.registerAll()
  assert.equal(modern.registrations.length, 1)
})

test('topics that change in one turn are registered together, and only they', async t => {
  const { registrar, old } = setUp(t)
  await registrar.registerAll()
  void registrar.announce([topic('New')])
  await registrar.announce([topic('Orders')])
  assert.deepEqual(old.registrations[1]?.topics, ['New', 'Orders'])
})

test('a name server that has not answered yet gets all topics when one changes', async t => {
  const { registrar, old, modern } = setUp(t)
  old.isDown = true
  await registrar.registerAll()
  old.isDown = false
  await registrar.announce([topic('Orders')])
  assert.deepEqual(old.registrations[0]?.topics, ['Orders', 'Bills'])
  assert.deepEqual(modern.registrations[1]?.topics, ['Orders'])
})

test('a name server that has missed a topic gets all topics when the next one changes', async t => {
  const { registrar, old } = setUp(t)
  await registrar.registerAll()
  old.isFailing = true
  await registrar.announce([topic('Bills')])
  old.isFailing = false
  await registrar.announce([topic('Orders')])
  assert.deepEqual(old.registrations.at(-1)?.topics, ['Orders', 'Bills'])
})

test('without forceRegister each change registers all topics, so that an equal version means equal topics', async t => {
  const { registrar, old } = setUp(t, { force: false })
  await registrar.registerAll()
  await registrar.announce([topic('Orders')])
  assert.deepEqual(old.registrations[1]?.topics, ['Orders', 'Bills'])
})

test('once the version of a name server is known, registrations are compressed as it can read them', async t => {
  const { registrar, old, modern } = setUp(t, { compressed: true })
  await registrar.registerAll()
  await registrar.registerAll()
  for (const { registrations } of [old, modern]) {
    assert.deepEqual(
      registrations.map(({ compressed }) => compressed),
      [false, true],
    )
    assert.deepEqual(registrations[1]?.topics, ['Orders', 'Bills'])
  }
})

test('without forceRegister only a name server with other topics gets them', async t => {
  const { registrar, old, modern } = setUp(t, { force: false })
  modern.changed = false
  await registrar.registerAll()
  assert.deepEqual([old.registrations.length, modern.registrations.length], [1, 0])
})

test('a broker that may not be written takes the permission from its topics', async t => {
  const { registrar, old, topics } = setUp(t, { permission: 4 })
  await registrar.registerAll()
  assert.equal(old.registrations[0]?.perm, 4)
  assert.equal(topics.get('Orders')?.perm, 6)
})

test('the order configuration of a name server reaches the topics', async t => {
  const { registrar, old, ordered } = setUp(t)
  old.ordered = ['Orders']
  await registrar.registerAll()
  assert.deepEqual(ordered, ['Orders'])
})

test('at the end the broker leaves all name servers, and registers no more', async t => {
  const { registrar, old, modern } = setUp(t)
  await registrar.registerAll()
  await registrar.unregisterAll()
  await registrar.registerAll()
  await registrar.announce([topic('Orders')])
  assert.deepEqual([old.unregistered, modern.unregistered], [1, 1])
  assert.deepEqual([old.registrations.length, modern.registrations.length], [1, 1])
})
