import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  dataVersion,
  droppedTopics,
  headOf,
  identityOf,
  NOW,
  registration,
  shown,
  slave,
  topicConfig,
  topicNames,
} from '../../test/registrations.ts'
import { brokerMembers, brokerNamesOf, clusterInfo, liveBrokers } from './route-queries.ts'
import { RouteTable } from './route-table.ts'

function register(table: RouteTable, fields: Parameters<typeof registration>[0] = {}) {
  const outcome = table.registerBroker(registration(fields), NOW)
  assert.ok(outcome.result !== 'ignored')
  return outcome
}

describe('a registration', () => {
  test('makes brokers, cluster, topics and routes known', () => {
    const table = new RouteTable()
    const outcome = register(table, {
      topics: ['T1', topicConfig('T2', { perm: 4, readQueueNums: 3, topicSysFlag: 1 })],
    })
    assert.equal(outcome.result, 'new')
    assert.deepEqual(outcome.added, ['T1', 'T2'])
    assert.equal(outcome.masterAddr, undefined)
    assert.deepEqual(topicNames(table), ['T1', 'T2'])
    assert.deepEqual(clusterInfo(table).clusterAddrTable, new Map([['C', ['broker-a']]]))
    assert.deepEqual(table.routeOf('T2'), {
      queueDatas: [{ brokerName: 'broker-a', readQueueNums: 3, writeQueueNums: 8, perm: 4, topicSysFlag: 1 }],
      brokerDatas: [
        {
          cluster: 'C',
          brokerName: 'broker-a',
          brokerAddrs: new Map([[0, '10.0.0.1:10911']]),
          enableActingMaster: false,
        },
      ],
      filterServerTable: new Map(),
    })
    assert.equal(table.routeOf('T3'), undefined)
  })

  test('of a slave returns the master and its replication address', () => {
    const table = new RouteTable()
    register(table)
    const outcome = table.registerBroker(slave(), NOW)
    assert.ok(outcome.result === 'new')
    assert.equal(outcome.masterAddr, '10.0.0.1:10911')
    assert.equal(outcome.haServerAddr, '10.0.0.1:10912')
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.1,1:10.0.0.2}6')
  })

  test('of a slave without a master returns no master', () => {
    const outcome = new RouteTable().registerBroker(slave(), NOW)
    assert.ok(outcome.result === 'new')
    assert.equal(outcome.masterAddr, undefined)
  })

  test('of three groups of three brokers shows every address and every setting', () => {
    const table = new RouteTable()
    const topics = Array.from({ length: 10 }, (_, i) =>
      topicConfig(`T${i}`, { readQueueNums: i, perm: 6, topicSysFlag: i }),
    )
    for (const group of ['a', 'b', 'c']) {
      for (const brokerId of [0, 1, 2]) {
        register(table, { brokerName: `broker-${group}`, brokerAddr: `${group}${brokerId}`, brokerId, topics })
      }
    }
    assert.deepEqual(brokerNamesOf(table, 'C'), ['broker-a', 'broker-b', 'broker-c'])
    for (let i = 0; i < 10; i++) {
      const route = table.routeOf(`T${i}`)
      assert.deepEqual(
        route?.brokerDatas.map(({ brokerAddrs }) => [...brokerAddrs.values()]),
        ['a', 'b', 'c'].map(group => [0, 1, 2].map(id => `${group}${id}`)),
      )
      for (const queues of route.queueDatas) assert.deepEqual([queues.readQueueNums, queues.topicSysFlag], [i, i])
    }
  })

  test('with a new data version changes settings, and reports which', () => {
    const table = new RouteTable()
    register(table)
    const outcome = register(table, { version: 2, topics: ['T1', topicConfig('T2', { perm: 4 }), 'T3'] })
    assert.equal(outcome.result, 'changed')
    assert.deepEqual(outcome.added, ['T3'])
    assert.deepEqual(
      outcome.changed.map(({ topic, before, after }) => [topic, before.perm, after.perm]),
      [['T2', 6, 4]],
    )
  })

  test('that no longer lists a topic keeps it', () => {
    const table = new RouteTable()
    register(table)
    register(table, { version: 2, topics: ['T2', 'T3'] })
    assert.deepEqual(topicNames(table), ['T1', 'T2', 'T3'])
  })

  test('without topics counts as one with data version 0', () => {
    const table = new RouteTable()
    register(table, { topics: [], version: 0 })
    assert.deepEqual(table.queryDataVersion('C', '10.0.0.1:10911', dataVersion(0), NOW, 1), {
      changed: false,
      stored: dataVersion(0),
    })
    assert.deepEqual(brokerMembers(table, 'broker-a'), new Map([[0, '10.0.0.1:10911']]))
  })

  test('keeps 64-bit and negative broker ids exactly', () => {
    const table = new RouteTable()
    register(table, { brokerId: -1, brokerAddr: 'minus' })
    register(table, { brokerId: 9007199254740993n, brokerAddr: 'huge' })
    register(table, { brokerId: 0, brokerAddr: 'master' })
    assert.deepEqual(
      [...brokerMembers(table, 'broker-a')],
      [
        [-1, 'minus'],
        [0, 'master'],
        [9007199254740993n, 'huge'],
      ],
    )
  })

  test('accepts names like __proto__', () => {
    const table = new RouteTable()
    for (const name of ['__proto__', 'constructor', 'hasOwnProperty']) {
      register(table, { clusterName: name, brokerName: name, brokerAddr: name, topics: [name, 'T'] })
      assert.equal(shown(table, name), `${name}{0:${name}}6`)
    }
    assert.equal(Object.hasOwn(Object.prototype, 'perm'), false)
    assert.equal(table.routeOf('toString'), undefined)
  })
})

describe('the topics that count', () => {
  const cases = [
    { who: 'a slave of 4.9, alone', enableActingMaster: undefined, route: undefined },
    { who: 'a slave of 5.x, alone, acting master off', enableActingMaster: false, route: 'broker-a{1:10.0.0.2}6' },
    { who: 'a slave of 5.x, alone, acting master on', enableActingMaster: true, route: 'broker-a{1:10.0.0.2}4' },
  ]
  for (const { who, enableActingMaster, route } of cases) {
    test(`${who}: ${route ?? 'no topics'}`, () => {
      const table = new RouteTable()
      table.registerBroker(slave({ enableActingMaster }), NOW)
      assert.equal(shown(table, 'T1'), route)
      assert.equal(brokerMembers(table, 'broker-a').get(1), '10.0.0.2:10911')
    })
  }

  test('of two slaves: only those of the one with the lower id', () => {
    const table = new RouteTable()
    table.registerBroker(slave({ enableActingMaster: false, topics: ['T1', 'T2'] }), NOW)
    table.registerBroker(
      slave({ enableActingMaster: false, brokerId: 2, brokerAddr: '10.0.0.3:10911', topics: ['T3', 'T4'] }),
      NOW,
    )
    assert.deepEqual(topicNames(table), ['T1', 'T2'])
  })

  test('a slave of 5.x that registered beside a master adds the missing topics when the master is gone', () => {
    const table = new RouteTable()
    register(table, { enableActingMaster: false })
    const more = slave({ enableActingMaster: false, topics: ['T1', 'T2', 'T3'] })
    table.registerBroker(more, NOW)
    assert.equal(table.routeOf('T3'), undefined)
    table.unregister([identityOf(registration())])
    table.registerBroker(more, NOW)
    assert.equal(shown(table, 'T3'), 'broker-a{1:10.0.0.2}6')
  })
})

describe('an id or an address that another broker takes', () => {
  test('a master that comes back at another address takes the id, and the old address is removed', () => {
    const table = new RouteTable()
    register(table, { peer: 1 })
    const outcome = register(table, { brokerAddr: '10.0.0.9:10911', peer: 9 })
    assert.deepEqual(
      outcome.replaced?.brokers.map(broker => broker.brokerAddr),
      ['10.0.0.1:10911'],
    )
    assert.deepEqual(outcome.replaced?.freePeers, [1])
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.9}6')
    assert.equal(table.heartbeat('C', '10.0.0.1:10911', NOW, 1), false)
    assert.deepEqual(table.expire(NOW + 119_999).brokers, [])
    assert.equal([...liveBrokers(table)].length, 1)
  })

  test('a master that becomes a slave at the same address keeps its topics and their permission', () => {
    const table = new RouteTable()
    register(table)
    register(table, { brokerId: 3 })
    assert.equal(shown(table, 'T1'), 'broker-a{3:10.0.0.1}6')
    assert.equal([...liveBrokers(table)].length, 1)
  })

  test('a slave that becomes the master is shown as the master', () => {
    const table = new RouteTable()
    register(table)
    table.registerBroker(slave(), NOW)
    table.registerBroker(slave({ brokerId: 0 }), NOW)
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.2}6')
  })

  test('roles are swapped: master gone, slave promoted, old master back as slave', () => {
    const table = new RouteTable()
    register(table)
    table.registerBroker(slave(), NOW)
    table.unregister([identityOf(registration())])
    assert.equal(shown(table, 'T1'), 'broker-a{1:10.0.0.2}6')
    table.registerBroker(slave({ brokerId: 0, version: 2 }), NOW)
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.2}6')
    register(table, { brokerId: 1, version: 1 })
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.2,1:10.0.0.1}6')
  })

  test('an address that registers under another name leaves its old one', () => {
    const table = new RouteTable()
    register(table)
    const outcome = register(table, { brokerName: 'broker-b' })
    assert.deepEqual(outcome.replaced?.brokerNames, ['broker-a'])
    assert.equal(shown(table, 'T1'), 'broker-b{0:10.0.0.1}6')
    assert.deepEqual(brokerNamesOf(table, 'C'), ['broker-b'])
  })

  test('a name in two clusters is listed in both, with the first as its cluster, and each keeps its data version', () => {
    const table = new RouteTable()
    register(table, { version: 1 })
    register(table, { clusterName: 'D', version: 2 })
    assert.deepEqual(
      clusterInfo(table).clusterAddrTable,
      new Map([
        ['C', ['broker-a']],
        ['D', ['broker-a']],
      ]),
    )
    assert.equal(table.routeOf('T1')?.brokerDatas[0]?.cluster, 'C')
    table.unregister([identityOf(registration({ clusterName: 'D' }))])
    assert.equal(table.queryDataVersion('C', '10.0.0.1:10911', dataVersion(1), NOW, 1).changed, false)
    assert.equal(table.queryDataVersion('D', '10.0.0.1:10911', dataVersion(2), NOW, 1).changed, true)
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.1}6')
    assert.deepEqual(clusterInfo(table).clusterAddrTable, new Map([['C', ['broker-a']]]))
  })

  test('a name whose first cluster is gone belongs to the remaining one', () => {
    const table = new RouteTable()
    register(table)
    register(table, { clusterName: 'D' })
    table.unregister([identityOf(registration())])
    assert.equal(table.routeOf('T1')?.brokerDatas[0]?.cluster, 'D')
  })

  test('a deposed master with a lower stateVersion is ignored and leaves no trace', () => {
    const table = new RouteTable()
    register(table, { stateVersion: 5, zoneName: 'z1' })
    const { epoch } = table
    const before = [...liveBrokers(table)]
    const old = registration({ brokerAddr: '10.0.0.9:10911', stateVersion: 4, zoneName: 'z2', topics: ['T9', 'T8'] })
    assert.equal(table.needsTopics(headOf(old)), false)
    assert.deepEqual(table.registerBroker(old, NOW), {
      result: 'ignored',
      holderAddr: '10.0.0.1:10911',
      holderStateVersion: 5,
    })
    assert.deepEqual([...liveBrokers(table)], before)
    assert.equal(table.epoch, epoch)
    assert.deepEqual(topicNames(table), ['T1', 'T2'])
  })

  test('an equal or higher stateVersion takes the id', () => {
    const table = new RouteTable()
    register(table, { stateVersion: 5 })
    register(table, { brokerAddr: '10.0.0.9:10911', stateVersion: 5 })
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.9}6')
  })
})

describe('a data version', () => {
  const ask = (table: RouteTable, version: number) =>
    table.queryDataVersion('C', '10.0.0.1:10911', dataVersion(version), NOW, 1)

  test('is changed for an unknown broker, without a stored one', () => {
    assert.deepEqual(ask(new RouteTable(), 1), { changed: true })
  })

  test('is unchanged only if state version, time and counter are equal', () => {
    const table = new RouteTable()
    register(table, { version: 1 })
    assert.deepEqual(ask(table, 1), { changed: false, stored: dataVersion(1) })
    assert.deepEqual(ask(table, 2), { changed: true, stored: dataVersion(1) })
    const other = { ...dataVersion(1), timestamp: NOW + 1 }
    assert.equal(table.queryDataVersion('C', '10.0.0.1:10911', other, NOW, 1).changed, true)
    assert.equal(table.queryDataVersion('C', '10.0.0.1:10911', undefined, NOW, 1).changed, true)
    assert.equal(table.queryDataVersion('D', '10.0.0.1:10911', dataVersion(1), NOW, 1).changed, true)
  })

  test('that stays the same lets registrations skip their topics from the third on', () => {
    const table = new RouteTable()
    const again = registration()
    for (const needed of [true, true, false, false]) {
      assert.equal(table.needsTopics(headOf(again)), needed)
      table.registerBroker(again, NOW)
    }
  })

  test('of an increment does not count as fully known: the next full registration is read', () => {
    const table = new RouteTable()
    register(table, { topics: ['T1', 'T2'], version: 1 })
    register(table, { topics: ['T1', 'T2'], version: 1 })
    // The increment with T3 (version 2) got lost.
    register(table, { topics: ['T4'], version: 3 })
    register(table, { topics: ['T1', 'T2', 'T3', 'T4'], version: 3 })
    assert.deepEqual(topicNames(table).sort(), ['T1', 'T2', 'T3', 'T4'])
  })

  test('of an increment that arrives twice still does not count as fully known', () => {
    const table = new RouteTable()
    for (let i = 0; i < 3; i++) register(table, { topics: ['T4'], version: 3 })
    register(table, { topics: ['T1', 'T2', 'T4'], version: 3 })
    assert.deepEqual(topicNames(table).sort(), ['T1', 'T2', 'T4'])
  })

  test('that arrives in parts does not count as known before a part adds nothing', () => {
    const table = new RouteTable()
    const parts = ['AB', 'CD', 'EF', 'GH'].map(part => [...part])
    for (const topics of parts) register(table, { topics, version: 7 })
    assert.deepEqual(topicNames(table).join(''), 'ABCDEFGH')
  })

  test('of a first registration with one topic is not remembered, but its topic is', () => {
    const table = new RouteTable()
    register(table, { topics: ['T1'], version: 3 })
    assert.deepEqual(topicNames(table), ['T1'])
    assert.deepEqual(ask(table, 3), { changed: true })
    register(table, { topics: ['T1', 'T2'], version: 3 })
    assert.deepEqual(topicNames(table), ['T1', 'T2'])
    assert.equal(ask(table, 3).changed, false)
  })

  test('stays unknown after two increments that follow a restart, until the full registration', () => {
    const table = new RouteTable()
    register(table, { topics: ['T1'], version: 3 })
    register(table, { topics: ['T2'], version: 4 })
    assert.equal(ask(table, 4).changed, true)
    register(table, { topics: ['T0', 'T1', 'T2'], version: 4 })
    assert.deepEqual(topicNames(table).sort(), ['T0', 'T1', 'T2'])
  })
})

describe('permissions and deletions that do not come from the broker', () => {
  test('a wiped permission survives heartbeats and registrations with the same version, but not a new version', () => {
    const table = new RouteTable()
    register(table)
    assert.equal(table.wipeWritePermission('broker-a'), 2)
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.1}4')
    assert.equal(table.wipeWritePermission('broker-a'), 2)
    table.heartbeat('C', '10.0.0.1:10911', NOW, 1)
    for (let i = 0; i < 3; i++) register(table)
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.1}4')
    register(table, { version: 2 })
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.1}6')
  })

  test('adding the write permission sets 6, whatever it was before', () => {
    const table = new RouteTable()
    register(table, { topics: [topicConfig('T1', { perm: 4 }), topicConfig('T2', { perm: 13 })] })
    assert.equal(table.addWritePermission('broker-a'), 2)
    assert.deepEqual([shown(table, 'T1'), shown(table, 'T2')], Array(2).fill('broker-a{0:10.0.0.1}6'))
  })

  test('an unknown broker name has no topics to change', () => {
    const table = new RouteTable()
    assert.equal(table.wipeWritePermission('unknown'), 0)
    assert.equal(table.addWritePermission('unknown'), 0)
  })

  test('a deleted topic has no route, and comes back with the next registration of a broker that has it', () => {
    const table = new RouteTable()
    for (let i = 0; i < 3; i++) register(table)
    table.wipeWritePermission('broker-a')
    assert.deepEqual(table.deleteTopic('T1'), { brokerNames: ['broker-a'], gone: true })
    assert.equal(table.routeOf('T1'), undefined)
    assert.equal(table.needsTopics(headOf(registration())), true)
    const outcome = register(table)
    assert.equal(outcome.result, 'unchanged')
    assert.deepEqual(outcome.added, ['T1'])
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.1}6')
    assert.equal(shown(table, 'T2'), 'broker-a{0:10.0.0.1}4')
    register(table)
    assert.equal(table.needsTopics(headOf(registration())), false)
  })

  test('a topic deleted from one cluster stays in the other', () => {
    const table = new RouteTable()
    register(table)
    register(table, { clusterName: 'D', brokerName: 'broker-d', brokerAddr: 'd:10911' })
    assert.deepEqual(table.deleteTopic('T1', 'C'), { brokerNames: ['broker-a'], gone: false })
    assert.equal(shown(table, 'T1'), 'broker-d{0:d}6')
    assert.deepEqual(table.deleteTopic('T1', 'D'), { brokerNames: ['broker-d'], gone: true })
    assert.equal(table.routeOf('T1'), undefined)
  })

  test('deleting what is not there does nothing', () => {
    const table = new RouteTable()
    register(table)
    const { epoch } = table
    assert.deepEqual(table.deleteTopic('nothing'), { brokerNames: [], gone: false })
    assert.deepEqual(table.deleteTopic('T1', 'nowhere'), { brokerNames: [], gone: false })
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.1}6')
    assert.equal(table.epoch, epoch)
  })

  test('with deleteTopicWithBrokerRegistration, a topic that a broker no longer lists is deleted from this broker only', () => {
    const table = new RouteTable({ deleteTopicWithBrokerRegistration: true })
    register(table)
    register(table, { brokerName: 'broker-b', brokerAddr: '10.0.0.5:10911' })
    const outcome = register(table, { version: 2, topics: ['T2', 'T3'] })
    assert.deepEqual(outcome.deleted, [{ topic: 'T1', gone: false }])
    assert.equal(shown(table, 'T1'), 'broker-b{0:10.0.0.5}6')
    assert.deepEqual(register(table, { version: 3, topics: ['T2', 'T4'] }).deleted, [{ topic: 'T3', gone: true }])
  })

  test('with it, a topic that the master does not list comes back with the slave that has it, once the slave counts', () => {
    const table = new RouteTable({ deleteTopicWithBrokerRegistration: true })
    const prime = slave({ enableActingMaster: false })
    for (let i = 0; i < 3; i++) table.registerBroker(prime, NOW)
    register(table, { enableActingMaster: false, topics: ['T2', 'T3'] })
    assert.deepEqual(topicNames(table), ['T2', 'T3'])
    table.unregister([identityOf(registration())])
    table.registerBroker(prime, NOW)
    assert.deepEqual(topicNames(table), ['T2', 'T1'])
  })

  test('with it, a body with static topics deletes nothing', () => {
    const table = new RouteTable({ deleteTopicWithBrokerRegistration: true })
    register(table)
    const info = mapping('T2', 'broker-a')
    assert.deepEqual(register(table, { version: 2, topics: ['T2', 'T3'], mappings: [info] }).deleted, [])
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.1}6')
  })

  test('switching it on takes effect with the next registration, changed or not', () => {
    const table = new RouteTable()
    register(table)
    for (let i = 0; i < 3; i++) register(table, { version: 2, topics: ['T1', 'T3'] })
    table.configure({ deleteTopicWithBrokerRegistration: true })
    assert.deepEqual(register(table, { version: 2, topics: ['T1', 'T3'] }).deleted, [{ topic: 'T2', gone: true }])
  })
})

describe('a topic registered with REGISTER_TOPIC_IN_NAMESRV (217)', () => {
  const queues = (brokerName: string) => ({
    brokerName,
    readQueueNums: 4,
    writeQueueNums: 4,
    perm: 6,
    topicSysFlag: 0,
  })

  test('needs brokers that exist, and stores all or nothing', () => {
    const table = new RouteTable()
    assert.deepEqual(table.registerTopic('S', [queues('broker-a')]), {
      result: 'illegal-broker',
      brokerName: 'broker-a',
    })
    assert.equal(table.routeOf('S'), undefined)
    register(table)
    assert.deepEqual(table.registerTopic('S', [queues('broker-a')]), { result: 'new' })
    assert.equal(table.routeOf('S')?.queueDatas[0]?.readQueueNums, 4)
    register(table, { brokerName: 'broker-b', brokerAddr: '10.0.0.5:10911' })
    assert.equal(table.registerTopic('S', [queues('broker-b'), queues('unknown')]).result, 'illegal-broker')
    assert.equal(shown(table, 'S'), 'broker-a{0:10.0.0.1}6')
    assert.deepEqual(table.registerTopic('S', [queues('broker-b')]), { result: 'exists' })
    assert.equal(shown(table, 'S'), 'broker-a{0:10.0.0.1}6 broker-b{0:10.0.0.5}6')
    assert.deepEqual(table.registerTopic('S', []), { result: 'empty' })
  })

  test('is deleted by a full registration that does not list it, if that is switched on, and with its broker', () => {
    const table = new RouteTable({ deleteTopicWithBrokerRegistration: true })
    for (let i = 0; i < 3; i++) register(table)
    table.registerTopic('S', [queues('broker-a')])
    assert.deepEqual(register(table).deleted, [{ topic: 'S', gone: true }])
    table.registerTopic('S', [queues('broker-a')])
    register(table, { version: 2, topics: ['T1', 'T2', 'S'] })
    assert.equal(shown(table, 'S'), 'broker-a{0:10.0.0.1}6')
    table.unregister([identityOf(registration())])
    assert.deepEqual(topicNames(table), [])
  })
})

function mapping(topic: string, bname: string) {
  return { topic, bname, scope: '__global__', totalQueues: 2, epoch: 1, dirty: false, currIdMap: new Map([[0, 0]]) }
}

describe('static topics', () => {
  test('are shown with their route and forgotten with the topic', () => {
    const table = new RouteTable()
    const info = mapping('T1', 'broker-a')
    register(table, { mappings: [info] })
    assert.deepEqual(table.routeOf('T1')?.topicQueueMappingByBroker, new Map([['broker-a', info]]))
    assert.equal(table.routeOf('T2')?.topicQueueMappingByBroker, undefined)
    table.deleteTopic('T1')
    register(table, { version: 2, topics: ['T1', 'T2'] })
    assert.equal(table.routeOf('T1')?.topicQueueMappingByBroker, undefined)
  })

  test('come back with their deleted topic, and go with their broker', () => {
    const table = new RouteTable()
    const again = { mappings: [mapping('T1', 'broker-a')] }
    for (let i = 0; i < 3; i++) register(table, again)
    table.deleteTopic('T1')
    register(table, again)
    assert.equal(table.routeOf('T1')?.topicQueueMappingByBroker?.size, 1)
    register(table, { brokerName: 'broker-b', brokerAddr: '10.0.0.5:10911' })
    table.unregister([identityOf(registration())])
    assert.equal(table.routeOf('T1')?.topicQueueMappingByBroker, undefined)
  })

  test('of another broker name or an unknown topic are not stored', () => {
    const table = new RouteTable()
    register(table, { mappings: [mapping('T1', 'broker-b'), mapping('T9', 'broker-a')] })
    assert.equal(table.routeOf('T1')?.topicQueueMappingByBroker, undefined)
    assert.equal(table.routeOf('T9'), undefined)
  })
})

describe('filter servers', () => {
  const shownServers = (table: RouteTable) => table.routeOf('T1')?.filterServerTable.get('10.0.0.1:10911')

  test('are stored, kept when not mentioned, and removed when empty', () => {
    const table = new RouteTable()
    register(table, { filterServers: ['f1', 'f2'] })
    assert.deepEqual(shownServers(table), ['f1', 'f2'])
    register(table, { filterServers: null })
    assert.deepEqual(shownServers(table), ['f1', 'f2'])
    register(table, { filterServers: [] })
    assert.equal(shownServers(table), undefined)
  })

  test('change the epoch only when they differ', () => {
    const table = new RouteTable()
    register(table, { filterServers: ['f1'] })
    const { epoch } = table
    register(table, { filterServers: ['f1'] })
    assert.equal(table.epoch, epoch)
    register(table, { filterServers: ['f2'] })
    assert.ok(table.epoch > epoch)
  })
})

describe('the epoch and revision that a cached route is checked by', () => {
  test('heartbeats, version queries and unchanged registrations change neither epoch nor revision', () => {
    const table = new RouteTable()
    register(table)
    const topic = table.topic('T1')
    const stamps = [table.epoch, topic?.revision]
    table.heartbeat('C', '10.0.0.1:10911', NOW + 1, 7)
    table.queryDataVersion('C', '10.0.0.1:10911', dataVersion(9), NOW + 2, 8)
    for (let i = 0; i < 3; i++) register(table)
    register(table, { version: 2 })
    assert.equal(table.topic('T1'), topic)
    assert.deepEqual([table.epoch, topic?.revision], stamps)
  })

  test('one changed topic changes its own revision only', () => {
    const table = new RouteTable()
    register(table)
    const stamps = () => [table.epoch, table.topic('T1')?.revision, table.topic('T2')?.revision] as const
    const before = stamps()
    register(table, { version: 2, topics: ['T1', topicConfig('T2', { perm: 4 })] })
    const after = stamps()
    assert.deepEqual(after.slice(0, 2), before.slice(0, 2))
    assert.ok((after[2] ?? 0) > (before[2] ?? 0))
  })

  test('a removed topic has a new revision, and is another object when it is back', () => {
    const table = new RouteTable()
    register(table)
    const topic = table.topic('T1')
    const revision = topic?.revision ?? 0
    const { epoch } = table
    table.unregister([identityOf(registration())])
    assert.equal(table.topic('T1'), undefined)
    assert.ok(table.epoch > epoch)
    droppedTopics(table)
    assert.ok((topic?.revision ?? 0) > revision)
    register(table)
    assert.notEqual(table.topic('T1'), topic)
  })

  test('a new slave, its departure, a zone and an option change the epoch', () => {
    const table = new RouteTable()
    register(table)
    let { epoch } = table
    const changes = [
      () => table.registerBroker(slave(), NOW),
      () => table.unregister([identityOf(slave())]),
      () => register(table, { zoneName: 'z' }),
      () => register(table, { enableActingMaster: true, zoneName: 'z' }),
      () => table.configure({ supportActingMaster: true }),
    ]
    for (const change of changes) {
      change()
      assert.ok(table.epoch > epoch, String(change))
      epoch = table.epoch
    }
  })
})

describe('limits', () => {
  const limits = {
    maxNameLength: 10,
    maxTopicsPerRegistration: 3,
    maxBrokers: 2,
    maxBrokersPerConnection: 2,
    maxBrokersPerAddress: 2,
  }
  const table = (given: Partial<typeof limits> = {}) => new RouteTable({ limits: { ...limits, ...given } })
  const fields = { clusterName: 'C', brokerName: 'b', brokerAddr: 'a:1', haServerAddr: 'a:2' }
  const mapping = {
    topic: 'T1',
    bname: 'b',
    scope: '__global__',
    totalQueues: 8,
    epoch: 1,
    dirty: false,
    currIdMap: new Map([[0, 0]]),
  }

  const cases = [
    { what: 'an empty topic name', change: { topics: ['T1', ''] }, message: /the topic name is empty/ },
    {
      what: 'a long topic name',
      change: { topics: ['T1', 'x'.repeat(11)] },
      message: /11 bytes, the limit is 10.*x{11}/,
    },
    { what: 'a control character', change: { topics: ['T1', 'a\nb'] }, message: /control character: "a\\nb"/ },
    { what: 'too many topics', change: { topics: [...'ABCD'] }, message: /4 topics .* limit is 3/ },
    { what: 'an empty address', change: { brokerAddr: '' }, message: /brokerAddr is empty/ },
    { what: 'an empty broker name', change: { brokerName: '' }, message: /brokerName is empty/ },
    { what: 'a long cluster name', change: { clusterName: 'x'.repeat(11) }, message: /clusterName has 11/ },
    { what: 'four letters of three bytes', change: { brokerName: '中中中中' }, message: /brokerName has 12 bytes/ },
    { what: 'a long HA address', change: { haServerAddr: 'x'.repeat(11) }, message: /haServerAddr has 11 bytes/ },
    { what: 'a long zone', change: { zoneName: 'z'.repeat(11) }, message: /zoneName has 11 bytes/ },
    { what: 'a zone with a line break', change: { zoneName: 'z\n' }, message: /zoneName has a control character/ },
    {
      what: 'a long filter server',
      change: { filterServers: ['f:1', 'f'.repeat(11)] },
      message: /a filter server has 11 bytes, the limit is 10: "f{11}"/,
    },
    {
      what: 'too many filter servers',
      change: { filterServers: Array.from({ length: 257 }, () => 'f:1') },
      message: /257 filter servers of one broker, the limit is 256/,
    },
    {
      what: 'a static topic with a long scope',
      change: { mappings: [{ ...mapping, scope: 's'.repeat(11) }] },
      message: /a static topic has a name that has 11 bytes/,
    },
    {
      what: 'a static topic with too many queues',
      change: { mappings: [{ ...mapping, currIdMap: new Map(Array.from({ length: 16_385 }, (_, i) => [i, i])) }] },
      message: /the static topic "T1" has 16385 queues, the limit is 16384/,
    },
    {
      what: 'too many static topics',
      change: { mappings: [...'ABCD'].map(topic => ({ ...mapping, topic })) },
      message: /4 static topics in one registration, the limit is 3/,
    },
  ]
  for (const { what, change, message } of cases) {
    test(`a registration with ${what} is refused as a whole`, () => {
      const limited = table()
      assert.throws(() => limited.registerBroker(registration({ ...fields, ...change }), NOW), {
        name: 'RegistrationRefused',
        message,
      })
      assert.equal(limited.brokers.size, 0)
      assert.deepEqual(clusterInfo(limited), { brokerAddrTable: new Map(), clusterAddrTable: new Map() })
      assert.deepEqual(topicNames(limited), [])
    })
  }

  test('a broker beyond the limit is refused, and registered ones may register again', () => {
    const limited = table()
    for (const brokerAddr of ['a:1', 'a:2']) {
      limited.registerBroker(registration({ ...fields, brokerName: brokerAddr, brokerAddr }), NOW)
    }
    assert.throws(() => limited.registerBroker(registration({ ...fields, brokerAddr: 'a:3' }), NOW), {
      code: 'TOO_MANY_BROKERS',
    })
    limited.registerBroker(registration({ ...fields, brokerName: 'a:1', brokerAddr: 'a:1' }), NOW)
    assert.equal(limited.brokers.size, 2)
  })

  test('names of exactly the limit, an empty zone and an empty HA address are accepted', () => {
    const limited = table()
    const ten = 'x'.repeat(10)
    const exact = { clusterName: ten, brokerName: ten, brokerAddr: ten, haServerAddr: '', zoneName: '' }
    limited.registerBroker(registration({ ...exact, topics: [ten], filterServers: [ten] }), NOW)
    assert.equal(limited.brokers.size, 1)
  })

  test('a connection registers no more brokers than allowed, while others register, and its departure makes room', () => {
    const limited = table({ maxBrokers: 10, maxBrokersPerAddress: 10 })
    const registerAt = (brokerAddr: string, peer: number) =>
      limited.registerBroker(registration({ ...fields, brokerName: brokerAddr, brokerAddr, peer }), NOW)
    registerAt('a:1', 1)
    registerAt('a:2', 1)
    assert.throws(() => registerAt('a:3', 1), {
      code: 'TOO_MANY_BROKERS',
      message: 'this connection has registered 2 brokers, which is the limit (maxBrokersPerConnection)',
    })
    registerAt('a:1', 1)
    registerAt('a:3', 2)
    assert.equal(limited.brokers.size, 3)
    limited.unregister([identityOf(registration({ ...fields, brokerName: 'a:1' }))], 1)
    registerAt('a:4', 1)
  })

  test('the connections from one address register no more brokers than allowed, however they reconnect', () => {
    const limited = table({ maxBrokers: 100 })
    let peer = 0
    const registerAt = (brokerAddr: string, host: string) =>
      limited.registerBroker(registration({ ...fields, brokerName: brokerAddr, brokerAddr, host, peer: ++peer }), NOW)
    for (let i = 0; i < 5; i++) {
      registerAt('a:1', '10.0.0.1')
      registerAt('a:2', '10.0.0.1')
    }
    assert.throws(() => registerAt('a:3', '10.0.0.1'), {
      code: 'TOO_MANY_BROKERS',
      message: '2 brokers are registered from 10.0.0.1, which is the limit (maxBrokersPerAddress)',
    })
    registerAt('a:3', '10.0.0.2')
    // A broker that comes back from another address frees its former one.
    registerAt('a:2', '10.0.0.2')
    registerAt('a:4', '10.0.0.1')
    limited.unregister([identityOf(registration({ ...fields, brokerName: 'a:4', brokerAddr: 'a:4' }))])
    registerAt('a:5', '10.0.0.1')
    assert.throws(() => registerAt('a:6', '10.0.0.1'), { code: 'TOO_MANY_BROKERS' })
  })

  test('a topic registered with REGISTER_TOPIC_IN_NAMESRV obeys them, too', () => {
    const limited = table()
    limited.registerBroker(registration(fields), NOW)
    const queues = { brokerName: 'b', readQueueNums: 1, writeQueueNums: 1, perm: 6, topicSysFlag: 0 }
    assert.throws(() => limited.registerTopic('x'.repeat(11), [queues]), { code: 'BAD_TOPIC_NAME' })
  })
})
