// A name server for each test: started in milliseconds, shared with nobody. Run it with: node --test FILE
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NameServer } from '@gantrymq/namesrv'

test('a name server knows nothing of another', async () => {
  await using one = await NameServer.start({ port: 0 })
  await using other = await NameServer.start({ port: 0 })
  assert.notEqual(one.address.port, other.address.port)
})

test('closing twice is closing once', async () => {
  const server = await NameServer.start({ port: 0 })
  await Promise.all([server.close(), server.close()])
})
