import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressText, advertisedAddress } from './advertised-address.ts'

const nothing = { configured: null, bindAddress: '0.0.0.0', towardsNameServer: undefined, hasNameServers: false }

test('brokerIP1 counts, whatever else is known', () => {
  const sources = { ...nothing, configured: '127.0.0.1', towardsNameServer: '10.0.0.5', hasNameServers: true }
  assert.deepEqual(advertisedAddress(sources), { host: '127.0.0.1', isFinal: true })
})

test('without it the broker registers the address by which it reaches a name server', () => {
  assert.deepEqual(advertisedAddress({ ...nothing, towardsNameServer: '10.0.0.5', hasNameServers: true }), { host: '10.0.0.5', isFinal: true }) // biome-ignore format: one thought
  assert.deepEqual(advertisedAddress({ ...nothing, towardsNameServer: 'fd00::5', hasNameServers: true }), { host: 'fd00::5', isFinal: true }) // biome-ignore format: one thought
})

test('a broker that listens on one address registers that one', () => {
  const sources = { ...nothing, bindAddress: '10.0.0.9', towardsNameServer: '10.0.0.5', hasNameServers: true }
  assert.deepEqual(advertisedAddress(sources), { host: '10.0.0.9', isFinal: true })
  assert.deepEqual(advertisedAddress({ ...sources, bindAddress: 'broker.example' }), {
    host: 'broker.example',
    isFinal: true,
  })
  const local = advertisedAddress({ ...sources, bindAddress: 'localhost' })
  assert.equal(local.host, 'localhost')
  assert.match(local.warning ?? '', /only clients on this machine can use/)
})

test('a broker that no other machine can reach warns of it', () => {
  const alone = advertisedAddress(nothing)
  assert.equal(alone.host, '127.0.0.1')
  assert.equal(alone.isFinal, false)
  assert.match(alone.warning ?? '', /only clients on this machine can use; set brokerIP1/)
  const unreachable = advertisedAddress({ ...nothing, hasNameServers: true })
  assert.match(unreachable.warning ?? '', /\(no name server could be reached\)/)
  const local = advertisedAddress({ ...nothing, towardsNameServer: '127.0.0.1', hasNameServers: true })
  assert.ok(local.warning !== undefined && local.isFinal)
  assert.equal(advertisedAddress({ ...nothing, bindAddress: '::' }).host, '::1')
})

test('a broker whose brokerIP1 is any address warns of it', () => {
  for (const configured of ['0.0.0.0', '::']) {
    const { host, warning } = advertisedAddress({ ...nothing, configured })
    assert.equal(host, configured)
    assert.match(warning ?? '', /no client on another machine can connect; set it to the address/)
  }
})

test('an IPv6 address is in brackets before its port', () => {
  assert.equal(addressText('10.0.0.5', 10_911), '10.0.0.5:10911')
  assert.equal(addressText('fd00::5', 10_911), '[fd00::5]:10911')
  assert.equal(addressText('broker.example', 1), 'broker.example:1')
})
