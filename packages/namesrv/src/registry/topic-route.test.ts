import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { finish } from '@gantrymq/remoting'
import { identityOf, NOW, registration, shown, slave } from '../../test/registrations.ts'
import { RouteTable } from './route-table.ts'

const acting = { enableActingMaster: true }
const third = slave({ brokerId: 2, brokerAddr: '10.0.0.3:10911', peer: 3, ...acting })

function masterless(table: RouteTable): RouteTable {
  for (const each of [registration(acting), slave(acting), third]) table.registerBroker(each, NOW)
  table.unregister([identityOf(registration())])
  return table
}

describe('an acting master', () => {
  test('is shown with id 0 instead of its own, and its topics are read-only', () => {
    const table = masterless(new RouteTable({ supportActingMaster: true }))
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.2,2:10.0.0.3}4')
  })

  test('is not shown unless switched on', () => {
    const table = masterless(new RouteTable())
    assert.equal(shown(table, 'T1'), 'broker-a{1:10.0.0.2,2:10.0.0.3}4')
    table.configure({ supportActingMaster: true })
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.2,2:10.0.0.3}4')
  })

  test('steps back when the master returns with the same data version, and topics can be written again', () => {
    const table = masterless(new RouteTable({ supportActingMaster: true }))
    table.registerBroker(registration(acting), NOW)
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.1,1:10.0.0.2,2:10.0.0.3}6')
    table.dropPeer(1, NOW)
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.2,2:10.0.0.3}4')
  })

  test('is not shown while its queues are writable', () => {
    const table = masterless(new RouteTable({ supportActingMaster: true }))
    table.addWritePermission('broker-a')
    assert.equal(shown(table, 'T1'), 'broker-a{1:10.0.0.2,2:10.0.0.3}6')
  })

  test('is not shown in groups without enableActingMaster, whose topics keep their permission', () => {
    const table = new RouteTable({ supportActingMaster: true })
    table.registerBroker(registration(), NOW)
    table.registerBroker(slave(), NOW)
    table.unregister([identityOf(registration())])
    assert.equal(shown(table, 'T1'), 'broker-a{1:10.0.0.2}6')
  })

  test('is shown for the one group that lost its master, not for the other', () => {
    const table = masterless(new RouteTable({ supportActingMaster: true }))
    const healthy = { ...acting, brokerName: 'broker-b' }
    table.registerBroker(registration({ ...healthy, brokerAddr: 'b0' }), NOW)
    table.registerBroker(slave({ ...healthy, brokerAddr: 'b1' }), NOW)
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.2,2:10.0.0.3}4 broker-b{0:b0,1:b1}6')
  })

  test('is shown from the start in a group of slaves only', () => {
    const table = new RouteTable({ supportActingMaster: true })
    table.registerBroker(slave(acting), NOW)
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.2}4')
    table.registerBroker(registration(acting), NOW)
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.1,1:10.0.0.2}6')
    table.unregister([identityOf(registration())])
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.2}4')
  })

  test('is not shown to brokers that ask for their own group', () => {
    const name = 'rmq_sys_SYNC_BROKER_MEMBER_broker-a'
    const table = new RouteTable({ supportActingMaster: true })
    table.registerBroker(slave({ ...acting, topics: [name, 'T1'] }), NOW)
    assert.equal(shown(table, name), 'broker-a{1:10.0.0.2}4')
  })
})

test('a route lists brokers and queues sorted by name', () => {
  const table = new RouteTable()
  for (const name of ['c', 'a', 'b']) {
    table.registerBroker(registration({ brokerName: name, brokerAddr: name }), NOW)
  }
  assert.equal(shown(table, 'T1'), 'a{0:a}6 b{0:b}6 c{0:c}6')
  assert.deepEqual(
    table.routeOf('T1')?.queueDatas.map(queues => queues.brokerName),
    ['a', 'b', 'c'],
  )
})

test('a route is sorted by name although brokers joined and left since it was last asked for', () => {
  const table = new RouteTable()
  const join = (name: string) => table.registerBroker(registration({ brokerName: name, brokerAddr: name }), NOW)
  const leave = (name: string) => {
    table.unregister([identityOf(registration({ brokerName: name, brokerAddr: name }))])
    finish(table.dropEnded(() => {}))
  }
  for (const name of ['f', 'd', 'c', 'b']) join(name)
  leave('f')
  assert.equal(shown(table, 'T1'), 'b{0:b}6 c{0:c}6 d{0:d}6')
  for (const name of ['g', 'a', 'e']) join(name)
  leave('c')
  assert.equal(shown(table, 'T1'), 'a{0:a}6 b{0:b}6 d{0:d}6 e{0:e}6 g{0:g}6')
})
