import assert from 'node:assert/strict'
import { test } from 'node:test'
import { finish } from '@gantrymq/remoting'
import fc from 'fast-check'
import { checkParameters, type Part, pickPart, readPageQuery } from './paging.ts'

test('all pages together are the sorted list, whatever the order and the page size', () => {
  const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 4, unit: 'grapheme' }), { maxLength: 60 })
  fc.assert(
    fc.property(names, fc.integer({ min: 1, max: 10 }), fc.constantFrom('', 'a', '%'), (list, limit, prefix) => {
      const seen: string[] = []
      const expected = list.filter(name => name.startsWith(prefix)).sort()
      let after: string | undefined = ''
      while (after !== undefined) {
        const part: Part<string> = finish(pickPart(list, name => name, { prefix, after, limit }))
        assert.ok(part.entries.length <= limit)
        assert.equal(part.total, expected.length)
        assert.ok(after === '' || part.entries.length > 0, 'a next page has entries')
        seen.push(...part.entries)
        after = part.next
      }
      assert.deepEqual(seen, expected)
    }),
    { numRuns: 100 },
  )
})

test('a long list is read in many slices', () => {
  const names = Array.from({ length: 100_000 }, (_, i) => `topic-${(i * 7919) % 100_000}`)
  const work = pickPart(names, name => name, { prefix: '', after: '', limit: 2 })
  let slices = 1
  let slice = work.next()
  for (; slice.done !== true; slice = work.next()) slices++
  const { entries, total, next } = slice.value
  assert.deepEqual([entries, total, next], [['topic-0', 'topic-1'], 100_000, 'topic-1'])
  assert.ok(slices >= 400, `${slices} slices`)
})

test('a query says what it got wrong', () => {
  const read = (query: string) => readPageQuery(new URLSearchParams(query))
  assert.deepEqual(read(''), { prefix: '', after: '', limit: 100 })
  assert.deepEqual(read('prefix=a&after=b&limit=1000'), { prefix: 'a', after: 'b', limit: 1000 })
  const refusals = {
    'limit=': 'limit must be from 1 to 1000, and not ""',
    'limit=1e2': 'limit must be from 1 to 1000, and not "1e2"',
    'limt=5': 'unknown parameter "limt", expected prefix, after, limit',
    'prefix=a&prefix=b': 'the parameter "prefix" is given more than once',
    [`${'x'.repeat(200)}=1`]: `unknown parameter "${'x'.repeat(100)}", expected prefix, after, limit`,
  }
  for (const [query, message] of Object.entries(refusals)) {
    assert.throws(() => read(query), { code: 'BAD_QUERY', message })
  }
  assert.throws(() => checkParameters(new URLSearchParams('zone=a'), []), {
    code: 'BAD_QUERY',
    message: 'unknown parameter "zone", this page takes none',
  })
})
