import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { javaHash, longHash, stringHash } from './java-hash.ts'

test('strings hash as in Java, over UTF-16 units and in 32 bits', () => {
  assert.equal(javaHash('order-1001'), 708180863)
  assert.equal(javaHash('order-1001') % 4, 3)
  assert.equal(javaHash('TagA'), 2598919)
  assert.equal(javaHash('ä😀'), 1992007)
  assert.equal(javaHash(''), 0)
})

test('whole numbers of 32 bits are Integers, larger ones Longs, others Doubles', () => {
  assert.equal(javaHash(-3), -3)
  assert.equal(javaHash(2 ** 31 - 1), 2147483647)
  assert.equal(javaHash(2 ** 40 + 5), 261)
  assert.equal(javaHash((1n << 40n) | 5n), 261)
  assert.equal(javaHash(-3n), 2)
  assert.equal(javaHash(1.5), 1073217536)
  assert.equal(javaHash(-0.1), 639631363)
})

test('booleans have the two hash codes of Java', () => {
  assert.deepEqual([javaHash(true), javaHash(false)], [1231, 1237])
})

test('every hash is an int32', () => {
  const unit = fc.nat(0xffff).map(code => String.fromCharCode(code))
  const any = fc.oneof(fc.string({ unit }), fc.double(), fc.maxSafeInteger(), fc.bigInt(), fc.boolean())
  fc.assert(fc.property(any, value => javaHash(value) === (javaHash(value) | 0)))
})

test('an appended text continues the hash', () => {
  fc.assert(
    fc.property(fc.string(), fc.string({ minLength: 1, maxLength: 1 }), (head, tail) => {
      assert.equal(stringHash(head + tail), (Math.imul(stringHash(head), 31) + tail.charCodeAt(0)) | 0)
    }),
  )
})

test('a positive Long that fits an Integer has the hash of that Integer', () => {
  fc.assert(fc.property(fc.nat(2 ** 31 - 1), value => longHash(BigInt(value)) === javaHash(value)))
})
