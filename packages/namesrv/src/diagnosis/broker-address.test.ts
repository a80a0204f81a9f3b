import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressFault } from './broker-address.ts'

const FROM = '10.0.0.1'

const FAULTY: readonly [address: string, why: RegExp][] = [
  ['10.0.0.1', /no port/],
  ['broker-a', /no port/],
  ['10.0.0.1:', /no port/],
  ['10.0.0.1:0', /port 0/],
  ['10.0.0.1:99999', /port 99999/],
  [':10911', /no host/],
  ['null:10911', /no host/],
  ['0.0.0.0:10911', /all addresses/],
  ['[::]:10911', /all addresses/],
  ['10.0.0.256:10911', /no IP address/],
  ['http://10.0.0.1:10911', /URL/],
  ['10.0.0.1 :10911', /character " "/],
  ['8.130.0.1 #own IP:10911', /character " "/],
  ['"10.0.0.1":10911', /character "\\""/],
  ['10.0.0.1;10.0.0.2:10911', /character ";"/],
  ['127.0.0.1:10911', /own machine only/],
  ['localhost:10911', /own machine only/],
  ['[::1]:10911', /own machine only/],
]

for (const [address, why] of FAULTY) {
  test(`no client can use ${address}`, () => {
    const fault = addressFault(address, FROM)
    assert.match(fault?.why ?? '', why)
    assert.equal(fault?.certain, true)
  })
}

test('an address in the usual form is good if the connection comes from it, or if it is a name', () => {
  for (const address of ['10.0.0.1:10911', 'broker-a.mq.svc:10911', 'broker_a:1']) {
    assert.equal(addressFault(address, FROM), undefined, address)
  }
  assert.equal(addressFault('[fd00::1]:10911', 'fd00::1'), undefined)
  assert.equal(addressFault('10.0.0.1:10911', '127.0.0.1'), undefined, 'a broker on the machine of the name server')
  assert.equal(addressFault('10.0.0.1:10911', undefined), undefined)
})

test('a broker on this machine has one of its addresses, unless an address is translated', () => {
  const own = new Set(['10.0.0.1'])
  assert.equal(addressFault('10.0.0.1:10911', '127.0.0.1', own), undefined)
  const fault = addressFault('10.0.0.9:10911', '127.0.0.1', own)
  assert.deepEqual([fault?.why, fault?.certain], ['is none of this machine, where its connection comes from', false])
})

test('some clients can use another address than that of the connection, and a loopback address of this machine', () => {
  const other = addressFault('172.17.0.2:10911', FROM)
  assert.deepEqual([other?.why, other?.certain], ['differs from 10.0.0.1, where its connection comes from', false])
  assert.equal(addressFault('127.0.0.1:10911', '127.0.0.1')?.certain, false)
})
