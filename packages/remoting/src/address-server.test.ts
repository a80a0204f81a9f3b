import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { askAddressServer } from './address-server.ts'

async function serving(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('the list is the first line of the answer', async t => {
  const address = await serving(t, (_, response) => response.end(' 10.0.0.1:9876;10.0.0.2:9876\nmore'))
  assert.equal(await askAddressServer(`http://${address}/rocketmq/nsaddr`), '10.0.0.1:9876;10.0.0.2:9876')
})

test('the user and the password of the URL are sent to the server, and no error shows them', async t => {
  const seen: unknown[] = []
  const address = await serving(t, ({ headers, url }, response) => {
    seen.push(headers.authorization, url)
    response.writeHead(500).end()
  })
  const failure = await askAddressServer(`http://user:s%40fe@${address}/x?token=hidden`).catch(
    (error: unknown) => error,
  )
  assert.deepEqual(seen, [`Basic ${Buffer.from('user:s@fe').toString('base64')}`, '/x?token=hidden'])
  assert.ok(inspect(failure).includes(`http://${address}/x answered with status 500`))
  for (const secret of ['s@fe', 's%40fe', 'hidden']) assert.ok(!inspect(failure).includes(secret))
})

test('the errors for an unreachable server and for an invalid URL show no secrets', async () => {
  const away = askAddressServer('http://127.0.0.1:1/x?token=hidden')
  await assert.rejects(away, { code: 'CONNECT_FAILED', message: /^http:\/\/127.0.0.1:1\/x does not answer: / })
  await assert.rejects(askAddressServer('no url: hidden'), {
    code: 'BAD_OPTION',
    message: 'the URL of the address server is not an http or https URL',
  })
})

test('a URL with another scheme than http or https is refused and not shown, as it may hold a user and a password', async () => {
  for (const url of ['user:hidden@127.0.0.1:1/x', 'ftp://user:hidden@127.0.0.1:1/x', '127.0.0.1:1/x']) {
    await assert.rejects(askAddressServer(url), {
      code: 'BAD_OPTION',
      message: 'the URL of the address server is not an http or https URL',
    })
  }
})

test('a password may contain a percent sign that is not an escape', async t => {
  const seen: unknown[] = []
  const address = await serving(t, ({ headers }, response) => {
    seen.push(headers.authorization)
    response.end('10.0.0.1:9876')
  })
  assert.equal(await askAddressServer(`http://user:100%@${address}/x`), '10.0.0.1:9876')
  assert.deepEqual(seen, [`Basic ${Buffer.from('user:100%').toString('base64')}`])
})
