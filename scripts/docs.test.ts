import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { nameServerOptions } from '@gantrymq/namesrv'
import {
  adminRequests,
  brokerNotices,
  clientNotices,
  consumeRequests,
  membershipRequests,
  nameServerRequests,
  popRequests,
  queryRequests,
  sendRequests,
} from '@gantrymq/protocol'
import { brokerInteropDoc } from './broker-interop-doc.ts'
import { browserPageModule } from './browser-page.ts'
import { clientOptionsDoc, meaningOf, optionPages } from './client-options-doc.ts'
import { brokerOptionsDoc, configurationDoc } from './configuration-doc.ts'
import { protocolDoc } from './protocol-doc.ts'

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')

test('docs/configuration.md is what npm run docs writes', () => {
  assert.equal(read('docs/configuration.md'), configurationDoc())
})

test('docs/broker-options.md is what npm run docs writes', () => {
  assert.equal(read('docs/broker-options.md'), brokerOptionsDoc())
})

test('docs/protocol.md is what npm run docs writes', () => {
  assert.equal(read('docs/protocol.md'), protocolDoc())
})

test('docs/client-options.md is what npm run docs writes', () => {
  assert.equal(read('docs/client-options.md'), clientOptionsDoc())
})

test('docs/broker-interop.md is what npm run docs writes', () => {
  assert.equal(read('docs/broker-interop.md'), brokerInteropDoc())
})

test('the page for browsers is what npm run docs writes', () => {
  assert.equal(
    read('packages/daemon/src/http/browser-page.ts'),
    browserPageModule(fileURLToPath(new URL('..', import.meta.url))),
  )
})

test('each option of the client has a comment and a row', () => {
  const names = optionPages.flatMap(page => Object.keys(page.table).map(name => ({ page, name })))
  const silent = names.filter(({ page, name }) => !/^\S.+\.$/.test(meaningOf(page, name)))
  assert.deepEqual(
    silent.map(({ page, name }) => `${page.title}: ${name}`),
    [],
  )
  const rows = [...read('docs/client-options.md').matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name)
  assert.deepEqual(
    rows,
    names.map(({ name }) => name),
  )
})

test('each option of the name server has a row, and each row an option', () => {
  const rows = [...read('docs/configuration.md').matchAll(/^\| `(\S+)`<br>`--(\S+)`<br>`(\S+)` \|/gm)]
  assert.deepEqual(
    rows.map(([, key, flag, variable]) => [key, flag, variable]),
    nameServerOptions.names.map(name => [
      nameServerOptions.property(name),
      nameServerOptions.flag(name),
      nameServerOptions.variable(name),
    ]),
  )
})

test('the page lists each key without effect', () => {
  const page = read('docs/configuration.md')
  for (const key of nameServerOptions.ignored.keys()) assert.ok(page.includes(`\`${key}\``), key)
})

test('each request has a section, and each section a request', () => {
  const declared = Object.entries({
    ...nameServerRequests,
    ...brokerNotices,
    ...membershipRequests,
    ...sendRequests,
    ...consumeRequests,
    ...popRequests,
    ...queryRequests,
    ...clientNotices,
    ...adminRequests,
  })
  const sections = [...read('docs/protocol.md').matchAll(/^### (\d+) (\S+)$/gm)]
  assert.deepEqual(
    sections.map(([, code, name]) => `${code} ${name}`).toSorted(),
    declared.map(([name, { code }]) => `${code} ${name}`).toSorted(),
  )
})
