import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RecentQueries } from './recent-queries.ts'

test('a query is remembered for the window, from its last time on', () => {
  const queries = new RecentQueries(1000)
  queries.note('T', 0)
  assert.deepEqual([queries.age('T', 999), queries.age('T', 1000)], [999, Number.POSITIVE_INFINITY])
  queries.note('T', 900)
  assert.equal(queries.age('T', 1000), 100)
  assert.equal(queries.age('U', 1000), Number.POSITIVE_INFINITY)
})

test('a million different topics take no more memory than those of the last window', () => {
  const queries = new RecentQueries(1000)
  for (let time = 0; time < 1_000_000; time++) queries.note(`topic-${time}`, time)
  assert.equal(queries.size, 1000)
})
