import assert from 'node:assert/strict'
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { NameServer } from '@gantrymq/namesrv'
import type { Subject } from '../name-server/subjects.ts'
import { phases, type StormSize } from './size.ts'
import { runStorm } from './storm.ts'

const tiny: StormSize = {
  brokers: 5,
  topics: 20,
  registerWithinMs: 500,
  clients: 4,
  askEveryMs: 20,
  quietMs: 600,
  registeredMs: 600,
  hangingUpMs: 600,
  afterMs: 600,
}

function subject(port: number, close: () => Promise<void>): Subject {
  const running = { name: 'ours', pid: process.pid, port, startMs: 0, alive: () => true, close } as const
  return { name: 'ours', start: async () => running }
}

/** A server that answers every request with the same code. */
async function serverAnswering(t: TestContext, code: number): Promise<Subject> {
  const header = `{"code":${code},"flag":1,"opaque":1}`
  const frame = Buffer.alloc(8 + header.length)
  frame.writeUInt32BE(frame.length - 4, 0)
  frame.writeUInt32BE(header.length, 4)
  frame.write(header, 8)
  const server = net.createServer(socket => socket.on('data', () => socket.write(frame)).on('error', () => {}))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return subject((server.address() as AddressInfo).port, async () => {})
}

test('a storm on our name server has answers in every phase, and none that fails', async () => {
  const server = await NameServer.start({ port: 0, host: '127.0.0.1' })
  const { phases: results, registered } = await runStorm(
    subject(server.address.port, () => server.close()),
    tiny,
    { warmMs: 50 },
  )
  assert.equal(registered.refused, 0)
  for (const phase of phases) {
    const { answers, failed, p50Us, maxUs } = results[phase]
    assert.ok(answers > 0 && failed === 0, `${phase}: ${answers} answers, ${failed} failed`)
    assert.ok(p50Us > 0 && maxUs >= p50Us)
  }
})

test('a storm ends with an error if the name server refuses registrations', async t => {
  await assert.rejects(runStorm(await serverAnswering(t, 1), tiny, { warmMs: 1 }), /refused the standing broker/)
})
