import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { deflateSync } from 'node:zlib'
import { nameServerRequests } from '@gantrymq/protocol'
import {
  type Command,
  Connection,
  type Credentials,
  type Logger,
  ResponseError,
  signatureFault,
  signing,
  silent,
} from '@gantrymq/remoting'
import { ManualClock, memorySockets } from '@gantrymq/remoting/testing'
import { goldenSignedRequests } from '@gantrymq/testkit'
import { NameServer, type StartOptions } from '../src/index.ts'
import { registerBody } from './registrations.ts'

const {
  BROKER_HEARTBEAT,
  GET_BROKER_CLUSTER_INFO,
  GET_KV_CONFIG,
  GET_ROUTEINFO_BY_TOPIC,
  PUT_KV_CONFIG,
  REGISTER_BROKER,
  UNREGISTER_BROKER,
} = nameServerRequests

const BROKER = { accessKey: 'broker-a', secretKey: 'broker-secret' }
const OPERATOR = { accessKey: 'operator', secretKey: 'operator-secret' }
const NO_PERMISSION = 16

/** A name server that asks for signatures, and callers with and without credentials. */
async function started(t: TestContext, options: StartOptions = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-signatures-'))
  t.after(() => rm(folder, { recursive: true }))
  const credentialsFile = join(folder, 'accounts.properties')
  await writeFile(credentialsFile, 'broker-a=broker-secret\noperator=operator-secret\n', { mode: 0o600 })
  const clock = new ManualClock()
  const server = await NameServer.start({
    port: 0,
    host: '127.0.0.1',
    clock,
    credentialsFile,
    requireSignature: 'changes',
    ...options,
  })
  t.after(() => server.close())
  const caller = (credentials?: Credentials, address = '10.0.0.1:50000') => {
    const [near, far] = memorySockets()
    server.accept(near, address)
    const onSend = credentials && signing(credentials)
    const connection = new Connection(far, { remoteAddress: 'server:9876', onSend })
    t.after(() => connection.destroy())
    return connection
  }
  return { server, clock, caller }
}

const header = { brokerName: 'b', brokerAddr: '10.0.0.1:10911', clusterName: 'C', brokerId: 0 }

const registration = (...topics: string[]) => ({ header, body: registerBody({ topics }) })

const golden = goldenSignedRequests()

/** The command in a frame, as a server reads it. */
function decoded(t: TestContext, frame: Buffer): Command {
  const [near] = memorySockets()
  const commands: Command[] = []
  const onRequest = (command: Command) => {
    commands.push(command)
    return { code: 0 }
  }
  const connection = new Connection(near, { remoteAddress: '10.0.0.1:50000', onRequest })
  t.after(() => connection.destroy())
  connection.feed(frame)
  return commands[0] ?? assert.fail('no command')
}

const isRefusal = (error: unknown) => error instanceof ResponseError && error.responseCode === NO_PERMISSION

test('a signed broker registers, and clients read its routes without a signature', async t => {
  const { server, caller } = await started(t)
  await caller(BROKER).call(REGISTER_BROKER, registration('t', 'u'))
  assert.equal(server.status.brokerCount(), 1)
  const route = await caller().call(GET_ROUTEINFO_BY_TOPIC, { header: { topic: 't' } })
  assert.equal(route.body?.brokerDatas[0]?.brokerName, 'b')
})

for (const { name, sender, frame } of golden.requests) {
  const form = frame[4] === 1 ? 'binary' : 'JSON'
  test(`the signature of Apache's ${sender} in ${name} is right (${form})`, t => {
    const command = decoded(t, frame)
    assert.equal(
      signatureFault(command, () => golden.secretKey),
      undefined,
    )
    assert.equal(
      signatureFault(command, () => 'another'),
      'wrong_signature',
    )
    const body = Buffer.from(`${command.body?.toString('latin1')} `, 'latin1')
    assert.equal(
      signatureFault({ ...command, body }, () => golden.secretKey),
      'wrong_signature',
    )
  })
}

test('a stranger can neither register, nor keep alive, nor remove a broker, nor change the KV configuration', async t => {
  const { server, caller, clock } = await started(t)
  const { body } = registration('t', 'u')
  await caller(BROKER).call(REGISTER_BROKER, { header: { ...header, heartbeatTimeoutMillis: 20_000 }, body })
  const stranger = caller()
  const forger = caller({ accessKey: 'operator', secretKey: 'guessed' })
  for (const connection of [stranger, forger]) {
    const other = { ...registration('x', 'y'), header: { ...header, brokerName: 'evil', brokerAddr: '6.6.6.6:1' } }
    await assert.rejects(connection.call(REGISTER_BROKER, other), isRefusal)
    await assert.rejects(connection.call(UNREGISTER_BROKER, { header }), isRefusal)
    const entry = { namespace: 'n', key: 'k', value: 'v' }
    await assert.rejects(connection.call(PUT_KV_CONFIG, { header: entry }), isRefusal)
    await assert.rejects(caller().call(GET_KV_CONFIG, { header: { namespace: 'n', key: 'k' } }), /22/)
  }
  const info = await stranger.call(GET_BROKER_CLUSTER_INFO)
  assert.deepEqual([...(info.body?.brokerAddrTable.keys() ?? [])], ['b'])
  // The broker expires although the stranger sends heartbeats for it. They are one-way, so none is answered.
  for (let sent = 0; sent < 3; sent++) {
    stranger.oneway(BROKER_HEARTBEAT, { header })
    await stranger.call(GET_BROKER_CLUSTER_INFO)
    clock.advance(10_000)
  }
  assert.equal(server.status.brokerCount(), 0)
})

test('the signature is checked before the header and before a compressed body is inflated', async t => {
  const { caller } = await started(t)
  const bomb = deflateSync(Buffer.alloc(1 << 20))
  const stranger = caller()
  const compressed = { header: { ...header, compressed: true }, body: bomb }
  await assert.rejects(stranger.call(REGISTER_BROKER, compressed), /REGISTER_BROKER must be signed/)
  await assert.rejects(stranger.call({ code: 103, purpose: 'no header' }), /REGISTER_BROKER must be signed/)
})

test('a broker of 4.9, which cannot sign, registers from an address in unsignedBrokerRanges', async t => {
  const { server, caller } = await started(t, { unsignedBrokerRanges: ['10.4.9.0/24'] })
  await assert.rejects(caller(undefined, '10.4.8.1:4000').call(REGISTER_BROKER, registration('t', 'u')), isRefusal)
  const old = caller(undefined, '10.4.9.1:4000')
  await old.call(REGISTER_BROKER, registration('t', 'u'))
  assert.equal(server.status.brokerCount(), 1)
  const entry = { namespace: 'n', key: 'k', value: 'v' }
  await assert.rejects(old.call(PUT_KV_CONFIG, { header: entry }), isRefusal)
})

test('with requireSignature=all unsigned route queries are refused, also those that the fast path would answer', async t => {
  const { caller } = await started(t, { requireSignature: 'all' })
  await caller(BROKER).call(REGISTER_BROKER, registration('t', 'u'))
  const query = { header: { topic: 't' } }
  await assert.rejects(caller().call(GET_ROUTEINFO_BY_TOPIC, query), isRefusal)
  const route = await caller(OPERATOR).call(GET_ROUTEINFO_BY_TOPIC, query)
  assert.equal(route.body?.queueDatas.length, 1)
})

test('refusals are counted by reason and logged with the address, and no line has a secret', async t => {
  const lines: string[] = []
  const note = (fields: object, text: string) => void lines.push(`${text} ${JSON.stringify(fields)}`)
  const log: Logger = { debug: note, info: note, warn: note, error: note }
  const { server, caller } = await started(t, { log })
  const entry = { header: { namespace: 'n', key: 'k', value: 'v' } }
  for (const secretKey of ['guessed-1', 'guessed-2']) {
    await assert.rejects(caller({ accessKey: 'operator', secretKey }).call(PUT_KV_CONFIG, entry), isRefusal)
  }
  await caller(OPERATOR).call(PUT_KV_CONFIG, entry)
  const families = await server.metrics.families()
  const rejected = families.find(({ name }) => name === 'rocketmq_nameserver_requests_rejected_total')
  assert.deepEqual(rejected && 'samples' in rejected && rejected.samples, [
    { labels: { reason: 'wrong_signature' }, value: 2 },
  ])
  const refused = lines.filter(line => line.startsWith('request refused by requireSignature'))
  assert.equal(refused.length, 1)
  assert.match(refused[0] ?? '', /"address":"10\.0\.0\.1".*"accessKey":"operator"/)
  assert.doesNotMatch(lines.join('\n'), /operator-secret|broker-secret|guessed/)
})

test('requireSignature without accounts is an error at the start, and accounts without requireSignature a warning', async t => {
  await assert.rejects(
    NameServer.start({ port: 0, host: '127.0.0.1', requireSignature: 'changes' }),
    /requireSignature is changes, but credentialsFile is not set: set it to a file/,
  )
  const warnings: string[] = []
  const log: Logger = { ...silent, warn: (_, text) => void warnings.push(text) }
  await started(t, { requireSignature: 'none', log })
  assert.deepEqual(warnings, ['credentialsFile and unsignedBrokerRanges have no effect: requireSignature is none'])
})

test('closing the server ends its look at the accounts', async t => {
  const { server, clock } = await started(t)
  await server.close()
  assert.equal(clock.timers, 0)
})
