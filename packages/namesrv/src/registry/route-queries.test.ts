import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { finish, type Sliced } from '@gantrymq/remoting'
import { dataVersion, NOW, registration, slave, topicConfig } from '../../test/registrations.ts'
import {
  allTopics,
  brokerMembers,
  brokerNamesOfTopic,
  clusterInfo,
  liveBrokers,
  systemTopics,
  topicsOfCluster,
  unitSubTopics,
  unitSubUnUnitTopics,
  unitTopics,
} from './route-queries.ts'
import { RouteTable } from './route-table.ts'

const namesIn = (found: Sliced<ReadonlySet<string>>) => [...finish(found)]

function twoClusters(): RouteTable {
  const table = new RouteTable()
  table.registerBroker(registration(), NOW)
  table.registerBroker(slave(), NOW)
  const other = { clusterName: 'D', brokerName: 'broker-d', brokerAddr: 'd:10911', peer: 4 }
  table.registerBroker(registration({ ...other, topics: ['T2', 'T3', 'T4'], version: 9 }), NOW + 5)
  return table
}

test('topics by cluster and by broker', () => {
  const table = twoClusters()
  assert.deepEqual(namesIn(allTopics(table)), ['T1', 'T2', 'T3', 'T4'])
  assert.deepEqual(namesIn(topicsOfCluster(table, 'C')), ['T1', 'T2'])
  assert.deepEqual(namesIn(topicsOfCluster(table, 'D')), ['T2', 'T3', 'T4'])
  assert.deepEqual(namesIn(topicsOfCluster(table, 'E')), [])
  assert.deepEqual([...brokerNamesOfTopic(table, 'T2')], ['broker-a', 'broker-d'])
  assert.deepEqual([...brokerNamesOfTopic(table, 'T9')], [])
})

test('system topics are the names of clusters and brokers, with the address of one broker', () => {
  assert.deepEqual(systemTopics(new RouteTable()), { topicList: [] })
  assert.deepEqual(systemTopics(twoClusters()), {
    topicList: ['C', 'broker-a', 'D', 'broker-d'],
    brokerAddr: '10.0.0.1:10911',
  })
})

test('cluster info and member groups', () => {
  const table = twoClusters()
  const { brokerAddrTable, clusterAddrTable } = clusterInfo(table)
  assert.deepEqual(
    [...clusterAddrTable],
    [
      ['C', ['broker-a']],
      ['D', ['broker-d']],
    ],
  )
  assert.deepEqual(
    [...(brokerAddrTable.get('broker-a')?.brokerAddrs ?? [])],
    [
      [0, '10.0.0.1:10911'],
      [1, '10.0.0.2:10911'],
    ],
  )
  assert.deepEqual(brokerMembers(table, 'broker-d'), new Map([[0, 'd:10911']]))
  assert.deepEqual(brokerMembers(table, 'unknown'), new Map())
})

test('live brokers are listed with all their details', () => {
  const views = [...liveBrokers(twoClusters())]
  assert.equal(views.length, 3)
  assert.deepEqual(views[2], {
    cluster: 'D',
    brokerName: 'broker-d',
    brokerId: 0,
    brokerAddr: 'd:10911',
    haServerAddr: '10.0.0.1:10912',
    peer: 4,
    registeredAt: NOW + 5,
    lastUpdate: NOW + 5,
    timeout: 120_000,
    dataVersion: dataVersion(9),
    topicCount: 3,
  })
})

test('topics of brokers that have left are in no list, even before they are dropped', () => {
  const table = twoClusters()
  table.dropPeer(4, NOW)
  assert.equal(table.topics.size, 4)
  assert.deepEqual(namesIn(allTopics(table)), ['T1', 'T2'])
  assert.deepEqual(namesIn(topicsOfCluster(table, 'D')), [])
  assert.deepEqual([...brokerNamesOfTopic(table, 'T2')], ['broker-a'])
  assert.deepEqual([...brokerNamesOfTopic(table, 'T3')], [])
})

test('a topic that comes back while a list is made is in the list once', () => {
  const table = new RouteTable()
  const many = Array.from({ length: 1000 }, (_, i) => `T${i}`)
  table.registerBroker(registration({ topics: many }), NOW)
  const list = allTopics(table)
  list.next()
  table.deleteTopic('T1')
  table.registerTopic('T1', [{ ...topicConfig('T1'), brokerName: 'broker-a' }])
  assert.deepEqual(namesIn(list).toSorted(), many.toSorted())
})

describe('unit topics', () => {
  test('are found by the flags of all brokers, not of one', () => {
    const table = new RouteTable()
    const flags = (values: Record<string, number>) =>
      Object.entries(values).map(([name, topicSysFlag]) => topicConfig(name, { topicSysFlag }))
    table.registerBroker(registration({ topics: flags({ plain: 0, unit: 0, sub: 0, both: 2 }) }), NOW)
    table.registerBroker(
      registration({ brokerName: 'b', brokerAddr: 'b', topics: flags({ plain: 0, unit: 1, sub: 2, both: 1 }) }),
      NOW,
    )
    assert.deepEqual(namesIn(unitTopics(table)), ['unit', 'both'])
    assert.deepEqual(namesIn(unitSubTopics(table)), ['sub', 'both'])
    assert.deepEqual(namesIn(unitSubUnUnitTopics(table)), ['sub'])
  })
})
