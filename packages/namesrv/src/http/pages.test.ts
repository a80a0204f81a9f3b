import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Logger } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import { broker, type FixtureData, routeOver, STARTED_AT, statusOf } from '../../test/status-fixture.ts'
import type { Page } from './page.ts'
import { Pages, type PagesOptions } from './pages.ts'

function site(data: FixtureData = {}, given: Partial<PagesOptions> = {}) {
  const pages = new Pages({ status: statusOf(data), clock: new ManualClock(STARTED_AT + 10_000), ...given })
  return (target: string, method = 'GET') => pages.answer({ method, target })
}

// oxlint-disable-next-line typescript/no-explicit-any -- tests look into JSON freely
const json = (page: Page): any => JSON.parse(page.body)

test('the first page names all others', async () => {
  const ask = site({ topics: { t: ['a'] }, routes: { t: routeOver([broker('a')]) } })
  const index = (await ask('/')).body
  const targets = [...index.matchAll(/^(\/[^\s]*)/gm)].map(([target]) => target)
  assert.equal(targets.length, 8)
  for (const target of targets) {
    const { status } = await ask(target.replace('{topic}', 't'))
    assert.equal(status, target === '/metrics' ? 404 : 200, target)
  }
})

test('the process is alive whatever its state', async () => {
  const ask = site({ readiness: () => ({ ready: false, code: 'DRAINING', reason: 'shutting down' }) })
  assert.equal((await ask('/livez')).status, 200)
})

test('a ready server says so with what it knows', async () => {
  const page = await site({ brokers: [broker('a')], topics: { t: ['a'] } })('/readyz')
  assert.equal(page.status, 200)
  assert.deepEqual(json(page), { ready: true, version: '0.1.0', uptimeMs: 10_000, brokers: 1, topics: 1 })
})

test('a server that is not ready answers 503 with the reason', async () => {
  const page = await site({ readiness: () => ({ ready: false, code: 'WAITING', reason: '35 s to go' }) })('/readyz')
  assert.equal(page.status, 503)
  const { ready, code, message } = json(page)
  assert.deepEqual({ ready, code, message }, { ready: false, code: 'WAITING', message: '35 s to go' })
})

test('metrics are written by what the program handed in', async () => {
  const metrics = { contentType: 'text/x', render: () => Promise.resolve('up 1\n') }
  const page = await site({}, { metrics })('/metrics')
  assert.deepEqual([page.status, page.headers['content-type'], page.body], [200, 'text/x', 'up 1\n'])
  const off = await site()('/metrics')
  assert.deepEqual([off.status, json(off).code], [404, 'METRICS_OFF'])
})

test('a page that fails is a 500 that tells nothing, and is logged', async () => {
  const logged: string[] = []
  const log = { debug() {}, info() {}, warn() {}, error: (_: object, said: string) => logged.push(said) } as Logger
  const metrics = { contentType: 'text/x', render: () => Promise.reject(new Error('secret')) }
  const page = await site({}, { metrics, log })('/metrics')
  assert.deepEqual([page.status, json(page).code], [500, 'INTERNAL'])
  assert.doesNotMatch(page.body, /secret/)
  assert.deepEqual(logged, ['http page failed'])
})

test('unknown pages, long targets and other methods are refused with a code', async () => {
  const ask = site()
  const codes: Record<string, [number, string]> = {
    '/nothing': [404, 'NOT_FOUND'],
    '/api/v1/topics/': [404, 'NOT_FOUND'],
    '/api/v1/topics/a/b': [404, 'NOT_FOUND'],
    '/api/v1/topics/a/why/not': [404, 'NOT_FOUND'],
    '//evil/livez': [404, 'NOT_FOUND'],
    '/../livez': [404, 'NOT_FOUND'],
    'http://x/livez': [404, 'NOT_FOUND'],
    '*': [404, 'NOT_FOUND'],
    '': [404, 'NOT_FOUND'],
    '/api/v1/topics/unknown': [404, 'TOPIC_NOT_FOUND'],
    '/api/v1/topics/%RETRY%group': [400, 'BAD_PATH'],
    '/api/v1/topics/%ff': [400, 'BAD_PATH'],
    '/api/v1/topics?limit=0': [400, 'BAD_QUERY'],
    '/api/v1/topics?limit=1001': [400, 'BAD_QUERY'],
    '/api/v1/topics?limit=1e2': [400, 'BAD_QUERY'],
    '/api/v1/topics?offset=3': [400, 'BAD_QUERY'],
    [`/${'x'.repeat(2048)}`]: [414, 'TARGET_TOO_LONG'],
  }
  for (const [target, expected] of Object.entries(codes)) {
    const page = await ask(target)
    assert.deepEqual([page.status, json(page).code], expected, target)
    assert.equal(typeof json(page).message, 'string')
  }
  const post = await ask('/livez', 'POST')
  assert.deepEqual([post.status, post.headers['allow']], [405, 'GET, HEAD'])
})

test('every page keeps out of caches and of other sites', async () => {
  const ask = site()
  for (const target of ['/', '/livez', '/readyz', '/api/v1/topics', '/nothing']) {
    const { headers } = await ask(target)
    assert.equal(headers['cache-control'], 'no-store')
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.match(headers['content-security-policy'] ?? '', /default-src 'none'/)
    assert.equal(headers['access-control-allow-origin'], undefined)
  }
})

test('clusters come with their broker names', async () => {
  const brokers = [broker('b'), broker('a'), broker('a', 1), broker('c', 0, { cluster: 'Other' })]
  assert.deepEqual(json(await site({ brokers })('/api/v1/clusters')), {
    clusters: [
      { cluster: 'DefaultCluster', brokerNames: ['a', 'b'] },
      { cluster: 'Other', brokerNames: ['c'] },
    ],
    total: 2,
  })
})

test('brokers come with their age, of one cluster if asked', async () => {
  const brokers = [broker('b', 9007199254740993n), broker('a'), broker('c', 0, { cluster: 'Other' })]
  const ask = site({ brokers })
  const { brokers: all, total } = json(await ask('/api/v1/brokers'))
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
  const other = json(await ask('/api/v1/brokers?cluster=Other'))
  assert.deepEqual([other.brokers.length, other.total], [1, 1])
})

test('topics come in order, page by page, with the number of their brokers', async () => {
  const ask = site({ topics: { c: ['x'], a: ['x', 'y'], '%RETRY%b': [], b: ['x'] } })
  const first = json(await ask('/api/v1/topics?limit=3'))
  assert.deepEqual(first, {
    topics: [
      { topic: '%RETRY%b', brokers: 0 },
      { topic: 'a', brokers: 2 },
      { topic: 'b', brokers: 1 },
    ],
    total: 4,
    next: 'b',
  })
  const second = json(await ask('/api/v1/topics?limit=3&after=b'))
  assert.deepEqual(second, { topics: [{ topic: 'c', brokers: 1 }], total: 4 })
  const retry = json(await ask('/api/v1/topics?prefix=%25RETRY%25'))
  assert.deepEqual([retry.topics.length, retry.total], [1, 1])
})

test('the route of a topic comes in words of Apache, whatever the name needs in a path', async () => {
  const route = routeOver([broker('a'), broker('a', 1)])
  const names = ['orders', '%RETRY%group', '%DLQ%a b', '__proto__', 'a/b', 'thema-ü', 'why']
  const ask = site({ routes: Object.fromEntries(names.map(name => [name, route])) })
  for (const name of names) {
    const page = await ask(`/api/v1/topics/${encodeURIComponent(name)}`)
    assert.equal(page.status, 200, name)
    assert.equal(json(page).topic, name)
  }
  assert.deepEqual(json(await ask('/api/v1/topics/orders')).route, {
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
