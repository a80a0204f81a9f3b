import assert from 'node:assert/strict'
import diagnostics from 'node:diagnostics_channel'
import http from 'node:http'
import http2 from 'node:http2'
import { connect, type Socket } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { ManualClock } from './testing/manual-clock.ts'
import { addressRanges } from './address-range.ts'
import type { CloseReason } from './close-reason.ts'
import type { ReplyParts } from './command.ts'
import { Connection } from './connection.ts'
import type { ConnectionOptions } from './connection-options.ts'
import { header, text } from './fields.ts'
import { encodeFrame } from './frame.ts'
import type { Logger } from './log.ts'
import { Outbox } from './outbox.ts'
import { request } from './request.ts'
import { type OtherProtocols, RemotingServer, type RemotingServerOptions } from './server.ts'

const ECHO = request({
  code: 105,
  purpose: 'for tests',
  header: header({ topic: text() }),
  reply: { header: header({ topic: text() }) },
})

interface Line {
  readonly peer?: string
  readonly why?: string
  readonly text: string
}

function open(t: TestContext, given: Partial<RemotingServerOptions> = {}) {
  const clock = new ManualClock()
  const lines: Line[] = []
  const note = (fields: object, line: string): void => void lines.push({ ...fields, text: line })
  const log: Logger = { debug: note, info: note, warn: note, error: note }
  const peers: string[] = []
  const reasons: CloseReason[] = []
  const server = new RemotingServer({
    clock,
    log,
    onRequest: command => ({ code: 0, extFields: command.extFields }),
    onOpen: peer => peers.push(peer.remoteAddress),
    onClose: (_, reason) => reasons.push(reason),
    ...given,
  })
  t.after(async () => {
    const closing = server.close()
    await settle()
    clock.advance(60_000)
    await closing
  })
  /** Opens a raw connection from an address. */
  const dial = (from = '10.0.0.1:1000'): Duplex => {
    const [near, far] = duplexPair()
    // Destroying one end destroys the other, as with sockets.
    near.once('close', () => far.destroy())
    far.once('close', () => near.destroy())
    far.on('error', () => {}).resume()
    server.accept(near, from)
    return far
  }
  /** Connects a client that speaks remoting. */
  const join = (options: Partial<ConnectionOptions> = {}, from?: string): Connection => {
    const client = new Connection(dial(from), { remoteAddress: 'server:1', clock, ...options })
    t.after(() => client.destroy())
    return client
  }
  return { server, clock, lines, peers, reasons, dial, join }
}

/** Runs everything that waits only for its turn of the event loop. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn()
}

async function send(stream: Duplex, bytes: Uint8Array | string): Promise<void> {
  stream.write(bytes)
  await settle()
}

const echo = (client: Connection, topic = 'a') => client.call(ECHO, { header: { topic } })

test('a peer that speaks remoting is served and counted', async t => {
  const { join, peers, server } = open(t)
  assert.equal((await echo(join())).header.topic, 'a')
  assert.deepEqual(peers, ['10.0.0.1:1000'])
  assert.equal(server.connectionCount, 1)
})

test('connections have ids in the order in which they were accepted, whichever sends first', async t => {
  const ids: number[] = []
  const { dial } = open(t, { onOpen: peer => ids.push(peer.id) })
  const [first, second] = [dial(), dial()]
  const request = { code: 1, language: 'JAVA', version: 0, opaque: 1, flag: 0, remark: null, extFields: null } as const
  const frame = encodeFrame({ ...request, body: null, serializeType: 'JSON' }, new Outbox())
  await send(second, frame)
  await send(first, frame)
  const [ofSecond = 0, ofFirst = 0] = ids
  assert.ok(ofFirst < ofSecond)
})

test('a connection that speaks no known protocol is refused, and the log shows its first bytes', async t => {
  const { dial, lines, server } = open(t)
  const far = dial()
  await send(far, 'SSH-2.0-OpenSSH_9.6\r\n')
  assert.equal(far.destroyed || far.readableEnded, true)
  assert.match(lines[0]?.why ?? '', /5353482d322e302d/)
  assert.equal(lines[0]?.peer, '10.0.0.1:1000')
  assert.equal(server.connectionCount, 0)
})

test('a connection that does not show its protocol is refused after ten seconds', async t => {
  const { dial, lines, clock, server } = open(t)
  dial()
  await send(dial('10.0.0.2:1'), 'PRI * HT')
  clock.advance(9000)
  await settle()
  assert.equal(server.connectionCount, 2)
  clock.advance(1000)
  await settle()
  assert.equal(server.connectionCount, 0)
  assert.deepEqual(
    lines.map(line => line.why),
    Array(2).fill('it did not show its protocol within 10000 ms'),
  )
})

test('a peer that disconnects without sending anything is not logged', async t => {
  const { dial, lines, server, reasons } = open(t)
  dial().end()
  await settle()
  assert.equal(server.connectionCount, 0)
  assert.deepEqual([lines, reasons], [[], []])
})

test('a connection without traffic is closed after two minutes, but not one with traffic', async t => {
  const { join, clock, reasons, server } = open(t)
  const [idle, busy] = [join(), join()]
  await echo(idle)
  for (let i = 0; i < 12; i++) {
    await echo(busy)
    clock.advance(10_000)
    await settle()
  }
  assert.deepEqual(reasons, ['idle'])
  assert.equal(server.connections.size, 1)
  assert.equal(busy.isOpen, true)
})

test('an idle time of 0 means never, and a change applies to open connections', async t => {
  const { join, clock, server, reasons } = open(t, { limits: { idleMs: 0 } })
  await echo(join())
  clock.advance(24 * 3_600_000)
  await settle()
  assert.equal(server.connections.size, 1)
  server.setIdleMs(60_000)
  clock.advance(1000)
  await settle()
  assert.deepEqual(reasons, ['idle'])
})

test('a connection closes if a frame is begun and not completed', async t => {
  const { dial, clock, reasons } = open(t, { limits: { slowFrameMs: 5000 } })
  await send(dial(), Buffer.of(0, 0, 1))
  clock.advance(7000)
  await settle()
  assert.deepEqual(reasons, ['slow_frame'])
})

test('the reason why a connection ended is reported once, no matter which side ended it', async t => {
  const { dial, join, reasons } = open(t)
  const client = join()
  await echo(client)
  await client.close()
  await settle()
  assert.deepEqual(reasons, ['peer'])
  await send(dial(), Buffer.of(0, 0, 0, 1, 2, 3))
  assert.deepEqual(reasons, ['peer', 'bad_frame'])
})

test('connections beyond the limit are refused until another connection ends', async t => {
  const { join, lines, server } = open(t, { limits: { maxConnections: 2 } })
  const first = join()
  await echo(first)
  await echo(join())
  await assert.rejects(echo(join()), { code: 'CLOSED' })
  assert.equal(lines.at(-1)?.why, 'there are 2 connections already')
  first.destroy()
  await settle()
  await echo(join())
  assert.equal(server.connectionCount, 2)
})

test('connections are counted per address', async t => {
  const { join, lines } = open(t, { limits: { maxConnectionsPerAddress: 1 } })
  await echo(join({}, '10.0.0.1:1'))
  await echo(join({}, '10.0.0.2:1'))
  await assert.rejects(echo(join({}, '10.0.0.1:2')), { code: 'CLOSED' })
  assert.equal(lines.at(-1)?.why, 'there are 1 connections from 10.0.0.1 already')
})

test('a PROXY preamble from an allowed address sets the address of the peer, which is also the one counted', async t => {
  const limits = { maxConnectionsPerAddress: 1 }
  const { dial, lines, peers, server } = open(t, { proxies: addressRanges('10.0.0.0/24'), limits })
  const preamble = (port: number): string => `PROXY TCP4 203.0.113.9 10.0.0.1 ${port} 9876\r\n`
  await send(dial('10.0.0.1:1'), `${preamble(7)}\0\0`)
  await send(dial('10.0.0.1:2'), 'PROXY UNKNOWN\r\n\0')
  assert.deepEqual(peers, ['203.0.113.9:7', '10.0.0.1:2'])
  await send(dial('10.0.0.1:3'), `${preamble(8)}\0`)
  assert.equal(lines.at(-1)?.why, 'there are 1 connections from 203.0.113.9 already')
  assert.equal(server.connectionCount, 2)
})

test('a PROXY preamble from any other address, a second preamble and a broken one are refused', async t => {
  const { dial, lines, server } = open(t, { proxies: addressRanges('10.0.0.0/24') })
  await send(dial('192.0.2.1:1'), 'PROXY UNKNOWN\r\n\0')
  await send(dial(), 'PROXY UNKNOWN\r\nPROXY UNKNOWN\r\n\0')
  await send(dial(), 'PROXY TCP4 x y 1 2\r\n\0')
  const whys = [/not in an allowed range/, /a second PROXY protocol preamble/, /broken PROXY protocol preamble/]
  for (const [i, why] of whys.entries()) assert.match(lines[i]?.why ?? '', why)
  assert.equal(server.connectionCount, 0)
})

test('HTTP is refused if there is no handler for it, and TLS if it is not configured', async t => {
  const { dial, lines } = open(t)
  await send(dial(), 'GET / HTTP/1.1\r\n')
  await send(dial(), 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  await send(dial(), Buffer.of(0x16, 3, 1))
  assert.match(lines[0]?.why ?? '', /HTTP\/1/)
  assert.match(lines[1]?.why ?? '', /HTTP\/2/)
  assert.match(lines[2]?.why ?? '', /TLS is disabled/)
})

test('the handler of an HTTP connection gets the bytes that were read, and the address of the client', async t => {
  const taken: string[] = []
  const take =
    (name: string) =>
    (stream: Duplex, from: string): void =>
      void stream.resume().on('data', (chunk: Buffer) => taken.push(`${name} ${from} ${chunk.toString()}`))
  const { dial } = open(t, { protocols: { http1: take('1'), http2: take('2') } })
  const far = dial()
  await send(far, 'GE')
  await send(far, 'T /')
  await send(far, 'x HTTP')
  await send(dial(), 'PRI * HTTP/2.0\r\n')
  assert.equal(taken.filter(line => line.startsWith('1')).join('|'), '1 10.0.0.1:1000 GET /|1 10.0.0.1:1000 x HTTP')
  assert.equal(taken.at(-1), '2 10.0.0.1:1000 PRI * HTTP/2.0\r\n')
})

test('while the server closes, newer clients are asked to go away and older ones are served', async t => {
  const { server, join, clock, reasons } = open(t)
  const [older, newer] = [join({ version: 475 }), join({ version: 476 })]
  await Promise.all([echo(older), echo(newer)])
  const closing = server.close({ goAwayMs: 30_000 })
  await assert.rejects(echo(newer), { responseCode: 1500, remark: 'please go away' })
  assert.equal((await echo(older)).code, 0)
  await assert.rejects(echo(join()), { code: 'CLOSED' })
  clock.advance(30_000)
  await closing
  assert.deepEqual(reasons, ['shutdown', 'shutdown'])
  assert.equal(clock.timers, 0)
})

test('while the server closes, a fast path is not offered the requests of newer clients', async t => {
  const { server, join, clock } = open(t, { fastPath: { take: () => 0 } })
  const client = join()
  client.call(ECHO, { header: { topic: 'a' } }, { timeoutMs: 500 }).catch(() => {})
  await settle()
  const closing = server.close({ goAwayMs: 1000 })
  await assert.rejects(echo(client), { responseCode: 1500 })
  clock.advance(1000)
  await closing
})

test('while the server closes, a one-way request of a newer client is not handled', async t => {
  const seen: string[] = []
  const onRequest = (command: { version: number }): ReplyParts => {
    seen.push(String(command.version))
    return { code: 0 }
  }
  const { server, join, clock } = open(t, { onRequest })
  const clients = [join({ version: 475 }), join({ version: 513 })]
  for (const client of clients) client.oneway(ECHO, { header: { topic: 'a' } })
  await settle()
  const closing = server.close({ goAwayMs: 1000 })
  for (const client of clients) client.oneway(ECHO, { header: { topic: 'a' } })
  await settle()
  assert.deepEqual(seen, ['475', '513', '475'])
  clock.advance(1000)
  await closing
})

test('closing stops waiting for clients to go away when all have disconnected', async t => {
  const { server, join } = open(t)
  const client = join()
  await echo(client)
  const closing = server.close({ goAwayMs: 30_000 })
  await client.close()
  await closing
})

test('a request being answered gets its answer before the connection ends, and closing is idempotent', async t => {
  let release = (): void => {}
  const onRequest = (): Promise<ReplyParts> =>
    new Promise(resolve => (release = () => resolve({ code: 0, extFields: new Map([['topic', 'late']]) })))
  const { server, join } = open(t, { onRequest })
  const call = echo(join())
  await settle()
  const closing = server.close({ drainMs: 5000 })
  assert.equal(server.close(), closing)
  await settle()
  release()
  assert.equal((await call).header.topic, 'late')
  await closing
  assert.equal(server.connectionCount, 0)
})

test('closing waits for an answer no longer than drainMs', async t => {
  const { server, join, clock } = open(t, { onRequest: () => new Promise(() => {}) })
  const failed = assert.rejects(echo(join()), { code: 'CLOSED' })
  await settle()
  const closing = server.close({ drainMs: 2000 })
  await settle()
  clock.advance(2000)
  await settle()
  clock.advance(2000)
  await closing
  await failed
})

test('opened and refused connections are published', async t => {
  const messages: string[] = []
  const listen = (name: string): void => {
    const listener = (message: unknown): void =>
      void messages.push(`${name} ${(message as { remoteAddress: string }).remoteAddress}`)
    diagnostics.subscribe(`gantrymq:remoting:connection:${name}`, listener)
    t.after(() => diagnostics.unsubscribe(`gantrymq:remoting:connection:${name}`, listener))
  }
  for (const name of ['open', 'refused', 'close']) listen(name)
  const { dial, join } = open(t)
  const client = join()
  await echo(client)
  await send(dial('10.0.0.2:2'), 'nonsense')
  assert.deepEqual(messages, ['open 10.0.0.1:1000', 'refused 10.0.0.2:2'])
})

// -- Real ports --------------------------------------------------------------------------------------------------------

async function listening(
  t: TestContext,
  protocols: OtherProtocols = {},
): Promise<{ port: number; server: RemotingServer; lines: Line[] }> {
  const { server, lines } = open(t, { protocols })
  const { port } = await server.listen({ host: '127.0.0.1' })
  return { port, server, lines }
}

test('a port in use is a clear error', async t => {
  const { port, server } = await listening(t)
  await assert.rejects(server.listen({ host: '127.0.0.1', port }), {
    code: 'CONNECT_FAILED',
    message: `cannot listen on 127.0.0.1:${port}: the port is in use`,
  })
})

test('a node:http server answers on the same port', async t => {
  const web = http.createServer((incoming, outgoing) => outgoing.end(`you asked for ${incoming.url}`))
  t.after(() => web.closeAllConnections())
  const { port } = await listening(t, { http1: stream => void web.emit('connection', stream) })
  for (let i = 0; i < 2; i++) {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`)
    assert.equal(await response.text(), 'you asked for /readyz')
  }
})

test('a node:http server gets a request that arrives in pieces', async t => {
  const web = http.createServer((_, outgoing) => outgoing.end('whole'))
  t.after(() => web.closeAllConnections())
  const { port } = await listening(t, { http1: stream => void web.emit('connection', stream) })
  const socket: Socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  let answer = ''
  socket.setNoDelay().on('data', (chunk: Buffer) => (answer += chunk.toString()))
  const ended = new Promise(resolve => socket.once('end', resolve))
  for (const piece of ['G', 'ET / HTT', 'P/1.1\r\nHost: x\r\n', 'Connection: close\r\n\r\n']) {
    socket.write(piece)
    await settle()
  }
  await ended
  assert.match(answer, /^HTTP\/1\.1 200 OK[^]*whole/)
})

test('a node:http2 server answers on the same port', async t => {
  const web = http2.createServer((_, outgoing) => outgoing.end('two'))
  const { port } = await listening(t, { http2: stream => void web.emit('connection', stream) })
  const session = http2.connect(`http://127.0.0.1:${port}`).on('error', () => {})
  const stream = session.request({ ':path': '/' })
  let answer = ''
  stream.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk))
  await new Promise(resolve => stream.once('end', resolve))
  assert.equal(answer, 'two')
  session.destroy()
})

test('closing the server closes its ports and the HTTP connections', async t => {
  const { port, server } = await listening(t, { http1: () => {} })
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  const gone = new Promise(resolve => socket.once('close', resolve))
  socket.resume().write('GET / HTTP/1.1\r\n')
  while (server.connectionCount === 0) await turn()
  await settle()
  await server.close()
  await gone
  await assert.rejects(fetch(`http://127.0.0.1:${port}/`))
})
