import assert from 'node:assert/strict'
import { test } from 'node:test'
import { finish } from '@gantrymq/remoting'
import { NOW, registration } from '../../test/registrations.ts'
import { broker } from '../../test/status-fixture.ts'
import { Departures } from './departures.ts'
import { RouteTable } from './route-table.ts'

test('the last brokers that left are remembered, and the departure that removed a topic', () => {
  const departures = new Departures()
  const gone = broker('a')
  departures.note({ reason: 'timeout', brokers: [gone] }, 5)
  departures.noteTopic({ topic: 'orders', broker: gone })
  assert.deepEqual(departures.brokers(), [{ broker: gone, reason: 'timeout', at: 5 }])
  assert.equal(departures.ofTopic('orders')?.broker.brokerName, 'a')
  assert.equal(departures.ofTopic('other'), undefined)
})

test('the oldest are forgotten', () => {
  const departures = new Departures({ brokers: 2, topics: 2 })
  for (const name of ['a', 'b', 'c']) {
    const gone = broker(name)
    departures.note({ reason: 'request', brokers: [gone] }, 1)
    departures.noteTopic({ topic: name, broker: gone })
  }
  assert.deepEqual(
    departures.brokers().map(departure => departure.broker.brokerName),
    ['b', 'c'],
  )
  assert.equal(departures.ofTopic('a'), undefined)
  assert.equal(departures.ofTopic('c')?.broker.brokerName, 'c')
})

test('a deleted topic is remembered with who had it, and its last loss counts', () => {
  const departures = new Departures()
  const leave = (now: number) => {
    const gone = broker('a')
    departures.note({ reason: 'timeout', brokers: [gone] }, now)
    departures.noteTopic({ topic: 'orders', broker: gone })
  }
  leave(5)
  const deletion = { by: 'request', brokerNames: ['a'], at: 7 } as const
  departures.noteDeletion('orders', deletion)
  assert.deepEqual(departures.deletionOf('orders'), deletion)
  assert.equal(departures.ofTopic('orders'), undefined)
  leave(9)
  assert.equal(departures.deletionOf('orders'), undefined)
  assert.equal(departures.ofTopic('orders')?.at, 9)
})

test('a topic that leaves again counts as new', () => {
  const departures = new Departures({ topics: 2 })
  const gone = broker('a')
  departures.note({ reason: 'request', brokers: [gone] }, 1)
  for (const topic of ['x', 'y', 'x', 'z']) departures.noteTopic({ topic, broker: gone })
  assert.equal(departures.ofTopic('y'), undefined)
  assert.ok(departures.ofTopic('x'))
})

test('a removal from the table is remembered with its reason and time', () => {
  const table = new RouteTable()
  const departures = new Departures()
  table.registerBroker(registration({ topics: ['T1'] }), NOW)
  departures.note(table.dropPeer(1, NOW), NOW + 10)
  finish(table.dropEnded(topic => departures.noteTopic(topic)))
  const { broker: gone, reason, at } = departures.ofTopic('T1') ?? {}
  assert.deepEqual([gone?.brokerName, reason, at], ['broker-a', 'channel_closed', NOW + 10])
})

test('a topic counts as lost with the last broker that had it, even if the topics of an earlier one are dropped later', () => {
  const table = new RouteTable()
  const departures = new Departures()
  for (const [index, brokerName] of ['early', 'late'].entries()) {
    table.registerBroker(registration({ brokerName, brokerAddr: brokerName, peer: index + 1, topics: ['T1'] }), NOW)
  }
  departures.note(table.dropPeer(1, NOW), NOW)
  departures.note(table.dropPeer(2, NOW), NOW + 5000)
  finish(table.dropEnded(topic => departures.noteTopic(topic)))
  assert.equal(departures.ofTopic('T1')?.broker.brokerName, 'late')
})

test('a topic is known to be lost before it is dropped', () => {
  const table = new RouteTable()
  const departures = new Departures({ goneTopic: topic => table.goneTopic(topic) })
  table.registerBroker(registration({ topics: ['T1'] }), NOW)
  departures.note(table.dropPeer(1, NOW), NOW)
  assert.equal(departures.ofTopic('T1')?.broker.brokerName, 'broker-a')
  assert.equal(departures.deletionOf('T1'), undefined)
  table.registerBroker(registration({ topics: ['T1'] }), NOW)
  assert.equal(table.goneTopic('T1'), undefined)
})
