import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NOW, registration } from '../../test/registrations.ts'
import { broker } from '../../test/status-fixture.ts'
import { Departures } from './departures.ts'
import { RouteTable } from './route-table.ts'

test('the last brokers that left are remembered, and the departure that removed a topic', () => {
  const departures = new Departures()
  departures.note({ reason: 'timeout', brokers: [broker('a')], topics: ['orders'] }, 5)
  assert.deepEqual(departures.brokers(), [{ broker: broker('a'), reason: 'timeout', at: 5 }])
  assert.equal(departures.ofTopic('orders')?.broker.brokerName, 'a')
  assert.equal(departures.ofTopic('other'), undefined)
})

test('the oldest are forgotten', () => {
  const departures = new Departures({ brokers: 2, topics: 2 })
  for (const name of ['a', 'b', 'c']) departures.note({ reason: 'request', brokers: [broker(name)], topics: [name] }, 1)
  assert.deepEqual(
    departures.brokers().map(departure => departure.broker.brokerName),
    ['b', 'c'],
  )
  assert.equal(departures.ofTopic('a'), undefined)
  assert.equal(departures.ofTopic('c')?.broker.brokerName, 'c')
})

test('a deleted topic is remembered with who had it, and its last loss counts', () => {
  const departures = new Departures()
  departures.note({ reason: 'timeout', brokers: [broker('a')], topics: ['orders'] }, 5)
  const deletion = { by: 'request', brokerNames: ['a'], at: 7 } as const
  departures.noteDeletion('orders', deletion)
  assert.deepEqual(departures.deletionOf('orders'), deletion)
  assert.equal(departures.ofTopic('orders'), undefined)
  departures.note({ reason: 'timeout', brokers: [broker('a')], topics: ['orders'] }, 9)
  assert.equal(departures.deletionOf('orders'), undefined)
  assert.equal(departures.ofTopic('orders')?.at, 9)
})

test('a topic that leaves again counts as new', () => {
  const departures = new Departures({ topics: 2 })
  for (const topic of ['x', 'y', 'x', 'z']) {
    departures.note({ reason: 'request', brokers: [broker('a')], topics: [topic] }, 1)
  }
  assert.equal(departures.ofTopic('y'), undefined)
  assert.ok(departures.ofTopic('x'))
})

test('a removal from the table is remembered with its reason and time', () => {
  const table = new RouteTable()
  const departures = new Departures()
  table.registerBroker(registration({ topics: ['T1'] }), NOW)
  departures.note(table.dropPeer(1, NOW), NOW + 10)
  const { broker: gone, reason, at } = departures.ofTopic('T1') ?? {}
  assert.deepEqual([gone?.brokerName, reason, at], ['broker-a', 'channel_closed', NOW + 10])
})
