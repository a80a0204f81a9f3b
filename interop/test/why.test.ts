// Why a client cannot use a topic, at our name server with real brokers of Apache: mqadmin or a setting of a broker causes each
// reason, and the answer of the page `why`, which clients quote, is compared.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Admin } from '@gantrymq/client'
import { clusterFor } from '../src/client/cluster.ts'
import { eventually } from '../src/eventually.ts'
import { skipReason } from '../src/launch/apache.ts'
import { startApacheBroker } from '../src/launch/launcher.ts'
import { unique } from '../src/unique.ts'

const release = '5.5.0'
const MASTER = 'a'
/** A broker registers its changes at once; one that has just started needs longer on a busy machine. */
const REGISTERED_MS = 40_000

async function whyFor(admin: Admin, topic: string, code: string, ...says: readonly RegExp[]): Promise<void> {
  await eventually(async () => {
    const reason = await admin.topics.why(topic)
    assert.equal(reason.code, code, reason.message)
    const text = [reason.message, ...reason.hints].join(' ')
    for (const pattern of says) assert.match(text, pattern)
  }, REGISTERED_MS)
}

describe(`why, broker ${release}, name server ours`, { skip: await skipReason() }, () => {
  const cluster = clusterFor({ release, nameServer: 'ours', properties: { autoCreateTopicEnable: false } })
  let admin: Admin
  before(async () => {
    admin = await Admin.start({ nameServers: cluster().nameServers })
  })
  after(() => admin?.close())
  const mqadmin = async (name: string, ...args: readonly string[]): Promise<void> => {
    const { java, nameServers } = cluster()
    await java.mqadmin(name, '-n', nameServers, ...args)
  }
  const at = (): string => cluster().broker.address

  test('a topic that clients can use', async () => {
    await whyFor(admin, await cluster().topic('usable'), 'FOUND', /1 broker\(s\), 1 with a master/)
  })

  test('a topic whose name is one letter off, or has another case', async () => {
    await cluster().createTopic('Invoices')
    await whyFor(admin, 'Invoises', 'NOT_REGISTERED', /nearly this name: "Invoices"/, /mqadmin updateTopic/)
    await whyFor(admin, 'invoices', 'NOT_REGISTERED', /nearly this name: "Invoices"/)
    await whyFor(admin, 'shop%Invoices', 'NOT_REGISTERED', /nearly this name: "Invoices"/)
  })

  test('a name that no topic can have', () => whyFor(admin, 'a topic', 'BAD_NAME', /There can be no such topic/))

  test('the retry and dead-letter topics of a group without members', async () => {
    await whyFor(admin, '%RETRY%sleepers', 'NOT_REGISTERED', /retry topic of the consumer group sleepers/)
    await whyFor(admin, '%DLQ%sleepers', 'NOT_REGISTERED', /dead-letter topic of the consumer group sleepers/)
  })

  test('a topic without permission to write, or to read', async () => {
    const topic = await cluster().topic('permission')
    await mqadmin('updateTopicPerm', '-b', at(), '-t', topic, '-p', '4')
    await whyFor(
      admin,
      topic,
      'NOT_WRITABLE',
      /on a it has no write permission \(perm 4\)/,
      /mqadmin updateTopicPerm -b/,
    )
    await mqadmin('updateTopicPerm', '-b', at(), '-t', topic, '-p', '2')
    await whyFor(admin, topic, 'NOT_READABLE', /on a it has no read permission/, /mqadmin updateTopicPerm -b/)
    await mqadmin('updateTopicPerm', '-b', at(), '-t', topic, '-p', '6')
    await whyFor(admin, topic, 'FOUND')
  })

  test('fewer queues to read than to write', async () => {
    const topic = unique('unread')
    await mqadmin('updateTopic', '-b', at(), '-t', topic, '-r', '2', '-w', '4')
    await whyFor(admin, topic, 'UNREAD_QUEUES', /fewer read than write queues/)
  })

  test('an order configuration that names no registered broker', async () => {
    const topic = await cluster().topic('ordered')
    await mqadmin('updateOrderConf', '-m', 'put', '-t', topic, '-v', 'elsewhere:4')
    await whyFor(admin, topic, 'FOUND')
    await mqadmin('updateNamesrvConfig', '-k', 'orderMessageEnable', '-v', 'true')
    await whyFor(admin, topic, 'BAD_ORDER_CONFIG', /elsewhere/)
  })

  test('a deleted topic', async () => {
    const topic = await cluster().topic('deleted')
    await mqadmin('deleteTopic', '-c', 'DefaultCluster', '-t', topic)
    await whyFor(admin, topic, 'TOPIC_DELETED', /mqadmin updateTopic/)
  })

  test('a broker that an operator made read-only', async () => {
    const topic = await cluster().topic('wiped')
    await mqadmin('wipeWritePerm', '-b', MASTER)
    await whyFor(admin, topic, 'NOT_WRITABLE', /a was made read-only here/, /mqadmin addWritePerm -b a/)
    await mqadmin('addWritePerm', '-b', MASTER)
    await whyFor(admin, topic, 'FOUND')
  })

  test('a broker of the same name in another cluster', async t => {
    const { nameServers, nameServer } = cluster()
    const properties = { brokerClusterName: 'Other', autoCreateTopicEnable: false }
    const topic = await cluster().topic('mixed')
    const start = {
      release,
      name: MASTER,
      id: 1,
      nameServers: [nameServers],
      knownAt: [nameServer.port],
      properties,
    } as const
    const other = await startApacheBroker(t, start)
    await whyFor(admin, topic, 'SAME_BROKER_NAME', /The broker name a is used in the clusters/, /Other/)
    await other.kill()
  })

  test('a broker whose address clients cannot reach, and one that left', async t => {
    const { nameServers } = cluster()
    const properties = { brokerIP1: '0.0.0.0', brokerClusterName: 'Lost', autoCreateTopicEnable: false }
    const lost = await startApacheBroker(t, {
      release,
      name: 'lost',
      nameServers: [nameServers],
      knownAt: [],
      properties,
    })
    await eventually(async () => assert.ok((await admin.clusters.info()).brokerAddrTable.has('lost')), REGISTERED_MS)
    const topic = unique('lost')
    await mqadmin('updateTopic', '-b', lost.address, '-t', topic)
    await whyFor(admin, topic, 'UNREACHABLE_ADDRESS', /Clients cannot reach lost/, /Set brokerIP1/)
    await lost.kill()
    await whyFor(admin, topic, 'BROKERS_LEFT', /its connection was closed/, /Check that lost \(id 0\) runs/)
  })

  test('no broker', async () => {
    const topic = await cluster().topic('alone')
    await cluster().broker.stop()
    await whyFor(admin, topic, 'NO_BROKERS', /No broker is registered here/)
  })
})
