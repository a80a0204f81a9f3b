import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Sliced } from '@gantrymq/remoting'
import { inSlices, inTurns } from './slices.ts'

test('other work runs after every slice', async () => {
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

test('a list that changes in the meantime is still read to its end', async () => {
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

/** Work of some slices that returns their number. */
function* work(slices: number): Sliced<number> {
  for (let slice = 1; slice < slices; slice++) yield
  return slices
}

test('work of one slice is done at once, without a promise', () => {
  assert.equal(inTurns(work(1)), 1)
})

test('work of several slices lets other work run between them, and returns its result', async () => {
  let turns = 0
  const turn = () => {
    turns++
    if (turns < 3) setImmediate(turn)
  }
  setImmediate(turn)
  assert.equal(await inTurns(work(4)), 4)
  assert.equal(turns, 3)
})

test('work that fails in a later slice rejects', async () => {
  function* failing(): Sliced<never> {
    yield
    throw new Error('no')
  }
  await assert.rejects(async () => inTurns(failing()), /no/)
})
