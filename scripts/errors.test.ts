import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readDocument, tableBelow } from './markdown.ts'

test('docs/errors.md has a row for each error code, in the order of the code', () => {
  const source = readDocument('packages/remoting/src/errors.ts')
  const union = /type RemotingErrorCode =([^]*?)\n\n/.exec(source)?.[1] ?? ''
  const codes = [...union.matchAll(/'(\w+)'/g)].map(match => match[1])
  assert.ok(codes.length > 5)
  const rows = tableBelow(readDocument('docs/errors.md'), '# Errors')
  assert.deepEqual(
    rows.map(([code]) => code),
    codes,
  )
})
