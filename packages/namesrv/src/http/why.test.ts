import assert from 'node:assert/strict'
import { test } from 'node:test'
import { finish } from '@gantrymq/remoting'
import { broker, type FixtureData, routeOver, STARTED_AT, statusOf } from '../../test/status-fixture.ts'
import { Departures } from '../registry/departures.ts'
import { explain } from './why.ts'

const why = (topic: string, data: FixtureData) => finish(explain(topic, statusOf(data), STARTED_AT + 60_000))

test('a topic with a master that takes messages is found', () => {
  const { code, message } = why('t', { routes: { t: routeOver([broker('a'), broker('b', 1)]) } })
  assert.equal(code, 'FOUND')
  assert.match(message, /2 brokers, 1 with a master/)
})

test('a topic with slaves only cannot be written to', () => {
  assert.equal(why('t', { routes: { t: routeOver([broker('a', 1)]) } }).code, 'NO_MASTER')
})

test('a topic without write permission says which command changes that', () => {
  const data = { brokers: [broker('a')], routes: { t: routeOver([broker('a')], 4) } }
  const { code, hints } = why('t', data)
  assert.equal(code, 'NOT_WRITABLE')
  assert.match(hints.join(), /updateTopicPerm -b 10\.0\.0\.1:10911 -t t -p 6/)
  assert.match(why('t', { ...data, wiped: ['a'] }).hints.join(), /addWritePerm -b a/)
})

test('write permission counts only where there is a master', () => {
  const readable = routeOver([broker('a')], 4)
  const writable = routeOver([broker('b', 1)], 6)
  const queueDatas = [...readable.queueDatas, ...writable.queueDatas]
  const brokerDatas = [...readable.brokerDatas, ...writable.brokerDatas]
  assert.equal(why('t', { routes: { t: { ...readable, queueDatas, brokerDatas } } }).code, 'NOT_WRITABLE')
})

test('a server that is not ready says so, even if it has a route', () => {
  const readiness = () => ({ ready: false, code: 'WAITING', reason: '35 s to go' }) as const
  const { code, message } = why('t', { readiness, routes: { t: routeOver([broker('a')]) } })
  assert.equal(code, 'NOT_READY')
  assert.match(message, /35 s to go/)
})

test('without brokers the hint is to check the address of this server', () => {
  const { code, hints } = why('t', {})
  assert.equal(code, 'NO_BROKERS')
  assert.match(hints.join(), /namesrvAddr/)
})

test('a topic whose broker left names the broker, the time and the reason', () => {
  const departures = new Departures()
  const gone = broker('b')
  departures.note({ reason: 'timeout', brokers: [gone] }, STARTED_AT + 25_000)
  departures.noteTopic({ topic: 't', broker: gone })
  const { code, message } = why('t', { brokers: [broker('a')], departures })
  assert.equal(code, 'BROKERS_LEFT')
  assert.match(message, /since b \(id 0, 10.0.0.1:10911\) left 35 s ago: it sent no heartbeat or registration in time/)
})

test('for a topic that no broker registers, the hint says whether sending would create it', () => {
  const brokers = [broker('a')]
  const created = why('t', { brokers, topics: { TBW102: ['a'] } })
  assert.equal(created.code, 'NOT_REGISTERED')
  assert.match(created.hints.join(), /TBW102 is registered by a: these brokers create the topic/)
  const never = why('t', { brokers })
  assert.match(never.hints.join(), /No broker registers TBW102.*mqadmin updateTopic/)
})

test('names that differ by case, blanks or a namespace are pointed out', () => {
  const data = { brokers: [broker('a')], topics: { Orders: ['a'], 'MQ_INST_1%orders': ['a'], other: ['a'] } }
  const { hints } = why('orders ', data)
  assert.match(hints.join(), /nearly this name: "Orders", "MQ_INST_1%orders"\./)
})

test('a thousand similar names are not listed', () => {
  const topics = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`ns${i}%orders`, ['a']]))
  const { hints } = why('orders', { brokers: [broker('a')], topics })
  assert.equal(hints[0]?.match(/%orders/g)?.length, 5)
})
