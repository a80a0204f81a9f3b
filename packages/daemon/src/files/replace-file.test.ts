import assert from 'node:assert/strict'
import * as files from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { type FileSystem, replaceFile } from './replace-file.ts'

async function folder(t: TestContext): Promise<string> {
  const path = await files.mkdtemp(join(tmpdir(), 'atomic-'))
  t.after(() => files.rm(path, { recursive: true, force: true }))
  return path
}

/** The file system, recording each call that matters for durability; the call named `fail` fails. */
function watched(calls: string[], fail?: string): FileSystem {
  const note = (call: string) => {
    calls.push(call)
    if (call === fail) throw Object.assign(new Error(`no ${call}`), { code: 'EIO' })
  }
  return {
    ...files,
    async rename(from, to) {
      note(`rename to ${basename(String(to))}`)
      await files.rename(from, to)
    },
    async link(from, to) {
      note('link')
      await files.link(from, to)
    },
    async open(path, flags, mode) {
      const file = await files.open(path, flags, mode)
      const what = (await file.stat()).isDirectory() ? 'folder' : 'file'
      const sync = file.sync.bind(file)
      file.sync = async () => {
        note(`sync ${what}`)
        await sync()
      }
      return file
    },
  }
}

test('the new content is synced to disk before the rename, and the rename before the promise resolves', async t => {
  const path = join(await folder(t), 'f')
  await replaceFile(path, 'old')
  const calls: string[] = []
  await replaceFile(path, 'new', watched(calls))
  assert.deepEqual(calls, ['sync file', 'link', 'rename to f.bak', 'rename to f', 'sync folder'])
  assert.equal(await files.readFile(path, 'utf8'), 'new')
  assert.equal(await files.readFile(`${path}.bak`, 'utf8'), 'old')
})

for (const fail of ['sync file', 'rename to f.bak', 'rename to f']) {
  test(`when ${fail} fails the old file stays and nothing is left over`, async t => {
    const root = await folder(t)
    const path = join(root, 'f')
    await replaceFile(path, 'old')
    await assert.rejects(replaceFile(path, 'new', watched([], fail)), { code: 'EIO' })
    assert.equal(await files.readFile(path, 'utf8'), 'old')
    assert.deepEqual((await files.readdir(root)).filter(name => name.endsWith('.new')), []) // biome-ignore format: one line
  })
}

test('on a file system without links the previous content is copied', async t => {
  const path = join(await folder(t), 'f')
  await replaceFile(path, 'old')
  await replaceFile(path, 'new', watched([], 'link'))
  assert.equal(await files.readFile(`${path}.bak`, 'utf8'), 'old')
})

test('a backup stays when there is nothing to replace it with', async t => {
  const path = join(await folder(t), 'f')
  await files.writeFile(`${path}.bak`, 'older')
  await replaceFile(path, 'new')
  assert.equal(await files.readFile(`${path}.bak`, 'utf8'), 'older')
})

test('a crash after the backup leaves nothing behind at the next write', async t => {
  const root = await folder(t)
  const path = join(root, 'f')
  await files.writeFile(path, 'old')
  await files.link(path, `${path}.bak`)
  await replaceFile(path, 'new')
  assert.deepEqual((await files.readdir(root)).toSorted(), ['f', 'f.bak'])
})

test('the mode of the file stays, whatever the umask is', { skip: process.platform === 'win32' }, async t => {
  const path = join(await folder(t), 'config')
  await files.writeFile(path, 'old')
  await files.chmod(path, 0o664)
  const umask = process.umask(0o077)
  t.after(() => process.umask(umask))
  await replaceFile(path, 'new')
  assert.equal((await files.stat(path)).mode & 0o777, 0o664)
  await replaceFile(`${path}.other`, 'new')
  assert.equal((await files.stat(`${path}.other`)).mode & 0o777, 0o600)
})
