import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { Duplex, duplexPair } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import * as tls from 'node:tls'
import { BufferPool } from './buffer-pool.ts'
import type { BodyBytes, Command } from './command.ts'
import { Connection } from './connection.ts'
import { header, int, text } from './fields.ts'
import { encodeFrame, FrameDecoder, scanHeader } from './frame.ts'
import { HeaderView, toCommand } from './header-view.ts'
import { Outbox } from './outbox.ts'
import { type BodyCodec, request as declared } from './request.ts'
import { selfSigned } from './self-signed.ts'

const KIB = 1024

const request: Command = {
  code: 1,
  language: 'JAVA',
  version: 513,
  opaque: 7,
  flag: 0,
  remark: null,
  extFields: null,
  body: null,
  serializeType: 'JSON',
}

/** The chunks of each write with which a connection answers `requests` requests with this body. */
function writesOf(body: BodyBytes, requests = 1): Buffer[][] {
  const writes: Buffer[][] = []
  const stream = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      writes.push([chunk])
      done()
    },
    writev(chunks, done) {
      writes.push(chunks.map(({ chunk }) => chunk as Buffer))
      done()
    },
  })
  const connection = new Connection(stream, { remoteAddress: 'a:1', onRequest: () => ({ code: 0, body }) })
  connection.feed(Buffer.concat(Array.from({ length: requests }, () => encodeFrame(request, new Outbox()))))
  connection.destroy()
  return writes
}

test('a body in parts goes out in one write, and large parts are not copied', () => {
  const parts = ['a', 'b', 'c'].map(letter => Buffer.alloc(20 * KIB, letter))
  const writes = writesOf(parts)
  assert.equal(writes.length, 1)
  const [header, ...pieces] = writes[0] ?? []
  assert.ok(header !== undefined)
  assert.equal(pieces.length, 3)
  for (const [i, piece] of pieces.entries()) {
    assert.equal(piece.buffer, parts[i]?.buffer, 'the same memory')
    assert.equal(piece.byteOffset, parts[i]?.byteOffset)
    assert.equal(piece.length, 20 * KIB)
  }
  assert.equal(header.readUInt32BE(0), header.length - 4 + 60 * KIB)
})

test('small parts are copied behind their header, and large ones keep their position between them', () => {
  const small = Array.from({ length: 40 }, (_, i) => Buffer.alloc(KIB, 0x41 + (i % 26)))
  const large = Buffer.alloc(100 * KIB, '!')
  const body = [...small, large, Buffer.alloc(0), ...small]
  const writes = writesOf(body, 2)
  assert.equal(writes.length, 1)
  assert.ok(writes[0]?.length !== undefined && writes[0].length < 12, 'small parts share memory')
  const sent = Buffer.concat(writes[0])
  const reply = sent.subarray(0, sent.length / 2)
  assert.equal(reply.readUInt32BE(0), reply.length - 4)
  assert.deepEqual(reply.subarray(8 + reply.readUIntBE(5, 3)), Buffer.concat(body))
  assert.deepEqual(sent.subarray(sent.length / 2), reply)
})

test('a body without parts, or with empty parts only, is no body', () => {
  for (const body of [[], [Buffer.alloc(0), Buffer.alloc(0)]]) {
    const sent = Buffer.concat(writesOf(body).flat())
    assert.equal(sent.length, 8 + sent.readUIntBE(5, 3))
  }
})

test('memory lent for a request does not return to the pool if the answer uses a part of it', () => {
  const frame = encodeFrame({ ...request, body: Buffer.alloc(100 * KIB, 'e') }, new Outbox())
  const answered = (partOf: (body: Buffer) => Buffer): number => {
    const pool = new BufferPool(1 << 20)
    pool.give(Buffer.alloc(200 * KIB))
    const connection = new Connection(new Duplex({ read() {}, write() {}, writev() {} }), {
      remoteAddress: 'a:1',
      pool,
      onRequest: ({ body }) => ({ code: 0, body: [Buffer.from('x'), partOf(body as Buffer)] }),
    })
    connection.feed(frame.subarray(0, 50 * KIB))
    connection.feed(frame.subarray(50 * KIB))
    connection.destroy()
    return pool.size
  }
  assert.equal(
    answered(body => body.subarray(10)),
    0,
  )
  assert.equal(
    answered(body => Buffer.from(body)),
    200 * KIB,
  )
})

// -- Reused memory -----------------------------------------------------------------------------------------------------

const raw: BodyCodec<Buffer> = { name: 'raw', encode: bytes => bytes, decode: bytes => bytes }
const NOTE = declared({
  code: 999,
  purpose: 'for tests',
  header: header({ letter: text(), size: int() }),
  body: raw,
})

/** Opens a connection to a port and returns both ends. */
async function overPort(t: TestContext, server: Server, event: string, dial: (port: number) => Socket) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => void server.close())
  const accepted = once(server, event) as Promise<[Socket]>
  const far = dial((server.address() as AddressInfo).port)
  const [near] = await accepted
  t.after(() => {
    near.destroy()
    far.destroy()
  })
  return { near, far: far as Duplex }
}

const overTcp = (t: TestContext) => overPort(t, createServer(), 'connection', port => connect(port, '127.0.0.1'))

const overTls = (t: TestContext) =>
  overPort(t, tls.createServer(selfSigned()), 'secureConnection', port =>
    tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }),
  )

async function overTlsInMemory(t: TestContext) {
  const [below, other] = duplexPair()
  const near = new tls.TLSSocket(below, { isServer: true, secureContext: tls.createSecureContext(selfSigned()) })
  const far = tls.connect({ socket: other, rejectUnauthorized: false })
  t.after(() => {
    near.destroy()
    far.destroy()
  })
  await once(far, 'secureConnect')
  return { near, far }
}

/** Reports a write as done at once, and passes the same memory to the other end, which may read it much later. */
function overHolder() {
  const far = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const near = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      far.push(chunk)
      done()
    },
  })
  return { near, far }
}

type Ends = { readonly near: Duplex; readonly far: Duplex }

const ways: Readonly<Record<string, (t: TestContext) => Ends | Promise<Ends>>> = {
  TCP: overTcp,
  TLS: overTls,
  'TLS in memory': overTlsInMemory,
  'streams in memory': () => {
    const [near, far] = duplexPair()
    return { near, far }
  },
  'a stream that holds the written memory': overHolder,
}

/** The notes in these bytes. A corrupted body has the position of its first wrong byte. */
function readNotes(bytes: Buffer): unknown[] {
  const decoder = new FrameDecoder()
  const view = new HeaderView()
  const found: unknown[] = []
  decoder.push(bytes)
  while (decoder.next()) {
    assert.ok(scanHeader(decoder.bytes, decoder.start, decoder.end, 65_536, view))
    const { extFields, body } = toCommand(view)
    const letter = extFields?.get('letter') ?? ''
    const wrong = body?.findIndex(byte => byte !== letter.charCodeAt(0)) ?? -1
    found.push({ letter, size: body?.length ?? 0, ...(wrong >= 0 ? { wrong } : {}) })
  }
  return found
}

const SIZES = [0, 10, 900, 5_000, 15_000, 40_000]
/** No kernel buffers so much for a reader that does not read. */
const MOST_ROUNDS = 5_000

for (const [way, open] of Object.entries(ways)) {
  for (const corked of [false, true]) {
    test(`a slow reader gets every byte over ${way}${corked ? ', corked from time to time' : ''}`, async t => {
      const { near, far } = await open(t)
      const limits = { maxQueued: 1 << 30, maxQueuedHard: 1 << 30 }
      const traffic = { bytesIn: 0, bytesOut: 0 }
      const connection = new Connection(near, { remoteAddress: 'reader:1', limits, traffic })
      t.after(() => connection.destroy())
      const chunks: Buffer[] = []
      let received = 0
      far.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        received += chunk.length
      })
      // Once this many bytes wait in this process, the kernel accepts no more.
      const waiting = way === 'TCP' ? 200_000 : 0
      const sent: { letter: string; size: number }[] = []
      const note = async () => {
        const letter = String.fromCharCode(0x41 + (sent.length % 26))
        const size = SIZES[sent.length % SIZES.length] as number
        sent.push({ letter, size })
        connection.oneway(NOTE, { header: { letter, size }, body: Buffer.alloc(size, letter) })
        if (corked && sent.length % 3 === 0) near.cork()
        await turn()
        if (corked && sent.length % 3 === 2) near.uncork()
      }
      for (let cycle = 0; cycle < 3; cycle++) {
        for (let i = 0; i < 30; i++) await note()
        far.pause()
        for (let i = 0; i < 100 || (i < MOST_ROUNDS && near.writableLength < waiting); i++) await note()
        far.resume()
        for (let i = 0; i < 20; i++) await note()
      }
      while (near.writableCorked > 0) near.uncork()
      while (received < traffic.bytesOut) await turn()
      assert.deepEqual(readNotes(Buffer.concat(chunks)), sent)
    })
  }
}

/** The memory of each write of the stream, and where the write begins in it. */
async function beginnings({ near }: Ends): Promise<{ offset: number; memory: ArrayBufferLike }[]> {
  const writes: { offset: number; memory: ArrayBufferLike }[] = []
  const write = near.write.bind(near) as (chunk: Buffer) => boolean
  near.write = ((chunk: Buffer) => {
    writes.push({ offset: chunk.byteOffset, memory: chunk.buffer })
    return write(chunk)
  }) as typeof near.write
  const connection = new Connection(near, { remoteAddress: 'reader:1' })
  for (let i = 0; i < 5; i++) {
    connection.oneway(NOTE, { header: { letter: 'x', size: 1000 }, body: Buffer.alloc(1000, 'x') })
    await turn()
  }
  connection.destroy()
  return writes
}

test('over TCP all requests that go out at once are written to the same memory', async t => {
  const ends = await overTcp(t)
  ends.far.resume()
  const writes = await beginnings(ends)
  assert.deepEqual(
    writes.map(({ offset }) => offset),
    [0, 0, 0, 0, 0],
  )
  assert.equal(new Set(writes.map(({ memory }) => memory)).size, 1)
})

test('a stream that is not a socket never gets memory that was written before', async () => {
  const writes = await beginnings(overHolder())
  assert.equal(writes.length, 5)
  for (const [i, { memory, offset }] of writes.entries()) {
    assert.ok(!writes.slice(0, i).some(before => before.memory === memory && before.offset >= offset))
  }
})
