import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeInSlices, inSlices } from './slices.ts'

test('a long list is read in slices of a given size', () => {
  const seen: number[] = []
  const work = inSlices([1, 2, 3, 4, 5], item => seen.push(item), 2)
  const after: number[][] = []
  while (work.next().done !== true) after.push([...seen])
  assert.deepEqual(after, [
    [1, 2],
    [1, 2, 3, 4],
  ])
  assert.deepEqual(seen, [1, 2, 3, 4, 5])
})

test('a list that changes between two slices is still read to its end', () => {
  const names = new Map([
    ['a', 1],
    ['b', 1],
    ['c', 1],
  ])
  const seen: string[] = []
  const work = inSlices(
    names.keys(),
    name => {
      seen.push(name)
      if (name === 'a') names.delete('b')
      if (name === 'c') names.set('d', 1)
    },
    1,
  )
  while (work.next().done !== true);
  assert.deepEqual(seen, ['a', 'c', 'd'])
})

test('a long text is encoded in slices of limited size, whatever the size of its pieces', () => {
  const pieces = [...Array.from({ length: 2000 }, (_, i) => `é${i},`), 'x'.repeat(200_000), '', 'y'.repeat(100_000)]
  const work = encodeInSlices(pieces)
  let slices = 1
  let slice = work.next()
  for (; slice.done !== true; slice = work.next()) slices++
  assert.equal(Buffer.concat(slice.value).toString(), pieces.join(''))
  assert.equal(slices, 7)
})
