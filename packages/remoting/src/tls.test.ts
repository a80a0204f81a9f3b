import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Duplex, duplexPair } from 'node:stream'
import { text as textOf } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { connect, type ConnectionOptions as TlsConnectionOptions, type TLSSocket } from 'node:tls'
import { ManualClock } from './testing/manual-clock.ts'
import { addressRanges } from './address-range.ts'
import type { Command, ReplyParts } from './command.ts'
import { Connection } from './connection.ts'
import { header, text } from './fields.ts'
import type { Logger } from './log.ts'
import { request } from './request.ts'
import { selfSigned } from './self-signed.ts'
import { RemotingServer, type RemotingServerOptions } from './server.ts'
import { clientTls, ServerTls } from './tls.ts'
import { type ClientTlsOptions, loadTlsOptions, type ServerTlsOptions } from './tls-options.ts'

const ECHO = request({
  code: 105,
  purpose: 'for tests',
  header: header({ topic: text() }),
  reply: { header: header({ topic: text() }) },
})

/** A folder with the key and certificate of a server (`a`), of another (`b`) and of a client (`client`). */
function keys(t: TestContext): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'tls-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = (name: string): string => join(folder, name)
  for (const name of ['a', 'b', 'client']) {
    const { key, cert } = selfSigned()
    writeFileSync(path(`${name}.key`), key)
    writeFileSync(path(`${name}.pem`), cert)
  }
  return path
}

async function optionsOf(
  given: Record<string, string>,
): Promise<{ server: ServerTlsOptions; client: ClientTlsOptions }> {
  return loadTlsOptions(new Map(Object.entries({ 'tls.config.file': join(tmpdir(), 'no', 'such', 'file'), ...given })))
}

async function serving(t: TestContext, given: Record<string, string> = {}, more: Partial<RemotingServerOptions> = {}) {
  const clock = new ManualClock()
  const lines: { readonly text: string; readonly why?: string }[] = []
  const note = (fields: object, line: string): void => void lines.push({ ...fields, text: line })
  const log: Logger = { debug: note, info: note, warn: note, error: note }
  const tls = await ServerTls.open((await optionsOf(given)).server, { clock, log })
  const onRequest = (command: Command): ReplyParts => ({ code: 0, extFields: command.extFields })
  const server = new RemotingServer({ tls, clock, log, onRequest, ...more })
  t.after(async () => {
    tls.close()
    const closing = server.close({ drainMs: 0 })
    for (let i = 0; i < 20; i++) await turn()
    clock.advance(60_000)
    await closing
  })
  const dial = (): Duplex => {
    const [near, far] = duplexPair()
    near.once('close', () => far.destroy())
    far.once('close', () => near.destroy())
    server.accept(near, '10.0.0.1:1000')
    return far
  }
  const secure = (options: TlsConnectionOptions = {}): TLSSocket =>
    connect({ rejectUnauthorized: false, ...options, socket: dial() }).on('error', () => {})
  const join = (stream: Duplex): Connection => {
    const client = new Connection(stream, { remoteAddress: 'server:1', clock })
    t.after(() => client.destroy())
    return client
  }
  return { server, tls, clock, lines, dial, secure, join }
}

const echo = (client: Connection) => client.call(ECHO, { header: { topic: 'a' } })

/** Waits until a handshake in this process has made the condition true. */
async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 5000 && !condition(); i++) await turn()
  assert.ok(condition(), 'the condition did not become true')
}

const ofServer = (path: (name: string) => string, name = 'a') => ({
  'tls.server.keyPath': path(`${name}.key`),
  'tls.server.certPath': path(`${name}.pem`),
})

const ofClient = (path: (name: string) => string, name = 'client') => ({
  'tls.client.keyPath': path(`${name}.key`),
  'tls.client.certPath': path(`${name}.pem`),
})

test('without a configured certificate, the server creates one and serves clients that trust everything', async t => {
  const { secure, join, lines } = await serving(t)
  const socket = secure()
  await echo(join(socket))
  assert.equal(socket.getPeerX509Certificate()?.subject, 'CN=localhost')
  await echo(join(secure()))
  assert.equal(lines.filter(line => line.text.includes('self-signed')).length, 1)
})

test('permissive serves clients with and without TLS on the same port', async t => {
  const { secure, dial, join } = await serving(t)
  await Promise.all([echo(join(dial())), echo(join(secure())), echo(join(dial())), echo(join(secure()))])
})

test('enforcing refuses a client without TLS and says so', async t => {
  const { secure, dial, join, lines } = await serving(t, { 'tls.server.mode': 'enforcing' })
  await echo(join(secure()))
  await assert.rejects(echo(join(dial())), { code: 'CLOSED' })
  assert.equal(lines.at(-1)?.why, 'it does not speak TLS, and TLS is enforced')
})

test('disabled refuses a client that starts a TLS handshake', async t => {
  const { secure, dial, join, lines } = await serving(t, { 'tls.server.mode': 'disabled' })
  await echo(join(dial()))
  await assert.rejects(echo(join(secure())), { code: 'CLOSED' })
  assert.match(lines.at(-1)?.why ?? '', /TLS is disabled/)
})

test('a client that verifies servers connects only to the one it trusts', async t => {
  const path = keys(t)
  const { secure, join } = await serving(t, ofServer(path))
  const trusting = async (name: string): Promise<TlsConnectionOptions> =>
    clientTls(
      (await optionsOf({ 'tls.client.authServer': 'true', 'tls.client.trustCertPath': path(`${name}.pem`) })).client,
    )
  await echo(join(secure(await trusting('a'))))
  const refused = secure(await trusting('b'))
  const failed = new Promise(resolve => refused.once('error', resolve))
  assert.match(String(await failed), /self-signed certificate|SELF_SIGNED/i)
})

test('with mutual TLS only a client with a trusted certificate is served', async t => {
  const path = keys(t)
  const { secure, join, lines } = await serving(t, {
    ...ofServer(path),
    'tls.server.need.client.auth': 'require',
    'tls.server.authClient': 'true',
    'tls.server.trustCertPath': path('client.pem'),
  })
  await echo(join(secure(await clientTls((await optionsOf(ofClient(path))).client))))
  await assert.rejects(echo(join(secure())), { code: 'CLOSED' })
  assert.equal(lines.at(-1)?.why, 'the client presented no certificate')
  await assert.rejects(echo(join(secure(await clientTls((await optionsOf(ofClient(path, 'b'))).client)))), {
    code: 'CLOSED',
  })
  assert.match(lines.at(-1)?.why ?? '', /not trusted/)
})

test('an optional certificate may be missing, but if it is presented and verified it must be trusted', async t => {
  const path = keys(t)
  const { secure, join } = await serving(t, {
    ...ofServer(path),
    'tls.server.need.client.auth': 'optional',
    'tls.server.authClient': 'true',
    'tls.server.trustCertPath': path('client.pem'),
  })
  await echo(join(secure()))
  await assert.rejects(echo(join(secure(await clientTls((await optionsOf(ofClient(path, 'b'))).client)))), {
    code: 'CLOSED',
  })
})

test('if a certificate is required but not verified, any certificate is accepted', async t => {
  const path = keys(t)
  const { secure, join } = await serving(t, { ...ofServer(path), 'tls.server.need.client.auth': 'require' })
  await echo(join(secure(await clientTls((await optionsOf(ofClient(path, 'b'))).client))))
  await assert.rejects(echo(join(secure())), { code: 'CLOSED' })
})

test('a key is decrypted with its password, and a wrong password is a clear error', async t => {
  const path = keys(t)
  const pair = selfSigned()
  const locked = createPrivateKey(pair.key).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'open',
  })
  writeFileSync(path('a.key'), locked)
  writeFileSync(path('a.pem'), pair.cert)
  const { secure, join } = await serving(t, { ...ofServer(path), 'tls.server.keyPassword': 'open' })
  await echo(join(secure()))
  const wrong = { ...(await optionsOf({ ...ofServer(path), 'tls.server.keyPassword': 'sesame' })).server }
  await assert.rejects(ServerTls.open(wrong), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'TLS')
    assert.match(error.message, /a\.pem and .*a\.key cannot be used/)
    assert.doesNotMatch(error.message, /sesame/)
    return true
  })
})

test('the server does not start with files that are missing, half configured or do not belong together', async t => {
  const path = keys(t)
  const opening = async (given: Record<string, string>) => ServerTls.open((await optionsOf(given)).server)
  await assert.rejects(opening({ ...ofServer(path), 'tls.server.keyPath': path('none') }), {
    code: 'TLS',
    message: /none cannot be read/,
  })
  await assert.rejects(opening({ 'tls.server.keyPath': path('a.key') }), {
    code: 'BAD_OPTION',
    message: /tls\.server\.certPath is not set/,
  })
  await assert.rejects(opening({ ...ofServer(path), 'tls.server.keyPath': path('b.key') }), { code: 'TLS' })
  await assert.rejects(opening({ 'tls.test.mode.enable': 'false' }), {
    code: 'BAD_OPTION',
    message: /keyPath is not set/,
  })
  const { privateKey } = generateKeyPairSync('ed25519')
  writeFileSync(path('b.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const ofTwoKinds = { ...ofServer(path), 'tls.server.keyPath': path('b.key') }
  await assert.rejects(opening(ofTwoKinds), { code: 'TLS', message: /do not belong together/ })
  const half = (await optionsOf({ 'tls.client.keyPath': path('a.key') })).client
  await assert.rejects(clientTls(half), { code: 'BAD_OPTION' })
})

test('new connections use a changed certificate, and open connections stay open', async t => {
  const path = keys(t)
  const { secure, join, tls, lines } = await serving(t, ofServer(path))
  const before = secure()
  const client = join(before)
  await echo(client)
  const { key, cert } = selfSigned()
  writeFileSync(path('a.pem'), cert)
  assert.equal(await tls.reload(), false, 'the key is not there yet')
  assert.equal(await tls.reload(), false)
  await echo(join(secure()))
  assert.equal(lines.filter(line => line.text.includes('cannot be used')).length, 1)
  writeFileSync(path('a.key'), key)
  assert.equal(await tls.reload(), true)
  const after = secure()
  await echo(join(after))
  assert.equal(after.getPeerX509Certificate()?.toString(), cert)
  assert.notEqual(before.getPeerX509Certificate()?.toString(), cert)
  await echo(client)
  assert.match(lines.at(-1)?.text ?? '', /certificate and private key changed/)
})

test('the files are checked twice a second until the close', async t => {
  const path = keys(t)
  const { tls, clock, lines } = await serving(t, ofServer(path))
  const { key, cert } = selfSigned()
  writeFileSync(path('a.pem'), cert)
  writeFileSync(path('a.key'), key)
  clock.advance(499)
  await until(() => true)
  assert.equal(lines.length, 0)
  clock.advance(1)
  await tls.reload()
  assert.match(lines.at(-1)?.text ?? '', /certificate and private key changed/)
  tls.close()
  tls.close()
  assert.equal(clock.timers, 0)
})

test('changed trust applies to new connections', async t => {
  const path = keys(t)
  const { secure, join, tls, lines } = await serving(t, {
    ...ofServer(path),
    'tls.server.need.client.auth': 'require',
    'tls.server.authClient': 'true',
    'tls.server.trustCertPath': path('b.pem'),
  })
  const options = await clientTls((await optionsOf(ofClient(path))).client)
  await assert.rejects(echo(join(secure(options))), { code: 'CLOSED' })
  copyFileSync(path('client.pem'), path('b.pem'))
  assert.equal(await tls.reload(), true)
  assert.match(lines.at(-1)?.text ?? '', /trust certificate changed/)
  await echo(join(secure(options)))
})

test('a handshake that is never finished, or is garbage, is refused', async t => {
  const { dial, clock, lines, server } = await serving(t)
  const stuck = dial().on('error', () => {})
  stuck.write(Buffer.of(0x16, 3, 1, 2))
  const garbage = dial().on('error', () => {})
  garbage.write(Buffer.concat([Buffer.of(0x16, 3, 1, 0, 5, 0xff), Buffer.alloc(50, 0xff)]))
  await until(() => lines.some(line => line.why?.startsWith('the TLS handshake failed')))
  clock.advance(10_000)
  await until(() => server.connectionCount === 0)
  assert.match(lines.at(-1)?.why ?? '', /did not show its protocol/)
})

test('TLS inside TLS, and a frame of garbage inside TLS, are refused', async t => {
  const { secure, lines, server } = await serving(t)
  secure().write(Buffer.of(0x16, 3, 1))
  secure().write('what is this')
  await until(() => lines.filter(line => line.why !== undefined).length === 2)
  const whys = lines.map(line => line.why).join()
  assert.match(whys, /TLS inside TLS/)
  assert.match(whys, /match no known protocol/)
  await until(() => server.connectionCount === 0)
})

test('TLS is served over a real socket, and closing the server closes the socket', async t => {
  const { server, join } = await serving(t)
  const { port } = await server.listen({ host: '127.0.0.1' })
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }).on('error', () => {})
  const gone = new Promise(resolve => socket.once('close', resolve))
  await echo(join(socket))
  await server.close()
  await gone
  // The two sides of the socket report their ends in any order.
  await until(() => server.connectionCount === 0)
})

test('HTTP inside TLS reaches its handler as well', async t => {
  const web = http.createServer((incoming, outgoing) => outgoing.end(`${incoming.url} over TLS`))
  t.after(() => web.closeAllConnections())
  const { server } = await serving(t, {}, { protocols: { http1: stream => void web.emit('connection', stream) } })
  const { port } = await server.listen({ host: '127.0.0.1' })
  const body = await new Promise<string>((resolve, reject) => {
    const options = { port, path: '/readyz', agent: false, rejectUnauthorized: false }
    https.get(options, incoming => void textOf(incoming).then(resolve, reject)).on('error', reject)
  })
  assert.equal(body, '/readyz over TLS')
})

test('a PROXY preamble comes before TLS, never inside it', async t => {
  const peers: string[] = []
  const options = {
    proxies: addressRanges('10.0.0.0/8'),
    onOpen: (peer: Connection) => void peers.push(peer.remoteAddress),
  }
  const { dial, join, secure, lines } = await serving(t, {}, options)
  const far = dial()
  far.write('PROXY TCP4 203.0.113.9 10.0.0.1 7 9876\r\n')
  await echo(join(connect({ rejectUnauthorized: false, socket: far }).on('error', () => {})))
  assert.deepEqual(peers, ['203.0.113.9:7'])
  secure().write('PROXY UNKNOWN\r\n')
  await until(() => lines.some(line => line.why === 'a PROXY protocol preamble inside TLS'))
})
