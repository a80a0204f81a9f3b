import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Problem, Problems } from './problems.ts'

test('a problem is reported when it begins, once, and again only after it has ended', () => {
  const reported: Problem[] = []
  const problems = new Problems(problem => reported.push(problem))
  problems.raise('TOPIC_MISSING', 'no topic', 'Orders')
  problems.raise('TOPIC_MISSING', 'still no topic', 'Orders')
  problems.raise('TOPIC_MISSING', 'no topic', 'Parcels')
  assert.deepEqual(
    reported.map(({ subject }) => subject),
    ['Orders', 'Parcels'],
  )
  assert.deepEqual(problems.all, reported)
  problems.clear('TOPIC_MISSING', 'Orders')
  assert.ok(!problems.has('TOPIC_MISSING', 'Orders'))
  problems.raise('TOPIC_MISSING', 'gone again', 'Orders')
  assert.equal(reported.length, 3)
})
