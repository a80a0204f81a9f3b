import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { NameServer } from '@gantrymq/namesrv'
import { nameServerRequests } from '@gantrymq/protocol'
import { RemotingClient, silent } from '@gantrymq/remoting'
import { ManualClock, memorySockets } from '@gantrymq/remoting/testing'
import { MemoryDisk, WholeFiles } from '@gantrymq/store'
import { brokerOptions } from '../options.ts'
import { Topics } from '../topics/topics.ts'
import { NameServers } from './name-servers.ts'

test('the address is chosen again before a registration, which waits for that', async t => {
  const clock = new ManualClock()
  const server = await NameServer.start({ port: 0, host: '127.0.0.1', httpEnabled: false, clock })
  const dial = async () => {
    const [near, far] = memorySockets()
    server.accept(far, '10.0.1.1:50000')
    return near
  }
  const options = brokerOptions.resolve({ namesrvAddr: '10.0.0.1:9876', brokerName: 'b' })
  const files = new WholeFiles(new MemoryDisk())
  const topics = await Topics.open({ path: '/topics.json', files, settings: () => options, clock, log: silent, onChange: () => {} }) // biome-ignore format: one thought
  let host = '127.0.0.1'
  const nameServers = new NameServers({
    options: () => options,
    identity: () => ({
      brokerClusterName: 'c',
      brokerName: 'b',
      address: `${host}:10911`,
      haAddress: `${host}:10912`,
    }),
    async chooseAgain(addresses) {
      assert.deepEqual(addresses, ['10.0.0.1:9876'])
      await setImmediate()
      host = '10.0.1.1'
    },
    topics,
    tls: undefined,
    dial,
    clock,
    log: silent,
  })
  const client = new RemotingClient({ clock, dial })
  t.after(async () => {
    await Promise.all([nameServers.close(), client.close()])
    await server.close()
  })
  await nameServers.find()
  await nameServers.register()
  const { body } = await client.call('10.0.0.1:9876', nameServerRequests.GET_BROKER_CLUSTER_INFO, {})
  assert.equal(body?.brokerAddrTable.get('b')?.brokerAddrs.get(0), '10.0.1.1:10911')
})
