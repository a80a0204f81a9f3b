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

test('after reuse the same memory is written from its front, and a large slab is dropped', () => {
  const out = new Outbox()
  put(out, 'first')
  const memory = out.bytes
  assert.equal(taken(out), 'first')
  out.reuse()
  assert.equal(out.isEmpty, true)
  put(out, 'next')
  assert.equal(out.bytes, memory)
  assert.equal(out.position, 4)
  assert.equal(taken(out), 'next')
  put(out, 'x'.repeat(100_000))
  assert.equal(taken(out).length, 100_000)
  out.reuse()
  put(out, 'last')
  assert.equal(out.bytes.length, memory.length)
  assert.equal(taken(out), 'last')
})
