import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { test, type TestContext } from 'node:test'
import { Producer } from '@gantrymq/client'
import { brokerAdminRequests, nameServerRequests } from '@gantrymq/protocol'
import { RemotingClient, silent } from '@gantrymq/remoting'
import { type StandaloneOptions, standaloneOptions } from './options.ts'
import { Standalone } from './standalone.ts'

const addresses = Object.values(networkInterfaces()).flatMap(list => list ?? [])
const hasIPv6 = addresses.some(({ address }) => address === '::1')
const outer = addresses.filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address)

async function start(t: TestContext, given: Partial<StandaloneOptions>): Promise<Standalone> {
  const options = standaloneOptions.resolve({ memory: true, listenPort: 0, brokerPort: 0, ...given })
  const rocketMQ = await Standalone.start(options, silent)
  t.after(() => rocketMQ.close())
  return rocketMQ
}

for (const bindAddress of ['127.0.0.1', '::1', '0.0.0.0']) {
  const skip = bindAddress === '::1' && !hasIPv6 && 'this machine has no IPv6'
  test(`clients find a RocketMQ that listens on ${bindAddress}`, { skip }, async t => {
    const rocketMQ = await start(t, { bindAddress })
    const producer = await Producer.start({ nameServers: rocketMQ.nameServerAddress, group: 'shop' })
    t.after(() => producer.close())
    const { status } = await producer.send({ topic: 'Orders', body: 'one' })
    assert.equal(status, 'SEND_OK')
  })
}

test('both servers of a RocketMQ have their metrics, with the names of Apache', async t => {
  const rocketMQ = await start(t, {})
  const page = async (address: string): Promise<string> => await (await fetch(`http://${address}/metrics`)).text()
  assert.match(await page(rocketMQ.brokerAddress), /^rocketmq_messages_in_total\{|^# TYPE rocketmq_messages_in_total/m)
  assert.match(await page(rocketMQ.brokerAddress), /node_type="broker",node_id="broker-a"/)
  assert.match(await page(rocketMQ.nameServerAddress), /node_type="nameserver"/)
})

/** The address of the broker that the name server tells clients, without the port. */
async function advertised(t: TestContext, { nameServerAddress }: Standalone): Promise<string | undefined> {
  const client = new RemotingClient()
  t.after(() => client.close())
  const { body } = await client.call(nameServerAddress, nameServerRequests.GET_BROKER_CLUSTER_INFO, {})
  return body?.brokerAddrTable.get('broker-a')?.brokerAddrs.get(0)?.replace(/:\d+$/, '')
}

test('a RocketMQ that listens on all addresses tells clients that of a network interface', {
  skip: outer.length === 0 && 'this machine has no network',
}, async t => {
  const host = await advertised(t, await start(t, { bindAddress: '0.0.0.0' }))
  assert.ok(outer.includes(host ?? ''), host)
})

test('a RocketMQ that listens on all addresses tells clients the address that it is given for them', async t => {
  const rocketMQ = await start(t, { bindAddress: '0.0.0.0', advertisedAddress: '192.0.2.1' })
  assert.equal(await advertised(t, rocketMQ), '192.0.2.1')
})

test('with enableShutdownGracefully the broker keeps serving for as long as the options say', async t => {
  const rocketMQ = await start(t, { enableShutdownGracefully: true, shutdownWaitTimeSeconds: 1 })
  const client = new RemotingClient()
  t.after(() => client.close())
  await client.call(rocketMQ.brokerAddress, brokerAdminRequests.GET_BROKER_RUNTIME_INFO, {})
  const started = performance.now()
  await rocketMQ.close()
  assert.ok(performance.now() - started > 900)
})
