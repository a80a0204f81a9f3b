import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { RemotingClient } from '../client.ts'
import { header, text } from '../fields.ts'
import { request } from '../request.ts'
import type { FaultyAnswer } from './faults.ts'
import { FaultyServer } from './faulty-server.ts'
import { ManualClock } from './manual-clock.ts'
import { memorySockets } from './memory-sockets.ts'

const table = {
  ECHO: request({
    code: 7,
    purpose: 'for tests',
    header: header({ topic: text() }),
    reply: { header: header({ topic: text() }) },
  }),
}

async function settle(): Promise<void> {
  for (let turns = 0; turns < 10; turns++) await turn()
}

/** Opens a faulty server that echoes, and a client of it. */
function open(t: TestContext) {
  const clock = new ManualClock()
  const server = new FaultyServer({
    address: 'server:1',
    clock,
    table,
    version: 0,
    dispatch: ({ extFields }) => ({ code: 0, extFields }),
  })
  const dial = async () => {
    if (server.accepting !== 'connects') throw new Error('refused')
    const [near, far] = memorySockets()
    server.accept(far, 'client:1')
    return near
  }
  const client = new RemotingClient({ clock, dial })
  t.after(async () => {
    await Promise.all([client.close(), server.close()])
    await settle()
    assert.equal(clock.timers, 0, 'closing leaves no timer')
  })
  const echo = () => client.call(server.address, table.ECHO, { header: { topic: 'T' } }, { timeoutMs: 1000 })
  /** How a call ends while `ms` milliseconds pass. */
  const after = async (ms: number): Promise<string> => {
    const call = echo().then(
      ({ header }) => header.topic,
      (error: { code?: string; responseCode?: number }) => error.code ?? String(error.responseCode),
    )
    for (let passed = 0; passed <= ms; passed += 50) {
      await settle()
      clock.advance(50)
    }
    return await call
  }
  return { server, after }
}

const ends: readonly (readonly [FaultyAnswer, string])[] = [
  [{ answer: 'late', ms: 500 }, 'T'],
  [{ answer: 'late', ms: 5000 }, 'TIMEOUT'],
  [{ answer: 'never' }, 'TIMEOUT'],
  [{ answer: 'twice' }, 'T'],
  [{ answer: 'wrong-opaque' }, 'T'],
  [{ answer: 'code', code: 16 }, '16'],
  [{ answer: 'garbage' }, 'CLOSED'],
  [{ answer: 'cut' }, 'CLOSED'],
  [{ answer: 'hang-up' }, 'CLOSED'],
  [{ answer: 'half-open' }, 'TIMEOUT'],
  [{ answer: 'slow', bytes: 64, everyMs: 10 }, 'T'],
]

for (const [fault, end] of ends) {
  test(`a call that meets ${JSON.stringify(fault)} ends with ${end}, and the next one works`, async t => {
    const { server, after } = open(t)
    const set = server.fault('ECHO', fault)
    assert.equal(await after(1200), end)
    assert.equal(set.met, 1)
    server.dropAll()
    await settle()
    assert.equal(await after(50), 'T')
    assert.deepEqual(
      server.requestsOf('ECHO').map(({ header }) => header),
      [{ topic: 'T' }, { topic: 'T' }],
    )
  })
}

test('only the requests that a fault is set for meet it, and none after it is lifted', async t => {
  const { server, after } = open(t)
  const other = server.fault('OTHER', { answer: 'code', code: 16 })
  const second = server.fault('*', { answer: 'code', code: 17, after: 1, times: Number.POSITIVE_INFINITY })
  assert.deepEqual([await after(50), await after(50), await after(50)], ['T', '17', '17'])
  second.lift()
  assert.deepEqual([await after(50), other.met, second.met], ['T', 0, 2])
})

test('a server that is down accepts no connection until it is up again', async t => {
  const { server, after } = open(t)
  assert.equal(await after(50), 'T')
  server.down()
  await settle()
  assert.equal(await after(50), 'CONNECT_FAILED')
  assert.equal(server.connections, 0)
  server.up()
  assert.equal(await after(50), 'T')
})
