import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newGroup } from '../registry/broker-group.ts'
import { InternedRoutes } from './interned-routes.ts'
import { Topic } from '../registry/topic.ts'

const groups = ['a', 'b', 'c'].map(name => newGroup(name, 'C'))
const settings = (perm: number, readQueueNums = 8) => ({ perm, readQueueNums, writeQueueNums: 8, topicSysFlag: 0 })
const usual = settings(6)

function topicOn(name: string, members = groups, queues = usual): Topic {
  const topic = new Topic(name)
  for (const group of members) topic.setQueues(group, queues)
  return topic
}

test('topics on the same brokers with the same settings share their route', () => {
  const routes = new InternedRoutes()
  assert.equal(routes.of(topicOn('S')), routes.of(topicOn('T')))
})

test('topics on different brokers do not share a route', () => {
  const routes = new InternedRoutes()
  assert.notEqual(routes.of(topicOn('S')), routes.of(topicOn('T', groups.slice(1))))
})

test('topics with different settings do not share a route, even if their hashes are equal', () => {
  const routes = new InternedRoutes()
  // 6 + 9 * 16 = 22 + 8 * 16
  assert.notEqual(routes.of(topicOn('S', groups, settings(6, 9))), routes.of(topicOn('T', groups, settings(22, 8))))
})

test('a topic that changes gets another route, and the others keep the old one', () => {
  const routes = new InternedRoutes()
  const [changing, staying] = [topicOn('S'), topicOn('T')]
  const before = routes.of(staying)
  changing.setQueues(groups[0] as (typeof groups)[0], settings(4))
  assert.notEqual(routes.of(changing), before)
  assert.equal(routes.of(staying), before)
})

test('a group whose addresses changed while it had no topic gets another route', () => {
  const routes = new InternedRoutes()
  const group = newGroup('d', 'C')
  const before = routes.of(topicOn('S', [group]))
  group.row = { ...group.row, brokerAddrs: new Map([[0, '10.0.0.1:10911']]) }
  assert.notEqual(routes.of(topicOn('T', [group])), before)
})
