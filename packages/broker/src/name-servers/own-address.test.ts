import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import { silent, systemClock } from '@gantrymq/remoting'
import { OwnAddress } from './own-address.ts'

const addresses = Object.values(networkInterfaces()).flatMap(list => list ?? [])
const outer = addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address

function ownAddress(given: { readonly brokerIP1?: string; readonly bindAddress?: string } = {}) {
  const { brokerIP1 = null, bindAddress = '0.0.0.0' } = given
  const options = () => ({ brokerClusterName: 'c', brokerName: 'b', brokerIP1, brokerIP2: null, bindAddress })
  const warnings: string[] = []
  const log = { ...silent, warn: (_fields: object, text: string) => void warnings.push(text) }
  return { own: new OwnAddress({ options, port: () => 10_911, clock: systemClock, log }), warnings }
}

test('the first name server that can be reached decides the address of the broker', async () => {
  const { own, warnings } = ownAddress()
  await own.choose(['no-such-host.invalid:9876', '127.0.0.1:9876'])
  assert.equal(own.identity().address, '127.0.0.1:10911')
  assert.doesNotMatch(warnings.join(), /no name server could be reached/)
})

test('without a name server that can be reached the broker registers the loopback address, and says so', async () => {
  const { own, warnings } = ownAddress()
  await own.choose(['no-such-host.invalid:9876'])
  assert.equal(own.identity().address, '127.0.0.1:10911')
  assert.match(warnings.join(), /no name server could be reached/)
})

test('an address that was chosen without a name server becomes the right one when a name server can be reached', {
  skip: outer === undefined && 'this machine has no network',
}, async () => {
  const { own } = ownAddress()
  await own.choose(['no-such-host.invalid:9876'])
  own.opened()
  await own.chooseAgain(['no-such-host.invalid:9876'])
  assert.equal(own.identity().address, '127.0.0.1:10911')
  await own.chooseAgain([`${outer}:9876`])
  assert.equal(own.identity().address, `${outer}:10911`)
  assert.deepEqual(own.storeHost, { ip: outer, port: 10_911 })
  assert.equal(own.chooseAgain(['127.0.0.1:9876']), undefined)
})

test('messages contain the IP address of a host name, and the port as soon as it is open', async () => {
  const { own } = ownAddress({ brokerIP1: 'localhost' })
  await own.choose([])
  own.opened()
  assert.match(`${own.storeHost.ip} ${own.storeHost.port}`, /^(127\.0\.0\.1|::1) 10911$/)
  assert.equal(own.identity().address, 'localhost:10911')
})
