import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NOW, registration, slave } from '../test/registrations.ts'
import { Departures } from './departures.ts'
import { RouteTable } from './route-table.ts'
import { tableStatus } from './table-status.ts'

test('the status shows what is registered, and follows it', () => {
  const table = new RouteTable()
  const status = tableStatus(table)
  assert.deepEqual([status.brokerCount(), status.topicCount(), [...status.clusters()]], [0, 0, []])
  table.registerBroker(registration({ topics: ['T1', 'T2'] }), NOW)
  table.registerBroker(slave({ topics: ['T1', 'T2'] }), NOW)
  assert.deepEqual([status.brokerCount(), status.topicCount()], [2, 2])
  assert.deepEqual([...status.clusters()], [{ cluster: 'C', brokerNames: ['broker-a'] }])
  assert.deepEqual(
    Array.from(status.brokers(), broker => [broker.brokerName, broker.brokerId]),
    [
      ['broker-a', 0],
      ['broker-a', 1],
    ],
  )
  assert.deepEqual([...status.topics()], ['T1', 'T2'])
  assert.deepEqual([...status.brokersOfTopic('T1')], ['broker-a'])
  assert.deepEqual([...status.brokersOfTopic('unknown')], [])
  assert.equal(status.route('T1')?.queueDatas[0]?.brokerName, 'broker-a')
  assert.equal(status.route('unknown'), undefined)
})

test('what a removal tells is what departures remember', () => {
  const table = new RouteTable()
  const departures = new Departures()
  table.registerBroker(registration({ topics: ['T1'] }), NOW)
  departures.note(table.dropPeer(1), NOW + 10)
  assert.equal(departures.ofTopic('T1')?.broker.brokerName, 'broker-a')
  assert.equal(departures.ofTopic('T1')?.reason, 'channel_closed')
})
