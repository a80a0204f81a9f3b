import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { RawRequest } from '../wire/raw-frame.ts'
import {
  aBroker,
  addressesOf,
  aSlaveOf,
  type RawBroker,
  clusterInfo,
  join,
  permissionOf,
  registration,
  routeOf,
  topic,
  topicNames,
  unregistration,
} from './brokers.ts'
import { eventually } from '../eventually.ts'
import { type ServerUnderTest } from './server-under-test.ts'
import { unique } from '../unique.ts'

/** Long enough for the work that a 5.x server does after its answer. */
const BATCH_MS = 300

async function isGone(server: ServerUnderTest, broker: RawBroker): Promise<void> {
  const info = await clusterInfo(server)
  assert.equal(info.brokerAddrTable[broker.name], undefined)
  assert.equal(info.clusterAddrTable[broker.cluster], undefined)
  for (const name of topicNames(broker)) assert.equal(await routeOf(server, name), null)
}

async function askAndWait(server: ServerUnderTest, request: RawRequest): Promise<number> {
  const { code } = await server.ask(request)
  await delay(BATCH_MS)
  return code
}

/** UNREGISTER_BROKER and closed connections: which brokers are removed and which stay. */
export function departures(server: ServerUnderTest): void {
  unregistering(server)
  closing(server)
}

function unregistering(server: ServerUnderTest): void {
  test('unregistering removes a broker, its cluster and its topics', async t => {
    const broker = aBroker()
    const connection = await join(server, t, broker)
    const answer = await connection.call(unregistration(broker))
    assert.deepEqual([answer.code, answer.extFields, answer.body], [0, null, null])
    await eventually(() => isGone(server, broker))
  })

  test('unregistering a slave keeps the master and its topics', async t => {
    const master = aBroker()
    const slave = aSlaveOf(master, 1)
    await join(server, t, master)
    await join(server, t, slave)
    assert.equal(await askAndWait(server, unregistration(slave)), 0)
    assert.deepEqual(await addressesOf(server, master.name), { 0: master.address })
    assert.equal(await permissionOf(server, topicNames(master)[0] ?? '', master.name), 6)
  })

  test('unregistering the master keeps the topics of a group that has a slave', async t => {
    const master = aBroker()
    const slave = aSlaveOf(master, 1)
    await join(server, t, master)
    await join(server, t, slave)
    assert.equal(await askAndWait(server, unregistration(master)), 0)
    assert.deepEqual(await addressesOf(server, master.name), { 1: slave.address })
    assert.equal(await permissionOf(server, topicNames(master)[0] ?? '', master.name), 6)
  })

  test('these topics become read-only in 5.x and ours if the slave may act as master', async t => {
    const fields = { enableActingMaster: 'true' }
    const master = aBroker({ fields })
    await join(server, t, master)
    await join(server, t, aSlaveOf(master, 1))
    await askAndWait(server, unregistration(master))
    const permission = await permissionOf(server, topicNames(master)[0] ?? '', master.name)
    assert.equal(permission, server.by({ '4.9': 6, '5.x': 4 }))
  })

  test('unregistering removes only the queues of that broker from a shared topic', async t => {
    const topics = [topic(unique('topic')), topic(unique('topic'))]
    const one = aBroker({ topics })
    const two = aBroker({ topics, cluster: one.cluster })
    await join(server, t, one)
    await join(server, t, two)
    await askAndWait(server, unregistration(one))
    const route = await routeOf(server, topics[0]?.topicName ?? '')
    assert.deepEqual(
      route?.brokerDatas.map(data => data.brokerName),
      [two.name],
    )
    assert.deepEqual(
      route?.queueDatas.map(queue => queue.brokerName),
      [two.name],
    )
  })

  test('unregistering an unknown broker is code 0', async () => {
    assert.equal(await askAndWait(server, unregistration(aBroker())), 0)
  })

  test('unregistering with a wrong address removes by id in 4.9 and nothing in 5.x and ours', async t => {
    const broker = aBroker()
    await join(server, t, broker)
    assert.equal(await askAndWait(server, unregistration(broker, { brokerAddr: '10.255.0.1:1' })), 0)
    const left = await addressesOf(server, broker.name)
    assert.deepEqual(left, server.by({ '4.9': undefined, '5.x': { 0: broker.address } }))
  })

  test('a late unregistration of the old master does not remove the new one in 5.x and ours', async t => {
    const old = aBroker()
    const moved = aSlaveOf(old, 0)
    await join(server, t, old)
    await join(server, t, moved)
    await askAndWait(server, unregistration(old))
    assert.deepEqual(await addressesOf(server, old.name), server.by({ '4.9': undefined, '5.x': { 0: moved.address } }))
  })

  test('4.9 and ours refuse to unregister without an id', async t => {
    const broker = aBroker()
    await join(server, t, broker)
    const answer = await server.ask(unregistration(broker, { brokerId: undefined }))
    assert.equal(answer.code, server.by({ '4.9': 1, '5.x': 0, ours: 1 }))
    if (server.line === 'ours') assert.match(answer.remark ?? '', /brokerId/)
  })

  test('a broker may register again after it has unregistered', async t => {
    const broker = aBroker()
    const connection = await join(server, t, broker)
    await connection.call(unregistration(broker))
    await eventually(() => isGone(server, broker))
    assert.equal((await connection.call(registration(broker))).code, 0)
    assert.deepEqual(await addressesOf(server, broker.name), { 0: broker.address })
    assert.notEqual(await routeOf(server, topicNames(broker)[0] ?? ''), null)
  })
}

function closing(server: ServerUnderTest): void {
  test('a closed connection removes its broker at once', async t => {
    const broker = aBroker()
    const connection = await join(server, t, broker)
    connection.destroy()
    await eventually(() => isGone(server, broker))
  })

  test('a reset connection removes its broker at once', async t => {
    const broker = aBroker()
    const connection = await join(server, t, broker)
    connection.socket.resetAndDestroy()
    await eventually(() => isGone(server, broker))
  })

  test('a broken frame removes the broker that sent it', async t => {
    const broker = aBroker()
    const connection = await join(server, t, broker)
    connection.write(Buffer.alloc(16, 0xff))
    await connection.closes()
    await eventually(() => isGone(server, broker))
  })

  test('a broker that has registered on a new connection stays when the old one closes', async t => {
    const broker = aBroker()
    const old = await join(server, t, broker)
    await join(server, t, broker)
    old.destroy()
    await delay(BATCH_MS)
    assert.deepEqual(await addressesOf(server, broker.name), { 0: broker.address })
  })

  test('a closed connection of a client removes no broker', async t => {
    const broker = aBroker()
    await join(server, t, broker)
    const client = await server.connect(t)
    await client.call({ code: 105, extFields: { topic: topicNames(broker)[0] ?? '' } })
    client.destroy()
    await delay(BATCH_MS)
    assert.deepEqual(await addressesOf(server, broker.name), { 0: broker.address })
  })

  test('when the connection of two brokers closes, Apache removes one of them and ours both', async t => {
    const one = aBroker()
    const two = aBroker()
    const connection = await join(server, t, one)
    assert.equal((await connection.call(registration(two))).code, 0)
    connection.destroy()
    const left = server.by({ '4.9': 1, '5.x': 1, ours: 0 })
    await eventually(async () => {
      const info = await clusterInfo(server)
      const known = [one, two].filter(broker => info.brokerAddrTable[broker.name])
      assert.equal(known.length, left)
    })
    for (const broker of [one, two]) await askAndWait(server, unregistration(broker))
  })
}
