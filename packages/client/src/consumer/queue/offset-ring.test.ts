import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OffsetRing } from './offset-ring.ts'

test('an offset that is added twice keeps its first item', () => {
  const ring = new OffsetRing<string>()
  assert.deepEqual([ring.add(5, 'a'), ring.add(5, 'b')], [true, false])
  assert.equal(ring.get(5), 'a')
})

test('the first and the last offset skip removed items', () => {
  const ring = new OffsetRing<number>()
  for (let offset = 0; offset < 100; offset += 10) ring.add(offset, offset)
  for (const offset of [10, 0, 90, 50]) assert.equal(ring.delete(offset), offset)
  assert.equal(ring.delete(50), undefined)
  assert.deepEqual([ring.firstOffset, ring.lastOffset, ring.size], [20, 80, 6])
  assert.deepEqual([...ring.values()], [20, 30, 40, 60, 70, 80])
})

test('it behaves like a sorted map', () => {
  const offset = fc.oneof(fc.nat(60), fc.nat(2000))
  const commands = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('add' as const), offset }),
      fc.record({ kind: fc.constant('append' as const), gap: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ kind: fc.constant('delete' as const), offset }),
      fc.record({ kind: fc.constant('shift' as const) }),
    ),
    { maxLength: 300, size: 'max' },
  )
  fc.assert(
    fc.property(commands, commands => {
      const ring = new OffsetRing<{ offset: number }>()
      let model: number[] = []
      const add = (offset: number) => {
        assert.equal(ring.add(offset, { offset }), !model.includes(offset))
        model = [...new Set([...model, offset])].sort((a, b) => a - b)
      }
      const remove = (offset: number) => {
        assert.equal(ring.delete(offset)?.offset, model.includes(offset) ? offset : undefined)
        model = model.filter(kept => kept !== offset)
      }
      for (const command of commands) {
        if (command.kind === 'add') add(command.offset)
        else if (command.kind === 'append') add((model.at(-1) ?? 0) + command.gap)
        else if (command.kind === 'delete') remove(command.offset)
        else if (model[0] !== undefined) remove(model[0])
        assert.deepEqual([ring.size, ring.firstOffset, ring.lastOffset], [model.length, model[0], model.at(-1)])
        assert.equal(ring.first()?.offset, model[0])
      }
      assert.deepEqual(
        [...ring.values()].map(item => item.offset),
        model,
      )
      for (const offset of model) assert.equal(ring.get(offset)?.offset, offset)
    }),
  )
})

test('a million items pass through a ring that stays small', () => {
  const ring = new OffsetRing<number>()
  ring.add(0, 0)
  for (let offset = 1; offset <= 1_000_000; offset++) {
    ring.add(offset, offset)
    if (offset > 1000) ring.delete(offset - 1000)
  }
  assert.deepEqual([ring.size, ring.firstOffset, ring.lastOffset], [1001, 0, 1_000_000])
})

test('a full ring finds no item for an offset that was not added', () => {
  const ring = new OffsetRing<number>()
  for (let offset = 0; offset < 16; offset++) ring.add(offset, offset)
  assert.deepEqual([ring.get(15), ring.get(99)], [15, undefined])
})
