import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { BrokerData, TopicRoute } from '@gantrymq/protocol'
import { filterByZone, zoneAskedFor } from './zone-filter.ts'

function broker(brokerName: string, brokerAddrs: [number, string][], zoneName?: string): BrokerData {
  return {
    cluster: 'C',
    brokerName,
    brokerAddrs: new Map(brokerAddrs),
    enableActingMaster: false,
    ...(zoneName !== undefined && { zoneName }),
  }
}

function routeOf(...brokerDatas: BrokerData[]): TopicRoute {
  return {
    orderTopicConf: 'a:4',
    brokerDatas,
    queueDatas: brokerDatas.map(({ brokerName }) => ({
      brokerName,
      readQueueNums: 4,
      writeQueueNums: 4,
      perm: 6,
      topicSysFlag: 0,
    })),
    filterServerTable: new Map(
      brokerDatas.flatMap(({ brokerAddrs }) => [...brokerAddrs.values()].map(addr => [addr, ['f']])),
    ),
    topicQueueMappingByBroker: new Map(),
  }
}

describe('the zone asked for', () => {
  const cases: [Record<string, string> | null, string | undefined][] = [
    [null, undefined],
    [{}, undefined],
    [{ __ZONE_NAME: 'z1' }, undefined],
    [{ __ZONE_MODE: 'false', __ZONE_NAME: 'z1' }, undefined],
    [{ __ZONE_MODE: 'true' }, undefined],
    [{ __ZONE_MODE: 'true', __ZONE_NAME: ' ' }, undefined],
    [{ __ZONE_MODE: 'TRUE', __ZONE_NAME: 'z1' }, 'z1'],
  ]
  for (const [fields, zone] of cases) {
    test(`of ${JSON.stringify(fields)} is ${zone}`, () => {
      assert.equal(zoneAskedFor(fields && new Map(Object.entries(fields))), zone)
    })
  }
})

describe('a route narrowed to a zone', () => {
  const near = broker('near', [[0, 'n0']], 'Z1')
  const far = broker(
    'far',
    [
      [0, 'f0'],
      [1, 'f1'],
    ],
    'z2',
  )
  const nowhere = broker('nowhere', [[0, 'w0']])
  const orphaned = broker('orphaned', [[1, 'o1']], 'z2')

  test('keeps the zone in any case and groups without a master, and drops others with queues and filter servers', () => {
    const route = routeOf(near, far, nowhere, orphaned)
    const narrowed = filterByZone(route, 'z1')
    assert.deepEqual(narrowed.brokerDatas, [near, orphaned])
    assert.deepEqual(
      narrowed.queueDatas.map(queues => queues.brokerName),
      ['near', 'orphaned'],
    )
    assert.deepEqual([...narrowed.filterServerTable.keys()], ['n0', 'o1'])
    assert.equal(narrowed.topicQueueMappingByBroker, route.topicQueueMappingByBroker)
    assert.equal(narrowed.orderTopicConf, 'a:4')
    assert.equal(route.brokerDatas.length, 4)
  })

  test('is the same object if nothing is dropped', () => {
    const route = routeOf(near, orphaned)
    assert.equal(filterByZone(route, 'Z1'), route)
  })

  test('may be empty', () => {
    const narrowed = filterByZone(routeOf(far, nowhere), 'z3')
    assert.deepEqual([narrowed.brokerDatas, narrowed.queueDatas, narrowed.filterServerTable.size], [[], [], 0])
  })
})
