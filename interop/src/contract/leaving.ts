import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { RawRequest } from '../wire/raw-frame.ts'
import {
  aBroker,
  addressesOf,
  aSlaveOf,
  type Broker,
  clusterInfo,
  join,
  permissionOf,
  registration,
  routeOf,
  topic,
  unregistration,
} from './brokers.ts'
import { eventually, type Stage, unique } from './server-under-test.ts'

/** Long enough for a 5.x server to have done what it does after the answer. */
const BATCH_MS = 300

const topicNames = (broker: Broker): string[] => broker.topics.map(config => config.topicName)

async function isGone(stage: Stage, broker: Broker): Promise<void> {
  const info = await clusterInfo(stage)
  assert.equal(info.brokerAddrTable[broker.name], undefined)
  assert.equal(info.clusterAddrTable[broker.cluster], undefined)
  for (const name of topicNames(broker)) assert.equal(await routeOf(stage, name), null)
}

async function tell(stage: Stage, request: RawRequest): Promise<number> {
  const { code } = await stage.ask(request)
  await delay(BATCH_MS)
  return code
}

/** UNREGISTER_BROKER, closed connections, and who stays. */
export function leaving(stage: Stage): void {
  unregistering(stage)
  closing(stage)
}

function unregistering(stage: Stage): void {
  test('a broker that unregisters is gone, with its cluster and its topics', async t => {
    const broker = aBroker()
    const connection = await join(stage, t, broker)
    const answer = await connection.call(unregistration(broker))
    assert.deepEqual([answer.code, answer.extFields, answer.body], [0, null, null])
    await eventually(() => isGone(stage, broker))
  })

  test('a slave that unregisters leaves the master and its topics alone', async t => {
    const master = aBroker()
    const slave = aSlaveOf(master, 1)
    await join(stage, t, master)
    await join(stage, t, slave)
    assert.equal(await tell(stage, unregistration(slave)), 0)
    assert.deepEqual(await addressesOf(stage, master.name), { 0: master.address })
    assert.equal(await permissionOf(stage, topicNames(master)[0] ?? '', master.name), 6)
  })

  test('the topics of a group stay when its master unregisters and a slave is left', async t => {
    const master = aBroker()
    const slave = aSlaveOf(master, 1)
    await join(stage, t, master)
    await join(stage, t, slave)
    assert.equal(await tell(stage, unregistration(master)), 0)
    assert.deepEqual(await addressesOf(stage, master.name), { 1: slave.address })
    assert.equal(await permissionOf(stage, topicNames(master)[0] ?? '', master.name), 6)
  })

  test('they become read-only in 5.x and ours if the slave may act as master', async t => {
    const fields = { enableActingMaster: 'true' }
    const master = aBroker({ fields })
    await join(stage, t, master)
    await join(stage, t, aSlaveOf(master, 1))
    await tell(stage, unregistration(master))
    const permission = await permissionOf(stage, topicNames(master)[0] ?? '', master.name)
    assert.equal(permission, stage.by({ '4.9': 6, '5.x': 4 }))
  })

  test('only the queues of the broker that left are taken from a shared topic', async t => {
    const topics = [topic(unique('topic')), topic(unique('topic'))]
    const one = aBroker({ topics })
    const two = aBroker({ topics, cluster: one.cluster })
    await join(stage, t, one)
    await join(stage, t, two)
    await tell(stage, unregistration(one))
    const route = await routeOf(stage, topics[0]?.topicName ?? '')
    assert.deepEqual(
      route?.brokerDatas.map(data => data.brokerName),
      [two.name],
    )
    assert.deepEqual(
      route?.queueDatas.map(queue => queue.brokerName),
      [two.name],
    )
  })

  test('an unregister of nobody is code 0', async () => {
    assert.equal(await tell(stage, unregistration(aBroker())), 0)
  })

  test('a wrong address removes by id in 4.9 and nobody in 5.x and ours', async t => {
    const broker = aBroker()
    await join(stage, t, broker)
    assert.equal(await tell(stage, unregistration(broker, { brokerAddr: '10.255.0.1:1' })), 0)
    const left = await addressesOf(stage, broker.name)
    assert.deepEqual(left, stage.by({ '4.9': undefined, '5.x': { 0: broker.address } }))
  })

  test('an old master that unregisters late does not remove the new one, in 5.x and ours', async t => {
    const old = aBroker()
    const moved = aSlaveOf(old, 0)
    await join(stage, t, old)
    await join(stage, t, moved)
    await tell(stage, unregistration(old))
    assert.deepEqual(await addressesOf(stage, old.name), stage.by({ '4.9': undefined, '5.x': { 0: moved.address } }))
  })

  test('an unregister without an id is refused by 4.9 and ours', async t => {
    const broker = aBroker()
    await join(stage, t, broker)
    const answer = await stage.ask(unregistration(broker, { brokerId: undefined }))
    assert.equal(answer.code, stage.by({ '4.9': 1, '5.x': 0, ours: 1 }))
    if (stage.line === 'ours') assert.match(answer.remark ?? '', /brokerId/)
  })

  test('a broker may come back after it has unregistered', async t => {
    const broker = aBroker()
    const connection = await join(stage, t, broker)
    await connection.call(unregistration(broker))
    await eventually(() => isGone(stage, broker))
    assert.equal((await connection.call(registration(broker))).code, 0)
    assert.deepEqual(await addressesOf(stage, broker.name), { 0: broker.address })
    assert.notEqual(await routeOf(stage, topicNames(broker)[0] ?? ''), null)
  })
}

function closing(stage: Stage): void {
  test('a broker whose connection closes is gone at once', async t => {
    const broker = aBroker()
    const connection = await join(stage, t, broker)
    connection.destroy()
    await eventually(() => isGone(stage, broker))
  })

  test('a broker whose connection is reset is gone at once', async t => {
    const broker = aBroker()
    const connection = await join(stage, t, broker)
    connection.socket.resetAndDestroy()
    await eventually(() => isGone(stage, broker))
  })

  test('a broker that sends a broken frame is gone', async t => {
    const broker = aBroker()
    const connection = await join(stage, t, broker)
    connection.write(Buffer.alloc(16, 0xff))
    await connection.closes()
    await eventually(() => isGone(stage, broker))
  })

  test('a broker that has registered on a new connection survives the end of the old one', async t => {
    const broker = aBroker()
    const old = await join(stage, t, broker)
    await join(stage, t, broker)
    old.destroy()
    await delay(BATCH_MS)
    assert.deepEqual(await addressesOf(stage, broker.name), { 0: broker.address })
  })

  test('a client that goes removes nobody', async t => {
    const broker = aBroker()
    await join(stage, t, broker)
    const client = await stage.connect(t)
    await client.call({ code: 105, extFields: { topic: topicNames(broker)[0] ?? '' } })
    client.destroy()
    await delay(BATCH_MS)
    assert.deepEqual(await addressesOf(stage, broker.name), { 0: broker.address })
  })

  test('of two brokers on one connection Apache forgets one, ours both', async t => {
    const one = aBroker()
    const two = aBroker()
    const connection = await join(stage, t, one)
    assert.equal((await connection.call(registration(two))).code, 0)
    connection.destroy()
    const left = stage.by({ '4.9': 1, '5.x': 1, ours: 0 })
    await eventually(async () => {
      const info = await clusterInfo(stage)
      const known = [one, two].filter(broker => info.brokerAddrTable[broker.name])
      assert.equal(known.length, left)
    })
    for (const broker of [one, two]) await tell(stage, unregistration(broker))
  })
}
