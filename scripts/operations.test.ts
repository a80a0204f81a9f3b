import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NameServer } from '@gantrymq/namesrv'
import { readDocument, tableBelow } from './markdown.ts'

const document = readDocument('docs/operations.md')

test('docs/operations.md has a row for each metric of a name server, with its type', async t => {
  const server = await NameServer.start({ host: '127.0.0.1', port: 0 })
  t.after(() => server.close())
  const families = await server.metrics.families()
  assert.deepEqual(
    tableBelow(document, '## Metrics')
      .map(([name, type]) => `${name} ${type}`)
      .sort(),
    families.map(({ name, type }) => `${name} ${type}`).sort(),
  )
})

test('the server answers every path of the table of probes', async t => {
  const server = await NameServer.start({ host: '127.0.0.1', port: 0, metricsPage: () => emptyPage })
  t.after(() => server.close())
  const paths = tableBelow(document, '## Probes').flatMap(([cell = '']) => cell.split(', '))
  assert.ok(paths.length > 5)
  for (const path of paths.filter(each => !each.includes('NAME'))) {
    const response = await fetch(`http://127.0.0.1:${server.httpAddress?.port}${path}`)
    assert.equal(response.status, 200, path)
    await response.body?.cancel()
  }
})

const emptyPage = { contentType: 'text/plain', render: () => Promise.resolve('') }
