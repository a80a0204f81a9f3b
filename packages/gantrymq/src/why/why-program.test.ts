import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NameServer } from '@gantrymq/namesrv'
import { runWhy } from './why-program.ts'

async function why(...args: string[]) {
  const [printed, complained]: [string[], string[]] = [[], []]
  const exitCode = await runWhy({
    args,
    environment: {},
    home: '/nowhere',
    print: line => printed.push(line),
    complain: line => complained.push(line),
  })
  return { exitCode, printed: printed.join('\n'), complained: complained.join('\n') }
}

test('gantry why says in a shell what a name server knows, with exit code 1 if something is wrong', async () => {
  const server = await NameServer.start({ host: '127.0.0.1', port: 0 })
  const address = `127.0.0.1:${server.address.port}`
  const { exitCode, printed } = await why('Orders', '-n', address)
  assert.equal(exitCode, 1)
  assert.match(printed, /^Orders: .*No broker.* \(NO_BROKERS\)\n {2}- /i)
  const json = JSON.parse((await why('Orders', '--json', '-n', address)).printed) as object
  assert.deepEqual(Object.keys(json), ['topic', 'code', 'message', 'hints', 'nameServer'])
  await server.close()
})

test('a name server that explains nothing, or none at all, gives exit code 2 and the reason', async () => {
  const server = await NameServer.start({ host: '127.0.0.1', port: 0, httpEnabled: false })
  const address = `127.0.0.1:${server.address.port}`
  const silent = await why('Orders', '-n', address)
  assert.equal(silent.exitCode, 2)
  assert.match(silent.complained, /^gantry why: the name server 127\.0\.0\.1:\d+ does not explain routes/)
  await server.close()
  const gone = await why('Orders', '-n', address)
  assert.equal(gone.exitCode, 2)
  assert.match(gone.complained, /nothing listens on this port/)
})

test('without a topic, or with an unknown flag, the usage is printed', async () => {
  for (const args of [[], ['A', 'B'], ['-h'], ['A', '--colour']]) {
    const { exitCode, complained } = await why(...args)
    assert.equal(exitCode, 2)
    assert.match(complained, /usage: gantry why TOPIC/)
  }
})
