import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { test } from 'node:test'
import { readDocument, tableBelow } from './markdown.ts'

/** The codes of a union type, in its order. */
function codesOf(file: string, type: string): string[] {
  const union = new RegExp(`type ${type} =([^]*?)\\n\\n`).exec(readDocument(file))?.[1] ?? ''
  const codes = [...union.matchAll(/'(\w+)'/g)].map(match => match[1] ?? '')
  assert.ok(codes.length > 5)
  return codes
}

const pages = [
  { file: 'packages/remoting/src/errors.ts', type: 'RemotingErrorCode', heading: '# Errors' },
  { file: 'packages/client/src/errors.ts', type: 'ClientErrorCode', heading: '## ClientError' },
  { file: 'packages/client/src/problems.ts', type: 'ProblemCode', heading: '### Problems of consumers' },
  { file: 'packages/store/src/errors.ts', type: 'StoreErrorCode', heading: '## StoreError' },
]

for (const { file, type, heading } of pages) {
  test(`docs/errors.md has a row for each ${type}, in the order of the code`, () => {
    const rows = tableBelow(readDocument('docs/errors.md'), heading)
    assert.deepEqual(
      rows.map(([code]) => code),
      codesOf(file, type),
    )
  })
}

test('the client throws each ClientErrorCode somewhere', () => {
  const sources = globSync('packages/client/src/**/*.ts').filter(file => !/\.test\.ts$|\/errors\.ts$/.test(file))
  const text = sources.map(readDocument).join('\n')
  const mapping = readDocument('packages/client/src/errors.ts').split('interface ClientErrorOptions')[1] ?? ''
  const idle = codesOf('packages/client/src/errors.ts', 'ClientErrorCode').filter(
    code => !text.includes(`'${code}'`) && !mapping.includes(`'${code}'`),
  )
  assert.deepEqual(idle, [])
})
