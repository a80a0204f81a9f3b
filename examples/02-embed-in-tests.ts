// A name server per test, started in milliseconds. Run it with: node --test FILE
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NameServer } from '@gantrymq/namesrv'

test('two name servers are independent', async () => {
  await using one = await NameServer.start({ port: 0 })
  await using other = await NameServer.start({ port: 0 })
  assert.notEqual(one.address.port, other.address.port)
})

test('a name server may be closed twice', async () => {
  const server = await NameServer.start({ port: 0 })
  await Promise.all([server.close(), server.close()])
})
