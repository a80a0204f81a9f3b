import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { connectionPair, WIPE, wiped } from '../test/connection-pair.ts'
import { BufferPool } from './buffer-pool.ts'
import type { Command, ReplyParts } from './command.ts'
import { held } from './held.ts'
import { type Peer, request } from './request.ts'

const PULL = request({ code: 11, purpose: 'for tests' })

/** Requests that are held until a test answers them. */
class Pulls {
  readonly waiting: PromiseWithResolvers<ReplyParts>[] = []

  hold() {
    const pull = Promise.withResolvers<ReplyParts>()
    this.waiting.push(pull)
    return held(pull.promise)
  }

  answerAll(reply: ReplyParts = { code: 0 }): void {
    for (const { resolve } of this.waiting.splice(0)) resolve(reply)
  }
}

/** Holds pulls, and answers all other requests at once. */
function holding(pulls: Pulls) {
  return (command: Command, peer: Peer) => {
    if (command.code !== PULL.code) return wiped(1)
    return peer.mayHold ? pulls.hold() : { code: 19 }
  }
}

const never = { timeoutMs: Number.POSITIVE_INFINITY }
const heartbeat = { header: { brokerName: 'a' } }

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await turn()
}

test('a request is answered even if more requests are held than may be answered at a time', async t => {
  const pulls = new Pulls()
  const { client, server } = connectionPair(t, { onRequest: holding(pulls) })
  const answers = Array.from({ length: 1025 }, () => client.call(PULL, {}, never))
  assert.equal((await client.call(WIPE, heartbeat, never)).code, 0)
  assert.equal(pulls.waiting.length, 1025)
  assert.equal(server.inFlight, 0)
  pulls.answerAll()
  assert.equal((await Promise.all(answers)).length, 1025)
})

test('a held request is not timed', async t => {
  const pulls = new Pulls()
  const answered: number[] = []
  const { client } = connectionPair(t, {
    onRequest: holding(pulls),
    onAnswered: code => void answered.push(code),
  })
  const pull = client.call(PULL, {}, never)
  await client.call(WIPE, heartbeat)
  pulls.answerAll()
  await pull
  assert.deepEqual(answered, [WIPE.code])
})

test('a closing connection does not wait for held requests', async t => {
  const pulls = new Pulls()
  const { client, server, reasons } = connectionPair(t, { onRequest: holding(pulls) })
  const pull = assert.rejects(client.call(PULL, {}, never), { code: 'CLOSED' })
  await settle()
  await server.close({ drainMs: 60_000 })
  await pull
  assert.deepEqual(reasons, ['closed'])
})

test('a held request that is answered just before its connection closes still gets its answer', async t => {
  const pulls = new Pulls()
  const { client, server } = connectionPair(t, { onRequest: holding(pulls) })
  const pull = client.call(PULL, {}, never)
  await settle()
  pulls.answerAll()
  await server.close()
  assert.equal((await pull).code, 0)
})

test('the answer to a held request is dropped when its connection has ended', async t => {
  const pulls = new Pulls()
  const { client, server } = connectionPair(t, { onRequest: holding(pulls) })
  const failed = [1, 2].map(() => assert.rejects(client.call(PULL, {}, never), { code: 'CLOSED' }))
  await settle()
  server.destroy()
  await Promise.all(failed)
  const [first, second] = pulls.waiting
  first?.resolve({ code: 0 })
  second?.reject(new Error('a handler should not do this, and it has no effect'))
  await settle()
})

test('a handler sees when a connection holds as many requests as it may, and can answer at once', async t => {
  const pulls = new Pulls()
  const { client } = connectionPair(t, { onRequest: holding(pulls), limits: { maxHeld: 2 } })
  const answers = [1, 2].map(() => client.call(PULL, {}, never))
  await assert.rejects(client.call(PULL), { responseCode: 19 })
  pulls.answerAll()
  await Promise.all(answers)
  const again = client.call(PULL, {}, never)
  await settle()
  assert.equal(pulls.waiting.length, 1)
  pulls.answerAll()
  await again
})

test('a request that is held beyond the limit counts as being answered, so that reading pauses', async t => {
  const pulls = new Pulls()
  const { client, server } = connectionPair(t, {
    onRequest: () => pulls.hold(),
    limits: { maxHeld: 1, maxAnswering: 2 },
  })
  const answers: Promise<unknown>[] = []
  for (let i = 0; i < 5; i++) {
    answers.push(client.call(PULL, {}, never))
    await settle()
  }
  assert.deepEqual([pulls.waiting.length, server.inFlight], [3, 2])
  while (pulls.waiting.length > 0) {
    pulls.answerAll()
    await settle()
  }
  await Promise.all(answers)
  assert.equal(server.inFlight, 0)
})

test('a handler may do some work first and then hold the request', async t => {
  const pulls = new Pulls()
  const work = Promise.withResolvers<undefined>()
  const { client, server } = connectionPair(t, {
    onRequest: () => work.promise.then(() => pulls.hold()),
  })
  const pull = client.call(PULL, {}, never)
  await settle()
  assert.equal(server.inFlight, 1)
  work.resolve(undefined)
  await settle()
  assert.equal(server.inFlight, 0)
  pulls.answerAll()
  assert.equal((await pull).code, 0)
})

test('a held one-way request is never answered', async t => {
  const pulls = new Pulls()
  const { client, far } = connectionPair(t, { onRequest: holding(pulls) })
  let bytes = 0
  far.on('data', (chunk: Buffer) => (bytes += chunk.length))
  client.oneway(PULL)
  await settle()
  pulls.answerAll()
  await settle()
  assert.equal(bytes, 0)
})

test('the memory of a large frame is reused while its request is held', async t => {
  const SEND = request({
    code: 12,
    purpose: 'for tests',
    body: { name: 'bytes', encode: (bytes: Buffer) => bytes, decode: bytes => bytes },
  })
  const pulls = new Pulls()
  const pool = new BufferPool()
  const sizes: number[] = []
  const { client } = connectionPair(t, {
    pool,
    onRequest: ({ body }) => {
      sizes.push(body?.length ?? 0)
      return pulls.hold()
    },
  })
  const body = Buffer.alloc(300_000, 'x')
  const answers: Promise<unknown>[] = []
  for (let i = 0; i < 3; i++) {
    answers.push(client.call(SEND, { body }, never))
    await settle()
    assert.ok(pool.size >= 300_000 && pool.size < 600_000, `${pool.size} bytes for ${pulls.waiting.length} requests`)
  }
  assert.deepEqual(sizes, [300_000, 300_000, 300_000])
  pulls.answerAll()
  await Promise.all(answers)
})
