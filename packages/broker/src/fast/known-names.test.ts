import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KnownNames } from './known-names.ts'

function find(names: KnownNames, name: string): string | undefined {
  const bytes = Buffer.from(`<${name}>`)
  return names.find(bytes, 1, bytes.length - 1)
}

test('a name is found by its bytes, whatever becomes of the memory of its frame', () => {
  const names = new KnownNames()
  const frame = Buffer.from('Orders')
  assert.equal(names.find(frame, 0, 6), 'Orders')
  frame.fill('x')
  assert.equal(find(names, 'Orders'), 'Orders')
  assert.equal(find(names, ''), '')
  assert.equal(find(names, 'Größe'), 'Größe')
})

test('names with the same hash are told apart', () => {
  const names = new KnownNames()
  // As in Java, these have one hash.
  for (const name of ['Aa', 'BB', 'Aa', 'AaBB', 'BBAa', 'BBBB']) assert.equal(find(names, name), name)
})

test('a name that is too long is left to the caller', () => {
  const names = new KnownNames()
  assert.equal(find(names, 'x'.repeat(255))?.length, 255)
  assert.equal(find(names, 'x'.repeat(256)), undefined)
})

test('many names are all found, although not all of them are kept', () => {
  const names = new KnownNames()
  for (let n = 0; n < 70_000; n++) assert.equal(find(names, `topic-${n}`), `topic-${n}`)
  assert.equal(find(names, 'topic-0'), 'topic-0')
})
