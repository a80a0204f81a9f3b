import assert from 'node:assert/strict'
import dns from 'node:dns/promises'
import { once } from 'node:events'
import { syncBuiltinESMExports } from 'node:module'
import { type AddressInfo, connect, createServer } from 'node:net'
import { test } from 'node:test'
import { Broker } from '@gantrymq/broker'
import { brokerAdminRequests } from '@gantrymq/protocol'
import { RemotingClient } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import { MemoryDisk } from '@gantrymq/store'
import { settle } from './requests.ts'

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => void server.close(resolve))
  return port
}

test('no client can send before the broker knows the address that messages contain', async t => {
  const lookedUp = Promise.withResolvers<{ address: string; family: number }>()
  const asked = Promise.withResolvers<void>()
  t.mock.method(dns, 'lookup', () => {
    asked.resolve()
    return lookedUp.promise
  })
  syncBuiltinESMExports()
  t.after(() => {
    t.mock.restoreAll()
    syncBuiltinESMExports()
  })
  const port = await freePort()
  const starting = Broker.start({ port, host: '127.0.0.1', brokerIP1: 'broker.example', httpEnabled: false })
  await asked.promise
  const socket = connect(port, '127.0.0.1')
  const outcome = await new Promise<string>(resolve => {
    socket.on('connect', () => resolve('connected'))
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
  })
  socket.destroy()
  lookedUp.resolve({ address: '10.0.1.1', family: 4 })
  const broker = await starting
  t.after(() => broker.close())
  assert.equal(outcome, 'ECONNREFUSED')
  assert.equal(broker.advertisedAddress, `broker.example:${port}`)
})

test('a start that fails when the broker is put together leaves nothing open', async () => {
  const clock = new ManualClock()
  const disk = new MemoryDisk()
  const failing = Broker.start({
    disk,
    clock,
    listen: false,
    metricsPage: () => {
      throw new Error('no metrics')
    },
  })
  await assert.rejects(failing, /no metrics/)
  assert.equal(clock.timers, 0)
  const broker = await Broker.start({ disk, clock, listen: false })
  await broker.close()
  assert.equal(clock.timers, 0)
})

test('the time of idle connections changes at both ports', async t => {
  const clock = new ManualClock()
  const broker = await Broker.start({ port: 0, fastListenPort: 0, host: '127.0.0.1', httpEnabled: false, clock })
  const client = new RemotingClient({ clock })
  t.after(async () => {
    await client.close()
    await broker.close()
  })
  const addresses = [broker.address, broker.fastAddress!].map(({ port }) => `127.0.0.1:${port}`)
  const [main = ''] = addresses
  const body = 'serverChannelMaxIdleTimeSeconds=10\n'
  await client.call(main, brokerAdminRequests.UPDATE_BROKER_CONFIG, { body })
  for (const address of addresses) await client.call(address, brokerAdminRequests.GET_BROKER_RUNTIME_INFO)
  const connected = () => addresses.map(address => client.isConnected(address))
  assert.deepEqual(connected(), [true, true])
  for (let second = 0; second < 15; second++) {
    clock.advance(1000)
    await settle()
  }
  assert.deepEqual(connected(), [false, false])
})
