import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import type { CloseReason } from './close-reason.ts'
import type { Command, ReplyParts } from './command.ts'
import { Connection } from './connection.ts'
import { encodeFrame } from './frame.ts'
import { FrameMemory, type MemoryShare } from './frame-memory.ts'
import { Outbox } from './outbox.ts'
import { type BodyCodec, request } from './request.ts'
import { RemotingServer, type RemotingServerOptions } from './server.ts'
import { ManualClock } from './testing/manual-clock.ts'
import { memorySockets } from './testing/memory-sockets.ts'

const MIB = 1 << 20
const raw: BodyCodec<Uint8Array> = { name: 'raw', encode: value => value, decode: value => value }
const PING = request({ code: 1, purpose: 'for tests' })
const STORE = request({ code: 2, purpose: 'for tests', body: raw })

/** A frame whose body has so many bytes. */
function frame(size: number): Buffer {
  const command = { code: 2, language: 'JAVA', version: 409, opaque: 1, flag: 0, remark: null } as const
  const body = Buffer.alloc(size, 'x')
  return encodeFrame({ ...command, extFields: null, body, serializeType: 'JSON' } satisfies Command, new Outbox())
}

async function settle(turns = 40): Promise<void> {
  for (let i = 0; i < turns; i++) await turn()
}

function serving(t: TestContext, given: Partial<RemotingServerOptions> = {}) {
  const clock = new ManualClock()
  const reasons: CloseReason[] = []
  const refusals: string[] = []
  const ignore = (): void => {}
  const server = new RemotingServer({
    clock,
    log: { debug: ignore, info: ignore, error: ignore, warn: ({ why }: { why?: string }) => refusals.push(why ?? '') },
    onRequest: () => ({ code: 0 }),
    onClose: (_, reason) => reasons.push(reason),
    ...given,
  })
  t.after(async () => {
    const closing = server.close()
    await settle()
    clock.advance(60_000)
    await closing
  })
  const dial = (): Duplex => {
    const [near, far] = memorySockets()
    server.accept(near, '10.0.0.1:1')
    return far.on('error', ignore)
  }
  let answers = 0
  /** Opens a connection that sends these bytes in pieces, as sockets bring them. */
  const send = async (bytes: Buffer): Promise<Duplex> => {
    const far = dial().on('data', () => answers++)
    for (let at = 0; at < bytes.length; at += 65_536) {
      far.write(bytes.subarray(at, at + 65_536))
      await turn()
    }
    return far
  }
  const caller = (): Connection => {
    const connection = new Connection(dial(), { remoteAddress: 'server:1', clock })
    t.after(() => connection.destroy())
    return connection
  }
  return { clock, server, reasons, refusals, dial, send, caller, answers: () => answers }
}

test('frames that never end stay within the limit, and others are served meanwhile', async t => {
  const { server, send, caller, answers } = serving(t, { limits: { maxFrameMemory: 8 * MIB } })
  const honest = caller()
  for (let i = 0; i < 61; i++) {
    await send(frame(MIB).subarray(0, -10))
    assert.ok(server.memory.used <= 9 * MIB, `${server.memory.used} bytes`)
    assert.equal((await honest.call(PING)).code, 0)
  }
  assert.ok(server.memory.used > 4 * MIB)
  // A small frame in two pieces passes, too.
  const small = await send(frame(2000).subarray(0, 1000))
  small.write(frame(2000).subarray(1000))
  await settle()
  assert.equal(answers(), 1)
  for (const connection of server.connections) connection.destroy()
  assert.equal(server.memory.used, 0)
})

test('a large frame that cannot wait for stalled ones gets their memory after 5 seconds', async t => {
  const { clock, server, send, answers, reasons, refusals } = serving(t, { limits: { maxFrameMemory: 4 * MIB } })
  for (let i = 0; i < 3; i++) await send(frame(MIB).subarray(0, -10))
  await send(frame(2 * MIB))
  await settle()
  assert.equal(server.memory.waiting, 1)
  clock.advance(4000)
  await settle()
  assert.deepEqual(reasons, [], 'the frames may still end')
  clock.advance(2000)
  await settle(200)
  assert.equal(answers(), 1)
  assert.ok(reasons.length > 0 && reasons.every(reason => reason === 'memory'), reasons.join())
  assert.match(refusals[0] ?? '', /its frame holds \d+ bytes and has been arriving for \d+ ms, while other frames wait/)
})

test('a flash crowd of large requests that take long is served without closing a connection', async t => {
  const waiting: (() => void)[] = []
  let most = 0
  const { server, send, answers, reasons } = serving(t, {
    limits: { maxFrameMemory: 8 * MIB },
    onRequest: () => {
      most = Math.max(most, server.memory.used)
      return new Promise<ReplyParts>(resolve => waiting.push(() => resolve({ code: 0 })))
    },
  })
  await Promise.all(Array.from({ length: 20 }, () => send(frame(MIB))))
  for (let rounds = 0; rounds < 200 && answers() < 20; rounds++) {
    await settle(10)
    waiting.shift()?.()
  }
  assert.equal(answers(), 20)
  assert.ok(most <= 10 * MIB, `${most} bytes`)
  assert.deepEqual(reasons, [])
  assert.equal(server.memory.used, 0)
})

test('frames larger than the whole limit arrive one after the other', async t => {
  const waiting: (() => void)[] = []
  const { server, send, answers, reasons } = serving(t, {
    limits: { maxFrameMemory: MIB },
    onRequest: () => new Promise<ReplyParts>(resolve => waiting.push(() => resolve({ code: 0 }))),
  })
  for (let i = 0; i < 3; i++) await send(frame(2 * MIB))
  for (let rounds = 1; rounds <= 3; rounds++) {
    await settle()
    assert.equal(waiting.length, 1, 'the next frame waits for the answer')
    assert.ok(server.memory.used > 2 * MIB && server.memory.used < 4 * MIB, `${server.memory.used} bytes`)
    waiting.shift()?.()
    await settle()
    assert.equal(answers(), rounds)
  }
  assert.deepEqual(reasons, [])
  assert.equal(server.memory.used, 0)
})

test('small requests that wait for answers hold up only their own connection', async t => {
  let asked = 0
  const { server, caller } = serving(t, {
    limits: { maxFrameMemory: MIB },
    onRequest: ({ code }) => {
      if (code === 1) return { code: 0 }
      asked++
      return new Promise<ReplyParts>(() => {})
    },
  })
  const busy = caller()
  for (let i = 0; i < 1000; i++) busy.call(STORE, { body: Buffer.alloc(4000) }, { timeoutMs: 60_000 }).catch(() => {})
  await settle()
  assert.ok(asked > 200 && asked < 300, `${asked} requests of 4 KB`)
  assert.ok(server.memory.used < MIB + 8192)
  assert.equal((await caller().call(PING)).code, 0)
})

test('a connection that would wait with too many others is closed with a reason', async t => {
  const { clock, server, send, reasons, refusals } = serving(t, { limits: { maxFrameMemory: MIB } })
  for (let i = 0; i < 20; i++) await send(frame(MIB).subarray(0, 200_000))
  assert.ok(server.memory.waiting > 0 && server.memory.waiting <= 5, `${server.memory.waiting} wait`)
  assert.ok(reasons.length >= 10 && reasons.every(reason => reason === 'memory'))
  assert.match(
    refusals[0] ?? '',
    /connections wait for memory already \(frames and requests hold \d+ bytes, the limit is/,
  )
  clock.advance(120_000)
  await settle()
  assert.equal(server.memory.waiting, 0)
})

test('replies that peers do not read stay within the limit, and others are served meanwhile', async t => {
  const { server, reasons, refusals, caller, dial } = serving(t, {
    limits: { maxFrameMemory: 4 * MIB },
    onRequest: ({ code }) => ({ code: 0, body: code === 1 ? null : Buffer.alloc(MIB) }),
  })
  const honest = caller()
  const ask = frame(10)
  // These do not read.
  const deaf = Array.from({ length: 10 }, dial)
  for (const far of deaf) {
    far.write(ask)
    await settle(5)
    assert.ok(server.memory.unread <= 4 * MIB, `${server.memory.unread} bytes`)
    assert.equal((await honest.call(PING)).code, 0)
  }
  assert.ok(server.memory.unread > 2 * MIB)
  assert.ok(reasons.length >= 5 && reasons.every(reason => reason === 'memory'), reasons.join())
  assert.match(
    refusals[0] ?? '',
    /^its peer leaves \d+ bytes of replies unread, and all peers \d+; the limit is 4194304$/,
  )
  for (const far of deaf) far.resume()
  await settle()
  assert.equal(server.memory.unread, 0)
})

test('the memory of a frame that cannot be read, or whose handler fails, is free again', async t => {
  const { server, send } = serving(t, { onRequest: () => Promise.reject(new Error('broken')) })
  const bad = frame(MIB)
  bad[4] = 9
  await send(bad)
  await send(frame(MIB))
  await settle()
  assert.equal(server.memory.used, 0)
})

test('whatever connections ask for, the memory stays bounded, all frames end, and nothing is left', () => {
  const LIMIT = 100_000
  const LARGEST = 40_000
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(9), fc.nat(5), fc.nat(LARGEST)), { maxLength: 200 }), steps => {
      const clock = new ManualClock()
      const memory = new FrameMemory(LIMIT, clock)
      const peers = Array.from({ length: 10 }, () => {
        const peer = { waits: false, open: true, held: [] as number[], share: undefined as unknown as MemoryShare }
        peer.share = memory.share({
          onMemory: () => void (peer.waits = false),
          onOutOfMemory: () => {
            peer.open = false
            peer.share.close()
          },
        })
        return peer
      })
      const grow = (peer: (typeof peers)[number], size: number): void => {
        if (peer.share.grow(size)) return
        peer.waits = true
        peer.share.wait(1000)
        if (!peer.open) peer.waits = false
      }
      const complete = (peer: (typeof peers)[number]): void => {
        peer.share.arrived()
        peer.held.push(peer.share.hold(10))
      }
      let inProgress = 0
      for (const [index, action, size] of steps) {
        const peer = peers[index] as (typeof peers)[number]
        if (peer.open && !peer.waits) {
          if (action < 3) grow(peer, size)
          else if (action === 3) complete(peer)
          else if (action === 4) clock.advance(1000)
          else peer.share.dropFrame()
        }
        if (action === 5) for (const { held, share } of peers) for (const bytes of held.splice(0)) share.release(bytes)
        inProgress = peers.reduce((sum, { held }) => sum + held.length * 10, 0)
        assert.ok(memory.used <= LIMIT + LARGEST + inProgress, `${memory.used} bytes`)
      }
      // From here on all peers finish what they began.
      for (let rounds = 0; rounds < 100; rounds++) {
        for (const { held, share } of peers) for (const bytes of held.splice(0)) share.release(bytes)
        for (const peer of peers) if (peer.open && !peer.waits && peer.share.frame > 0) complete(peer)
      }
      assert.equal(memory.waiting, 0)
      for (const { share } of peers) share.close()
      assert.equal(memory.used, 0)
    }),
    { numRuns: 500 },
  )
})
