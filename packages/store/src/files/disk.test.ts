import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test, type TestContext } from 'node:test'
import { type Disk, writeAll, writeAllSync } from './disk.ts'
import { MemoryDisk } from './memory-disk.ts'
import { NodeDisk } from './node-disk.ts'

interface DiskUnderTest {
  readonly disk: Disk
  /** An empty folder. */
  readonly root: string
}

const disks: Readonly<Record<string, (t: TestContext) => Promise<DiskUnderTest>>> = {
  async MemoryDisk() {
    const disk = new MemoryDisk()
    disk.makeFolder('/store')
    return { disk, root: '/store' }
  },
  async NodeDisk(t) {
    const root = await mkdtemp(join(tmpdir(), 'disk-'))
    t.after(() => rm(root, { recursive: true, force: true }))
    return { disk: new NodeDisk(), root }
  },
}

for (const [name, make] of Object.entries(disks)) {
  suite(name, () => {
    test('a created file has its full size and contains zeros', async t => {
      const { disk, root } = await make(t)
      const file = disk.create(join(root, 'f'), 10_000)
      const bytes = Buffer.alloc(12, 1)
      assert.equal(file.size, 10_000)
      assert.equal(file.readSync(bytes, 0, 12, 9_990), 10)
      assert.deepEqual([...bytes], [...Array.from({ length: 10 }, () => 0), 1, 1])
      assert.throws(() => disk.create(join(root, 'f'), 1), { code: 'EEXIST' })
      assert.throws(() => disk.create(join(root, 'no', 'f'), 1), { code: 'ENOENT' })
      assert.throws(() => disk.open(join(root, 'g')), { code: 'ENOENT' })
      file.close()
    })

    test('what is written, in either way, is read back in either way and after opening again', async t => {
      const { disk, root } = await make(t)
      const file = disk.create(join(root, 'f'), 100_000)
      const bytes = Buffer.from(Array.from({ length: 9_000 }, (_, i) => i % 251))
      assert.equal(file.writeSync(bytes, 0, 5_000, 4_000), 5_000)
      assert.equal(await file.write(bytes, 5_000, 9_000, 9_000), 4_000)
      await file.datasync()
      file.close()
      const again = disk.open(join(root, 'f'))
      const read = Buffer.alloc(9_000)
      assert.equal(again.readSync(read, 0, 4_500, 4_000), 4_500)
      assert.equal(await again.read(read, 4_500, 9_000, 8_500), 4_500)
      assert.deepEqual(read, bytes)
      assert.equal(again.size, 100_000)
      again.close()
    })

    test('a truncated file forgets what was behind its end', async t => {
      const { disk, root } = await make(t)
      const file = disk.create(join(root, 'f'), 10_000)
      file.writeSync(Buffer.alloc(10_000, 7), 0, 10_000, 0)
      file.truncate(5_000)
      file.truncate(10_000)
      const bytes = Buffer.alloc(10_000)
      file.readSync(bytes, 0, 10_000, 0)
      assert.equal(bytes.indexOf(0), 5_000)
      assert.ok(bytes.subarray(5_000).every(byte => byte === 0))
      file.close()
    })

    test('a folder lists its files and folders with sizes and times', async t => {
      const { disk, root } = await make(t)
      assert.equal(disk.list(join(root, 'no')), undefined)
      disk.makeFolder(join(root, 'a', 'b'))
      disk.create(join(root, 'a', 'f'), 20).close()
      const entries = (disk.list(join(root, 'a')) ?? []).toSorted((x, y) => x.name.localeCompare(y.name))
      assert.deepEqual(
        entries.map(({ name, size, isFolder }) => [name, size, isFolder]),
        [
          ['b', 0, true],
          ['f', 20, false],
        ],
      )
      assert.ok(Math.abs((entries[1]?.modified ?? 0) - Date.now()) < 60_000)
    })

    test('a file is renamed over another and removed; a folder only when it is empty', async t => {
      const { disk, root } = await make(t)
      disk.makeFolder(join(root, 'a'))
      disk.create(join(root, 'a', 'f'), 1).close()
      disk.create(join(root, 'a', 'g'), 2).close()
      disk.rename(join(root, 'a', 'f'), join(root, 'a', 'g'))
      assert.deepEqual([disk.exists(join(root, 'a', 'f')), disk.list(join(root, 'a'))?.[0]?.size], [false, 1])
      await assert.rejects(disk.removeFolder(join(root, 'a')), { code: 'ENOTEMPTY' })
      await disk.unlink(join(root, 'a', 'g'))
      await assert.rejects(disk.unlink(join(root, 'a', 'g')), { code: 'ENOENT' })
      await disk.syncFolder(root)
      await disk.removeFolder(join(root, 'a'))
      assert.equal(disk.exists(join(root, 'a')), false)
    })

    test('a file is claimed by one store at a time', async t => {
      const { disk, root } = await make(t)
      const path = join(root, 'lock')
      const claim = await disk.lock(path)
      await assert.rejects(disk.lock(path), { code: 'EBUSY' })
      claim[Symbol.dispose]()
      const next = await disk.lock(path)
      next[Symbol.dispose]()
    })

    test('the space of the disk is known', async t => {
      const { disk, root } = await make(t)
      const { total, usable, free } = await disk.space(root)
      assert.ok(total >= free && free >= usable && usable > 0)
    })
  })
}

test('a full MemoryDisk writes short, then not at all, and gets space back from removed files', async () => {
  const disk = new MemoryDisk({ capacity: 8_192 })
  const file = disk.create('/f', 100_000)
  assert.equal(file.writeSync(Buffer.alloc(10_000), 0, 10_000, 0), 8_192)
  assert.throws(() => file.writeSync(Buffer.alloc(1), 0, 1, 8_192), { code: 'ENOSPC' })
  await disk.unlink('/f')
  assert.equal((await disk.space()).free, 8_192)
})

test('a write that writes nothing, and says nothing, is that of a full disk, and not repeated for ever', async () => {
  const disk = new MemoryDisk()
  disk.makeFolder('/store')
  const file = disk.create('/store/log', 100)
  Object.assign(file, { writeSync: () => 0, write: async () => 0 })
  const bytes = Buffer.from('message')
  const isFull = { code: 'ENOSPC', message: /no byte of 7 was written to .store.log/ }
  assert.throws(() => writeAllSync(file, bytes, 0, 7, 0), isFull)
  await assert.rejects(writeAll(file, bytes, 0, 7, 0), isFull)
})
