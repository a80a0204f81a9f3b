import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Long } from '@gantrymq/remoting'
import fc from 'fast-check'
import { golden } from '../../test/golden.ts'
import { type BrokerData, encodeTopicRoute, type TopicRoute, topicRouteBody } from './topic-route.ts'

const brokerAddrs = new Map<Long, string>([
  [0, '10.0.0.1:10911'],
  [-1, '10.0.0.3:10911'],
  [1, '10.0.0.2:10911'],
  [9007199254740993n, '10.0.0.4:10911'],
])

function broker(brokerName: string): BrokerData {
  return { cluster: 'DefaultCluster', brokerName, brokerAddrs, enableActingMaster: false }
}

function queue(brokerName: string) {
  return { brokerName, perm: 6, readQueueNums: 8, writeQueueNums: 4, topicSysFlag: 0 }
}

/** The route that the golden files hold. */
function javaRoute(orderTopicConf = 'broker-a:4;broker-b:4'): TopicRoute {
  return {
    orderTopicConf,
    queueDatas: [queue('broker-a'), queue('broker-b')],
    brokerDatas: [broker('broker-a'), broker('broker-b')],
    filterServerTable: new Map([
      ['b:1', ['x', 'y']],
      ['a:1', []],
    ]),
  }
}

const mapping = {
  topic: 'T',
  scope: '__global__',
  totalQueues: 8,
  bname: 'broker-a',
  epoch: 1700000000000,
  dirty: false,
  currIdMap: new Map([
    [0, 0],
    [1, 1],
  ]),
}

function mappedRoute(): TopicRoute {
  return {
    ...javaRoute(),
    brokerDatas: [{ ...broker('broker-a'), zoneName: 'z1' }, broker('broker-b')],
    topicQueueMappingByBroker: new Map([['broker-a', mapping]]),
  }
}

function oddText(): string {
  const codes = Array.from({ length: 0xa2 }, (_, code) => code)
  return `${String.fromCharCode(...codes)}\u2028\u2029/\\"'<>\u00e9\u4e2d\u{1f600}\ufffd`
}

test('a route is written with the bytes of 5.5.0, in both dialects', () => {
  for (const [dialect, name] of [
    ['fastjson', 'default'],
    ['standard', 'standard'],
  ] as const) {
    assert.deepEqual(encodeTopicRoute(javaRoute(), dialect), golden('5.5.0', `route-${name}.json`))
    assert.deepEqual(encodeTopicRoute(mappedRoute(), dialect), golden('5.5.0', `route-mapped-${name}.json`))
    const empty = { queueDatas: [], brokerDatas: [], filterServerTable: new Map() }
    assert.deepEqual(encodeTopicRoute(empty, dialect), golden('5.5.0', `route-empty-${name}.json`))
  }
})

test('a route has the escapes of 4.9 in the old dialect and those of 5.5.0 in the standard dialect', () => {
  const old = encodeTopicRoute(javaRoute(oddText()), 'fastjson').toString()
  assert.equal(old.replaceAll(',"enableActingMaster":false', ''), golden('4.9.7', 'route-odd-default.json').toString())
  assert.deepEqual(encodeTopicRoute(javaRoute(oddText()), 'standard'), golden('5.5.0', 'route-odd-standard.json'))
})

test('the bytes of either line are read as the same route', () => {
  for (const line of ['4.9.7', '5.5.0'] as const) {
    for (const name of ['default', 'standard']) {
      assert.deepEqual(topicRouteBody.decode(golden(line, `route-${name}.json`)), {
        ...javaRoute(),
        ...(name === 'standard'
          ? {
              filterServerTable: new Map([
                ['a:1', []],
                ['b:1', ['x', 'y']],
              ]),
            }
          : undefined),
      })
      assert.equal(topicRouteBody.decode(golden(line, `route-odd-${name}.json`)).orderTopicConf, oddText())
    }
  }
  assert.deepEqual(topicRouteBody.decode(golden('5.5.0', 'route-mapped-default.json')), mappedRoute())
})

test('topicSynFlag, the name in old releases, is read as topicSysFlag', () => {
  const text = '{"queueDatas":[{"brokerName":"b","perm":6,"readQueueNums":1,"topicSynFlag":3,"writeQueueNums":1}]}'
  assert.equal(topicRouteBody.decode(Buffer.from(text)).queueDatas[0]?.topicSysFlag, 3)
})

test('the empty body of a topic registration is an empty route', () => {
  const nothing = { queueDatas: [], brokerDatas: [], filterServerTable: new Map() }
  for (const text of ['{}', 'null', '{"queueDatas":null,"brokerDatas":[]}']) {
    assert.deepEqual(topicRouteBody.decode(Buffer.from(text)), nothing)
  }
})

test('a body that is not a route is a typed error', () => {
  for (const text of [
    '[]',
    '7',
    '"x"',
    '{"queueDatas":[7]}',
    '{"brokerDatas":[{"brokerAddrs":{"x":"y"}}]}',
    '{"queueDatas":[{"perm":1e30}]}',
  ]) {
    assert.throws(() => topicRouteBody.decode(Buffer.from(text)), { code: 'BAD_BODY' }, text)
  }
})

const WITH_PROTOTYPE = { noNullPrototype: true } as const

test('a written route is read back unchanged, in both dialects', () => {
  const name = fc.string({ unit: 'grapheme', maxLength: 8 })
  const int = fc.integer()
  const id = fc.oneof(fc.maxSafeInteger(), fc.constantFrom(9007199254740993n, -9223372036854775808n))
  const table = <T>(value: fc.Arbitrary<T>) => fc.array(fc.tuple(name, value)).map(entries => new Map(entries))
  const route = fc.record(
    {
      orderTopicConf: name,
      queueDatas: fc.array(
        fc.record(
          { brokerName: name, readQueueNums: int, writeQueueNums: int, perm: int, topicSysFlag: int },
          WITH_PROTOTYPE,
        ),
      ),
      brokerDatas: fc.array(
        fc.record(
          {
            cluster: name,
            brokerName: name,
            brokerAddrs: fc.array(fc.tuple(id, name)).map(entries => new Map(entries)),
            enableActingMaster: fc.boolean(),
            zoneName: name,
          },
          { ...WITH_PROTOTYPE, requiredKeys: ['cluster', 'brokerName', 'brokerAddrs', 'enableActingMaster'] },
        ),
      ),
      filterServerTable: table(fc.array(name)),
      topicQueueMappingByBroker: table(
        fc.record(
          {
            topic: name,
            scope: name,
            totalQueues: int,
            bname: name,
            epoch: id,
            dirty: fc.boolean(),
            currIdMap: fc.array(fc.tuple(int, int)).map(entries => new Map(entries)),
          },
          WITH_PROTOTYPE,
        ),
      ),
    },
    { ...WITH_PROTOTYPE, requiredKeys: ['queueDatas', 'brokerDatas', 'filterServerTable'] },
  )
  fc.assert(
    fc.property(route, fc.constantFrom('fastjson', 'standard'), (value, dialect) => {
      assert.deepEqual(topicRouteBody.decode(encodeTopicRoute(value, dialect)), value)
    }),
    { numRuns: 200 },
  )
})
