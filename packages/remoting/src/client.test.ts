import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { ManualClock } from './testing/manual-clock.ts'
import { RemotingClient, type RemotingClientOptions } from './client.ts'
import type { Command, ReplyParts } from './command.ts'
import { Connection } from './connection.ts'
import { header, text } from './fields.ts'
import { request } from './request.ts'
import { RemotingServer } from './server.ts'
import { isSigned, signing } from './signing.ts'
import { clientTls, ServerTls } from './tls.ts'
import { loadTlsOptions } from './tls-options.ts'

const ECHO = request({
  code: 105,
  purpose: 'for tests',
  header: header({ topic: text() }),
  reply: { header: header({ topic: text() }) },
})

type Answer = (command: Command, connection: Connection) => ReplyParts | Promise<ReplyParts>

const echoing: Answer = command => ({ code: 0, extFields: command.extFields })
const never: Answer = () => new Promise(() => {})

interface Setting {
  answer?: Answer
  /** How many of the first dials never finish. */
  stuck?: number
}

function open(t: TestContext, { answer = echoing, stuck = 0 }: Setting = {}, given: RemotingClientOptions = {}) {
  const clock = new ManualClock()
  const dialled: string[] = []
  const served: Connection[] = []
  const serve = (near: Duplex): void => {
    const connection: Connection = new Connection(near, {
      remoteAddress: 'client:1',
      clock,
      onRequest: command => answer(command, connection),
    })
    served.push(connection)
  }
  const dial = async (address: string, signal: AbortSignal): Promise<Duplex> => {
    dialled.push(address)
    if (dialled.length <= stuck)
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
    await turn()
    const [near, far] = duplexPair()
    near.once('close', () => far.destroy())
    far.once('close', () => near.destroy())
    serve(near)
    return far
  }
  const reasons: string[] = []
  const client = new RemotingClient({ dial, clock, onClose: (_, reason) => reasons.push(reason), ...given })
  t.after(async () => {
    for (const connection of served) connection.destroy()
    await client.close()
  })
  const echo = (address = 'ns:9876', options = {}) => client.call(address, ECHO, { header: { topic: 'a' } }, options)
  return { client, clock, dialled, served, echo, reasons }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn()
}

test('calls made at the same time share one connection, and each address has its own', async t => {
  const { client, dialled, echo } = open(t)
  await Promise.all([echo(), echo(), echo('broker:10911'), echo()])
  await echo()
  assert.deepEqual(dialled, ['ns:9876', 'broker:10911'])
  assert.equal(client.isConnected('ns:9876'), true)
  assert.equal(client.isConnected('other:1'), false)
})

test('the next call replaces a connection that has ended', async t => {
  const { dialled, served, echo, client } = open(t)
  await echo()
  served[0]?.destroy()
  await settle()
  assert.equal(client.isConnected('ns:9876'), false)
  await echo()
  assert.equal(dialled.length, 2)
})

test('connecting ends at its deadline, and the next call tries again', async t => {
  const { clock, echo, dialled } = open(t, { stuck: 1 })
  const first = echo('ns:9876', { timeoutMs: 10_000 })
  await settle()
  clock.advance(3000)
  await assert.rejects(first, {
    code: 'CONNECT_FAILED',
    retriable: true,
    message: 'connect to ns:9876 failed: no answer in 3000 ms',
  })
  await echo()
  assert.equal(dialled.length, 2)
  assert.equal(clock.timers, 1, 'the sweeper only')
})

test('a call waits for a connection no longer than its own timeout, while other calls go on waiting', async t => {
  const { clock, echo, client } = open(t, { stuck: 1 })
  const hasty = echo('ns:9876', { timeoutMs: 500 })
  const patient = echo('ns:9876', { timeoutMs: 9000 })
  await settle()
  clock.advance(500)
  await assert.rejects(hasty, { code: 'TIMEOUT', message: 'no connection to ns:9876 in 500 ms' })
  clock.advance(2500)
  await assert.rejects(patient, { code: 'CONNECT_FAILED' })
  assert.equal(client.isConnected('ns:9876'), false)
})

test('a call whose time is over before it is sent fails with the time that it had, and the connection remains', async t => {
  const { clock, echo, client } = open(t)
  await echo()
  const late = echo('ns:9876', { timeoutMs: 500 })
  clock.advance(600)
  await assert.rejects(late, {
    code: 'TIMEOUT',
    message: 'the 500 ms of a call to ns:9876 were over before it was sent',
  })
  assert.equal(client.isConnected('ns:9876'), true)
})

test('a call can be aborted while it connects and while it waits for its reply', async t => {
  const connecting = open(t, { stuck: 1 })
  const stop = new AbortController()
  const call = connecting.echo('ns:9876', { signal: stop.signal })
  await settle()
  stop.abort(new Error('enough'))
  await assert.rejects(call, { code: 'ABORTED' })
  await assert.rejects(connecting.echo('ns:9876', { signal: stop.signal }), { code: 'ABORTED' })
  const waiting = open(t, { answer: never })
  const again = new AbortController()
  const other = waiting.echo('ns:9876', { signal: again.signal })
  await settle()
  again.abort()
  await assert.rejects(other, { code: 'ABORTED' })
  assert.equal(waiting.client.isConnected('ns:9876'), true)
})

test('after a server did not answer in time, the next call uses a new connection', async t => {
  let silent = true
  const { clock, echo, dialled, served } = open(t, {
    answer: command => (silent ? never : echoing)(command, served[0] as Connection),
  })
  const late = echo('ns:9876', { timeoutMs: 1000 })
  await settle()
  clock.advance(1050)
  await assert.rejects(late, { code: 'TIMEOUT' })
  silent = false
  await echo()
  assert.equal(dialled.length, 2)
})

test('a request to a server that is going away is sent once more over a new connection', async t => {
  const { dialled, echo, served, client } = open(t, {
    answer: (command, connection) =>
      connection === served[0] ? { code: 1500, remark: 'please go away' } : echoing(command, connection),
  })
  assert.equal((await echo()).header.topic, 'a')
  assert.equal(dialled.length, 2)
  await settle()
  assert.deepEqual(
    served.map(connection => connection.isOpen),
    [false, true],
  )
  assert.equal(client.isConnected('ns:9876'), true)
})

test('a connection to a server that is going away stays open for outstanding replies', async t => {
  const owed: (() => void)[] = []
  const { echo, served, clock } = open(t, {
    answer: (command, connection) => {
      if (connection !== served[0]) return echoing(command, connection)
      if (owed.length > 0) return { code: 1500 }
      return new Promise(resolve => owed.push(() => resolve({ code: 0, extFields: new Map([['topic', 'owed']]) })))
    },
  })
  const first = echo()
  await settle()
  await echo()
  owed[0]?.()
  assert.equal((await first).header.topic, 'owed')
  await settle()
  assert.equal(served[0]?.isOpen, false)
  assert.equal(clock.timers, 1)
})

test('a call fails if the server answers twice that it is going away', async t => {
  const { dialled, echo } = open(t, { answer: () => ({ code: 1500, remark: 'please go away' }) })
  await assert.rejects(echo(), { code: 'GO_AWAY', retriable: true, message: /ns:9876 is going away/ })
  assert.equal(dialled.length, 2)
})

test('an answer other than success is thrown with the code and the remark of the server', async t => {
  const { echo, dialled } = open(t, { answer: () => ({ code: 17, remark: 'No topic route info' }) })
  await assert.rejects(echo(), { responseCode: 17, remark: 'No topic route info' })
  assert.equal(dialled.length, 1)
})

test('an idle connection is closed, but not one with a pending call', async t => {
  const { clock, echo, client, reasons } = open(t, {
    answer: command =>
      command.extFields?.get('topic') === 'a' ? echoing(command, {} as Connection) : never(command, {} as Connection),
  })
  await echo('ns:1')
  await echo('ns:2')
  const pull = client.call('ns:2', ECHO, { header: { topic: 'later' } }, { timeoutMs: 500_000 })
  const failed = assert.rejects(pull, { code: 'CLOSED' })
  await settle()
  clock.advance(121_000)
  await settle()
  assert.deepEqual(reasons, ['idle'])
  assert.deepEqual([client.isConnected('ns:1'), client.isConnected('ns:2')], [false, true])
  await client.close()
  await failed
  assert.equal(clock.timers, 0)
})

test('a one-way request opens a connection and is sent over it', async t => {
  const seen: number[] = []
  const { client } = open(t, {
    answer: command => {
      seen.push(command.flag)
      return { code: 0 }
    },
  })
  await client.oneway('ns:9876', ECHO, { header: { topic: 'a' } })
  await settle()
  assert.deepEqual(seen, [2])
})

test('the server may send requests over the same connection', async t => {
  const { client, served } = open(
    t,
    {},
    { onRequest: () => ({ code: 0, extFields: new Map([['topic', 'from the client']]) }) },
  )
  await client.oneway('ns:9876', ECHO, { header: { topic: 'a' } })
  await settle()
  const reply = await served[0]?.call(ECHO, { header: { topic: 'x' } })
  assert.equal(reply?.header.topic, 'from the client')
})

test('own requests are signed', async t => {
  const verdicts: boolean[] = []
  const answer: Answer = (command, connection) => {
    verdicts.push(isSigned(command, 'secret'))
    return echoing(command, connection)
  }
  const { echo } = open(t, { answer }, { onSend: signing({ accessKey: 'me', secretKey: 'secret' }) })
  await echo()
  assert.deepEqual(verdicts, [true])
})

test('closing fails waiting calls, connected or not, and is idempotent', async t => {
  const { client, echo, clock, served } = open(t, { answer: never })
  const waiting = assert.rejects(echo(), { code: 'CLOSED' })
  await settle()
  const closing = client.close()
  assert.equal(client.close(), closing)
  await closing
  await waiting
  await assert.rejects(echo(), { code: 'CLOSED', message: 'this client is closed' })
  await settle()
  assert.equal(served[0]?.isOpen, false)
  const other = open(t, { stuck: 1 })
  const connecting = assert.rejects(other.echo(), { code: 'CLOSED' })
  await settle()
  await other.client.close()
  await connecting
  assert.deepEqual([clock.timers, other.clock.timers], [0, 0])
})

test('closing lets calls in flight finish until a deadline', async t => {
  let release = (): void => {}
  const { client, echo, clock } = open(t, {
    answer: (command, connection) => new Promise(resolve => (release = () => resolve(echoing(command, connection)))),
  })
  const first = echo()
  await settle()
  const closing = client.close({ drainMs: 1000 })
  await settle()
  release()
  assert.equal((await first).header.topic, 'a')
  await closing
  const slow = open(t, { answer: never })
  const failed = assert.rejects(slow.echo(), { code: 'CLOSED' })
  await settle()
  const ending = slow.client.close({ drainMs: 1000 })
  await settle()
  slow.clock.advance(1000)
  await ending
  await failed
  assert.deepEqual([clock.timers, slow.clock.timers], [0, 0])
})

// -- Real ports --------------------------------------------------------------------------------------------------------

function realClient(t: TestContext, options: RemotingClientOptions = {}): RemotingClient {
  const client = new RemotingClient(options)
  t.after(() => client.close())
  return client
}

test('the error for an invalid address shows a valid one', async t => {
  const client = realClient(t)
  for (const address of ['', 'host', ':9876', 'host:', 'host:0', 'host:65536', 'host:http']) {
    await assert.rejects(
      client.call(address, ECHO, { header: { topic: 'a' } }),
      { code: 'BAD_OPTION', message: /not an address such as/ },
      address,
    )
  }
})

test('a call to a port without a listener fails at once, and the error says so', async t => {
  const vacant: Server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => vacant.once('listening', resolve))
  const { port } = vacant.address() as { port: number }
  await new Promise(resolve => vacant.close(resolve))
  const address = `127.0.0.1:${port}`
  await assert.rejects(realClient(t).call(address, ECHO, { header: { topic: 'a' } }), {
    code: 'CONNECT_FAILED',
    retriable: true,
    message: `connect to ${address} failed: nothing listens on this port (ECONNREFUSED)`,
  })
})

test('a client calls a server over real sockets, plain and with TLS', async t => {
  const options = await loadTlsOptions(new Map())
  const tls = await ServerTls.open(options.server)
  const server = new RemotingServer({ tls, onRequest: command => ({ code: 0, extFields: command.extFields }) })
  t.after(async () => {
    tls.close()
    await server.close()
  })
  const { port } = await server.listen({ host: '127.0.0.1' })
  for (const client of [realClient(t), realClient(t, { tls: await clientTls(options.client) })]) {
    const reply = await client.call(`127.0.0.1:${port}`, ECHO, { header: { topic: 'real' } })
    assert.equal(reply.header.topic, 'real')
  }
})

test('a client with TLS gets a clear error from a server without TLS', async t => {
  const server = new RemotingServer({ onRequest: () => ({ code: 0 }) })
  t.after(() => server.close())
  const { port } = await server.listen({ host: '127.0.0.1' })
  const client = realClient(t, { tls: await clientTls((await loadTlsOptions(new Map())).client) })
  await assert.rejects(client.call(`127.0.0.1:${port}`, ECHO, { header: { topic: 'a' } }), {
    code: 'TLS',
    message: /speaks no TLS \(leave option tls out\)/,
  })
})

test('the client tries an unreachable address again only after a pause, which grows with each failure', async t => {
  let dials = 0
  let isUp = false
  const [near, far] = duplexPair()
  const clock = new ManualClock()
  const dial = async (): Promise<Duplex> => {
    dials++
    if (!isUp) throw new Error('no server there')
    return far
  }
  const server = new Connection(near, {
    remoteAddress: 'client:1',
    clock,
    onRequest: c => echoing(c, server),
  })
  const client = new RemotingClient({ dial, clock, reconnectPauseMs: 100 })
  t.after(async () => {
    await client.close()
    server.destroy()
  })
  const call = () => client.call('broker:1', ECHO, { header: { topic: 'T' } })
  const refused = { code: 'CONNECT_FAILED', message: 'connect to broker:1 failed: no server there' }
  await assert.rejects(call(), refused)
  await assert.rejects(call(), refused)
  assert.equal(dials, 1)
  clock.advance(100)
  await assert.rejects(call(), refused)
  clock.advance(100)
  await assert.rejects(call(), refused)
  assert.equal(dials, 2)
  isUp = true
  clock.advance(100)
  assert.equal((await call()).header.topic, 'T')
})

test('a dial that ignores its signal ends at the deadline, and a stream that it opens later is destroyed', async t => {
  const clock = new ManualClock()
  const late: ((stream: Duplex) => void)[] = []
  const client = new RemotingClient({ clock, dial: () => new Promise(resolve => late.push(resolve)) })
  t.after(() => client.close())
  const first = client.call('broker:10911', ECHO, { header: { topic: 'T' } }, { timeoutMs: 5000 })
  const refused = assert.rejects(first, { code: 'CONNECT_FAILED' })
  clock.advance(3000)
  await refused
  const second = client.call('broker:10911', ECHO, { header: { topic: 'T' } }, { timeoutMs: 5000 })
  const closed = assert.rejects(second, { code: 'CLOSED' })
  assert.equal(late.length, 2, 'dialled again')
  const [near] = duplexPair()
  late[0]?.(near)
  await turn()
  assert.ok(near.destroyed)
  await client.close()
  await closed
  assert.equal(clock.timers, 0)
})
