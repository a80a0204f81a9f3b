import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { Logger } from '@gantrymq/remoting'
import { healthOf, pagesOf, STARTED_AT } from '../../test/health-fixture.ts'
import { jsonPage, type Page, Refusal } from './page.ts'
import type { PagesOptions, ServerPage } from './pages.ts'

const further: readonly ServerPage[] = [
  { path: '/api/v1/topics', about: 'topics', answer: ({ query }) => jsonPage({ prefix: query.get('prefix') }) },
  { path: '/api/v1/topics/{topic}', about: 'a topic', answer: ({ segment, now }) => jsonPage({ segment, now }) },
  { path: '/api/v1/topics/{topic}/why', about: 'why', answer: ({ segment }) => jsonPage({ why: segment }) },
]

function pageGetter(given: Partial<PagesOptions> = {}) {
  const pages = pagesOf({ further, ...given })
  return (target: string, method = 'GET', accept?: string) => pages.answer({ method, target, accept })
}

// oxlint-disable-next-line typescript/no-explicit-any -- tests look into JSON freely
const json = (page: Page): any => JSON.parse(page.body)

test('the index names the server and lists all pages, including those of the server', async () => {
  const { body } = await pageGetter()('/')
  assert.match(body, /^This is a RocketMQ test server \(Gantry\)\./)
  assert.equal(
    body.slice(body.indexOf('\n\n') + 2),
    `/livez                       200 while the process answers
/readyz                      200 when clients are served, else 503 with the reason
/metrics                     Prometheus text
/api/v1/topics               topics
/api/v1/topics/{topic}       a topic
/api/v1/topics/{topic}/why   why
`,
  )
})

test('a browser gets a page whose policy allows its own script and style, and nothing else', async () => {
  const { headers, body } = await pageGetter()('/', 'GET', 'text/html,application/xhtml+xml,*/*;q=0.8')
  assert.equal(headers['content-type'], 'text/html; charset=utf-8')
  assert.equal(headers['vary'], 'accept')
  const policy = headers['content-security-policy'] ?? ''
  for (const tag of ['script', 'style']) {
    const blocks = [...body.matchAll(new RegExp(`<${tag}>([^]*?)</${tag}>`, 'g'))]
    const [[, text = ''] = []] = blocks
    assert.equal(blocks.length, 1, tag)
    const hash = createHash('sha256').update(text).digest('base64')
    assert.ok(policy.includes(`${tag}-src 'sha256-${hash}'`), tag)
  }
  assert.match(policy, /^default-src 'none'; /)
  assert.doesNotMatch(body, /\b(?:src|href)="(?!#|data:,)/)
  assert.doesNotMatch(body, /innerHTML|https?:/)
})

test('the index is JSON for callers that ask for it, with the other servers of the process', async () => {
  const get = pageGetter({ otherServers: () => [{ name: 'broker a', port: 10911 }] })
  const page = await get('/', 'GET', 'application/json')
  const { pages, ...rest } = json(page)
  assert.deepEqual(rest, {
    role: 'test server',
    version: '0.1.0',
    startedAt: new Date(STARTED_AT).toISOString(),
    otherServers: [{ name: 'broker a', port: 10911 }],
  })
  assert.deepEqual(pages.at(-1), { path: '/api/v1/topics/{topic}/why', about: 'why' })
  assert.match((await get('/', 'GET', '*/*')).body, /^This is a RocketMQ test server/)
})

test('a name shows its control and direction characters as escapes, and is still the same name', async () => {
  const page = await pageGetter()(`/api/v1/topics/${encodeURIComponent('a\u009b2J\u202eb')}`)
  assert.match(page.body, /"segment":"a\\u009b2J\\u202eb"/)
  assert.equal(json(page).segment, 'a\u009b2J\u202eb')
})

test('the process is alive whatever its state', async () => {
  const health = healthOf({ readiness: () => ({ ready: false, code: 'DRAINING', reason: 'shutting down' }) })
  assert.equal((await pageGetter({ health })('/livez')).status, 200)
})

test('a ready server reports its version, uptime and counts', async () => {
  const page = await pageGetter()('/readyz')
  assert.equal(page.status, 200)
  assert.deepEqual(json(page), { ready: true, version: '0.1.0', uptimeMs: 10_000, topics: 3 })
})

test('a server that is not ready answers 503 with the reason', async () => {
  const health = healthOf({ readiness: () => ({ ready: false, code: 'WAITING', reason: '35 s to go' }) })
  const page = await pageGetter({ health })('/readyz')
  assert.equal(page.status, 503)
  const { ready, code, message } = json(page)
  assert.deepEqual({ ready, code, message }, { ready: false, code: 'WAITING', message: '35 s to go' })
})

test('the program provides the text of the metrics', async () => {
  const metrics = { contentType: 'text/x', render: () => Promise.resolve('up 1\n') }
  const page = await pageGetter({ metrics })('/metrics')
  assert.deepEqual([page.status, page.headers['content-type'], page.body], [200, 'text/x', 'up 1\n'])
  const off = await pageGetter()('/metrics')
  assert.deepEqual([off.status, json(off).code], [404, 'METRICS_OFF'])
})

test('a page of the server gets the query, the time and the decoded segment of its path', async () => {
  const get = pageGetter()
  assert.deepEqual(json(await get('/api/v1/topics?prefix=%25R')), { prefix: '%R' })
  for (const topic of ['orders', '%RETRY%group', 'a/b', 'thema-ü', 'why']) {
    const path = `/api/v1/topics/${encodeURIComponent(topic)}`
    assert.deepEqual(json(await get(path)), { segment: topic, now: STARTED_AT + 10_000 })
    assert.deepEqual(json(await get(`${path}/why?x=1`)), { why: topic })
  }
})

test('a page that refuses is answered with its status and code', async () => {
  const refusing = () => {
    throw new Refusal(404, 'TOPIC_NOT_FOUND', 'no such topic')
  }
  const page = await pageGetter({ further: [{ path: '/x', about: 'x', answer: refusing }] })('/x')
  assert.deepEqual([page.status, json(page)], [404, { code: 'TOPIC_NOT_FOUND', message: 'no such topic' }])
})

test('a page that fails is a 500 without the reason, and is logged', async () => {
  const logged: string[] = []
  const log = { debug() {}, info() {}, warn() {}, error: (_: object, text: string) => logged.push(text) } as Logger
  const metrics = { contentType: 'text/x', render: () => Promise.reject(new Error('secret')) }
  const page = await pageGetter({ metrics, log })('/metrics')
  assert.deepEqual([page.status, json(page).code], [500, 'INTERNAL'])
  assert.doesNotMatch(page.body, /secret/)
  assert.deepEqual(logged, ['http page failed'])
})

test('unknown pages, long targets and other methods are refused with a code', async () => {
  const get = pageGetter()
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
    '/api/v1/topics/%RETRY%group': [400, 'BAD_PATH'],
    '/api/v1/topics/%ff': [400, 'BAD_PATH'],
    [`/${'x'.repeat(2048)}`]: [414, 'TARGET_TOO_LONG'],
  }
  for (const [target, expected] of Object.entries(codes)) {
    const page = await get(target)
    assert.deepEqual([page.status, json(page).code], expected, target)
    assert.equal(typeof json(page).message, 'string')
  }
  const post = await get('/livez', 'POST')
  assert.deepEqual([post.status, post.headers['allow']], [405, 'GET, HEAD'])
})

test('no page may be cached or embedded in other sites', async () => {
  const get = pageGetter()
  for (const target of ['/', '/livez', '/readyz', '/api/v1/topics', '/nothing']) {
    const { headers } = await get(target)
    assert.equal(headers['cache-control'], 'no-store')
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.match(headers['content-security-policy'] ?? '', /default-src 'none'/)
    assert.equal(headers['access-control-allow-origin'], undefined)
  }
})
