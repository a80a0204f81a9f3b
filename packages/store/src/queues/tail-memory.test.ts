import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Tail, TailMemory } from './tail-memory.ts'
import { UnitBlocks } from './unit-blocks.ts'

const BLOCK = 20_000

function memoryOf(limit: number): { memory: TailMemory; blocks: UnitBlocks } {
  const blocks = new UnitBlocks(BLOCK, 4 * BLOCK)
  return { memory: new TailMemory(blocks, limit), blocks }
}

function take(memory: TailMemory, count: number, units = 1): Tail[] {
  return Array.from({ length: count }, (_, start) => memory.take(start, units))
}

test('a tail has room for the units that were asked for, at least 16 and at most a block', () => {
  const { memory } = memoryOf(0)
  const rooms = [1, 16, 17, 100, 512, 513, 1000].map(units => memory.take(0, units).units)
  assert.deepEqual(rooms, [16, 16, 32, 128, 512, 1000, 1000])
  assert.equal(memory.bytes, (16 + 16 + 32 + 128 + 512 + 1000 + 1000) * 20)
})

test('tails do not overlap, whatever was released before', () => {
  const { memory } = memoryOf(0)
  const tails = [...take(memory, 1000), ...take(memory, 100, 30)]
  for (const tail of tails.splice(100, 500)) memory.release(tail)
  tails.push(...take(memory, 700))
  const places = ({ bytes, at, units }: Tail) => bytes.subarray(at, at + units * 20)
  for (const [index, tail] of tails.entries()) places(tail).fill(index % 251)
  for (const [index, tail] of tails.entries()) assert.ok(places(tail).every(byte => byte === index % 251))
  assert.equal(memory.bytes, 1200 * 320 + 100 * 640)
})

test('of the memory of released tails one piece of each size is kept', () => {
  const { memory } = memoryOf(0)
  const tails = take(memory, 1000)
  for (const tail of tails) memory.release(tail)
  assert.equal(memory.bytes, 0)
  const before = new Set(tails.map(({ bytes }) => bytes))
  const after = new Set(take(memory, 1000).map(({ bytes }) => bytes))
  assert.equal(before.size, 5)
  assert.equal([...after].filter(bytes => before.has(bytes)).length, 1)
})

test('memory is scarce above the limit', () => {
  const { memory } = memoryOf(640)
  const [first] = take(memory, 3)
  assert.ok(memory.isScarce)
  memory.release(first!)
  assert.equal(memory.isScarce, false)
})

test('a whole block that is full can be read as one', () => {
  const { memory, blocks } = memoryOf(0)
  const full = memory.take(3000, 1000)
  memory.handOver(full, 7, 3)
  memory.handOver(memory.take(0, 16), 7, 4)
  // It began within a block.
  memory.handOver(memory.take(4500, 1000), 7, 4.5)
  assert.equal(blocks.find(7, 3)?.bytes, full.bytes)
  assert.equal(blocks.find(7, 4), undefined)
  assert.equal(memory.bytes, 0)
})
