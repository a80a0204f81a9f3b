import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { anchorsOf, documents, linksOf, readDocument } from './markdown.ts'

function broken(document: string, link: string): boolean {
  if (/^https?:|^mailto:/.test(link)) return false
  const [file = '', anchor] = link.split('#')
  const target = file === '' ? document : join(dirname(document), file)
  if (!existsSync(target)) return true
  return anchor !== undefined && !anchorsOf(readDocument(target)).includes(anchor)
}

for (const document of documents()) {
  test(`every link of ${document} has a target`, () => {
    const dead = linksOf(readDocument(document)).filter(link => broken(document, link))
    assert.deepEqual(dead, [])
  })
}

test('every file of interop that docs/compatibility.md names exists', () => {
  const named = [...readDocument('docs/compatibility.md').matchAll(/`((?:src|test)\/[\w./-]+\.ts)`/g)]
  assert.ok(named.length > 20)
  const missing = named.map(([, file = '']) => join('interop', file)).filter(file => !existsSync(file))
  assert.deepEqual(missing, [])
})

test('the test finds a link to a missing file or heading', () => {
  assert.ok(broken('README.md', 'docs/no-such-file.md'))
  assert.ok(broken('README.md', '#no-such-heading'))
  assert.deepEqual(linksOf('[a](b.md#c), `[not](a-link)`\n```sh\n[nor](this)\n```\n'), ['b.md#c'])
  assert.deepEqual(anchorsOf('## What `it` does, and why\n'), ['what-it-does-and-why'])
})
