import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TopicRoute } from '@gantrymq/protocol'
import { systemClock } from '@gantrymq/remoting'
import { BrokerTable } from './broker-table.ts'
import { Deadline } from '../deadline.ts'
import { findAnyAddress, findMaster, findReadAddress } from './find-broker.ts'
import type { KnownTopic } from './route-cache.ts'

function routeTo(brokerName: string, addresses: Record<number, string>): TopicRoute {
  const brokerAddrs = new Map(Object.entries(addresses).map(([id, address]) => [Number(id), address]))
  const brokerDatas = [{ cluster: 'c', brokerName, brokerAddrs, enableActingMaster: false }]
  return { queueDatas: [], brokerDatas, filterServerTable: new Map() }
}

/** A client whose name server answers every question with this route. */
function clientOf(route: TopicRoute) {
  const brokers = new BrokerTable()
  const asked: string[] = []
  const fresh = async (topic: string): Promise<KnownTopic> => {
    asked.push(topic)
    brokers.learn(route)
    return { route, publish: [], read: [] }
  }
  return { brokers, routes: { fresh }, asked }
}

const soon = () => new Deadline(systemClock, 1000)
const broker = { topic: 'T', brokerName: 'a' }

test('an unknown broker is looked up once in the route of the topic, then its address is known', async () => {
  const client = clientOf(routeTo('a', { 0: 'a0', 1: 'a1' }))
  assert.equal(await findMaster(client, broker, soon()), 'a0')
  assert.equal(await findAnyAddress(client, broker, soon()), 'a0')
  assert.deepEqual(await findReadAddress(client, broker, 1, soon()), { address: 'a1', isSlave: true, version: 0 })
  assert.deepEqual(client.asked, ['T'])
})

test('without a master a slave is read from, and requests for the master fail', async () => {
  const client = clientOf(routeTo('a', { 1: 'a1' }))
  assert.equal(await findAnyAddress(client, broker, soon()), 'a1')
  assert.equal((await findReadAddress(client, broker, 0, soon())).address, 'a1')
  await assert.rejects(findMaster(client, broker, soon()), {
    code: 'BROKER_MISSING',
    responseCode: 10003,
    retriable: true,
    message: 'the broker a cannot be found: the route of topic T names no master of it',
  })
})

test('a broker that the route does not name is missing, whatever is asked of it', async () => {
  const client = clientOf(routeTo('b', { 0: 'b0' }))
  const message = 'the broker a cannot be found: the route of topic T does not name it'
  await assert.rejects(findAnyAddress(client, broker, soon()), { code: 'BROKER_MISSING', message })
  await assert.rejects(findReadAddress(client, broker, 0, soon()), { code: 'BROKER_MISSING', message })
})
