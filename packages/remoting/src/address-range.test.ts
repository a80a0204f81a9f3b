import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addressRanges } from './address-range.ts'

test('a block includes its addresses and no other', () => {
  const ranges = addressRanges('10.1.0.0/16, 192.168.1.7 fd00::/8,::1')
  for (const inside of ['10.1.0.0', '10.1.255.255', '192.168.1.7', 'fd12::1', '::1']) {
    assert.equal(ranges.includes(inside), true, inside)
  }
  for (const outside of ['10.2.0.0', '9.255.255.255', '192.168.1.8', 'fe00::1', '::2']) {
    assert.equal(ranges.includes(outside), false, outside)
  }
})

test('an IPv4 address is found in its IPv6-mapped form too', () => {
  const ranges = addressRanges('10.0.0.0/8')
  assert.equal(ranges.includes('::ffff:10.1.2.3'), true)
  assert.equal(ranges.includes('::ffff:11.1.2.3'), false)
})

test('the interface of a link-local address is ignored', () => {
  assert.equal(addressRanges('fe80::/10').includes('fe80::1%eth0'), true)
})

test('a prefix of 0 means every address of that family', () => {
  assert.equal(addressRanges('0.0.0.0/0').includes('203.0.113.9'), true)
  assert.equal(addressRanges('0.0.0.0/0').includes('2001:db8::1'), false)
  assert.equal(addressRanges('::/0').includes('2001:db8::1'), true)
})

test('an empty list includes nothing, and text that is not an address is in no range', () => {
  assert.equal(addressRanges(' ').includes('127.0.0.1'), false)
  for (const nonsense of ['', 'memory', '10.0.0.1:9876', '010.0.0.1']) {
    assert.equal(addressRanges('0.0.0.0/0').includes(nonsense), false, nonsense)
  }
})

test('the error names the part that is neither an address nor a block', () => {
  for (const bad of [
    '10.0.0.0/33',
    '::/129',
    '10.0.0/8',
    'localhost',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '1.2.3.4/-1',
    '/8',
    'fe80::1%eth0',
  ]) {
    assert.throws(() => addressRanges(`127.0.0.1,${bad}`), { code: 'BAD_OPTION', message: new RegExp(`"${bad}"`) }, bad)
  }
})

test('IPv4 blocks agree with arithmetic', () => {
  const dotted = (value: number): string => [24, 16, 8, 0].map(shift => (value >>> shift) & 255).join('.')
  const word = fc.integer({ min: 0, max: 0xffffffff })
  fc.assert(
    fc.property(word, word, fc.nat(32), (network, address, prefix) => {
      const near = prefix === 0 ? address : ((network & (-1 << (32 - prefix))) | (address >>> prefix)) >>> 0
      const same = (a: number): boolean => prefix === 0 || a >>> (32 - prefix) === network >>> (32 - prefix)
      const ranges = addressRanges(`${dotted(network)}/${prefix}`)
      for (const candidate of [address, near]) assert.equal(ranges.includes(dotted(candidate)), same(candidate))
    }),
  )
})
