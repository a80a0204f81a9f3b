import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAllowedHost } from './host-names.ts'

test('addresses, loopback names and no name at all are allowed', () => {
  const hosts = [
    '127.0.0.1',
    '10.0.0.5:9876',
    '[::1]',
    '[fd00::5]:9876',
    'localhost',
    'LocalHost:80',
    'a.localhost.',
    '',
  ]
  for (const host of [...hosts, undefined]) assert.ok(isAllowedHost(host, []), String(host))
})

test('any other name is not', () => {
  const hosts = [
    'evil.example',
    'evil.example:9876',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'notlocalhost',
  ]
  for (const host of [...hosts, '[evil.example]', 'a:b:c', '127.0.0.1@evil.example', '10.1']) {
    assert.ok(!isAllowedHost(host, []), host)
  }
})

test('a name of the list is allowed, in upper or lower case, and a name below a domain of the list', () => {
  const allowed = ['Namesrv.internal', '*.mq.example.com']
  for (const host of ['namesrv.internal', 'NAMESRV.INTERNAL:9876', 'a.mq.example.com', 'a.b.mq.example.com:1']) {
    assert.ok(isAllowedHost(host, allowed), host)
  }
  for (const host of ['a.namesrv.internal', 'mq.example.com', 'evilmq.example.com', 'mq.example.com.evil.example']) {
    assert.ok(!isAllowedHost(host, allowed), host)
  }
  assert.ok(isAllowedHost('evil.example', ['*']))
})
