import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Command, ReplyParts } from './command.ts'
import { Connection } from './connection.ts'
import type { ConnectionOptions } from './connection-options.ts'
import { dialTcp } from './dial.ts'
import { header, int, text } from './fields.ts'
import { type BodyCodec, request } from './request.ts'
import { ownsReads } from './shared-reads.ts'
import { memorySockets } from './testing/memory-sockets.ts'

const raw: BodyCodec<Uint8Array> = { name: 'raw', encode: value => value, decode: value => value }

const FILL = request({
  code: 999,
  purpose: 'for tests',
  header: header({ letter: text(), size: int() }),
  reply: { body: raw },
})

const { signal } = new AbortController()

function fill({ extFields }: Command): ReplyParts {
  return { code: 0, body: Buffer.alloc(Number(extFields?.get('size')), extFields?.get('letter')) }
}

/** Starts a server with real sockets; `meet` opens a connection to it and returns both ends. */
async function serving(t: TestContext) {
  const server = createServer({ noDelay: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => void server.close())
  const { port } = server.address() as AddressInfo
  const meet = async () => {
    const accepted = once(server, 'connection') as Promise<[Socket]>
    const far = await dialTcp(`127.0.0.1:${port}`, signal)
    const [near] = await accepted
    t.after(() => void near.destroy())
    return { near, far }
  }
  const connect = async (calling: Partial<ConnectionOptions> = {}) => {
    const { near, far } = await meet()
    const there = new Connection(near, { remoteAddress: 'client:1', onRequest: fill })
    const here = new Connection(far, { remoteAddress: 'server:1', ...calling })
    t.after(() => here.destroy())
    return { there, here }
  }
  return { meet, connect }
}

test('a body stays unchanged, whatever is read after it over any connection', async t => {
  const { connect } = await serving(t)
  const connections = [await connect(), await connect()]
  const wanted = Array.from('abcdefghij').flatMap(letter => [1, 700, 9000, 200_000].map(size => ({ letter, size })))
  const calls = wanted.flatMap(header => connections.map(({ here }) => here.call(FILL, { header })))
  const bodies = (await Promise.all(calls)).map(({ body }) => Buffer.from(body ?? []).toString())
  assert.deepEqual(
    bodies,
    wanted.flatMap(({ letter, size }) => connections.map(() => letter.repeat(size))),
  )
})

test('bytes that a server sends before the connection reads are not lost', { timeout: 10_000 }, async t => {
  const { meet, connect } = await serving(t)
  const { near, far } = await meet()
  new Connection(near, { remoteAddress: 'client:1' }).oneway(FILL, { header: { letter: 'early', size: 1 } })
  // Wait until other calls have been answered.
  const other = await connect()
  for (let i = 0; i < 5; i++) await other.here.call(FILL, { header: { letter: 'x', size: 1 } })
  const came = new Promise<Command>(resolve => {
    const here = new Connection(far, {
      remoteAddress: 'server:1',
      onRequest: command => {
        resolve(command)
        return { code: 0 }
      },
    })
    t.after(() => here.destroy())
  })
  assert.equal((await came).extFields?.get('letter'), 'early')
})

test('a connection that has maxAnswering requests to answer reads no more until it has answered', async t => {
  const { connect } = await serving(t)
  const seen: string[] = []
  const begun = Promise.withResolvers<void>()
  const first = Promise.withResolvers<ReplyParts>()
  const second = Promise.withResolvers<ReplyParts>()
  const { there } = await connect({
    limits: { maxAnswering: 1 },
    onRequest: ({ extFields }) => {
      seen.push(extFields?.get('letter') ?? '')
      begun.resolve()
      return seen.length === 1 ? first.promise : second.promise
    },
  })
  const ask = (letter: string) => there.call(FILL, { header: { letter, size: 1 } })
  const one = ask('one')
  await begun.promise
  const two = ask('two')
  const other = await connect()
  for (let i = 0; i < 20; i++) await other.here.call(FILL, { header: { letter: 'x', size: 1 } })
  assert.deepEqual(seen, ['one'])
  first.resolve({ code: 0 })
  second.resolve({ code: 0 })
  await Promise.all([one, two])
  assert.deepEqual(seen, ['one', 'two'])
})

test('a connection ends when the server ends or resets it', async t => {
  const { meet } = await serving(t)
  for (const leave of ['end', 'resetAndDestroy'] as const) {
    const { near, far } = await meet()
    const reasons: string[] = []
    const here = new Connection(far, { remoteAddress: 'server:1', onClose: reason => reasons.push(reason) })
    near[leave]()
    await here.ended
    assert.deepEqual(reasons, [leave === 'end' ? 'peer' : 'error'])
    assert.equal(far.destroyed, true)
  }
})

test('only what an accepted socket reads is used by no one else', async t => {
  const { near, far } = await (await serving(t)).meet()
  const owned = [near, far, ...memorySockets()].map(ownsReads)
  assert.deepEqual(owned, [true, false, false, false])
})
