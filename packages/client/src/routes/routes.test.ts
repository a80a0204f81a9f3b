import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BrokerData, QueueData, TopicRoute } from '@gantrymq/protocol'
import fc from 'fast-check'
import {
  anyBrokerAddress,
  brokerAddresses,
  brokersOf,
  publishQueues,
  readQueues,
  refuseStatic,
  sameRoute,
  staticTopicProblem,
  withDefaultTopic,
} from './routes.ts'

function queuesOn(brokerName: string, rest: Partial<QueueData> = {}): QueueData {
  return { brokerName, readQueueNums: 2, writeQueueNums: 2, perm: 6, topicSysFlag: 0, ...rest }
}

function broker(brokerName: string, ...ids: number[]): BrokerData {
  const brokerAddrs = new Map(ids.map(id => [id, `${brokerName}:${id}`]))
  return { cluster: 'c', brokerName, brokerAddrs, enableActingMaster: false }
}

function routeOf(rest: Partial<TopicRoute>): TopicRoute {
  return { queueDatas: [], brokerDatas: [], filterServerTable: new Map(), ...rest }
}

const twoBrokers = routeOf({
  queueDatas: [queuesOn('b', { writeQueueNums: 1 }), queuesOn('a')],
  brokerDatas: [broker('b', 0, 1), broker('a', 0)],
})

function texts(queues: { brokerName: string; queueId: number }[]): string {
  return queues.map(queue => `${queue.brokerName}${queue.queueId}`).join(' ')
}

test('the queues to send to are the writable ones, in the order of the broker names', () => {
  assert.equal(texts(publishQueues('T', twoBrokers)), 'a0 a1 b0')
  assert.deepEqual(publishQueues('T', twoBrokers)[0], { topic: 'T', brokerName: 'a', queueId: 0 })
})

test('brokers without write permission, without a master or missing from the route are not sent to', () => {
  const route = routeOf({
    queueDatas: [queuesOn('readonly', { perm: 4 }), queuesOn('slave'), queuesOn('gone'), queuesOn('good', { perm: 2 })],
    brokerDatas: [broker('readonly', 0), broker('slave', 1), broker('good', 0)],
  })
  assert.equal(texts(publishQueues('T', route)), 'good0 good1')
})

test('orderTopicConf sets the queues and their order', () => {
  assert.equal(texts(publishQueues('T', { ...twoBrokers, orderTopicConf: 'z:2;a:1;' })), 'z0 z1 a0')
  assert.equal(texts(publishQueues('T', { ...twoBrokers, orderTopicConf: '' })), 'a0 a1 b0')
})

test('the queues to read from need read permission only', () => {
  const route = routeOf({ queueDatas: [queuesOn('b', { perm: 4 }), queuesOn('a', { perm: 2 })], brokerDatas: [] })
  assert.equal(texts(readQueues('T', route)), 'b0 b1')
})

test('an implausible route is refused before memory is allocated for it', () => {
  for (const orderTopicConf of ['a', 'a:x', 'a:-1', 'a:999999999']) {
    assert.throws(() => publishQueues('T', routeOf({ orderTopicConf })), { code: 'BAD_BODY' })
  }
  const huge = routeOf({
    queueDatas: [queuesOn('a', { readQueueNums: 2 ** 31 - 1, writeQueueNums: 2 ** 31 - 1 })],
    brokerDatas: [broker('a', 0)],
  })
  assert.throws(() => publishQueues('T', huge), { code: 'BAD_BODY', message: /2147483647 queues on a/ })
  assert.throws(() => readQueues('T', huge), { code: 'BAD_BODY' })
  assert.deepEqual(readQueues('T', routeOf({ queueDatas: [queuesOn('a', { readQueueNums: -1 })] })), [])
})

test('a static topic has no queues, and a sentence says why', () => {
  const info = { topic: 'T', scope: '__global__', totalQueues: 2, bname: 'a', epoch: 1, dirty: false }
  const route = {
    ...twoBrokers,
    topicQueueMappingByBroker: new Map([['a', { ...info, currIdMap: new Map([[0, 0]]) }]]),
  }
  assert.deepEqual([publishQueues('T', route), readQueues('T', route)], [[], []])
  assert.match(staticTopicProblem('T', route) ?? '', /"T" is a static topic/)
  assert.equal(staticTopicProblem('T', twoBrokers), null)
  assert.throws(() => refuseStatic('T', route), { code: 'UNSUPPORTED', message: /static topic/ })
  refuseStatic('T', twoBrokers)
  assert.equal(staticTopicProblem('T', { ...twoBrokers, topicQueueMappingByBroker: new Map() }), null)
})

test('routes are equivalent in any order and with any cluster name', () => {
  const turned = {
    ...twoBrokers,
    queueDatas: twoBrokers.queueDatas.toReversed(),
    brokerDatas: twoBrokers.brokerDatas.toReversed().map(broker => ({ ...broker, cluster: 'other' })),
  }
  assert.equal(sameRoute(twoBrokers, turned), true)
})

test('any other change makes a different route', () => {
  const [queues, ...otherQueues] = twoBrokers.queueDatas as [QueueData, QueueData]
  const [first, ...others] = twoBrokers.brokerDatas as [BrokerData, BrokerData]
  const changes: Partial<TopicRoute>[] = [
    { orderTopicConf: 'a:1' },
    { queueDatas: otherQueues },
    { queueDatas: [{ ...queues, perm: 4 }, ...otherQueues] },
    { queueDatas: [{ ...queues, readQueueNums: 3 }, ...otherQueues] },
    { queueDatas: [{ ...queues, writeQueueNums: 3 }, ...otherQueues] },
    { queueDatas: [{ ...queues, topicSysFlag: 1 }, ...otherQueues] },
    { brokerDatas: others },
    { brokerDatas: [{ ...first, brokerAddrs: new Map([[0, 'b:0']]) }, ...others] },
    { brokerDatas: [{ ...first, brokerAddrs: new Map(first.brokerAddrs).set(1, 'elsewhere') }, ...others] },
    { filterServerTable: new Map([['a', ['x']]]) },
    {
      topicQueueMappingByBroker: new Map([
        ['a', { topic: 'T', scope: 's', totalQueues: 1, bname: 'a', epoch: 1, dirty: false, currIdMap: new Map() }],
      ]),
    },
  ]
  for (const change of changes) {
    assert.equal(sameRoute(twoBrokers, { ...twoBrokers, ...change }), false, Object.keys(change).join())
    assert.equal(sameRoute({ ...twoBrokers, ...change }, { ...twoBrokers, ...change }), true)
  }
})

test('a topic that a broker will create gets the default route with at most the wanted queues', () => {
  const route = routeOf({
    queueDatas: [queuesOn('a', { readQueueNums: 8, writeQueueNums: 8 }), queuesOn('b', { readQueueNums: 2 })],
    brokerDatas: [broker('a', 0), broker('b', 0)],
  })
  const taken = withDefaultTopic(route, 4)
  assert.deepEqual(
    taken.queueDatas.map(queues => [queues.readQueueNums, queues.writeQueueNums]),
    [
      [4, 4],
      [2, 2],
    ],
  )
  assert.equal(route.queueDatas[0]?.readQueueNums, 8)
})

test('the address to ask is a master’s, else a slave’s, else undefined', () => {
  assert.deepEqual(brokersOf(twoBrokers), ['b', 'a'])
  assert.equal(
    anyBrokerAddress(twoBrokers, () => 0),
    'b:0',
  )
  assert.equal(
    anyBrokerAddress(twoBrokers, () => 0.99),
    'a:0',
  )
  assert.equal(
    anyBrokerAddress(routeOf({ brokerDatas: [broker('x'), broker('s', 1, 2)] }), () => 0.99),
    's:2',
  )
  assert.equal(
    anyBrokerAddress(routeOf({}), () => 0),
    undefined,
  )
  assert.deepEqual(
    brokerAddresses(routeOf({ brokerDatas: [broker('m', 1, 0), broker('x'), broker('s', 2)] }), () => 0),
    ['m:0', 's:2'],
  )
})

test('queues are numbered from 0 without gaps or duplicates', () => {
  const datas = fc.uniqueArray(
    fc.record({
      brokerName: fc.constantFrom('a', 'b', 'c', 'd'),
      readQueueNums: fc.nat(9),
      writeQueueNums: fc.nat(9),
      perm: fc.nat(15),
      topicSysFlag: fc.constant(0),
    }),
    { selector: data => data.brokerName },
  )
  fc.assert(
    fc.property(datas, queueDatas => {
      const route = routeOf({ queueDatas, brokerDatas: queueDatas.map(data => broker(data.brokerName, 0)) })
      for (const { brokerName, perm, readQueueNums, writeQueueNums } of queueDatas) {
        const ids = (queues: { brokerName: string; queueId: number }[]) =>
          queues.filter(queue => queue.brokerName === brokerName).map(queue => queue.queueId)
        const upTo = (count: number) => Array.from({ length: count }, (_, id) => id)
        assert.deepEqual(ids(publishQueues('T', route)), perm & 2 ? upTo(writeQueueNums) : [])
        assert.deepEqual(ids(readQueues('T', route)), perm & 4 ? upTo(readQueueNums) : [])
      }
      assert.equal(sameRoute(route, { ...route, queueDatas: queueDatas.toReversed() }), true)
    }),
  )
})
