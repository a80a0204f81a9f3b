import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  dataVersion,
  droppedTopics,
  identityOf,
  NOW,
  registration,
  shown,
  slave,
  topicNames,
} from '../../test/registrations.ts'
import { clusterInfo, liveBrokers } from './route-queries.ts'
import { RouteTable } from './route-table.ts'

function tableWith(...registrations: readonly ReturnType<typeof registration>[]): RouteTable {
  const table = new RouteTable()
  for (const each of registrations) table.registerBroker(each, NOW)
  return table
}

const other = registration({ brokerName: 'broker-b', brokerAddr: '10.0.0.5:10911', peer: 5, topics: ['T2', 'T3'] })

describe('unregistering', () => {
  test('the last broker of a name removes its topics, its name and its cluster', () => {
    const table = tableWith(registration())
    const removal = table.unregister([identityOf(registration())])
    assert.equal(removal.reason, 'request')
    assert.deepEqual(
      removal.brokers.map(broker => [broker.brokerName, broker.brokerAddr, broker.topicCount]),
      [['broker-a', '10.0.0.1:10911', 2]],
    )
    assert.deepEqual(removal.brokerNames, ['broker-a'])
    assert.deepEqual(removal.clusters, ['C'])
    assert.deepEqual(droppedTopics(table), ['T1', 'T2'])
    assert.deepEqual(removal.missed, [])
    assert.deepEqual(clusterInfo(table), { brokerAddrTable: new Map(), clusterAddrTable: new Map() })
    assert.deepEqual(topicNames(table), [])
  })

  test('keeps other brokers and the topics that they share', () => {
    const table = tableWith(registration(), other)
    const removal = table.unregister([identityOf(registration())])
    assert.deepEqual(droppedTopics(table), ['T1'])
    assert.deepEqual(removal.clusters, [])
    assert.equal(shown(table, 'T2'), 'broker-b{0:10.0.0.5}6')
  })

  test('a slave keeps the master and all topics', () => {
    const table = tableWith(registration(), slave())
    const removal = table.unregister([identityOf(slave())])
    assert.deepEqual(removal.brokerNames, [])
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.1}6')
  })

  test('several at once, one of them unknown, removes all the others', () => {
    const table = tableWith(registration(), slave(), other)
    const unknown = { ...identityOf(other), brokerName: 'unknown' }
    const removal = table.unregister([registration(), unknown, slave(), other].map(identityOf))
    assert.deepEqual(removal.missed, [unknown])
    assert.deepEqual(removal.brokerNames, ['broker-a', 'broker-b'])
    assert.deepEqual(droppedTopics(table), ['T1', 'T2', 'T3'])
    assert.equal(table.brokers.size, 0)
  })

  test('one broker twice in a list counts once', () => {
    const table = tableWith(registration())
    assert.equal(table.unregister([registration(), registration()].map(identityOf)).brokers.length, 1)
  })

  test('goes by address, not by id: a stale master does not remove its successor', () => {
    const successor = registration({ brokerAddr: '10.0.0.9:10911', peer: 9 })
    const table = tableWith(registration(), successor)
    assert.equal(table.unregister([identityOf(registration())]).brokers.length, 0)
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.9}6')
    assert.equal(table.unregister([{ ...identityOf(successor), brokerId: 77 }]).brokers.length, 1)
  })

  test('under another name or cluster removes nothing', () => {
    const table = tableWith(registration())
    for (const wrong of [{ brokerName: 'x' }, { clusterName: 'x' }, { brokerAddr: 'x' }]) {
      assert.equal(table.unregister([{ ...identityOf(registration()), ...wrong }]).missed.length, 1)
    }
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.1}6')
  })

  test('late, from the connection of a process that has since been restarted, removes nothing', () => {
    const table = tableWith(registration({ peer: 1 }), registration({ peer: 4, version: 2 }))
    assert.equal(table.unregister([identityOf(registration())], 1).missed.length, 1)
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.1}6')
    assert.equal(table.unregister([identityOf(registration())], 4).brokers.length, 1)
  })

  test('from a connection that never held the broker removes it, however old that connection is', () => {
    for (const peer of [3, 6]) {
      const table = tableWith(registration({ peer: 5 }))
      assert.equal(table.unregister([identityOf(registration())], peer).brokers.length, 1)
    }
  })
})

describe('a connection that ends', () => {
  test('removes all its brokers', () => {
    const table = tableWith(registration({ peer: 7 }), { ...other, peer: 7 }, slave({ peer: 8 }))
    const removal = table.dropPeer(7, NOW)
    assert.equal(removal.reason, 'channel_closed')
    assert.deepEqual(removal.brokers.map(broker => broker.brokerAddr).sort(), ['10.0.0.1:10911', '10.0.0.5:10911'])
    assert.deepEqual(removal.freePeers, [7])
    assert.equal(shown(table, 'T1'), 'broker-a{1:10.0.0.2}6')
    assert.equal(table.routeOf('T3'), undefined)
  })

  test('of two broker names keeps the topics of a third, with a new route', () => {
    const third = registration({ brokerName: 'broker-c', brokerAddr: '10.0.0.6:10911', peer: 6 })
    const table = tableWith(registration({ peer: 7 }), { ...other, peer: 7 }, third)
    const topic = table.topic('T2')
    const { epoch } = table
    const removal = table.dropPeer(7, NOW)
    assert.deepEqual(removal.brokerNames, ['broker-a', 'broker-b'])
    assert.deepEqual(droppedTopics(table), ['T3'])
    assert.equal(shown(table, 'T2'), 'broker-c{0:10.0.0.6}6')
    assert.equal(table.topic('T2'), topic)
    assert.ok(table.epoch > epoch)
  })

  test('without brokers changes nothing', () => {
    const table = tableWith(registration())
    const { epoch } = table
    assert.deepEqual(table.dropPeer(99, NOW).brokers, [])
    assert.equal(table.epoch, epoch)
  })

  test('after its broker registered on another connection removes nothing', () => {
    const table = tableWith(registration({ peer: 1 }), registration({ peer: 2 }))
    assert.deepEqual(table.dropPeer(1, NOW).brokers, [])
    assert.equal(table.dropPeer(2, NOW).brokers.length, 1)
  })

  test('after its broker sent a heartbeat on another connection leaves the broker to that connection', () => {
    const table = tableWith(registration({ peer: 1 }))
    assert.equal(table.heartbeat('C', '10.0.0.1:10911', NOW, 2), true)
    assert.deepEqual(table.dropPeer(1, NOW).brokers, [])
    table.queryDataVersion('C', '10.0.0.1:10911', dataVersion(9), NOW, 3)
    assert.deepEqual(table.dropPeer(2, NOW).brokers, [])
    assert.equal(table.dropPeer(3, NOW, 'channel_idle').reason, 'channel_idle')
    assert.equal(table.brokers.size, 0)
  })

  test('leaves no broker to a connection that was silent for longer than a registration period', () => {
    const table = tableWith(registration({ peer: 1 }))
    table.heartbeat('C', '10.0.0.1:10911', NOW, 2)
    table.heartbeat('C', '10.0.0.1:10911', NOW + 60_001, 1)
    assert.equal(table.dropPeer(1, NOW + 60_001).brokers.length, 1)
  })

  test('leaves a broker to another connection, which loses it if it does not register it within 90 s', () => {
    const table = tableWith(registration({ peer: 1 }))
    table.heartbeat('C', '10.0.0.1:10911', NOW, 2)
    table.dropPeer(1, NOW)
    table.heartbeat('C', '10.0.0.1:10911', NOW + 90_000, 2)
    assert.deepEqual(table.expire(NOW + 90_000).brokers, [])
    assert.equal(table.expire(NOW + 90_001).brokers.length, 1)
  })

  test('leaves a broker to another connection, which keeps it by registering it', () => {
    const table = tableWith(registration({ peer: 1 }))
    table.heartbeat('C', '10.0.0.1:10911', NOW, 2)
    table.dropPeer(1, NOW)
    table.registerBroker(registration({ peer: 2 }), NOW + 30_000)
    assert.deepEqual(table.expire(NOW + 149_999).brokers, [])
  })

  test('finds a broker whose name was first registered with another cluster', () => {
    const table = tableWith(registration(), registration({ clusterName: 'D', brokerId: 1, brokerAddr: 'd', peer: 4 }))
    assert.equal(table.dropPeer(4, NOW).brokers[0]?.cluster, 'D')
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.1}6')
  })
})

describe('a superseded connection', () => {
  const restarted = () => tableWith(registration({ peer: 1 }), registration({ peer: 4, version: 2, topics: ['T3'] }))

  test('cannot register its broker again', () => {
    const table = restarted()
    const late = table.registerBroker(registration({ peer: 1, version: 3 }), NOW)
    assert.equal(late.result, 'ignored')
    assert.equal(table.brokers.find('C', '10.0.0.1:10911')?.peer, 4)
    assert.deepEqual(table.dropPeer(1, NOW).brokers, [])
  })

  test('cannot move its broker with a heartbeat or a version query', () => {
    const table = restarted()
    table.heartbeat('C', '10.0.0.1:10911', NOW, 1)
    table.queryDataVersion('C', '10.0.0.1:10911', dataVersion(2), NOW, 1)
    assert.deepEqual(table.dropPeer(1, NOW).brokers, [])
    assert.equal(table.brokers.size, 1)
  })

  test('inherits its broker when its successor ends, so a stranger that registers and disconnects removes none', () => {
    const table = restarted()
    assert.deepEqual(table.dropPeer(4, NOW + 1).brokers, [])
    assert.equal(table.registerBroker(registration({ peer: 1, version: 3 }), NOW + 30_000).result, 'changed')
    assert.equal(table.dropPeer(1, NOW + 30_000).brokers.length, 1)
  })

  test('is also the older one whose first registration is read after that of the newer one', () => {
    const table = tableWith(registration({ peer: 4 }))
    assert.equal(table.registerBroker(registration({ peer: 2, version: 2 }), NOW).result, 'ignored')
    assert.equal(table.unregister([identityOf(registration())], 2).missed.length, 1)
    assert.deepEqual(table.dropPeer(2, NOW).brokers, [])
  })

  test('cannot take an id back that another address registered', () => {
    const successor = registration({ brokerAddr: '10.0.0.9:10911', peer: 9 })
    const table = tableWith(registration({ peer: 1 }), successor)
    assert.equal(table.registerBroker(registration({ peer: 1, version: 2 }), NOW).result, 'ignored')
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.9}6')
  })

  test('of a master that was deposed and promoted again takes the id back', () => {
    const successor = registration({ brokerAddr: '10.0.0.9:10911', peer: 9 })
    const table = tableWith(registration({ peer: 1 }), successor)
    assert.equal(table.registerBroker(registration({ peer: 1, brokerId: 1 }), NOW).result, 'new')
    assert.equal(table.registerBroker(registration({ peer: 1, version: 2 }), NOW).result, 'changed')
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.1}6')
  })

  test('of an address that was deposed registers again once its successor is gone', () => {
    const table = tableWith(registration({ peer: 1 }), registration({ brokerAddr: '10.0.0.9:10911', peer: 9 }))
    table.dropPeer(9, NOW)
    assert.equal(table.registerBroker(registration({ peer: 1 }), NOW).result, 'new')
  })

  test('is one of at most 8 that a broker remembers', () => {
    const table = tableWith(registration({ peer: 1 }))
    for (let peer = 2; peer < 200; peer++) table.heartbeat('C', '10.0.0.1:10911', NOW, peer)
    assert.equal(table.brokers.find('C', '10.0.0.1:10911')?.claims?.size, 8)
    for (let peer = 199; peer > 1; peer--) table.dropPeer(peer, NOW)
    assert.equal(table.brokers.find('C', '10.0.0.1:10911')?.claims, undefined)
  })
})

describe('a silent broker', () => {
  test('expires after its own timeout, by default 120 s', () => {
    const table = tableWith(registration(), { ...other, heartbeatTimeoutMillis: 10_000 })
    assert.deepEqual(table.expire(NOW + 10_000).brokers, [])
    const first = table.expire(NOW + 10_001)
    assert.equal(first.reason, 'timeout')
    assert.deepEqual(
      first.brokers.map(broker => [broker.brokerName, broker.timeout]),
      [['broker-b', 10_000]],
    )
    assert.deepEqual(first.freePeers, [5])
    assert.deepEqual(table.expire(NOW + 120_000).brokers, [])
    assert.deepEqual(table.expire(NOW + 120_001).brokerNames, ['broker-a'])
    assert.deepEqual(droppedTopics(table).toSorted(), ['T1', 'T2', 'T3'])
    assert.deepEqual(table.expire(NOW + 999_999).brokers, [])
  })

  test('with a timeout of 0 or less gets the default', () => {
    const table = tableWith(registration({ heartbeatTimeoutMillis: 0 }), { ...other, heartbeatTimeoutMillis: -5 })
    assert.deepEqual(table.expire(NOW + 120_000).brokers, [])
    assert.equal(table.expire(NOW + 120_001).brokers.length, 2)
  })

  test('stays registered with each heartbeat, version query or registration, whatever the data version', () => {
    const table = tableWith(registration())
    table.heartbeat('C', '10.0.0.1:10911', NOW + 100_000, 1)
    assert.deepEqual(table.expire(NOW + 200_000).brokers, [])
    table.queryDataVersion('C', '10.0.0.1:10911', dataVersion(99), NOW + 200_000, 1)
    assert.deepEqual(table.expire(NOW + 300_000).brokers, [])
    table.registerBroker(registration(), NOW + 300_000)
    assert.deepEqual(table.expire(NOW + 400_000).brokers, [])
    assert.equal(table.expire(NOW + 420_001).brokers.length, 1)
  })

  test('that shares its connection with a live one does not free the connection', () => {
    const table = tableWith(registration({ heartbeatTimeoutMillis: 5_000, peer: 7 }), { ...other, peer: 7 })
    assert.deepEqual(table.expire(NOW + 6_000).freePeers, [])
    assert.deepEqual(table.expire(NOW + 120_001).freePeers, [7])
  })

  test('expires together with all others of three groups', () => {
    const all = ['a', 'b', 'c'].flatMap(name =>
      [0, 1, 2].map(brokerId => registration({ brokerName: name, brokerAddr: `${name}${brokerId}`, brokerId })),
    )
    const table = tableWith(...all)
    const removal = table.expire(NOW + 120_001)
    assert.equal(removal.brokers.length, 9)
    assert.deepEqual(droppedTopics(table), ['T1', 'T2'])
    assert.deepEqual([...liveBrokers(table)], [])
  })

  test('is unknown to heartbeats once it has expired', () => {
    const table = tableWith(registration())
    table.expire(NOW + 120_001)
    assert.equal(table.heartbeat('C', '10.0.0.1:10911', NOW + 120_001, 1), false)
    assert.deepEqual(table.queryDataVersion('C', '10.0.0.1:10911', dataVersion(1), NOW, 1), { changed: true })
  })
})

describe('who is notified that the lowest broker id changed', () => {
  const acting = { enableActingMaster: true }
  const third = slave({ brokerId: 2, brokerAddr: '10.0.0.3:10911', peer: 3, ...acting })

  test('no broker when the first of a group registers, unless its id is below 0', () => {
    const table = new RouteTable()
    const first = table.registerBroker(slave(), NOW)
    const negative = table.registerBroker({ ...other, brokerId: -1 }, NOW)
    assert.ok(first.result === 'new' && negative.result === 'new')
    assert.deepEqual(first.changes, [])
    assert.deepEqual(negative.changes, [
      {
        kind: 'min-broker-changed',
        brokerName: 'broker-b',
        minBrokerId: -1,
        minBrokerAddr: '10.0.0.5:10911',
        haBrokerAddr: '10.0.0.1:10912',
        recipients: ['10.0.0.5:10911'],
      },
    ])
  })

  test('the slaves when their master registers', () => {
    const table = tableWith(slave(), third)
    const outcome = table.registerBroker(registration(), NOW)
    assert.ok(outcome.result === 'new')
    assert.deepEqual(outcome.changes, [
      {
        kind: 'min-broker-changed',
        brokerName: 'broker-a',
        minBrokerId: 0,
        minBrokerAddr: '10.0.0.1:10911',
        haBrokerAddr: '10.0.0.1:10912',
        recipients: ['10.0.0.2:10911', '10.0.0.3:10911'],
      },
    ])
  })

  test('no broker when a slave comes or goes, or the same broker registers again', () => {
    const table = tableWith(registration(acting), slave(acting))
    for (const each of [third, registration(acting)]) {
      const outcome = table.registerBroker(each, NOW)
      assert.ok(outcome.result !== 'ignored')
      assert.deepEqual(outcome.changes, [])
    }
    assert.deepEqual(table.unregister([identityOf(third)]).changes, [])
  })

  for (const how of ['unregisters', 'loses its connection', 'expires'] as const) {
    test(`all slaves when their master ${how}`, () => {
      const table = tableWith(registration({ ...acting, heartbeatTimeoutMillis: 5_000 }), slave(acting), third)
      const removal =
        how === 'unregisters'
          ? table.unregister([identityOf(registration())])
          : how === 'expires'
            ? table.expire(NOW + 5_001)
            : table.dropPeer(1, NOW)
      assert.deepEqual(removal.changes, [
        {
          kind: 'min-broker-changed',
          brokerName: 'broker-a',
          minBrokerId: 1,
          minBrokerAddr: '10.0.0.2:10911',
          offlineBrokerAddr: '10.0.0.1:10911',
          recipients: ['10.0.0.2:10911', '10.0.0.3:10911'],
        },
      ])
    })
  }

  test('no broker in a group without enableActingMaster, or in an empty group', () => {
    const plain = tableWith(registration(), slave())
    assert.deepEqual(plain.unregister([identityOf(registration())]).changes, [])
    const alone = tableWith(registration(acting))
    assert.deepEqual(alone.unregister([identityOf(registration())]).changes, [])
  })

  test('no broker when a master comes back at another address: its id is not lost', () => {
    const table = tableWith(registration(acting), slave(acting))
    const outcome = table.registerBroker(registration({ ...acting, brokerAddr: '10.0.0.9:10911' }), NOW)
    assert.ok(outcome.result === 'new')
    assert.equal(outcome.replaced?.brokers.length, 1)
    assert.deepEqual(outcome.changes, [])
  })

  test('the second slave, once, when the master and the first slave leave together', () => {
    const table = tableWith(registration(acting), slave(acting), third)
    const { changes } = table.unregister([registration(), slave()].map(identityOf))
    assert.deepEqual(
      changes.map(change => [change.minBrokerId, change.offlineBrokerAddr, change.recipients]),
      [[2, '10.0.0.2:10911', ['10.0.0.3:10911']]],
    )
  })
})
