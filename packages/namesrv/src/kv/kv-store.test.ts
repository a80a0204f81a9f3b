import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { ManualClock } from '@gantrymq/remoting/testing'
import * as fc from 'fast-check'
import { kvText } from '../../test/kv-text.ts'
import { readKvConfig } from './kv-config-file.ts'
import { KvStore } from './kv-store.ts'

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'kv-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

const open = (path: string | null) => KvStore.open({ path, clock: new ManualClock() })

test('a change is on disk before it is answered, in a folder that is created for it', async t => {
  const path = join(await folder(t), 'deep', 'er', 'kvConfig.json')
  const store = await open(path)
  await store.put('ns', 'k', 'v')
  assert.equal(await readFile(path, 'utf8'), '{"configTable":{"ns":{"k":"v"}}}')
  await store.delete('ns', 'k')
  assert.equal(await readFile(path, 'utf8'), '{"configTable":{"ns":{}}}')
  assert.equal(await readFile(`${path}.bak`, 'utf8'), '{"configTable":{"ns":{"k":"v"}}}')
})

test('a change is not visible before it is on disk', async t => {
  const store = await open(join(await folder(t), 'kvConfig.json'))
  const put = store.put('ns', 'k', 'v')
  assert.equal(store.current.get('ns', 'k'), undefined)
  await put
  assert.equal(store.current.get('ns', 'k'), 'v')
})

test('the log has the namespace, the key and the size of a value, and never the value', async () => {
  const lines: unknown[] = []
  const add = (fields: object, text: string) => void lines.push([text, fields])
  const store = await KvStore.open({ path: null, log: { debug: add, info: add, warn: add, error: add } })
  await store.put('ns', 'password', 'secret')
  await store.put('ns', 'password', 'secret2')
  await store.delete('ns', 'password')
  assert.deepEqual(lines, [
    ['putKVConfig create new Namespace', { namespace: 'ns' }],
    ['putKVConfig create new config item', { namespace: 'ns', key: 'password', size: 6 }],
    ['putKVConfig update config item', { namespace: 'ns', key: 'password', size: 7 }],
    ['deleteKVConfig delete a config item', { namespace: 'ns', key: 'password' }],
  ])
})

test('concurrent changes are applied in order and share few writes', async t => {
  const path = join(await folder(t), 'kvConfig.json')
  const store = await open(path)
  const seen = new Set<unknown>()
  const puts = Array.from({ length: 500 }, async (_, index) => {
    await store.put('ns', `k${index % 10}`, String(index))
    seen.add(store.current)
  })
  await Promise.all(puts)
  assert.ok(seen.size <= 3, `${seen.size} writes`)
  assert.equal(store.current.get('ns', 'k9'), '499')
  assert.deepEqual(
    new Map(readKvConfig(await readFile(path, 'utf8')).namespaces()),
    new Map(store.current.namespaces()),
  )
})

test('after any puts and deletes a restart loads the same entries', async t => {
  const root = await folder(t)
  let run = 0
  const step = fc.tuple(fc.boolean(), fc.constantFrom('a', 'b', '__proto__'), fc.constantFrom('k', 'é'), fc.string())
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.boolean(), async (steps, together) => {
      const path = join(root, String(run++), 'kvConfig.json')
      const store = await open(path)
      const changes: Promise<void>[] = []
      for (const [put, namespace, key, value] of steps) {
        const change = put ? store.put(namespace, key, value) : store.delete(namespace, key)
        changes.push(change)
        if (!together) await change
      }
      await Promise.all(changes)
      const again = await open(path)
      assert.equal(kvText(again.current), kvText(store.current))
    }),
    { numRuns: 30 },
  )
})

test('a change that cannot be written is refused with the reason, and has no effect', async t => {
  const root = await folder(t)
  const path = join(root, 'kvConfig.json')
  const store = await open(path)
  await store.put('ns', 'k', 'old')
  // A folder cannot be replaced by a file, even by root.
  await rm(path)
  await mkdir(join(path, 'in the way'), { recursive: true })
  const refused = store.put('ns', 'k', 'new')
  await assert.rejects(refused, {
    responseCode: 1,
    remark: /^the KV config could not be written, nothing was changed: E/,
  })
  assert.equal(store.current.get('ns', 'k'), 'old')
  assert.deepEqual((await readdir(root)).filter(name => name.endsWith('.new')), []) // biome-ignore format: one line
  await rm(path, { recursive: true })
  await store.put('ns', 'k', 'newer')
  assert.equal(await readFile(path, 'utf8'), '{"configTable":{"ns":{"k":"newer"}}}')
})

test('a file that another program changed is copied before it is replaced', async t => {
  const root = await folder(t)
  const path = join(root, 'kvConfig.json')
  const store = await open(path)
  await store.put('ns', 'k', 'v')
  await writeFile(path, 'not ours')
  await store.put('ns', 'k', 'w')
  const kept = (await readdir(root)).find(name => name.startsWith('kvConfig.json.foreign-'))
  assert.ok(kept !== undefined)
  assert.equal(await readFile(join(root, kept), 'utf8'), 'not ours')
  assert.equal(await readFile(path, 'utf8'), '{"configTable":{"ns":{"k":"w"}}}')
  await store.put('ns', 'k', 'x')
  assert.equal((await readdir(root)).filter(name => name.includes('foreign')).length, 1)
})

test('a change that changes nothing is answered without a write', async t => {
  const path = join(await folder(t), 'kvConfig.json')
  const store = await open(path)
  await store.put('ns', 'k', 'v')
  await rm(path)
  await store.put('ns', 'k', 'v')
  await store.delete('ns', 'absent')
  await assert.rejects(readFile(path), { code: 'ENOENT' })
})

test('a table that would grow too large refuses the entry and keeps serving', async t => {
  const store = await KvStore.open({ path: join(await folder(t), 'kv.json'), limits: { maxSize: 20, maxEntries: 4 } })
  await store.put('ns', 'k', '0123456789')
  const [large, small] = await Promise.allSettled([store.put('ns', 'l', '0123456789'), store.put('ns', 'm', '0')])
  assert.equal(large.status, 'rejected')
  assert.match(String(large.reason), /has 13 bytes, needs 11 more, and may have at most 20 \(maxKvConfigSize\)/)
  assert.equal(small.status, 'fulfilled')
  await store.put('ns', 'k', '')
  await store.put('ns', 'l', '0123456789')
})

test('a link stays a link, and the mode of the file stays', async t => {
  const root = await folder(t)
  await writeFile(join(root, 'real.json'), '{}')
  await chmod(join(root, 'real.json'), 0o600)
  await symlink(join(root, 'real.json'), join(root, 'link.json'))
  const store = await open(join(root, 'link.json'))
  await store.put('ns', 'k', 'v')
  assert.equal(await readFile(join(root, 'real.json'), 'utf8'), '{"configTable":{"ns":{"k":"v"}}}')
  const { lstat } = await import('node:fs/promises')
  assert.ok((await lstat(join(root, 'link.json'))).isSymbolicLink())
  assert.equal((await lstat(join(root, 'real.json'))).mode & 0o777, 0o600)
})

test('without a path the table is kept in memory only', async () => {
  const store = await open(null)
  await store.put('ns', 'k', 'v')
  assert.equal(store.current.get('ns', 'k'), 'v')
})

test('close waits for the changes requested before', async t => {
  const path = join(await folder(t), 'kvConfig.json')
  const store = await open(path)
  const put = store.put('ns', 'k', 'v')
  await Promise.all([store.close(), store.close()])
  assert.equal(await readFile(path, 'utf8'), '{"configTable":{"ns":{"k":"v"}}}')
  await put
})
