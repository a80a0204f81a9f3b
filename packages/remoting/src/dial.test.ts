import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createServer } from 'node:tls'
import { dialTcp } from './dial.ts'
import { selfSigned } from './self-signed.ts'

/** Starts a server with a self-signed certificate for `localhost`. */
async function serving(t: TestContext) {
  const pair = selfSigned()
  const server = createServer(pair, socket => socket.on('error', () => {}))
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => void server.close())
  return { cert: pair.cert, port: (server.address() as AddressInfo).port }
}

const signal = new AbortController().signal

test('a client connects to a server by the name in its certificate', async t => {
  const { cert, port } = await serving(t)
  const socket = await dialTcp(`localhost:${port}`, signal, { ca: cert })
  socket.destroy()
})

test('a certificate for another name is refused, and the error says which option to set', async t => {
  const { cert, port } = await serving(t)
  await assert.rejects(dialTcp(`127.0.0.1:${port}`, signal, { ca: cert }), {
    code: 'TLS',
    message: /127\.0\.0\.1.*for another name.*servername/s,
  })
  const socket = await dialTcp(`127.0.0.1:${port}`, signal, { ca: cert, servername: 'localhost' })
  socket.destroy()
})

test('a certificate of an unknown authority is refused, and the error says which option to set', async t => {
  const { port } = await serving(t)
  await assert.rejects(dialTcp(`127.0.0.1:${port}`, signal, {}), {
    code: 'TLS',
    message: /authority's certificate \(ca/,
  })
})

test('an aborted attempt and a port without a listener are reported as such', async t => {
  const { port } = await serving(t)
  const stopped = new AbortController()
  stopped.abort(new Error('enough'))
  await assert.rejects(dialTcp(`127.0.0.1:${port}`, stopped.signal), /enough/)
  await assert.rejects(dialTcp('127.0.0.1:1', signal), {
    code: 'CONNECT_FAILED',
    message: /nothing listens on this port/,
  })
})
