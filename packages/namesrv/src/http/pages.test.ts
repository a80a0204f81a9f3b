import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Page, Pages } from '@gantrymq/daemon'
import { finish } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import { broker, type FixtureData, routeOver, STARTED_AT, statusOf } from '../../test/status-fixture.ts'
import { nameServerPages } from './pages.ts'

function pagesOf(data: FixtureData = {}) {
  const status = statusOf(data)
  const clock = new ManualClock(STARTED_AT + 10_000)
  const pages = new Pages({ role: 'name server', health: status, further: nameServerPages(status, finish), clock })
  return (target: string, method = 'GET') => pages.answer({ method, target })
}

// oxlint-disable-next-line typescript/no-explicit-any -- tests look into JSON freely
const json = (page: Page): any => JSON.parse(page.body)

test('the index page lists all others', async () => {
  const get = pagesOf({ topics: { t: ['a'] }, routes: { t: routeOver([broker('a')]) } })
  const index = (await get('/')).body
  const targets = [...index.matchAll(/^(\/[^\s]*)/gm)].map(([target]) => target)
  assert.equal(targets.length, 8)
  for (const target of targets) {
    const { status } = await get(target.replace('{topic}', 't'))
    assert.equal(status, target === '/metrics' ? 404 : 200, target)
  }
})

test('a ready server reports its version, uptime and counts', async () => {
  const page = await pagesOf({ brokers: [broker('a')], topics: { t: ['a'] } })('/readyz')
  assert.equal(page.status, 200)
  assert.deepEqual(json(page), { ready: true, version: '0.1.0', uptimeMs: 10_000, brokers: 1, topics: 1 })
})

test('unknown topics, bad names and bad queries are refused with a code', async () => {
  const get = pagesOf()
  const codes: Record<string, [number, string]> = {
    '/api/v1/topics/unknown': [404, 'TOPIC_NOT_FOUND'],
    '/api/v1/topics/%RETRY%group': [400, 'BAD_PATH'],
    '/api/v1/topics?limit=0': [400, 'BAD_QUERY'],
    '/api/v1/topics?limit=1001': [400, 'BAD_QUERY'],
    '/api/v1/topics?limit=1e2': [400, 'BAD_QUERY'],
    '/api/v1/topics?offset=3': [400, 'BAD_QUERY'],
  }
  for (const [target, expected] of Object.entries(codes)) {
    const page = await get(target)
    assert.deepEqual([page.status, json(page).code], expected, target)
    assert.equal(typeof json(page).message, 'string')
  }
})

test('clusters are listed with their broker names', async () => {
  const brokers = [broker('b'), broker('a'), broker('a', 1), broker('c', 0, { cluster: 'Other' })]
  assert.deepEqual(json(await pagesOf({ brokers })('/api/v1/clusters')), {
    clusters: [
      { cluster: 'DefaultCluster', brokerNames: ['a', 'b'] },
      { cluster: 'Other', brokerNames: ['c'] },
    ],
    total: 2,
  })
})

test('brokers are listed with their age, and can be limited to one cluster', async () => {
  const brokers = [broker('b', 9007199254740993n), broker('a'), broker('c', 0, { cluster: 'Other' })]
  const get = pagesOf({ brokers })
  const { brokers: all, total } = json(await get('/api/v1/brokers'))
  assert.deepEqual(
    all.map((each: { brokerName: string }) => each.brokerName),
    ['a', 'b', 'c'],
  ) // in order of names
  assert.equal(total, 3)
  assert.deepEqual(all[0], {
    cluster: 'DefaultCluster',
    brokerName: 'a',
    brokerId: 0,
    brokerAddr: '10.0.0.1:10911',
    topicCount: 1,
    registeredAt: new Date(STARTED_AT + 1000).toISOString(),
    lastUpdateAgeMs: 5000,
    timeoutMs: 120_000,
  })
  assert.equal(all[1].brokerId, '9007199254740993', 'exact, as text')
  const other = json(await get('/api/v1/brokers?cluster=Other'))
  assert.deepEqual([other.brokers.length, other.total], [1, 1])
})

test('topics are listed in order, page by page, with the number of their brokers', async () => {
  const get = pagesOf({ topics: { c: ['x'], a: ['x', 'y'], '%RETRY%b': [], b: ['x'] } })
  const first = json(await get('/api/v1/topics?limit=3'))
  assert.deepEqual(first, {
    topics: [
      { topic: '%RETRY%b', brokers: 0 },
      { topic: 'a', brokers: 2 },
      { topic: 'b', brokers: 1 },
    ],
    total: 4,
    next: 'b',
  })
  const second = json(await get('/api/v1/topics?limit=3&after=b'))
  assert.deepEqual(second, { topics: [{ topic: 'c', brokers: 1 }], total: 4 })
  const retry = json(await get('/api/v1/topics?prefix=%25RETRY%25'))
  assert.deepEqual([retry.topics.length, retry.total], [1, 1])
})

test('the route of a topic has the field names of Apache, and any topic name works in a path', async () => {
  const route = routeOver([broker('a'), broker('a', 1)])
  const names = ['orders', '%RETRY%group', '%DLQ%a b', '__proto__', 'a/b', 'thema-ü', 'why']
  const get = pagesOf({ routes: Object.fromEntries(names.map(name => [name, route])) })
  for (const name of names) {
    const page = await get(`/api/v1/topics/${encodeURIComponent(name)}`)
    assert.equal(page.status, 200, name)
    assert.equal(json(page).topic, name)
  }
  assert.deepEqual(json(await get('/api/v1/topics/orders')).route, {
    queueDatas: [{ brokerName: 'a', readQueueNums: 4, writeQueueNums: 4, perm: 6, topicSysFlag: 0 }],
    brokerDatas: [
      {
        cluster: 'DefaultCluster',
        brokerName: 'a',
        brokerAddrs: { 0: '10.0.0.1:10911', 1: '10.0.0.2:10911' },
        enableActingMaster: false,
      },
    ],
    filterServerTable: {},
  })
})
