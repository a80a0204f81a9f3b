import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '@gantrymq/remoting'
import { ipAddressOf, localAddressTowards } from './local-address.ts'

test("the address of this machine on the way to another one is that of the other one's network", async () => {
  assert.equal(await localAddressTowards('127.0.0.1:9876', systemClock), '127.0.0.1')
})

test('a name that cannot be resolved leads to no address', async () => {
  assert.equal(await localAddressTowards('no-such-host.invalid:9876', systemClock), undefined)
})

test('an address without a route leads to no address', async () => {
  // The system refuses to connect a socket to the address of everyone.
  assert.equal(await localAddressTowards('255.255.255.255:9876', systemClock), undefined)
})

test('an IP address stays as it is', async () => {
  assert.equal(await ipAddressOf('::1', systemClock), '::1')
})

test('an address of the broker that cannot be resolved is an error that names it', async () => {
  await assert.rejects(ipAddressOf('no-such-host.invalid', systemClock), {
    code: 'BAD_OPTION',
    message:
      /^the address of the broker, no-such-host\.invalid, cannot be resolved .*: set brokerIP1 to an IP address$/,
  })
})
