import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  extensionOffset,
  fillPreBlank,
  isPreBlank,
  unitPosition,
  unitSize,
  unitTagsCode,
  writeExtensionOffset,
  writeUnit,
} from './queue-unit.ts'

const safe = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })

test('a unit has the bytes that Apache writes', () => {
  const bytes = Buffer.alloc(20)
  writeUnit(bytes, 0, 0, 0x87, 2_598_942)
  assert.equal(bytes.toString('hex'), '00000000000000000000008700000000' + '0027a81e')
})

test('what is written into a unit is read from it', () => {
  fc.assert(
    fc.property(safe, fc.integer({ min: 1 }), fc.integer(), fc.nat(40), (position, size, tagsCode, at) => {
      const bytes = Buffer.alloc(at + 20)
      writeUnit(bytes, at, position, size, tagsCode)
      assert.equal(unitPosition(bytes, at), position)
      assert.equal(unitSize(bytes, at), size)
      assert.equal(unitTagsCode(bytes, at), tagsCode)
      assert.equal(extensionOffset(bytes, at), undefined)
    }),
  )
})

test('a time of delivery is kept in the place of the tags', () => {
  const bytes = Buffer.alloc(20)
  writeUnit(bytes, 0, 1, 2, 1_796_033_000_123)
  assert.equal(unitTagsCode(bytes, 0), 1_796_033_000_123)
})

test('an address of the extension is the offset plus the smallest long', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 52 }), offset => {
      const bytes = Buffer.alloc(20)
      writeExtensionOffset(bytes, 0, offset)
      assert.equal(bytes.readBigInt64BE(12), BigInt(offset) - 2n ** 63n)
      assert.equal(extensionOffset(bytes, 0), offset)
    }),
  )
})

test('the least hash code is no address, the number below it is one', () => {
  const bytes = Buffer.alloc(20)
  bytes.writeBigInt64BE(-2_147_483_648n, 12)
  assert.equal(extensionOffset(bytes, 0), undefined)
  bytes.writeBigInt64BE(-2_147_483_649n, 12)
  assert.notEqual(extensionOffset(bytes, 0), undefined)
})

test('units before the first of a queue have the size that Apache gives them', () => {
  const bytes = Buffer.alloc(40)
  fillPreBlank(bytes)
  assert.equal(bytes.toString('hex'), '00000000000000007fffffff0000000000000000'.repeat(2))
  assert.ok(isPreBlank(bytes, 20))
})
