import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Logger, silent } from './log.ts'
import { BACKSLASH_ADVICE } from './properties-file.ts'
import { loadTlsOptions, tlsProperties } from './tls-options.ts'

function file(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tls-options-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'tls.properties'), text)
  return join(folder, 'tls.properties')
}

const nowhere = join(tmpdir(), 'no', 'such', 'file')

function load(given: Record<string, string> = {}, log?: Logger) {
  return loadTlsOptions(new Map(Object.entries({ 'tls.config.file': nowhere, ...given })), log)
}

test('without any property the defaults are those of Java', async () => {
  const { server, client } = await load()
  assert.deepEqual(
    [server.mode, server.testMode, server.needClientAuth, server.authClient],
    ['permissive', true, 'none', false],
  )
  assert.deepEqual([client.enable, client.testMode, client.authServer], [false, true, false])
})

test('own connections use TLS by default only if the server enforces it', async () => {
  assert.equal((await load({ 'tls.server.mode': 'enforcing' })).client.enable, true)
  assert.equal((await load({ 'tls.server.mode': 'enforcing', 'tls.enable': 'false' })).client.enable, false)
  assert.equal((await load({ 'tls.enable': 'TRUE ' })).client.enable, true)
})

test('values in the file take precedence over given ones', async t => {
  const path = file(t, 'tls.server.keyPath=/file/key\ntls.server.need.client.auth=REQUIRE\n')
  const { server } = await load({
    'tls.config.file': path,
    'tls.server.keyPath': '/given/key',
    'tls.server.certPath': '/given/cert',
  })
  assert.deepEqual([server.keyPath, server.certPath, server.needClientAuth], ['/file/key', '/given/cert', 'require'])
})

test('mode, enable and the name of the file are not read from the file, and unknown keys are reported', async t => {
  const path = file(t, 'tls.server.mode=enforcing\ntls.enable=true\ntls.server.keypath=/x\n')
  const warned: unknown[] = []
  const warn = (fields: object): void => void warned.push(fields)
  const { server, client } = await load({ 'tls.config.file': path }, { debug: warn, info: warn, warn, error: warn })
  assert.equal(server.mode, 'permissive')
  assert.equal(client.enable, false)
  assert.deepEqual(warned, [
    { key: 'tls.server.mode', file: path, line: 1 },
    { key: 'tls.enable', file: path, line: 2 },
    { key: 'tls.server.keypath', file: path, line: 3 },
  ])
})

test('a configured certificate is used unless test mode is set', async () => {
  const files = { 'tls.server.keyPath': '/key', 'tls.server.certPath': '/cert' }
  assert.equal((await load(files)).server.testMode, false)
  assert.equal((await load({ ...files, 'tls.test.mode.enable': 'true' })).server.testMode, true)
  assert.equal((await load(files)).client.testMode, true)
  assert.equal((await load({ 'tls.client.authServer': 'true' })).client.testMode, false)
})

test('the error for a bad value names the key, the file, the line and the valid values', async t => {
  await assert.rejects(load({ 'tls.server.mode': 'strict' }), {
    code: 'BAD_OPTION',
    message: 'tls.server.mode: "strict" is not one of disabled, permissive, enforcing',
  })
  const path = file(t, '\ntls.server.authClient=yes')
  await assert.rejects(load({ 'tls.config.file': path }), {
    message: `tls.server.authClient: "yes" is not true or false (${path}, line 2)`,
  })
  const broken = file(t, 'tls.server.keyPath=\\u12')
  await assert.rejects(load({ 'tls.config.file': broken }), { code: 'BAD_OPTION', message: /tls\.properties: line 1/ })
})

test('a path with backslashes is refused with what to write, and a byte order mark is skipped', async t => {
  const path = file(t, '\ufefftls.server.keyPath=C:\\certs\\key.pem\n')
  const warned: string[] = []
  const log = { ...silent, warn: (_: object, text: string) => void warned.push(text) }
  await assert.rejects(load({ 'tls.config.file': path }, log), {
    code: 'BAD_OPTION',
    message: `${path}, line 1: tls.server.keyPath=C:\\certs\\key.pem: ${BACKSLASH_ADVICE}`,
  })
  assert.deepEqual(warned, ['the TLS file begins with a byte order mark, which is skipped'])
})

test('a configured file that does not exist is reported and ignored; Java ignores it too', async () => {
  const warned: unknown[] = []
  const warn = (fields: object): void => void warned.push(fields)
  await load({}, { debug: warn, info: warn, warn, error: warn })
  assert.deepEqual(warned, [{ file: nowhere }])
})

test('names of members that every object has are not keys', async t => {
  const path = file(t, '__proto__=1\nconstructor=2\ntoString=3')
  assert.equal((await load({ 'tls.config.file': path, __proto__: 'x', constructor: 'y' })).server.mode, 'permissive')
})

test('each property has a sentence for the documentation', () => {
  for (const [name, { purpose }] of Object.entries(tlsProperties)) assert.match(purpose, /^[A-Z].*\.$/, name)
})
