import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import type { Owner } from '../launch/launched-program.ts'
import { decodeRaw, encodeRaw, FrameCutter, type RawFrame } from '../wire/raw-frame.ts'
import { aBroker, aSlaveOf, type RawBroker, bodyJson, identityOf, join, unregistration, VERSION } from './brokers.ts'
import { eventually } from '../eventually.ts'
import { type ServerUnderTest, serverFor } from './server-under-test.ts'
import { unique } from '../unique.ts'

const NOTIFY_MIN_BROKER_ID_CHANGE = 905
const ONEWAY = 2

/** QUERY_DATA_VERSION, GET_BROKER_MEMBER_GROUP, BROKER_HEARTBEAT, NOTIFY_MIN_BROKER_ID_CHANGE. */
export function members(server: ServerUnderTest): void {
  dataVersions(server)
  groups(server)
  heartbeats(server)
  // 4.9 sends no notices.
  if (server.line !== '4.9') describe('notices about the lowest broker id', () => notices(server))
}

const versionQuery = (broker: RawBroker, body: string, fields: Record<string, string> = identityOf(broker)) => ({
  code: 322,
  extFields: fields,
  body,
})

function dataVersions(server: ServerUnderTest): void {
  test('the answer to an unknown broker says changed and has no version', async () => {
    const answer = await server.ask(versionQuery(aBroker(), JSON.stringify(VERSION)))
    assert.deepEqual([answer.code, answer.extFields, answer.body], [0, { changed: 'true' }, null])
  })

  test('the answer says whether the data version has changed, and which one is known', async t => {
    const broker = aBroker()
    const connection = await join(server, t, broker)
    const state = server.by({ '4.9': '', '5.x': ',"stateVersion":0' })
    const stored = `{"counter":1${state},"timestamp":${VERSION.timestamp}}`
    const same = await connection.call(versionQuery(broker, JSON.stringify(VERSION)))
    assert.deepEqual([same.code, same.extFields, same.body?.toString()], [0, { changed: 'false' }, stored])
    const other = await connection.call(versionQuery(broker, JSON.stringify({ ...VERSION, counter: 9 })))
    assert.deepEqual([other.code, other.extFields, other.body?.toString()], [0, { changed: 'true' }, stored])
  })

  test('5.x and ours compare the state version, too', async t => {
    const broker = aBroker()
    const connection = await join(server, t, broker)
    const answer = await connection.call(versionQuery(broker, JSON.stringify({ ...VERSION, stateVersion: 1 })))
    assert.deepEqual(answer.extFields, { changed: server.by({ '4.9': 'false', '5.x': 'true' }) })
  })

  test('a query without a body is answered with changed, in 4.9 with an error', async t => {
    const broker = aBroker()
    const connection = await join(server, t, broker)
    const answer = await connection.call(versionQuery(broker, ''))
    if (server.line === '4.9') return assert.equal(answer.code, 1)
    assert.deepEqual([answer.code, answer.extFields], [0, { changed: 'true' }])
  })

  test('a body with the word null is answered with changed', async t => {
    const broker = aBroker()
    const connection = await join(server, t, broker)
    assert.deepEqual((await connection.call(versionQuery(broker, 'null'))).extFields, { changed: 'true' })
  })

  test('a query without a cluster is an error in 5.x only, which finds brokers by cluster', async t => {
    const broker = aBroker()
    const connection = await join(server, t, broker)
    const { clusterName: _, ...fields } = identityOf(broker)
    const answer = await connection.call(versionQuery(broker, JSON.stringify(VERSION), fields))
    assert.equal(answer.code, server.by({ '4.9': 0, '5.x': 1, ours: 0 }))
  })

  test('a broker that registered without a body has version 0', async t => {
    const broker = aBroker()
    const connection = await join(server, t, broker, { body: '' })
    const answer = await connection.call(versionQuery(broker, JSON.stringify(VERSION)))
    const stored = bodyJson(answer) as { counter: number; timestamp: number }
    assert.deepEqual([stored.counter, stored.timestamp], [0, 0])
  })
}

function groups(server: ServerUnderTest): void {
  const query = (clusterName: string, brokerName: string) => ({ code: 901, extFields: { clusterName, brokerName } })

  if (server.line === '4.9') {
    test('4.9 does not support the query for a group', async t => {
      await server.isSilent(await server.connect(t), encodeRaw(query('c', 'b')))
    })
    return
  }

  test('the members of a group have ids without quotes', async t => {
    const broker = aBroker()
    await join(server, t, broker)
    const answer = await server.ask(query(broker.cluster, broker.name))
    assert.equal(answer.code, 0)
    const group = `{"brokerAddrs":{0:"${broker.address}"},"brokerName":"${broker.name}","cluster":"${broker.cluster}"}`
    assert.equal(answer.body?.toString(), `{"brokerMemberGroup":${group}}`)
  })

  test('an unknown group has no members', async () => {
    const [cluster, name] = [unique('cluster'), unique('broker')]
    const body = bodyJson(await server.ask(query(cluster, name)))
    assert.deepEqual(body, { brokerMemberGroup: { brokerAddrs: {}, brokerName: name, cluster } })
  })
}

function heartbeats(server: ServerUnderTest): void {
  const heartbeat = (broker: RawBroker, flag = 0) => ({ code: 904, flag, extFields: identityOf(broker) })

  test('a one-way heartbeat is not answered', async t => {
    await server.isSilent(await server.connect(t), encodeRaw(heartbeat(aBroker(), ONEWAY)))
  })

  if (server.line === '4.9') {
    test('4.9 does not support heartbeats', async t => {
      await server.isSilent(await server.connect(t), encodeRaw(heartbeat(aBroker())))
    })
    return
  }

  test('a heartbeat is code 0, also from an unknown broker', async t => {
    const broker = aBroker()
    const connection = await join(server, t, broker)
    assert.equal((await connection.call(heartbeat(broker))).code, 0)
    assert.equal((await server.ask(heartbeat(aBroker()))).code, 0)
  })

  test('a heartbeat without an address or a cluster is code 1', async () => {
    for (const field of ['brokerAddr', 'clusterName']) {
      const extFields = Object.fromEntries(Object.entries(identityOf(aBroker())).filter(([name]) => name !== field))
      const answer = await server.ask({ code: 904, extFields })
      assert.equal(answer.code, 1)
      if (server.line === 'ours') assert.match(answer.remark ?? '', new RegExp(field))
    }
  })
}

/** Starts a broker that only listens. `frames` has what name servers send to it. */
async function listeningBroker(t: Owner): Promise<{ address: string; frames: RawFrame[] }> {
  const frames: RawFrame[] = []
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    const cutter = new FrameCutter()
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', chunk => frames.push(...cutter.cut(chunk).map(decodeRaw)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, frames }
}

function notices(server: ServerUnderTest): void {
  const notifying = serverFor(server.kind, { notifyMinBrokerIdChanged: true })
  const acting = { fields: { enableActingMaster: 'true' } }

  test('slaves get a notice when their master registers', async t => {
    const peer = await listeningBroker(t)
    const slave = aBroker({ id: 1, address: peer.address, ...acting })
    const master = aSlaveOf(slave, 0)
    await join(notifying, t, slave)
    await join(notifying, t, master)
    await eventually(async () => assert.equal(peer.frames.length, 1))
    const [notice] = peer.frames
    assert.deepEqual([notice?.code, notice?.flag, notice?.body], [NOTIFY_MIN_BROKER_ID_CHANGE, ONEWAY, null])
    const { minBrokerId, minBrokerAddr, haBrokerAddr, offlineBrokerAddr } = notice?.extFields ?? {}
    assert.deepEqual([minBrokerId, minBrokerAddr, haBrokerAddr], ['0', master.address, master.haAddress])
    assert.equal(offlineBrokerAddr, undefined)
  })

  test('slaves get a notice when their master unregisters', async t => {
    const peer = await listeningBroker(t)
    const master = aBroker(acting)
    const slave = aSlaveOf(master, 1, { address: peer.address })
    await join(notifying, t, master)
    await join(notifying, t, slave)
    await notifying.ask(unregistration(master))
    await eventually(async () => assert.equal(peer.frames.length, 1))
    const { minBrokerId, minBrokerAddr, offlineBrokerAddr, haBrokerAddr } = peer.frames[0]?.extFields ?? {}
    assert.deepEqual([minBrokerId, minBrokerAddr, offlineBrokerAddr], ['1', slave.address, master.address])
    assert.equal(haBrokerAddr, undefined)
  })
}
