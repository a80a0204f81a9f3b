import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inSlices } from './slices.ts'

test('others get their turn after every slice', async () => {
  const seen: (number | string)[] = []
  const turn = () => {
    seen.push('turn')
    if (seen.length < 7) setImmediate(turn)
  }
  setImmediate(turn)
  const going = inSlices([1, 2, 3, 4, 5], item => seen.push(item), 2)
  await going
  assert.deepEqual(seen, [1, 2, 'turn', 3, 4, 'turn', 5])
})

test('a list that changes meanwhile is still gone through to its end', async () => {
  const names = new Map([
    ['a', 1],
    ['b', 1],
    ['c', 1],
  ])
  const seen: string[] = []
  await inSlices(
    names.keys(),
    name => {
      seen.push(name)
      if (name === 'a') names.delete('b')
      if (name === 'c') names.set('d', 1)
    },
    1,
  )
  assert.deepEqual(seen, ['a', 'c', 'd'])
})
