import assert from 'node:assert/strict'
import { test } from 'node:test'
import { measureRounds, successes, withEach } from './rounds.ts'

test('each round measures all subjects, and the median of the rounds counts', async () => {
  const asked: string[] = []
  const speeds = { a: [30, 10, 20], b: [1, 2, 3] }
  const results = await measureRounds(['a', 'b'] as const, 3, async name => {
    asked.push(name)
    return { perSecond: speeds[name].shift() ?? 0 }
  })
  assert.deepEqual(asked, ['a', 'b', 'a', 'b', 'a', 'b'])
  assert.deepEqual(results, { a: { perSecond: 20 }, b: { perSecond: 2 } })
})

test('a subject that fails in any round has failed, and is not asked again', async () => {
  let asked = 0
  const results = await measureRounds(['a', 'b'] as const, 3, async name => {
    if (name === 'a' && ++asked === 2) throw new Error('it ended')
    return { perSecond: 1 }
  })
  assert.deepEqual([results, asked], [{ a: { error: 'it ended' }, b: { perSecond: 1 } }, 2])
})

test('a subject that cannot be measured keeps no other from being measured', async t => {
  t.mock.method(process.stderr, 'write', () => true)
  const subjects = [{ name: 'a' }, { name: 'b' }] as const
  const results = await withEach(subjects, 'start', async ({ name }) => {
    if (name === 'a') throw new Error('no answer')
    return 7
  })
  assert.deepEqual(results, { a: { error: 'no answer' }, b: 7 })
  assert.deepEqual(successes(results), { b: 7 })
})
