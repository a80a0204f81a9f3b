import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Logger } from '@gantrymq/remoting'
import { loadTable } from './table-file.ts'

const NOW = Date.UTC(2026, 10, 21, 8, 30, 0)
const ASIDE = 'topics.json.corrupt-20261121T083000Z'

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'table-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

function recorder() {
  const lines: string[] = []
  const note = (level: string) => (_fields: object, text: string) => void lines.push(`${level} ${text}`)
  const log: Logger = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') }
  return { lines, log }
}

/** A table of numbers by name. */
function parse(text: string): ReadonlyMap<string, number> {
  const entries = Object.entries((text === '' ? {} : JSON.parse(text)) as Record<string, number>)
  for (const [name, value] of entries) if (typeof value !== 'number') throw new Error(`${name} is not a number`)
  return new Map(entries)
}

const options = { what: 'topic', entriesOf: (table: ReadonlyMap<string, number>) => table.size, now: NOW }

const oneEntry = '{"TopicA":4}'
const older = '{"TopicA":2}'

/** Loads the table from a folder with these files. */
async function load(t: TestContext, files: Readonly<Record<string, string>>) {
  const path = await folder(t)
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text)
  const { lines, log } = recorder()
  const table = await loadTable(join(path, 'topics.json'), parse, { ...options, log })
  const left = async (name: string) => readFile(join(path, name), 'utf8')
  return { table, lines, left, names: (await readdir(path)).toSorted() }
}

test('a good file is loaded, which the log confirms', async t => {
  const { table, lines, names } = await load(t, { 'topics.json': oneEntry })
  assert.equal(table.get('TopicA'), 4)
  assert.deepEqual(lines, ['info load topic table OK'])
  assert.deepEqual(names, ['topics.json'])
})

test('a missing file is an empty table, even with a backup, and nothing is logged', async t => {
  const { table, lines } = await load(t, { 'topics.json.bak': older })
  assert.equal(table.size, 0)
  assert.deepEqual(lines, [])
})

for (const [what, text] of [
  ['torn', oneEntry.slice(0, 5)],
  ['binary', '\0\u0001\u0002'],
  ['of another shape', '{"TopicA":[]}'],
] as const) {
  test(`a file that is ${what} is put aside as it is, reported, and the table is empty`, async t => {
    const { table, lines, left, names } = await load(t, { 'topics.json': text })
    assert.equal(table.size, 0)
    assert.deepEqual(names, [ASIDE])
    assert.equal(await left(ASIDE), text)
    assert.deepEqual(
      lines.map(line => line.split(' ')[0]),
      ['error', 'error'],
    )
  })
}

test('a torn file of Apache 5.x is replaced by the state before its last change', async t => {
  const { table, lines, left, names } = await load(t, { 'topics.json': '{"Topic', 'topics.json.bak': older })
  assert.equal(table.get('TopicA'), 2)
  assert.deepEqual(names, ['topics.json', ASIDE, 'topics.json.bak'].toSorted())
  assert.equal(await left('topics.json'), older)
  assert.match(lines.join('\n'), /error .*put aside\nwarn the topic table was loaded from a copy/)
})

test('an emptied file is replaced by the state before its last change', async t => {
  const { table, left } = await load(t, { 'topics.json': '', 'topics.json.bak': older })
  assert.equal(table.get('TopicA'), 2)
  assert.equal(await left('topics.json'), older)
})

test('an emptied file without a copy is an empty table, and is reported', async t => {
  const { table, lines } = await load(t, { 'topics.json': '' })
  assert.equal(table.size, 0)
  assert.deepEqual(lines, ['warn the topic file is empty, and has no copy: the table is empty'])
})

test('the file that Apache 4.9 leaves between its delete and its rename is used once', async t => {
  const { table, names } = await load(t, { 'topics.json.tmp': oneEntry, 'topics.json.bak': older })
  assert.equal(table.get('TopicA'), 4)
  assert.deepEqual(names, ['topics.json', 'topics.json.bak'])
})

test('a torn file with a torn backup is put aside and the table is empty', async t => {
  const { table, names } = await load(t, { 'topics.json': '{', 'topics.json.bak': '{' })
  assert.equal(table.size, 0)
  assert.deepEqual(names, ['topics.json.bak', ASIDE])
})

test('a copy without entries is not used', async t => {
  const { table, names } = await load(t, { 'topics.json.tmp': '{}' })
  assert.equal(table.size, 0)
  assert.deepEqual(names, ['topics.json.tmp'])
})

test('a second file put aside in the same second does not replace the first', async t => {
  const { names } = await load(t, { 'topics.json': '{', [ASIDE]: 'the first' })
  assert.deepEqual(names, [ASIDE, `${ASIDE}-1`])
})

test('a file that cannot be read stops the start and is left alone', async t => {
  const path = join(await folder(t), 'topics.json')
  await mkdir(path)
  await assert.rejects(loadTable(path, parse, options), /^Error: the topic file .*topics.json cannot be read: EISDIR/)
})

test('the temporary file of a process that crashed before its rename is removed', async t => {
  const dead = 'topics.json.999999999-0.new'
  const { table, names } = await load(t, { 'topics.json': oneEntry, [dead]: '{}' })
  assert.equal(table.size, 1)
  assert.deepEqual(names, ['topics.json'])
})
