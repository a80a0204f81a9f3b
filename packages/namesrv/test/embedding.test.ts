import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { nameServerRequests } from '@gantrymq/protocol'
import { RemotingClient } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import { NameServer } from '../src/index.ts'
import { registerBody } from './registrations.ts'

const { REGISTER_BROKER, GET_BROKER_CLUSTER_INFO } = nameServerRequests

function registrationOf(brokerName: string) {
  return {
    header: { brokerName, brokerAddr: '127.0.0.1:10911', clusterName: 'C', brokerId: 0 },
    body: registerBody(),
  }
}

test('several servers in one process share nothing', async t => {
  const servers = await Promise.all([1, 2, 3].map(() => NameServer.start({ port: 0, host: '127.0.0.1' })))
  const client = new RemotingClient()
  t.after(() => Promise.all([client.close(), ...servers.map(server => server.close())]))
  assert.equal(new Set(servers.map(server => server.address.port)).size, 3)
  for (const [i, { address }] of servers.entries()) {
    await client.call(`127.0.0.1:${address.port}`, REGISTER_BROKER, registrationOf(`broker-${i}`))
  }
  for (const [i, { address }] of servers.entries()) {
    const info = await client.call(`127.0.0.1:${address.port}`, GET_BROKER_CLUSTER_INFO)
    assert.deepEqual([...(info.body?.brokerAddrTable.keys() ?? [])], [`broker-${i}`])
  }
})

test('closing twice closes once, and leaves no timer', async () => {
  const clock = new ManualClock()
  const server = await NameServer.start({ port: 0, host: '127.0.0.1', clock })
  const closing = server.close()
  assert.equal(server.close(), closing)
  await closing
  await server[Symbol.asyncDispose]()
  assert.equal(clock.timers, 0)
})

test('a port in use is named in the error, and the second server leaves nothing behind', async t => {
  const clock = new ManualClock()
  const first = await NameServer.start({ port: 0, host: '127.0.0.1' })
  t.after(() => first.close())
  const { port } = first.address
  await assert.rejects(NameServer.start({ port, host: '127.0.0.1', clock }), new RegExp(`127.0.0.1:${port}.*in use`))
  assert.equal(clock.timers, 0)
})

test('an unknown option is refused, and the error suggests the right name', async () => {
  await assert.rejects(NameServer.start({ listenport: 1 } as never), /listenport.*did you mean listenPort/)
})

test('a silent broker is removed after its timeout, and not before', async t => {
  const clock = new ManualClock()
  const server = await NameServer.start({ port: 0, host: '127.0.0.1', clock })
  const client = new RemotingClient()
  t.after(() => Promise.all([client.close(), server.close()]))
  const { header, body } = registrationOf('a')
  await client.call(`127.0.0.1:${server.address.port}`, REGISTER_BROKER, {
    header: { ...header, heartbeatTimeoutMillis: 10_000 },
    body,
  })
  clock.advance(10_000)
  assert.equal(server.status.brokerCount(), 1)
  clock.advance(5000)
  assert.equal(server.status.brokerCount(), 0)
})

test('a program that closes its server ends by itself', async () => {
  const source = `
    const { NameServer } = await import(${JSON.stringify(join(import.meta.dirname, '../src/index.ts'))})
    const server = await NameServer.start({ port: 0, host: '127.0.0.1' })
    const answer = await fetch('http://127.0.0.1:' + server.address.port + '/readyz')
    console.log(answer.status)
    await answer.text()
    await server.close()
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { timeout: 30_000 })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  assert.equal(output, '200\n')
  assert.equal(code, 0)
})
