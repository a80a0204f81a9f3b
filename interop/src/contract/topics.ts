import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { encodeRaw } from '../wire/raw-frame.ts'
import {
  aBroker,
  type RawBroker,
  bodyJson,
  join,
  permissionOf,
  registration,
  routeOf,
  topic,
  topicNames,
  topicList,
} from './brokers.ts'
import { type ServerUnderTest, serverFor } from './server-under-test.ts'
import { unique } from '../unique.ts'

const UNIT = 1
const UNIT_SUB = 2
const LISTS = {
  206: 'all',
  224: "a cluster's",
  311: 'unit',
  312: 'unit-subscribed',
  313: 'unit-subscribed but not unit',
}

/** Lists of topics, deletion, registration of single topics, and write permissions of brokers. */
export function topics(server: ServerUnderTest): void {
  lists(server)
  deleting(server)
  registering(server)
  permissions(server)
  describe('with topic lists switched off', () => switchedOff(server))
}

function lists(server: ServerUnderTest): void {
  test('the list of all topics has each topic once', async t => {
    const shared = topic(unique('topic'))
    const one = aBroker({ topics: [shared, topic(unique('topic'))] })
    const two = aBroker({ topics: [shared, topic(unique('topic'))] })
    await join(server, t, one)
    await join(server, t, two)
    const all = await topicList(server, 206)
    for (const name of [...topicNames(one), ...topicNames(two)]) {
      assert.equal(all.filter(other => other === name).length, 1)
    }
  })

  test('the topics of a cluster are those of its brokers', async t => {
    const broker = aBroker()
    await join(server, t, broker)
    await join(server, t, aBroker())
    const list = await topicList(server, 224, { cluster: broker.cluster })
    assert.deepEqual(list.toSorted(), topicNames(broker).toSorted())
  })

  test('an unknown cluster has no topics', async () => {
    const answer = await server.ask({ code: 224, extFields: { cluster: unique('cluster') } })
    assert.equal(answer.code, 0)
    assert.equal(answer.body?.toString(), '{"topicList":[]}')
  })

  test('the system topics are the names of clusters and brokers, with the address of a broker', async t => {
    const broker = aBroker()
    await join(server, t, broker)
    const body = bodyJson(await server.ask({ code: 304 })) as { topicList: string[]; brokerAddr?: string }
    assert.ok(body.topicList.includes(broker.cluster))
    assert.ok(body.topicList.includes(broker.name))
    assert.match(body.brokerAddr ?? '', /^10\.[\d.]+:10911$/)
  })

  test('the lists of unit topics follow the flags of topics', async t => {
    const [plain, unit, subscribed, both] = [0, UNIT, UNIT_SUB, UNIT | UNIT_SUB].map(topicSysFlag =>
      topic(unique('topic'), { topicSysFlag }),
    )
    const configs = [plain, unit, subscribed, both].filter(config => config !== undefined)
    await join(server, t, aBroker({ topics: configs }))
    const mine = configs.map(config => config.topicName)
    const listed = async (code: number) =>
      (await topicList(server, code)).filter(name => mine.includes(name)).toSorted()
    const named = (...some: (typeof plain)[]) => some.map(config => config?.topicName ?? '').toSorted()
    assert.deepEqual(await listed(311), named(unit, both))
    assert.deepEqual(await listed(312), named(subscribed, both))
    assert.deepEqual(await listed(313), named(subscribed))
  })
}

function deleting(server: ServerUnderTest): void {
  test('a deleted topic has no route and is in no list', async t => {
    const broker = aBroker()
    const [name = '', other = ''] = topicNames(broker)
    await join(server, t, broker)
    const answer = await server.ask({ code: 216, extFields: { topic: name } })
    assert.deepEqual([answer.code, answer.body], [0, null])
    assert.equal(await routeOf(server, name), null)
    assert.notEqual(await routeOf(server, other), null)
    assert.ok(!(await topicList(server, 206)).includes(name))
  })

  test('a topic deleted in one cluster stays in the other', async t => {
    const shared = [topic(unique('topic')), topic(unique('topic'))]
    const one = aBroker({ topics: shared })
    const two = aBroker({ topics: shared })
    await join(server, t, one)
    await join(server, t, two)
    const name = shared[0]?.topicName ?? ''
    await server.ask({ code: 216, extFields: { topic: name, clusterName: one.cluster } })
    assert.deepEqual(
      (await routeOf(server, name))?.queueDatas.map(queue => queue.brokerName),
      [two.name],
    )
    await server.ask({ code: 216, extFields: { topic: name, clusterName: two.cluster } })
    assert.equal(await routeOf(server, name), null)
  })

  test('an empty cluster name means all clusters', async t => {
    const broker = aBroker()
    const [name = ''] = topicNames(broker)
    await join(server, t, broker)
    await server.ask({ code: 216, extFields: { topic: name, clusterName: '' } })
    assert.equal(await routeOf(server, name), null)
  })

  test('deleting an unknown topic, or in an unknown cluster, is code 0', async t => {
    const broker = aBroker()
    const [name = ''] = topicNames(broker)
    await join(server, t, broker)
    assert.equal((await server.ask({ code: 216, extFields: { topic: unique('nowhere') } })).code, 0)
    const inNowhere = { topic: name, clusterName: unique('cluster') }
    assert.equal((await server.ask({ code: 216, extFields: inNowhere })).code, 0)
    assert.notEqual(await routeOf(server, name), null)
  })
}

function registering(server: ServerUnderTest): void {
  const queueData = (broker: RawBroker) => ({
    brokerName: broker.name,
    perm: 6,
    readQueueNums: 3,
    writeQueueNums: 3,
    topicSysFlag: 0,
  })
  const request = (name: string, body: string) => ({ code: 217, extFields: { topic: name }, body })
  const routeBody = (...queueDatas: unknown[]) => JSON.stringify({ queueDatas, brokerDatas: [], filterServerTable: {} })

  if (server.line === '4.9') {
    test('4.9 does not support the registration of a single topic', async t => {
      await server.isSilent(await server.connect(t), encodeRaw(request('t', '{}')))
    })
    return
  }

  test('a single topic is registered for a known broker', async t => {
    const broker = aBroker()
    const name = unique('single')
    assert.equal((await server.ask(request(name, routeBody(queueData(broker))))).code, 0)
    assert.equal(await routeOf(server, name), null)
    await join(server, t, broker)
    assert.equal((await server.ask(request(name, routeBody(queueData(broker))))).code, 0)
    assert.equal((await routeOf(server, name))?.queueDatas[0]?.readQueueNums, 3)
  })

  test('a missing or empty body is code 0, an unreadable one is code 1', async () => {
    const name = unique('single')
    assert.equal((await server.ask(request(name, ''))).code, 0)
    assert.equal((await server.ask(request(name, '{}'))).code, 0)
    assert.equal((await server.ask(request(name, routeBody()))).code, 0)
    assert.equal((await server.ask(request(name, '{"queueDatas":['))).code, 1)
    assert.equal(await routeOf(server, name), null)
  })
}

function permissions(server: ServerUnderTest): void {
  test('wiping removes the write permission from all topics of a broker and counts them', async t => {
    const broker = aBroker()
    const [name = ''] = topicNames(broker)
    await join(server, t, broker)
    const extFields = { brokerName: broker.name }
    const wipe = await server.ask({ code: 205, extFields })
    assert.deepEqual([wipe.code, wipe.extFields], [0, { wipeTopicCount: '2' }])
    assert.equal(await permissionOf(server, name, broker.name), 4)
    const again = await server.ask({ code: 205, extFields })
    assert.deepEqual(again.extFields, { wipeTopicCount: '2' })
  })

  test('adding makes all topics of a broker readable and writable and counts them', async t => {
    const broker = aBroker({ topics: [topic(unique('topic'), { perm: 4 }), topic(unique('topic'), { perm: 2 })] })
    await join(server, t, broker)
    const added = await server.ask({ code: 327, extFields: { brokerName: broker.name } })
    assert.deepEqual([added.code, added.extFields], [0, { addTopicCount: '2' }])
    for (const name of topicNames(broker)) assert.equal(await permissionOf(server, name, broker.name), 6)
  })

  test('only the named broker changes', async t => {
    const shared = [topic(unique('topic')), topic(unique('topic'))]
    const one = aBroker({ topics: shared })
    const two = aBroker({ topics: shared })
    await join(server, t, one)
    await join(server, t, two)
    await server.ask({ code: 205, extFields: { brokerName: one.name } })
    assert.equal(await permissionOf(server, shared[0]?.topicName ?? '', one.name), 4)
    assert.equal(await permissionOf(server, shared[0]?.topicName ?? '', two.name), 6)
  })

  test('for an unknown broker no topic changes', async () => {
    const extFields = { brokerName: unique('unknown') }
    assert.deepEqual((await server.ask({ code: 205, extFields })).extFields, { wipeTopicCount: '0' })
    assert.deepEqual((await server.ask({ code: 327, extFields })).extFields, { addTopicCount: '0' })
  })

  test('the next topic that a broker creates undoes a wipe, because the data version changes', async t => {
    const broker = aBroker()
    const connection = await join(server, t, broker)
    await server.ask({ code: 205, extFields: { brokerName: broker.name } })
    const grown = {
      ...broker,
      topics: [...broker.topics, topic(unique('topic'))],
      dataVersion: { counter: 2, timestamp: 2 },
    }
    await connection.call(registration(grown))
    assert.equal(await permissionOf(server, topicNames(broker)[0] ?? '', broker.name), 6)
  })
}

function switchedOff(server: ServerUnderTest): void {
  const off = serverFor(server.kind, { enableAllTopicList: false, enableTopicList: false })
  for (const [code, what] of Object.entries(LISTS)) {
    test(`the list of ${what} topics is refused by 5.x and ours`, async () => {
      const answer = await off.ask({ code: Number(code), extFields: { cluster: 'c' } })
      const expected = off.by({ '4.9': [0, null], '5.x': [1, 'disable'] })
      assert.deepEqual([answer.code, answer.remark], expected)
    })
  }
}
