import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { type Duplex, duplexPair } from 'node:stream'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { ManualClock } from './testing/manual-clock.ts'
import fc from 'fast-check'
import { addressRanges } from './address-range.ts'
import { RemotingClient } from './client.ts'
import type { Command } from './command.ts'
import { Connection } from './connection.ts'
import { encodeFrame } from './frame.ts'
import { Outbox } from './outbox.ts'
import { request } from './request.ts'
import { RemotingServer } from './server.ts'
import { ServerTls } from './tls.ts'
import { loadTlsOptions } from './tls-options.ts'

const PING = request({ code: 1, purpose: 'for tests' })

const frame = encodeFrame(
  {
    code: 1,
    language: 'JAVA',
    version: 409,
    opaque: 1,
    flag: 0,
    remark: null,
    extFields: new Map([['a', 'b']]),
    body: null,
    serializeType: 'JSON',
  } satisfies Command,
  new Outbox(),
)

async function settle(turns = 10): Promise<void> {
  for (let i = 0; i < turns; i++) await turn()
}

/** Cuts bytes at the given positions. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const positions = [0, ...cuts.map(cut => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return positions.slice(1).map((end, i) => bytes.subarray(positions[i], end))
}

test('whatever bytes arrive, in whatever pieces, the server keeps running, frees those connections and serves others', async t => {
  const clock = new ManualClock()
  const tls = await ServerTls.open((await loadTlsOptions(new Map())).server)
  const server = new RemotingServer({
    clock,
    tls,
    proxies: addressRanges('0.0.0.0/0'),
    protocols: { http1: stream => stream.resume(), http2: stream => stream.resume() },
    onRequest: () => ({ code: 0 }),
  })
  t.after(() => server.close())
  const dial = (): Duplex => {
    const [near, far] = duplexPair()
    near.once('close', () => far.destroy())
    far.once('close', () => near.destroy())
    server.accept(near, '10.0.0.1:1')
    return far.resume().on('error', () => {})
  }
  const openings = [
    '',
    '\0',
    '\x16\x03\x01',
    'GET ',
    'PRI * HTTP/2.0\r\n',
    'PROXY TCP4 ',
    'PROXY UNKNOWN\r\n',
    '\r\n\r\n\0\r\nQUIT\n',
  ]
  const opening = fc.constantFrom(...openings.map(text => Buffer.from(text, 'latin1')), frame, frame.subarray(0, 20))
  await fc.assert(
    fc.asyncProperty(
      fc.array(opening, { maxLength: 3 }),
      fc.uint8Array({ maxLength: 300 }),
      fc.array(fc.nat(400), { maxLength: 4 }),
      async (begun, tail, cuts) => {
        const far = dial()
        for (const piece of pieces(Buffer.concat([...begun, tail]), cuts)) {
          if (!far.destroyed) far.write(piece)
          await turn()
        }
        far.destroy()
        await settle()
      },
    ),
  )
  const honest = new Connection(dial(), { remoteAddress: 'server:1', clock })
  assert.equal((await honest.call(PING)).code, 0)
  honest.destroy()
  await settle()
  assert.equal(server.connectionCount, 0)
  await server.close()
  tls.close()
  assert.equal(clock.timers, 0)
})

test('a million bytes of garbage are refused after the first few', async t => {
  const refused: string[] = []
  const ignore = (): void => {}
  const log = { debug: ignore, info: ignore, warn: (_: object, line: string) => void refused.push(line), error: ignore }
  const server = new RemotingServer({ log, onRequest: () => ({ code: 0 }) })
  t.after(() => server.close())
  const { port } = await server.listen({ host: '127.0.0.1' })
  const socket: Socket = connect(port, '127.0.0.1').on('error', ignore)
  const gone = new Promise(resolve => socket.once('close', resolve))
  socket.resume().write(Buffer.alloc(1_000_000, 0xaa))
  await gone
  assert.deepEqual(refused, ['connection refused'])
  assert.equal(server.connectionCount, 0)
})

test('a flood of silent connections is cut off at the limit and closed at the deadline', async () => {
  const clock = new ManualClock()
  const server = new RemotingServer({ clock, limits: { maxConnections: 50 }, onRequest: () => ({ code: 0 }) })
  const streams = Array.from({ length: 500 }, () => duplexPair())
  for (const [i, [near]] of streams.entries()) server.accept(near, `10.0.0.${i % 250}:${i}`)
  await settle()
  assert.equal(server.connectionCount, 50)
  clock.advance(10_000)
  await settle()
  assert.equal(server.connectionCount, 0)
  await server.close()
})

test('a server that runs out of file descriptors loses connections but keeps running', async t => {
  const program = `
    import { RemotingServer } from ${JSON.stringify(new URL('server.ts', import.meta.url).href)}
    const ignore = () => {}
    const log = { debug: ignore, info: ignore, warn: ignore, error: ignore }
    const server = new RemotingServer({ log, onRequest: () => ({ code: 0 }) })
    console.log((await server.listen({ host: '127.0.0.1' })).port)`
  const script = 'ulimit -n 64 && exec "$0" --input-type=module -e "$1"'
  const child = spawn('sh', ['-c', script, process.execPath, program], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill())
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const address = `127.0.0.1:${(await lines.next()).value}`
  const flood = Array.from({ length: 100 }, () =>
    connect(Number(address.split(':')[1]), '127.0.0.1').on('error', () => {}),
  )
  // libuv accepts a connection that it has no descriptor for and closes it at once.
  await Promise.race(flood.map(socket => new Promise(resolve => socket.once('close', resolve))))
  for (const socket of flood) socket.destroy()
  const client = new RemotingClient()
  t.after(() => client.close())
  const replies: unknown[] = []
  // The server needs a moment to see that the other clients have disconnected.
  while (replies.length === 0)
    await client.call(address, PING).then(
      reply => replies.push(reply.code),
      () => settle(),
    )
  assert.deepEqual(replies, [0])
})
