import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { type ClientHttp2Stream, connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2'
import { type AddressInfo, connect as dial, createServer, type Socket } from 'node:net'
import { duplexPair } from 'node:stream'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import type { Logger } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import { pagesOf, STARTED_AT } from '../../test/health-fixture.ts'
import { grpcMessage } from './grpc-refusal.ts'
import { HttpEndpoint } from './http-endpoint.ts'

const END_STREAM = 1

const QUERY_ROUTE = {
  ':method': 'POST',
  ':path': '/apache.rocketmq.v2.MessagingService/QueryRoute',
  'content-type': 'application/grpc+proto',
  te: 'trailers',
}

function endpoint(t: TestContext) {
  const clock = new ManualClock(STARTED_AT + 10_000)
  const warnings: string[] = []
  const log = { debug() {}, info() {}, error() {}, warn: (_: object, text: string) => warnings.push(text) } as Logger
  const pages = pagesOf({ clock })
  const http = new HttpEndpoint({ answer: request => pages.answer(request), role: 'name server', clock, log })
  t.after(() => http.close())
  return { http, clock, warnings }
}

/** A port that puts the first bytes back and passes connections on, as a server does. */
async function acceptorFor(t: TestContext, http: HttpEndpoint) {
  const sockets: Socket[] = []
  const port = createServer(socket => {
    sockets.push(socket)
    socket.once('data', (bytes: Buffer) => {
      socket.pause()
      socket.unshift(bytes)
      http.acceptHttp2(socket)
      acceptor.emit('accepted')
    })
  })
  const acceptor = Object.assign(new EventEmitter(), { port: 0 })
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    port.close()
  })
  await once(port.listen(0, '127.0.0.1'), 'listening')
  return Object.assign(acceptor, { port: (port.address() as AddressInfo).port })
}

function client(t: TestContext, port: number) {
  const session = connect(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  t.after(() => session.destroy())
  const ask = async (headers: OutgoingHttpHeaders) => {
    // A gRPC caller may keep its side open for more messages.
    const isCall = headers['content-type'] !== undefined
    const stream: ClientHttp2Stream = session.request(headers, isCall ? { endStream: false } : {})
    stream.on('error', () => {})
    const closed = once(stream, 'close')
    const [answer, flags] = (await once(stream, 'response')) as [IncomingHttpHeaders, number]
    const body = flags & END_STREAM ? '' : await text(stream)
    await closed
    return { answer, flags, body }
  }
  return { session, ask }
}

test('a gRPC call gets a message that points to the proxy, and its session ends soon', async t => {
  const { http, clock, warnings } = endpoint(t)
  const { port } = await acceptorFor(t, http)
  const { session, ask } = client(t, port)
  const { answer, flags } = await ask(QUERY_ROUTE)
  assert.equal(answer[':status'], 200)
  assert.equal(answer['content-type'], 'application/grpc')
  assert.equal(answer['grpc-status'], '12')
  assert.match(String(answer['grpc-message']), /name server.*proxy.*8081/)
  assert.equal(flags & END_STREAM, END_STREAM, 'headers and trailers in one block')
  clock.advance(4000)
  await ask(QUERY_ROUTE)
  clock.advance(4000)
  assert.equal(http.connections, 1)
  clock.advance(2000)
  await once(session, 'close')
  assert.equal(http.connections, 0)
  assert.deepEqual(warnings, ['a gRPC client connected to the name server and was referred to the RocketMQ proxy'])
})

test('later and concurrent calls get the same answer', async t => {
  const { http } = endpoint(t)
  const { port } = await acceptorFor(t, http)
  const { ask } = client(t, port)
  const first = await ask(QUERY_ROUTE)
  const answers = [first, ...(await Promise.all([ask(QUERY_ROUTE), ask(QUERY_ROUTE)]))]
  assert.deepEqual(
    answers.map(({ answer }) => answer['grpc-status']),
    ['12', '12', '12'],
  )
})

test('the message has only characters that gRPC allows in a header unescaped', () => {
  assert.match(grpcMessage('name server'), /^[ -$&-~]+$/)
})

test('gRPC clients that keep retrying are logged once a minute', async t => {
  const { http, clock, warnings } = endpoint(t)
  const { port } = await acceptorFor(t, http)
  for (let turn = 0; turn < 3; turn++) await client(t, port).ask(QUERY_ROUTE)
  assert.equal(warnings.length, 1)
  clock.advance(60_000)
  await client(t, port).ask(QUERY_ROUTE)
  assert.equal(warnings.length, 2)
})

test('other HTTP/2 clients get the pages', async t => {
  const { http } = endpoint(t)
  const { port } = await acceptorFor(t, http)
  const ready = await client(t, port).ask({ ':path': '/readyz' })
  assert.equal(ready.answer[':status'], 200)
  assert.equal((JSON.parse(ready.body) as { ready: boolean }).ready, true)
  const missing = await client(t, port).ask({ ':path': '/nothing' })
  assert.equal(missing.answer[':status'], 404)
  const post = await client(t, port).ask({ ':method': 'POST', ':path': '/readyz', 'content-type': 'text/plain' })
  assert.equal(post.answer[':status'], 405)
  const head = await client(t, port).ask({ ':method': 'HEAD', ':path': '/livez' })
  assert.deepEqual([head.answer['content-length'], head.body], ['3', ''])
  const rebound = await client(t, port).ask({ ':path': '/livez', ':authority': 'rebound.example' })
  assert.equal(rebound.answer[':status'], 421)
})

test('a connection with nothing or garbage after the preface is closed', async t => {
  const { http, clock } = endpoint(t)
  const acceptor = await acceptorFor(t, http)
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
  for (const rest of ['', '\0\0\x10\x04', 'x'.repeat(20_000)]) {
    const socket = dial(acceptor.port, '127.0.0.1')
      .on('error', () => {})
      .resume()
    t.after(() => socket.destroy())
    socket.write(preface + rest)
    await once(acceptor, 'accepted')
    clock.advance(31_000)
    if (!socket.closed) await once(socket, 'close')
    assert.equal(http.connections, 0)
  }
})

test('a silent session is closed, and so is one that is open at close', async t => {
  const { http, clock } = endpoint(t)
  const { port } = await acceptorFor(t, http)
  const silent = client(t, port)
  await once(silent.session, 'remoteSettings')
  clock.advance(31_000)
  await once(silent.session, 'close')
  assert.equal(http.connections, 0)
  const open = client(t, port)
  await once(open.session, 'remoteSettings')
  await http.close()
  await once(open.session, 'close')
})

test('a stream that is not a socket is not served', t => {
  const { http } = endpoint(t)
  const [, far] = duplexPair()
  http.acceptHttp2(far)
  assert.equal(far.destroyed, true)
})
