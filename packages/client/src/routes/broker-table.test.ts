import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TopicRoute } from '@gantrymq/protocol'
import fc from 'fast-check'
import { BrokerTable } from './broker-table.ts'

function routeOf(brokers: Record<string, Record<number, string>>): TopicRoute {
  const brokerDatas = Object.entries(brokers).map(([brokerName, addresses]) => ({
    cluster: 'c',
    brokerName,
    brokerAddrs: new Map(Object.entries(addresses).map(([id, address]) => [Number(id), address])),
    enableActingMaster: false,
  }))
  return { queueDatas: [], brokerDatas, filterServerTable: new Map() }
}

function tableOf(brokers: Record<string, Record<number, string>>): BrokerTable {
  const table = new BrokerTable()
  table.learn(routeOf(brokers))
  return table
}

test('a route replaces the addresses of its brokers and keeps those of others', () => {
  const table = tableOf({ a: { 0: 'a0', 1: 'a1' }, b: { 0: 'b0' } })
  table.learn(routeOf({ a: { 0: 'a9' } }))
  assert.deepEqual(
    table.all().map(({ name, id, address }) => [name, id, address]),
    [
      ['a', 0, 'a9'],
      ['b', 0, 'b0'],
    ],
  )
})

test('the master is the broker with id 0; there may be none', () => {
  const table = tableOf({ a: { 0: 'a0', 1: 'a1' }, slaves: { 2: 's2', 3: 's3' } })
  assert.equal(table.master('a'), 'a0')
  assert.equal(table.master('slaves'), undefined)
  assert.equal(table.anyAddress('slaves'), 's2')
  assert.equal(table.anyAddress('unknown'), undefined)
  assert.deepEqual(table.masters(), [{ name: 'a', id: 0, address: 'a0' }])
})

test('reading goes to the suggested broker, else to the next slave, else to any address', () => {
  const table = tableOf({ a: { 0: 'a0', 2: 'a2' } })
  assert.deepEqual(table.toRead('a', 0), { address: 'a0', isSlave: false, version: 0 })
  assert.deepEqual(table.toRead('a', 2), { address: 'a2', isSlave: true, version: 0 })
  assert.deepEqual(table.toRead('a', 1), { address: 'a2', isSlave: true, version: 0 })
  assert.deepEqual(table.toRead('a', 7), { address: 'a0', isSlave: false, version: 0 })
  assert.equal(table.toRead('a', 7, true), undefined)
  assert.equal(table.toRead('unknown', 0), undefined)
  assert.deepEqual(tableOf({ s: { 3: 's3' } }).toRead('s', 0), { address: 's3', isSlave: true, version: 0 })
  assert.equal(tableOf({ s: { 1: 's1' } }).toRead('s', 0, true), undefined)
})

test('a version is recorded per broker name and address', () => {
  const table = tableOf({ a: { 0: 'a0' } })
  table.setVersion('a', 'a0', 407)
  assert.equal(table.toRead('a', 0)?.version, 407)
  assert.equal(table.version('b', 'a0'), 0)
  table.learn(routeOf({ a: { 0: 'a9' } }))
  assert.equal(table.version('a', 'a0'), 0)
})

test('brokers that no route names any longer are dropped', () => {
  const table = tableOf({ a: { 0: 'a0', 1: 'a1' }, b: { 0: 'b0' } })
  table.setVersion('b', 'b0', 407)
  const dropped = table.dropUnknown([routeOf({ a: { 0: 'a0' } })])
  assert.deepEqual(
    dropped.map(broker => broker.address),
    ['a1', 'b0'],
  )
  assert.deepEqual(table.all(), [{ name: 'a', id: 0, address: 'a0' }])
  assert.equal(table.master('b'), undefined)
  assert.equal(table.version('b', 'b0'), 0)
  // An answer that was under way.
  table.setVersion('b', 'b0', 407)
  assert.equal(table.version('b', 'b0'), 0)
  assert.deepEqual(table.dropUnknown([routeOf({ a: { 0: 'a0' } })]), [])
})

test('dropUnknown keeps exactly the addresses that the routes name', () => {
  const addresses = fc.dictionary(fc.constantFrom('0', '1', '2'), fc.constantFrom('p', 'q', 'r', 's'))
  const brokers = fc.dictionary(fc.constantFrom('a', 'b', 'c'), addresses)
  fc.assert(
    fc.property(brokers, brokers, (learnt, living) => {
      const table = tableOf(learnt)
      const before = table.all()
      const dropped = table.dropUnknown([routeOf(living)])
      const known = new Set<string>(Object.values(living).flatMap(addresses => Object.values(addresses)))
      assert.ok(table.all().every(broker => known.has(broker.address)))
      assert.ok(dropped.every(broker => !known.has(broker.address)))
      assert.equal(table.all().length + dropped.length, before.length)
    }),
  )
})
