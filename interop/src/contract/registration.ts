import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { crc32, deflateSync } from 'node:zlib'
import type { RawRequest } from '../wire/raw-frame.ts'
import {
  aBroker,
  addressesOf,
  aSlaveOf,
  bodyOf,
  type RawBroker,
  clusterInfo,
  compressedBodyOf,
  join,
  permissionOf,
  registration,
  routeOf,
  topic,
  topicList,
  wrapperOf,
} from './brokers.ts'
import { eventually } from '../eventually.ts'
import { type ServerUnderTest, serverFor } from './server-under-test.ts'
import { unique } from '../unique.ts'

const V3_0_10 = 36
const V5_0_0 = 413
const NEWER = { counter: 2, timestamp: 1_700_000_000_001 }

const firstTopic = (broker: RawBroker): string => broker.topics[0]?.topicName ?? ''
const lastTopic = (broker: RawBroker): string => broker.topics.at(-1)?.topicName ?? ''
const wiped = (brokerName: string): RawRequest => ({ code: 205, extFields: { brokerName } })

function javaCrc(body: Uint8Array): string {
  // Apache masks the sign bit: UtilAll.crc32.
  return String(crc32(body) & 0x7fffffff)
}

/** REGISTER_BROKER: bodies of all releases, addresses, and changes of topics. */
export function registrations(server: ServerUnderTest): void {
  members(server)
  bodies(server)
  compressedBodies(server)
  changes(server)
  newerBrokers(server)
  refusals(server)
}

function members(server: ServerUnderTest): void {
  test('a registered master is listed with its topics', async t => {
    const broker = aBroker()
    await join(server, t, broker)
    const info = await clusterInfo(server)
    assert.deepEqual(info.brokerAddrTable[broker.name]?.brokerAddrs, { 0: broker.address })
    assert.deepEqual(info.clusterAddrTable[broker.cluster], [broker.name])
    for (const { topicName } of broker.topics) {
      assert.deepEqual((await routeOf(server, topicName))?.queueDatas, [
        { brokerName: broker.name, perm: 6, readQueueNums: 4, topicSysFlag: 0, writeQueueNums: 4 },
      ])
    }
  })

  test('a registration with a binary header is accepted', async t => {
    const broker = aBroker()
    await join(server, t, broker, { serializeType: 'ROCKETMQ' })
    assert.deepEqual(await addressesOf(server, broker.name), { 0: broker.address })
  })

  test('the answer to a slave has the address of its master and where to replicate from', async t => {
    const master = aBroker()
    const slave = aSlaveOf(master, 1)
    await join(server, t, master)
    const connection = await server.connect(t)
    const answer = await connection.call(registration(slave))
    assert.equal(answer.code, 0)
    assert.deepEqual(answer.extFields, { haServerAddr: master.haAddress, masterAddr: master.address })
    assert.deepEqual(await addressesOf(server, master.name), { 0: master.address, 1: slave.address })
  })

  test('the answer to a master, or to a slave without a master, has no addresses', async t => {
    const master = aBroker()
    const connection = await server.connect(t)
    assert.deepEqual((await connection.call(registration(aSlaveOf(master, 1)))).extFields ?? {}, {})
    assert.deepEqual((await connection.call(registration(master))).extFields ?? {}, {})
  })

  test('broker ids may be negative and have 64 bits', async t => {
    const master = aBroker({ id: '-1' })
    const slave = aSlaveOf(master, 0, { id: '9007199254740993' })
    await join(server, t, master)
    await join(server, t, slave)
    assert.deepEqual(await addressesOf(server, master.name), {
      '-1': master.address,
      '9007199254740993': slave.address,
    })
  })

  test('a broker id with a plus sign is a number', async t => {
    const broker = aBroker({ id: '+5', fields: { enableActingMaster: 'false' } })
    await join(server, t, broker)
    assert.deepEqual(await addressesOf(server, broker.name), { 5: broker.address })
  })

  test('a broker name in two clusters is listed in both and belongs to the first', async t => {
    const broker = aBroker()
    const other = aSlaveOf(broker, 1, { cluster: unique('cluster') })
    await join(server, t, broker)
    await join(server, t, other)
    const info = await clusterInfo(server)
    assert.equal(info.brokerAddrTable[broker.name]?.cluster, broker.cluster)
    assert.deepEqual(info.clusterAddrTable[other.cluster], [broker.name])
    assert.deepEqual(info.clusterAddrTable[broker.cluster], [broker.name])
  })

  test('a route lists filter servers by broker address', async t => {
    const broker = aBroker({ filterServers: ['10.9.9.9:1', '10.9.9.9:2'] })
    await join(server, t, broker)
    const route = await routeOf(server, firstTopic(broker))
    assert.deepEqual(route?.filterServerTable, { [broker.address]: ['10.9.9.9:1', '10.9.9.9:2'] })
  })

  test('only 5.x refuses a first registration with exactly one topic', async t => {
    const broker = aBroker({ topics: [topic(unique('topic'))] })
    const connection = await server.connect(t)
    const answer = await connection.call(registration(broker))
    assert.equal(answer.code, server.by({ '4.9': 0, '5.x': 1, ours: 0 }))
    if (answer.code !== 0) return assert.equal(answer.remark, 'register broker failed')
    assert.notEqual(await routeOf(server, firstTopic(broker)), null)
  })
}

function bodies(server: ServerUnderTest): void {
  test('a body without filter servers, of brokers before 3.0.11, is read', async t => {
    const broker = aBroker()
    await join(server, t, broker, { version: V3_0_10, body: JSON.stringify(wrapperOf(broker)) })
    assert.notEqual(await routeOf(server, firstTopic(broker)), null)
  })

  test('a registration without a body has no topics', async t => {
    const broker = aBroker()
    await join(server, t, broker, { body: '' })
    assert.deepEqual(await addressesOf(server, broker.name), { 0: broker.address })
    assert.equal(await routeOf(server, firstTopic(broker)), null)
  })

  test('a registration with an empty object as its body has no topics', async t => {
    const broker = aBroker()
    await join(server, t, broker, { body: '{}' })
    assert.deepEqual(await addressesOf(server, broker.name), { 0: broker.address })
  })

  test('map keys that are numbers without quotes are read', async t => {
    const broker = aBroker()
    const mapping = `{"bname":"${broker.name}","currIdMap":{0:0,1:1},"dirty":false,"epoch":1,"totalQueues":2}`
    const body = bodyOf(broker).replace(
      '"topicConfigTable"',
      `"topicQueueMappingInfoMap":{"t":${mapping}},"topicConfigTable"`,
    )
    await join(server, t, broker, { body })
    assert.notEqual(await routeOf(server, firstTopic(broker)), null)
  })

  test('a member that a topic leaves out has its default', async t => {
    const name = unique('topic')
    await join(server, t, aBroker({ topics: [{ topicName: name }, topic(unique('topic'))] }))
    const queue = (await routeOf(server, name))?.queueDatas[0]
    assert.deepEqual([queue?.readQueueNums, queue?.writeQueueNums, queue?.perm, queue?.topicSysFlag], [16, 16, 6, 0])
  })

  test('the name inside a topic counts, not the key of the map', async t => {
    const broker = aBroker()
    const name = unique('inside')
    await join(server, t, broker, {
      body: bodyOf(broker).replace(`"topicName":"${firstTopic(broker)}"`, `"topicName":"${name}"`),
    })
    assert.notEqual(await routeOf(server, name), null)
    assert.equal(await routeOf(server, firstTopic(broker)), null)
  })

  test('4.9 and ours read member names without quotes', async t => {
    const broker = aBroker()
    const body = bodyOf(broker).replaceAll(/"(perm|order|topicName|dataVersion|counter)":/g, '$1:')
    const connection = await server.connect(t)
    const answer = await connection.call(registration(broker, { body }))
    assert.equal(answer.code, server.by({ '4.9': 0, '5.x': 1, ours: 0 }))
  })

  test('4.9 and ours read strings in single quotes', async t => {
    const broker = aBroker()
    const body = bodyOf(broker).replaceAll('"SINGLE_TAG"', "'SINGLE_TAG'").replaceAll('"topicName"', "'topicName'")
    const connection = await server.connect(t)
    const answer = await connection.call(registration(broker, { body }))
    assert.equal(answer.code, server.by({ '4.9': 0, '5.x': 1, ours: 0 }))
  })

  for (const body of ['{"filterServerList":[', 'nonsense', '[1,2', '{"topicConfigSerializeWrapper":17}']) {
    test(`an unreadable body is code 1: ${body}`, async t => {
      const broker = aBroker()
      const connection = await server.connect(t)
      const answer = await connection.call(registration(broker, { body }))
      assert.equal(answer.code, 1)
      assert.notEqual(answer.remark, null)
      assert.equal(await addressesOf(server, broker.name), undefined)
    })
  }

  test('a correct checksum is accepted, a wrong one is code 1', async t => {
    const broker = aBroker()
    const connection = await server.connect(t)
    const body = bodyOf(broker)
    const wrong = await connection.call(registration({ ...broker, fields: { bodyCrc32: '12345' } }, { body }))
    assert.deepEqual([wrong.code, wrong.remark], [1, 'crc32 not match'])
    assert.equal(await addressesOf(server, broker.name), undefined)
    const bodyCrc32 = javaCrc(Buffer.from(body))
    const right = await connection.call(registration({ ...broker, fields: { bodyCrc32 } }, { body }))
    assert.equal(right.code, 0)
  })

  test('a checksum that is not a number is ignored', async t => {
    await join(server, t, aBroker({ fields: { bodyCrc32: 'many' } }))
  })
}

function compressedBodies(server: ServerUnderTest): void {
  test('a compressed body of 4.9 is read; its checksum covers the compressed bytes', async t => {
    const broker = aBroker()
    const body = compressedBodyOf(broker)
    const fields = { compressed: 'true', bodyCrc32: javaCrc(body) }
    await join(server, t, { ...broker, fields }, { body })
    assert.equal((await routeOf(server, firstTopic(broker)))?.queueDatas[0]?.readQueueNums, 4)
  })

  test('5.x and ours read a compressed body of 5.x, with six parts for each topic and mappings at the end', async t => {
    const broker = aBroker()
    const body = compressedBodyOf(broker, { attributes: '{}', mappings: [] })
    const connection = await server.connect(t)
    const request = registration({ ...broker, fields: { compressed: 'true' } }, { body, version: V5_0_0 })
    assert.equal((await connection.call(request)).code, server.by({ '4.9': 1, '5.x': 0 }))
    if (server.line !== '4.9') assert.notEqual(await routeOf(server, firstTopic(broker)), null)
  })

  test('only ours reads a compressed body that is declared uncompressed, as 5.x brokers send it', async t => {
    const broker = aBroker()
    const body = compressedBodyOf(broker, { attributes: '{}', mappings: [] })
    const connection = await server.connect(t)
    const answer = await connection.call(
      registration({ ...broker, fields: { compressed: 'false' } }, { body, version: V5_0_0 }),
    )
    assert.equal(answer.code, server.by({ '4.9': 1, '5.x': 1, ours: 0 }))
  })

  const torn = { 'not a zlib stream': Buffer.from('not compressed'), 'an empty stream': deflateSync(Buffer.alloc(0)) }
  for (const [what, body] of Object.entries(torn)) {
    test(`a compressed body that is ${what} is code 1`, async t => {
      const broker = aBroker({ fields: { compressed: 'true' } })
      const connection = await server.connect(t)
      assert.equal((await connection.call(registration(broker, { body }))).code, 1)
      assert.equal(await addressesOf(server, broker.name), undefined)
    })
  }

  test('a compressed body that ends within a topic is code 1', async t => {
    const broker = aBroker({ fields: { compressed: 'true' } })
    const whole = Buffer.concat([Buffer.of(0, 0, 0, 2), Buffer.from('{}'), Buffer.of(0, 0, 0, 9, 0, 0, 0, 99)])
    const connection = await server.connect(t)
    assert.equal((await connection.call(registration(broker, { body: deflateSync(whole) }))).code, 1)
  })
}

function changes(server: ServerUnderTest): void {
  test('a master at a new address replaces the old one, and the answers to slaves have it', async t => {
    const master = aBroker()
    const moved = aSlaveOf(master, 0)
    const slave = aSlaveOf(master, 1)
    await join(server, t, master)
    await join(server, t, slave)
    await join(server, t, moved)
    assert.deepEqual(await addressesOf(server, master.name), { 0: moved.address, 1: slave.address })
    const connection = await server.connect(t)
    const answer = await connection.call(registration(slave))
    assert.deepEqual(answer.extFields, { haServerAddr: moved.haAddress, masterAddr: moved.address })
  })

  test('a broker that changes its id loses the old one', async t => {
    const broker = aBroker()
    await join(server, t, broker)
    await join(server, t, { ...broker, id: 3 })
    assert.deepEqual(await addressesOf(server, broker.name), { 3: broker.address })
    assert.equal(await permissionOf(server, firstTopic(broker), broker.name), 6)
  })

  test('a wiped permission stays wiped until the data version changes', async t => {
    const broker = aBroker()
    const connection = await join(server, t, broker)
    await server.ask(wiped(broker.name))
    assert.equal((await connection.call(registration(broker))).code, 0)
    assert.equal(await permissionOf(server, firstTopic(broker), broker.name), 4)
    assert.equal((await connection.call(registration({ ...broker, dataVersion: NEWER }))).code, 0)
    assert.equal(await permissionOf(server, firstTopic(broker), broker.name), 6)
  })

  // An unchanged topic in a changed body must not be skipped: the table may have changed since the last registration.
  const edits: Readonly<Record<string, (broker: RawBroker) => RawRequest>> = {
    'wiped permissions': ({ name }) => ({ code: 205, extFields: { brokerName: name } }),
    'added permissions': ({ name }) => ({ code: 327, extFields: { brokerName: name } }),
    'the deletion of a topic': broker => ({ code: 216, extFields: { topic: firstTopic(broker) } }),
    'the deletion of a topic in its cluster': broker => ({
      code: 216,
      extFields: { topic: firstTopic(broker), clusterName: broker.cluster },
    }),
  }
  for (const [what, edit] of Object.entries(edits)) {
    test(`a registration with a new data version undoes ${what}, although its topic is unchanged`, async t => {
      const topics = [topic(unique('topic'), { perm: 7 }), topic(unique('topic')), topic(unique('topic'))]
      const broker = aBroker({ topics })
      const connection = await join(server, t, broker)
      await server.ask(edit(broker))
      assert.notEqual(await permissionOf(server, firstTopic(broker), broker.name), 7)
      const changed = [...topics.slice(0, 2), topic(lastTopic(broker), { readQueueNums: 9 })]
      await connection.call(registration({ ...broker, topics: changed, dataVersion: NEWER }))
      assert.equal(await permissionOf(server, firstTopic(broker), broker.name), 7)
    })
  }

  test('a topic that a later registration leaves out stays listed', async t => {
    const broker = aBroker()
    const connection = await join(server, t, broker)
    const topics = [...broker.topics.slice(1), topic(unique('topic'))]
    await connection.call(registration({ ...broker, topics, dataVersion: NEWER }))
    assert.notEqual(await routeOf(server, firstTopic(broker)), null)
    assert.notEqual(await routeOf(server, topics.at(-1)?.topicName ?? ''), null)
  })

  test('a route shows the changes of a topic', async t => {
    const broker = aBroker()
    const connection = await join(server, t, broker)
    const topics = broker.topics.map(({ topicName }) => topic(topicName, { readQueueNums: 7, perm: 4 }))
    await connection.call(registration({ ...broker, topics, dataVersion: NEWER }))
    const queue = (await routeOf(server, lastTopic(broker)))?.queueDatas[0]
    assert.deepEqual([queue?.readQueueNums, queue?.perm], [7, 4])
  })

  test('only 5.x and ours notice a new topic under an old data version', async t => {
    const broker = aBroker()
    const connection = await join(server, t, broker)
    const added = topic(unique('topic'))
    await connection.call(registration({ ...broker, topics: [...broker.topics, added] }))
    assert.equal((await routeOf(server, added.topicName)) !== null, server.by({ '4.9': false, '5.x': true }))
  })

  test('a deleted topic returns with the next registration in 5.x and ours, with the next data version in 4.9', async t => {
    const broker = aBroker()
    const connection = await join(server, t, broker)
    await server.ask({ code: 216, extFields: { topic: firstTopic(broker) } })
    assert.equal(await routeOf(server, firstTopic(broker)), null)
    await connection.call(registration(broker))
    assert.equal((await routeOf(server, firstTopic(broker))) !== null, server.by({ '4.9': false, '5.x': true }))
    await connection.call(registration({ ...broker, dataVersion: NEWER }))
    assert.notEqual(await routeOf(server, firstTopic(broker)), null)
  })

  test('the topics of a slave without a master are listed if it is of 5.x, read-only if it may act as master', async t => {
    const answers = { absent: [null, null], false: [null, 6], true: [null, 4] } as const
    for (const [enableActingMaster, [in49, in5]] of Object.entries(answers)) {
      const fields = enableActingMaster === 'absent' ? {} : { enableActingMaster }
      const slave = aBroker({ id: 1, fields })
      await join(server, t, slave)
      const permission = (await permissionOf(server, firstTopic(slave), slave.name)) ?? null
      assert.equal(permission, server.by({ '4.9': in49, '5.x': in5 }), `enableActingMaster ${enableActingMaster}`)
    }
  })
}

function newerBrokers(server: ServerUnderTest): void {
  test('routes of 5.x and ours have the queue mappings of a static topic', async t => {
    const broker = aBroker()
    const name = firstTopic(broker)
    const mapping = { bname: broker.name, currIdMap: { 0: 0, 1: 1 }, dirty: false, epoch: 1_700_000_000_000 }
    const whole = { ...mapping, scope: '__global__', topic: name, totalQueues: 2 }
    await join(server, t, { ...broker, wrapper: { topicQueueMappingInfoMap: { [name]: whole } } })
    const shown = (await routeOf(server, name))?.topicQueueMappingByBroker
    assert.deepEqual(shown, server.by({ '4.9': undefined, '5.x': { [broker.name]: whole } }))
  })

  test('routes of 5.x and ours have the zone and the acting-master flag', async t => {
    const broker = aBroker({ fields: { __ZONE_NAME: 'zone-1', enableActingMaster: 'true' } })
    await join(server, t, broker)
    const data = (await routeOf(server, firstTopic(broker)))?.brokerDatas[0]
    const shown = [data?.zoneName, data?.enableActingMaster]
    assert.deepEqual(shown, server.by({ '4.9': [undefined, undefined], '5.x': ['zone-1', true] }))
  })

  test('a broker with an older state version cannot take the id of a newer one in 5.x and ours', async t => {
    const newer = aBroker({ dataVersion: { ...NEWER, stateVersion: 5 } })
    const older = aSlaveOf(newer, 0, { dataVersion: { ...NEWER, stateVersion: 4 } })
    await join(server, t, newer)
    await join(server, t, older)
    const kept = server.by({ '4.9': older, '5.x': newer })
    assert.deepEqual(await addressesOf(server, newer.name), { 0: kept.address })
  })

  // 4.9 removes a silent broker only after two minutes.
  if (server.line === '4.9') return
  test('5.x and ours remove a silent broker after its own heartbeat timeout', { timeout: 30_000 }, async t => {
    const broker = aBroker({ fields: { heartbeatTimeoutMillis: '500' } })
    const connection = await join(server, t, broker)
    await eventually(async () => assert.equal(await addressesOf(server, broker.name), undefined), 20_000)
    await connection.closes()
    assert.equal(await routeOf(server, firstTopic(broker)), null)
  })
}

function refusals(server: ServerUnderTest): void {
  test('a missing broker id is code 1', async t => {
    const broker = aBroker({ fields: { brokerId: undefined } })
    const connection = await server.connect(t)
    const answer = await connection.call(registration(broker))
    assert.equal(answer.code, 1)
    if (server.line === 'ours') assert.match(answer.remark ?? '', /brokerId/)
    assert.equal(await addressesOf(server, broker.name), undefined)
  })

  for (const brokerId of ['x', ' 1', '1.0', '', '9223372036854775808']) {
    test(`the broker id ${JSON.stringify(brokerId)} is code 1`, async t => {
      const connection = await server.connect(t)
      const answer = await connection.call(registration(aBroker({ fields: { brokerId } })))
      assert.equal(answer.code, 1)
      if (server.line === 'ours') assert.match(answer.remark ?? '', /brokerId/)
    })
  }

  test('a missing haServerAddr is accepted', async t => {
    const broker = aBroker({ fields: { haServerAddr: undefined } })
    await join(server, t, broker)
    assert.deepEqual(await addressesOf(server, broker.name), { 0: broker.address })
  })

  describe('fields without which Apache registers a part', () => {
    // These registrations damage Apache's tables, so they have a server of their own.
    const poisoned = serverFor(server.kind)
    for (const field of ['brokerName', 'brokerAddr', 'clusterName']) {
      test(`ours refuses a missing ${field} and registers nothing`, async t => {
        const broker = aBroker({ fields: { [field]: undefined } })
        const connection = await poisoned.connect(t)
        const answer = await connection.call(registration(broker))
        assert.equal(answer.code, poisoned.by({ '4.9': 0, '5.x': 0, ours: 1 }))
        if (poisoned.line !== 'ours') return
        assert.match(answer.remark ?? '', new RegExp(field))
        const info = await clusterInfo(poisoned)
        assert.deepEqual(info, { brokerAddrTable: {}, clusterAddrTable: {} })
        assert.deepEqual(await topicList(poisoned, 206), [])
      })
    }
  })
}
