import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import { Producer } from '@gantrymq/client'
import { silent } from '@gantrymq/remoting'
import { standaloneOptions } from './options.ts'
import { Standalone } from './standalone.ts'

const hasIPv6 = Object.values(networkInterfaces()).some(list => list?.some(({ address }) => address === '::1'))

for (const bindAddress of ['127.0.0.1', '::1', '0.0.0.0']) {
  const skip = bindAddress === '::1' && !hasIPv6 && 'this machine has no IPv6'
  test(`clients find a RocketMQ that listens on ${bindAddress}`, { skip }, async t => {
    const options = standaloneOptions.resolve({ memory: true, bindAddress, listenPort: 0, brokerPort: 0 })
    const rocketMQ = await Standalone.start(options, silent)
    t.after(() => rocketMQ.close())
    const producer = await Producer.start({ nameServers: rocketMQ.nameServerAddress, group: 'shop' })
    t.after(() => producer.close())
    const { status } = await producer.send({ topic: 'Orders', body: 'one' })
    assert.equal(status, 'SEND_OK')
  })
}
