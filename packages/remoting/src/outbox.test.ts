import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Outbox } from './outbox.ts'

function put(out: Outbox, text: string): void {
  out.reserve(text.length)
  out.position += out.bytes.write(text, out.position)
}

function taken(out: Outbox): string {
  return Buffer.concat(out.take()).toString()
}

test('bytes and large pieces are taken in the order in which they were added', () => {
  const out = new Outbox()
  const piece = Buffer.from('piece')
  put(out, 'a')
  put(out, 'b')
  out.append(piece)
  put(out, 'c')
  assert.equal(out.isEmpty, false)
  const chunks = out.take()
  assert.deepEqual(chunks.map(String), ['ab', 'piece', 'c'])
  assert.equal(chunks[1], piece)
  assert.equal(out.isEmpty, true)
  assert.deepEqual(out.take(), [])
})

test('taken bytes stay unchanged, whatever is written next', () => {
  const out = new Outbox()
  const before = Array.from({ length: 300 }, (_, i) => {
    put(out, String(i).padStart(1000, '-'))
    return out.take()
  })
  for (const [i, chunks] of before.entries())
    assert.equal(Buffer.concat(chunks).toString(), String(i).padStart(1000, '-'))
})

test('after release another outbox writes to the same memory from its front, and a large slab is dropped', () => {
  const out = new Outbox(true)
  put(out, 'first')
  const memory = out.bytes
  assert.equal(taken(out), 'first')
  out.release()
  assert.equal(out.isEmpty, true)
  assert.equal(out.bytes.length, 0)
  const other = new Outbox(true)
  put(other, 'next')
  assert.equal(other.bytes, memory)
  assert.equal(other.position, 4)
  put(out, 'meanwhile')
  assert.notEqual(out.bytes, memory)
  assert.equal(taken(other), 'next')
  assert.equal(taken(out), 'meanwhile')
  put(other, 'x'.repeat(100_000))
  assert.equal(taken(other).length, 100_000)
  other.release()
  put(other, 'last')
  assert.equal(other.bytes.length, memory.length)
  assert.equal(taken(other), 'last')
})

test('all slabs that an outbox filled before its release are used again', () => {
  const out = new Outbox(true)
  const used = new Set<Buffer>()
  const fill = () => {
    for (let i = 0; i < 20; i++) {
      put(out, String(i).padStart(1000, '-'))
      used.add(out.bytes)
    }
    assert.equal(taken(out), Array.from({ length: 20 }, (_, i) => String(i).padStart(1000, '-')).join(''))
    out.release()
  }
  for (let round = 0; round < 10; round++) fill()
  assert.deepEqual(
    [...used].map(({ length }) => length),
    [8 * 1024, 64 * 1024],
  )
})

test('hundreds of outboxes that are filled at the same time allocate nothing the second time', () => {
  const outs = Array.from({ length: 300 }, () => new Outbox(true))
  const used = new Set<Buffer>()
  for (let round = 0; round < 3; round++) {
    for (const out of outs) {
      put(out, 'reply')
      used.add(out.bytes)
    }
    for (const out of outs) {
      out.take()
      out.release()
    }
  }
  assert.equal(used.size, 300)
})

test('an outbox that cannot return its slabs begins with a small one, and grows up to the usual size', () => {
  const out = new Outbox()
  const sizes = new Set<number>()
  for (let i = 0; i < 300; i++) {
    put(out, String(i).padStart(1000, '-'))
    sizes.add(out.bytes.length)
    out.take()
  }
  assert.deepEqual(
    [...sizes],
    [4, 8, 16, 32, 64].map(kib => kib * 1024),
  )
})
