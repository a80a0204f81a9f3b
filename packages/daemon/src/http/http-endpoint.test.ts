import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, get, type IncomingMessage, request } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { duplexPair } from 'node:stream'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { type Logger, silent } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import fc from 'fast-check'
import { pagesOf, STARTED_AT } from '../../test/health-fixture.ts'
import type { MetricsPage } from '../metrics/family.ts'
import { HttpEndpoint, type HttpEndpointOptions } from './http-endpoint.ts'

interface Given extends Partial<HttpEndpointOptions> {
  readonly metrics?: MetricsPage
}

function endpoint(t: TestContext, { metrics, ...given }: Given = {}) {
  const clock = new ManualClock(STARTED_AT + 10_000)
  const pages = pagesOf({ clock, metrics })
  const http = new HttpEndpoint({ answer: request => pages.answer(request), role: 'test server', clock, ...given })
  t.after(async () => {
    const closed = http.close()
    clock.advance(60_000)
    await closed
    assert.equal(http.connections, 0)
    assert.equal(clock.timers, 0)
  })
  return { http, clock }
}

/** A connection in memory, and all text that is received on it until its end. */
function connection(http: HttpEndpoint) {
  const [near, far] = duplexPair()
  near.on('error', () => {})
  http.accept(far)
  return { near, far, all: text(near) }
}

const GET_LIVEZ = 'GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n'

/** Reads until `count` answers to GET_LIVEZ have arrived. */
async function answers(socket: NodeJS.ReadableStream, count: number): Promise<string> {
  let seen = ''
  while (seen.split('ok\n').length <= count) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    seen += chunk.toString()
  }
  return seen
}

test('a connection that another server accepted, with its first bytes put back, gets its page', async t => {
  const { http } = endpoint(t)
  const port = createServer({ pauseOnConnect: false }, socket => {
    socket.once('data', (bytes: Buffer) => {
      socket.pause()
      socket.unshift(bytes)
      http.accept(socket)
    })
  })
  t.after(() => port.close())
  await once(port.listen(0, '127.0.0.1'), 'listening')
  const agent = new Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  const at = { port: (port.address() as { port: number }).port, path: '/readyz', agent }
  for (let turn = 0; turn < 3; turn++) {
    const [answer] = (await once(get(at), 'response')) as [IncomingMessage]
    assert.equal(answer.statusCode, 200)
    assert.equal((JSON.parse(await text(answer)) as { ready: boolean }).ready, true)
  }
  assert.equal(http.connections, 1)
})

test('its own port serves the same pages, and is free again after close', async t => {
  const { http } = endpoint(t)
  const { port } = await http.listen(0, '127.0.0.1')
  const response = await fetch(`http://127.0.0.1:${port}/livez`)
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('cache-control'), 'no-store')
  assert.equal(response.headers.get('access-control-allow-origin'), null)
  assert.equal(await response.text(), 'ok\n')
  await http.close()
  await http.close()
  const again = createServer().listen(port, '127.0.0.1')
  await once(again, 'listening')
  again.close()
})

test('listen rejects for a port in use', async t => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.after(() => taken.close())
  const { http } = endpoint(t)
  await assert.rejects(http.listen((taken.address() as { port: number }).port, '127.0.0.1'), { code: 'EADDRINUSE' })
})

test('HEAD gets the headers of GET and no body', async t => {
  const { http } = endpoint(t)
  const { near, all } = connection(http)
  near.write('HEAD /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
  const answer = await all
  assert.match(answer, /^HTTP\/1.1 200 OK\r\n/)
  assert.match(answer, /content-length: 3\r\n/)
  assert.ok(answer.endsWith('\r\n\r\n'))
})

test('other methods get 405 with what is allowed', async t => {
  const { http } = endpoint(t)
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const { near, all } = connection(http)
    near.write(`${method} /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`)
    assert.match(await all, /^HTTP\/1.1 405 [^]*allow: GET, HEAD[^]*"METHOD_NOT_ALLOWED"/, method)
  }
})

test('a request for a host name that is not allowed is refused with what to do, and logged', async t => {
  const warnings: object[] = []
  const log: Logger = { ...silent, warn: fields => void warnings.push(fields) }
  const { http } = endpoint(t, { allowedHosts: ['namesrv.internal'], log })
  const ask = (host: string) => {
    const { near, all } = connection(http)
    near.write(`GET /livez HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`)
    return all
  }
  for (const host of ['127.0.0.1:9876', 'localhost', 'namesrv.internal:9876']) {
    assert.match(await ask(host), /^HTTP\/1.1 200 /, host)
  }
  const answer = await ask('rebound.example')
  assert.match(answer, /^HTTP\/1.1 421 [^]*"HOST_NOT_ALLOWED"[^]*rebound\.example[^]*httpAllowedHosts/)
  assert.ok(!answer.includes('ok\n'))
  assert.deepEqual(warnings, [{ peer: undefined, host: 'rebound.example' }])
})

test('HTTP/1.0 without a host name gets its page, as no browser sends it', async t => {
  const { near, all } = connection(endpoint(t).http)
  near.write('GET /livez HTTP/1.0\r\n\r\n')
  assert.match(await all, /^HTTP\/1.1 200 /)
})

test('a request with a body is refused and its connection ended', async t => {
  const { http } = endpoint(t)
  for (const framing of ['content-length: 1000000000', 'transfer-encoding: chunked']) {
    const { near, all } = connection(http)
    near.write(`GET /livez HTTP/1.1\r\nhost: localhost\r\n${framing}\r\n\r\n`)
    assert.match(await all, /^HTTP\/1.1 413 [^]*connection: close[^]*"BODY_NOT_ALLOWED"/i)
  }
})

test('too large headers and bytes that are not a request get a readable answer', async t => {
  const { http } = endpoint(t)
  const cases = [
    [
      `GET /livez HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(9000)}\r\n\r\n`,
      /^HTTP\/1.1 431 [^]*"HEADER_TOO_LARGE"/,
    ],
    [`GET /${'y'.repeat(9000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`, /^HTTP\/1.1 431 [^]*"HEADER_TOO_LARGE"/],
    ['GET nonsense\r\n\r\n', /^HTTP\/1.1 400 [^]*"BAD_REQUEST"/],
    ['\0\0\0\x10', /^HTTP\/1.1 400 [^]*"BAD_REQUEST"/],
  ] as const
  for (const [bytes, expected] of cases) {
    const { near, all } = connection(http)
    near.write(bytes)
    assert.match(await all, expected)
  }
})

test('requests sent without waiting for answers are refused', async t => {
  const { http } = endpoint(t)
  const { near, all } = connection(http)
  near.write(GET_LIVEZ.repeat(50))
  const answer = await all
  assert.ok(answer.startsWith('HTTP/1.1 200 OK'))
  assert.match(answer, /"PIPELINED"/)
})

test('a connection stays open between answers, and is closed when it is silent for the answer timeout', async t => {
  const { http, clock } = endpoint(t)
  const { near, far } = connection(http)
  for (let turn = 0; turn < 3; turn++) {
    near.write(GET_LIVEZ)
    await answers(near, 1)
    clock.advance(29_000)
    assert.equal(http.connections, 1)
  }
  clock.advance(2000)
  assert.equal(http.connections, 0)
  assert.equal(far.destroyed, true)
})

test('a request that arrives too slowly is cut off, although its connection is never silent', t => {
  const { http, clock } = endpoint(t)
  const { near } = connection(http)
  near.write('GET /livez HTTP/1.1\r\n')
  for (let second = 0; second < 31; second++) {
    near.write(`x-${second}: y\r\n`)
    clock.advance(1000)
  }
  assert.equal(http.connections, 0)
})

test('a client that does not read its answer is cut off', async t => {
  const { http, clock } = endpoint(t)
  const [near, far] = duplexPair()
  near.on('error', () => {})
  http.accept(far)
  near.write(GET_LIVEZ)
  await once(far, 'data')
  await new Promise(setImmediate)
  clock.advance(31_000)
  assert.equal(http.connections, 0)
})

test('a connection beyond the limit closes the one that was silent longest, so that probes get through', async t => {
  const warnings: string[] = []
  const log = { debug() {}, info() {}, error() {}, warn: (_: object, text: string) => warnings.push(text) } as Logger
  const { http } = endpoint(t, { log, limits: { connections: 3 } })
  const first = connection(http)
  const second = connection(http)
  const third = connection(http)
  first.near.write(GET_LIVEZ)
  await answers(first.near, 1)
  const fourth = connection(http)
  const fifth = connection(http)
  assert.equal(http.connections, 3)
  assert.deepEqual(
    [first, second, third, fourth, fifth].map(each => each.far.destroyed),
    [false, true, true, false, false],
  )
  assert.equal(warnings.length, 1, 'logged once a minute')
})

test('a connection beyond the limit closes a silent one and no answer in progress', async t => {
  const { promise: rendered, resolve: write } = Promise.withResolvers<string>()
  const metrics = { contentType: 'text/plain', render: () => rendered }
  const { http } = endpoint(t, { metrics, limits: { connections: 2 } })
  const busy = connection(http)
  busy.near.write('GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
  await new Promise(setImmediate)
  const idle = connection(http)
  connection(http)
  assert.deepEqual([busy.far.destroyed, idle.far.destroyed], [false, true])
  write('up 1\n')
  assert.match(await busy.all, /up 1/)
})

test('close ends idle connections at once and lets an answer in progress finish', async t => {
  const { promise: rendered, resolve: write } = Promise.withResolvers<string>()
  const { http } = endpoint(t, { metrics: { contentType: 'text/plain', render: () => rendered } })
  const idle = connection(http)
  const busy = connection(http)
  busy.near.write('GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await new Promise(setImmediate)
  const closed = http.close()
  await once(idle.far, 'close')
  assert.equal(http.connections, 1)
  const late = connection(http)
  assert.equal(late.far.destroyed, true)
  write('up 1\n')
  assert.match(await busy.all, /connection: close[^]*up 1/i)
  await closed
})

test('close waits no longer than its timeout for an answer that never comes', async t => {
  const { http, clock } = endpoint(t, { metrics: { contentType: 'text/plain', render: () => new Promise(() => {}) } })
  const { near, far } = connection(http)
  near.write('GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await new Promise(setImmediate)
  const closed = http.close()
  assert.equal(far.destroyed, false)
  clock.advance(2000)
  await closed
  assert.equal(far.destroyed, true)
})

test('a peer that disconnects at any point leaves nothing behind', async t => {
  const { http } = endpoint(t)
  const { port } = await http.listen(0, '127.0.0.1')
  const cut = async (bytes: string) => {
    const socket: Socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    await once(socket, 'connect')
    socket.write(bytes)
    await new Promise(setImmediate)
    socket.resetAndDestroy()
  }
  for (const bytes of ['', 'GET', GET_LIVEZ, 'GET /metrics HTTP/1.1\r\n', GET_LIVEZ.repeat(5)]) await cut(bytes)
  const asked = request({ port, path: '/livez', agent: false }).end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  assert.equal(await text(answer), 'ok\n')
})

test('random bytes end in an answer or a closed connection, never in a crash', async t => {
  const { http, clock } = endpoint(t)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { maxLength: 5 }), async chunks => {
      const { near, all } = connection(http)
      near.write('GET /')
      for (const chunk of chunks) if (near.writable) near.write(chunk)
      await new Promise(setImmediate)
      clock.advance(31_000)
      await all.catch(() => '')
      assert.equal(http.connections, 0)
    }),
    { numRuns: 50 },
  )
})
