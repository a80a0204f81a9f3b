import assert from 'node:assert/strict'
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { AskingClient } from './asking-client.ts'

test('questions that a server never answers end without a code, also those that were due behind them', async t => {
  const server = net.createServer(socket => socket.on('error', () => {}))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const client = new AskingClient((server.address() as AddressInfo).port)
  const codes: (number | undefined)[] = []
  for (let i = 0; i < 3; i++) client.ask({ request: [Buffer.from('?')], onAnswer: (_us, code) => codes.push(code) })
  assert.equal(client.isBusy, true)
  client.close()
  assert.deepEqual(codes, [undefined, undefined, undefined])
  assert.equal(client.isBusy, false)
})
