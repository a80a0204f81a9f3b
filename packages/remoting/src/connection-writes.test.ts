import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { BufferPool } from './buffer-pool.ts'
import type { BodyBytes, Command } from './command.ts'
import { Connection } from './connection.ts'
import { encodeFrame } from './frame.ts'
import { Outbox } from './outbox.ts'

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

/** The chunks of each write of the stream that a connection writes its answers to. */
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

test('a body in parts leaves in one write, and large parts without being copied', () => {
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

test('small parts are written behind their header, and large ones keep their place between them', () => {
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

test('a body of no parts, or of empty ones, is none', () => {
  for (const body of [[], [Buffer.alloc(0), Buffer.alloc(0)]]) {
    const sent = Buffer.concat(writesOf(body).flat())
    assert.equal(sent.length, 8 + sent.readUIntBE(5, 3))
  }
})

test('memory lent for a request is kept from the pool while a part of the answer is in it', () => {
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
