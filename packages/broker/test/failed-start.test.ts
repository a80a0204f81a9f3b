import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { Broker } from '@gantrymq/broker'
import { RemotingError } from '@gantrymq/remoting'

test('a broker whose start fails before it has registered does not leave the name servers', async t => {
  const other = createServer().listen(0, '127.0.0.1')
  t.after(() => other.close())
  await once(other, 'listening')
  const dialled: string[] = []
  const start = Broker.start({
    host: '127.0.0.1',
    port: 0,
    fastListenPort: (other.address() as AddressInfo).port,
    namesrvAddr: '127.0.0.1:9876',
    async dial(address) {
      dialled.push(address)
      throw new RemotingError('CONNECT_FAILED', 'there is no name server')
    },
  })
  await assert.rejects(start, { code: 'CONNECT_FAILED' })
  assert.deepEqual(dialled, [])
})
