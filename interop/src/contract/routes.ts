import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseFastjson, type RawFrame } from '../wire/raw-frame.ts'
import {
  aBroker,
  aSlaveOf,
  type RawBroker,
  join,
  type RawRoute,
  routeOf,
  routeQuery,
  topic,
  unregistration,
} from './brokers.ts'
import { eventually } from '../eventually.ts'
import { type ServerUnderTest, serverFor } from './server-under-test.ts'
import { unique } from '../unique.ts'

const V4_9_3 = 399
const V4_9_4 = 401
const V5_5_0 = 513
const NO_ROUTE = 17

const firstTopic = (broker: RawBroker): string => broker.topics[0]?.topicName ?? ''

/** The body as Java writes it for one broker with one address; the order of its members is fixed. */
function expectedBody(server: ServerUnderTest, broker: RawBroker, id: string): string {
  const acting = server.by({ '4.9': '', '5.x': ',"enableActingMaster":false' })
  const data = `{"brokerAddrs":{${id}:"${broker.address}"},"brokerName":"${broker.name}","cluster":"${broker.cluster}"${acting}}`
  const queue = `{"brokerName":"${broker.name}","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}`
  return `{"brokerDatas":[${data}],"filterServerTable":{},"queueDatas":[${queue}]}`
}

/** GET_ROUTEINFO_BY_TOPIC: form and contents, and the options that change them. */
export function routes(server: ServerUnderTest): void {
  forms(server)
  contents(server)
  unknownTopics(server)
  zones(server)
  describe('with the options for order topics, acting masters and notices', () => switchedOn(server))
  describe('while the server waits for brokers after its start', () => waiting(server))
}

function forms(server: ServerUnderTest): void {
  const queries = {
    'a caller older than 4.9.4 gets ids without quotes': { version: V4_9_3, standard: false },
    'a caller of 4.9.4 gets standard JSON': { version: V4_9_4, standard: true },
    'a caller of 5.5.0 gets standard JSON': { version: V5_5_0, standard: true },
    'a caller without a version gets ids without quotes': { version: 0, standard: false },
    'a caller with acceptStandardJsonOnly gets standard JSON at any version': {
      version: 0,
      accept: 'true',
      standard: true,
    },
    'a caller of 4.9.4 with acceptStandardJsonOnly=false gets standard JSON': {
      version: V4_9_4,
      accept: 'false',
      standard: true,
    },
  }
  for (const [what, query] of Object.entries(queries)) {
    const { version, standard } = query
    test(what, async t => {
      const broker = aBroker()
      await join(server, t, broker)
      const extFields = {
        topic: firstTopic(broker),
        ...('accept' in query && { acceptStandardJsonOnly: query.accept }),
      }
      const answer = await server.ask({ code: 105, version, extFields })
      assert.equal(answer.code, 0)
      assert.equal(answer.body?.toString(), expectedBody(server, broker, standard ? '"0"' : '0'))
    })
  }

  test('a query with a binary header is answered', async t => {
    const broker = aBroker()
    await join(server, t, broker)
    const answer = await server.ask(routeQuery(firstTopic(broker), { serializeType: 'ROCKETMQ' }))
    assert.equal(answer.body?.toString(), expectedBody(server, broker, '"0"'))
  })

  test('the fields that 5.x clients add are accepted', async t => {
    const broker = aBroker()
    await join(server, t, broker)
    const more = { lo: 'true', ns: 'space', nsd: 'false', bname: 'b', oway: 'false' }
    assert.equal((await server.ask({ code: 105, extFields: { topic: firstTopic(broker), ...more } })).code, 0)
  })

  test('standard JSON sorts ids by number', async t => {
    const master = aBroker()
    await join(server, t, aSlaveOf(master, 10))
    await join(server, t, aSlaveOf(master, 2))
    await join(server, t, master)
    const body = (await server.ask(routeQuery(firstTopic(master)))).body?.toString() ?? ''
    assert.deepEqual(
      [...body.matchAll(/"(\d+)":"10\./g)].map(match => match[1]),
      ['0', '2', '10'],
    )
  })
}

function contents(server: ServerUnderTest): void {
  test('the route of a topic on two brokers has both, with the slave of one', async t => {
    const topics = [topic(unique('topic')), topic(unique('topic'))]
    const one = aBroker({ topics })
    const two = aBroker({ topics, cluster: one.cluster })
    const slave = aSlaveOf(one, 1)
    for (const broker of [one, two, slave]) await join(server, t, broker)
    const route = (await routeOf(server, topics[0]?.topicName ?? '')) as RawRoute
    const members = Object.fromEntries(route.brokerDatas.map(data => [data.brokerName, data.brokerAddrs]))
    assert.deepEqual(members, { [one.name]: { 0: one.address, 1: slave.address }, [two.name]: { 0: two.address } })
    assert.deepEqual(route.queueDatas.map(queue => queue.brokerName).toSorted(), [one.name, two.name].toSorted())
  })

  test('names with slashes, quotes and letters of other scripts arrive unchanged', async t => {
    for (const name of ['a/b', 'quote"d', 'größe', '主题', '%RETRY%group', 'line\u2028break']) {
      const topicName = `${name}-${unique('topic')}`
      await join(server, t, aBroker({ topics: [topic(topicName), topic(unique('topic'))], name: unique(name) }))
      const standard = await routeOf(server, topicName)
      const old = await routeOf(server, topicName, { version: 0 })
      assert.ok(standard?.brokerDatas[0]?.brokerName.startsWith(name))
      assert.deepEqual(old, standard)
    }
  })

  test('a route shows a wiped permission and a restored one', async t => {
    const broker = aBroker()
    await join(server, t, broker)
    const extFields = { brokerName: broker.name }
    await server.ask({ code: 205, extFields })
    assert.equal((await routeOf(server, firstTopic(broker)))?.queueDatas[0]?.perm, 4)
    await server.ask({ code: 327, extFields })
    assert.equal((await routeOf(server, firstTopic(broker)))?.queueDatas[0]?.perm, 6)
  })

  test('a route has no orderTopicConf unless the option is on', async t => {
    const broker = aBroker()
    await join(server, t, broker)
    const extFields = { namespace: 'ORDER_TOPIC_CONFIG', key: firstTopic(broker), value: `${broker.name}:4` }
    await server.ask({ code: 100, extFields })
    assert.equal((await routeOf(server, firstTopic(broker)))?.orderTopicConf, undefined)
  })
}

function unknownTopics(server: ServerUnderTest): void {
  test('a topic that no broker has is code 17, with a link to the documentation', async () => {
    const name = unique('nowhere')
    const answer = await server.ask(routeQuery(name))
    assert.equal(answer.code, NO_ROUTE)
    assert.equal(answer.body, null)
    const link = server.by({
      '4.9': 'http://rocketmq.apache.org/docs/faq/',
      '5.x': 'https://rocketmq.apache.org/docs/bestPractice/06FAQ',
    })
    const first = `No topic route info in name server for the topic: ${name}`
    if (server.line === 'ours') assert.ok(answer.remark?.startsWith(first), answer.remark ?? '')
    else assert.equal(answer.remark, `${first}\nSee ${link} for further details.`)
  })

  test('a query without a topic is refused', async () => {
    const answer = await server.ask({ code: 105, extFields: {} })
    assert.ok(answer.code === NO_ROUTE || (server.line === 'ours' && answer.code === 1), `code ${answer.code}`)
  })

  test('__proto__ is a topic like any other', async t => {
    assert.equal((await server.ask(routeQuery('__proto__'))).code, NO_ROUTE)
    assert.equal((await server.ask(routeQuery('constructor'))).code, NO_ROUTE)
    const broker = aBroker()
    await join(server, t, broker)
    assert.equal((await server.ask(routeQuery('toString'))).code, NO_ROUTE)
  })
}

function zones(server: ServerUnderTest): void {
  const inZone = (zone: string, topics = [topic(unique('topic')), topic(unique('topic'))]) =>
    aBroker({ topics, fields: { __ZONE_NAME: zone, enableActingMaster: 'false' } })
  const zoneQuery = (name: string) => ({
    code: 105,
    extFields: { topic: name, __ZONE_MODE: 'true', __ZONE_NAME: 'zone-1' },
  })
  const shown = (answer: RawFrame) => (parseFastjson(answer.body) as RawRoute).brokerDatas.map(data => data.brokerName)

  test('a caller in a zone gets only the brokers of its zone in 5.x and ours', async t => {
    const near = inZone('zone-1')
    const far = inZone('zone-2', [...near.topics])
    await join(server, t, near)
    await join(server, t, far)
    const answer = await server.ask(zoneQuery(firstTopic(near)))
    const expected = server.by({ '4.9': [near.name, far.name], '5.x': [near.name] })
    assert.deepEqual(shown(answer).toSorted(), expected.toSorted())
  })

  test('a filtered route is not standard JSON in 5.x, but is in ours', async t => {
    const near = inZone('zone-1')
    await join(server, t, near)
    const body = (await server.ask(zoneQuery(firstTopic(near)))).body?.toString() ?? ''
    assert.equal(body.includes('{0:'), server.by({ '4.9': false, '5.x': true, ours: false }))
  })

  test('every zone gets a broker group without a master', async t => {
    const slave = aBroker({ id: 1, fields: { __ZONE_NAME: 'zone-2', enableActingMaster: 'false' } })
    await join(server, t, slave)
    const answer = await server.ask(zoneQuery(firstTopic(slave)))
    if (server.line === '4.9') return assert.equal(answer.code, NO_ROUTE)
    assert.deepEqual(shown(answer), [slave.name])
  })

  test('the route of a zone without brokers is empty, not an error', async t => {
    const far = inZone('zone-2')
    await join(server, t, far)
    const answer = await server.ask(zoneQuery(firstTopic(far)))
    assert.equal(answer.code, 0)
    assert.deepEqual(shown(answer), server.by({ '4.9': [far.name], '5.x': [] }))
  })
}

function switchedOn(server: ServerUnderTest): void {
  const on = serverFor(server.kind, {
    orderMessageEnable: true,
    // 4.9 ignores unknown options.
    supportActingMaster: true,
  })

  test('orderTopicConf has the value of the KV table and is absent without one', async t => {
    const broker = aBroker()
    await join(on, t, broker)
    const [ordered = '', plain = ''] = broker.topics.map(config => config.topicName)
    await on.ask({ code: 100, extFields: { namespace: 'ORDER_TOPIC_CONFIG', key: ordered, value: `${broker.name}:4` } })
    assert.equal((await routeOf(on, ordered))?.orderTopicConf, `${broker.name}:4`)
    assert.equal((await routeOf(on, plain))?.orderTopicConf, undefined)
  })

  test('the slave with the lowest id acts as the master of a group that lost it in 5.x and ours', async t => {
    const master = aBroker({ fields: { enableActingMaster: 'true' } })
    const [first, second] = [aSlaveOf(master, 1), aSlaveOf(master, 2)]
    for (const broker of [master, first, second]) await join(on, t, broker)
    await on.ask(unregistration(master))
    const expected = on.by({
      '4.9': { 1: first.address, 2: second.address },
      '5.x': { 0: first.address, 2: second.address },
    })
    await eventually(async () => {
      const route = await routeOf(on, firstTopic(master))
      assert.deepEqual(route?.brokerDatas[0]?.brokerAddrs, expected)
    })
  })
}

function waiting(server: ServerUnderTest): void {
  const hesitant = serverFor(server.kind, { needWaitForService: true, waitSecondsForService: 3600 })

  test('5.x and ours answer route queries with code 1 and all other requests as usual', async t => {
    const broker = aBroker()
    await join(hesitant, t, broker)
    const answer = await hesitant.ask(routeQuery(firstTopic(broker)))
    if (hesitant.line === '4.9') return assert.equal(answer.code, 0)
    assert.deepEqual([answer.code, answer.remark], [1, 'name server not ready'])
    assert.equal((await hesitant.ask({ code: 106 })).code, 0)
  })
}
