import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import * as fc from 'fast-check'
import { KvConfig } from './kv-config.ts'
import { kvText } from '../../test/kv-text.ts'
import { loadKvConfig, readKvConfig } from './kv-config-file.ts'

const NOW = Date.UTC(2026, 10, 21, 8, 30, 0)
const ASIDE = 'kvConfig.json.corrupt-20261121T083000Z'

const oneEntry = '{"configTable":{"ORDER_TOPIC_CONFIG":{"TopicA":"broker-a:4"}}}'
const older = '{"configTable":{"ORDER_TOPIC_CONFIG":{"TopicA":"broker-a:2"}}}'

/** Loads the configuration from a folder with these files. */
async function load(t: TestContext, files: Readonly<Record<string, string>>) {
  const folder = await mkdtemp(join(tmpdir(), 'kv-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  const config = await loadKvConfig(join(folder, 'kvConfig.json'), { now: NOW })
  const left = async (name: string) => readFile(join(folder, name), 'utf8')
  return { config, left, names: (await readdir(folder)).toSorted() }
}

test('the file is the text that Apache writes', () => {
  const config = new KvConfig().with([
    { kind: 'put', namespace: 'a"/é\u2028\\ \u0001', key: 'k', value: 'v/\u2028' },
    { kind: 'put', namespace: 'n', key: 'k', value: 'v' },
    { kind: 'delete', namespace: 'n', key: 'k' },
  ])
  // Captured from Apache 5.5.0.
  assert.equal(kvText(config), '{"configTable":{"a\\"/é\u2028\\\\ \\u0001":{"k":"v/\u2028"},"n":{}}}')
  assert.equal(kvText(new KvConfig()), '{"configTable":{}}')
})

test('what is written is read back, whatever the names are', () => {
  const codePoint = fc.nat(0x10ffff).map(code => String.fromCodePoint(code).toWellFormed())
  const anyText = fc.oneof(
    fc.string(),
    fc.string({ unit: codePoint }),
    fc.constantFrom('__proto__', 'toString', '\ud800'),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(anyText, anyText, anyText)), entries => {
      const config = new KvConfig().with(
        entries.map(([namespace, key, value]) => ({ kind: 'put', namespace, key, value })),
      )
      assert.deepEqual(new Map(readKvConfig(kvText(config)).namespaces()), new Map(config.namespaces()))
    }),
  )
})

for (const text of ['', ' \n', 'null', '[]', '{}', '{"configTable":null}', '{"configTable":{}}']) {
  test(`the file ${JSON.stringify(text)} is an empty table`, () => {
    assert.equal(kvText(readKvConfig(text)), '{"configTable":{}}')
  })
}

test('values that are not strings become strings, and null counts as absent', () => {
  const config = readKvConfig(
    '{"configTable":{"n":{"a":12345678901234567890,"b":true,"c":null,"d":{"x":[true]}},"gone":null},"other":1}',
  )
  assert.deepEqual([...(config.namespace('n') ?? [])], [['a', '12345678901234567890'], ['b', 'true'], ['d', '{"x":[true]}']]) // biome-ignore format: one line
  assert.equal(config.namespace('gone'), undefined)
})

test('input that Apache accepts beyond JSON is accepted', () => {
  const config = readKvConfig("{configTable:{'n':{k:'v', 'l':1,}}} ")
  assert.deepEqual([...(config.namespace('n') ?? [])], [['k', 'v'], ['l', '1']]) // biome-ignore format: one line
})

test('a good file is loaded and left as it is', async t => {
  const { config, names } = await load(t, { 'kvConfig.json': oneEntry })
  assert.equal(config.get('ORDER_TOPIC_CONFIG', 'TopicA'), 'broker-a:4')
  assert.deepEqual(names, ['kvConfig.json'])
})

for (const [what, text] of [
  ['torn', oneEntry.slice(0, 30)],
  ['foreign', '{"name":"gantry"}'],
  ['a list', '[1]'],
  ['of another shape', '{"configTable":{"n":[]}}'],
  ['nested too deeply', '['.repeat(1_000_000)],
] as const) {
  test(`a file that is ${what} is put aside as it is, and the table is empty`, async t => {
    const { config, left, names } = await load(t, { 'kvConfig.json': text })
    assert.equal(config.entries, 0)
    assert.deepEqual(names, [ASIDE])
    assert.equal(await left(ASIDE), text)
  })
}

test('the file that Apache 4.9 leaves between its delete and its rename is used once', async t => {
  const { config, names } = await load(t, { 'kvConfig.json.tmp': oneEntry, 'kvConfig.json.bak': older })
  assert.equal(config.get('ORDER_TOPIC_CONFIG', 'TopicA'), 'broker-a:4')
  assert.deepEqual(names, ['kvConfig.json', 'kvConfig.json.bak'])
})
