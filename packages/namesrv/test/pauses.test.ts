// How a name server handles a pause of its own process, and jumps of the time of day.
import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { test, type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { nameServerRequests } from '@gantrymq/protocol'
import { Connection } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import { NameServer } from '../src/index.ts'
import { registerBody } from './registrations.ts'

const BROKERS = 20
const PAUSE_MS = 130_000

function registrationOf(brokerName: string) {
  return {
    header: { brokerName, brokerAddr: `${brokerName}:10911`, clusterName: 'C', brokerId: 0 },
    body: registerBody(),
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 30; i++) await turn()
}

/** A name server with 20 brokers, each on its own connection. */
async function open(t: TestContext) {
  const clock = new ManualClock()
  const server = await NameServer.start({ port: 0, host: '127.0.0.1', clock, httpEnabled: false })
  t.after(() => server.close())
  const join = async (brokerName: string) => {
    const [near, far] = duplexPair()
    far.once('close', () => near.destroy())
    server.accept(near, '10.0.0.1:1')
    const connection = new Connection(far, { remoteAddress: 'server:1' })
    t.after(() => connection.destroy())
    await connection.call(nameServerRequests.REGISTER_BROKER, registrationOf(brokerName))
    return connection
  }
  const connections = []
  for (let i = 0; i < BROKERS; i++) connections.push(await join(`broker-${i}`))
  return { clock, server, join, connections }
}

test('a pause of 130 s removes no broker, even if the brokers sent nothing during the pause', async t => {
  const { clock, server } = await open(t)
  clock.advance(29_000)
  clock.pause(PAUSE_MS)
  await settle()
  assert.equal(server.status.brokerCount(), BROKERS)
  clock.advance(60_000)
  assert.equal(server.status.brokerCount(), BROKERS)
})

test('brokers that stay silent after a pause expire', async t => {
  const { clock, server } = await open(t)
  clock.pause(PAUSE_MS)
  clock.advance(130_000)
  await settle()
  assert.equal(server.status.brokerCount(), 0)
})

test('a broker that reconnected during a pause stays, although the end of its old connection is read first', async t => {
  const { clock, server, join, connections } = await open(t)
  clock.pause(PAUSE_MS)
  for (const connection of connections) connection.destroy()
  await settle()
  assert.equal(server.status.brokerCount(), BROKERS)
  await Promise.all(connections.map((_, i) => join(`broker-${i}`)))
  clock.advance(30_000)
  assert.equal(server.status.brokerCount(), BROKERS)
})

test('a broker that disconnected during a pause is removed by the next scan', async t => {
  const { clock, server, connections } = await open(t)
  clock.pause(PAUSE_MS)
  connections[0]?.destroy()
  await settle()
  clock.advance(5000)
  assert.equal(server.status.brokerCount(), BROKERS - 1)
})

test('a jump of the time of day, forward or back, removes no broker early and keeps none longer', async t => {
  const { clock, server } = await open(t)
  for (const jump of [PAUSE_MS, -2 * PAUSE_MS]) {
    clock.jump(jump)
    clock.advance(10_000)
    assert.equal(server.status.brokerCount(), BROKERS)
  }
  clock.advance(110_000)
  assert.equal(server.status.brokerCount(), 0)
})
