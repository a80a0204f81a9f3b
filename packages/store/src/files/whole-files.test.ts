import assert from 'node:assert/strict'
import { test } from 'node:test'
import { numbersFrom } from '@gantrymq/remoting/testing'
import { type DiskFault, FaultyDisk } from '../testing/faulty-disk.ts'
import { MemoryDisk } from './memory-disk.ts'
import { WholeFiles } from './whole-files.ts'

const PATH = '/store/config/topics.json'

async function textOf(files: WholeFiles, path = PATH): Promise<string | undefined> {
  const bytes = await files.read(path)
  return bytes === undefined ? undefined : Buffer.from(bytes).toString()
}

test('a file is replaced as a whole, and the content before stays in its copy', async () => {
  const disk = new MemoryDisk()
  const files = new WholeFiles(disk)
  assert.equal(await textOf(files), undefined)
  await files.replace(PATH, 'a long first content')
  await files.replace(PATH, '')
  assert.equal(await textOf(files), '')
  assert.equal(await textOf(files, `${PATH}.bak`), 'a long first content')
  assert.deepEqual(disk.list('/store/config')?.map(({ name }) => name).toSorted(), ['topics.json', 'topics.json.bak']) // biome-ignore format: one thought
})

// Operations of a replacement: two files written, synced and renamed, and the folder.
const OPERATIONS = 40
const faults: readonly DiskFault[] = ['crash before', 'crash within', 'crash after']

for (const power of [false, true]) {
  test(`after ${power ? 'a power failure' : 'a kill'} at any moment the file has the old or the new content`, async () => {
    let crashes = 0
    for (let seed = 1; seed <= 8; seed++) {
      for (let at = 1; at <= OPERATIONS; at++) {
        const numbers = numbersFrom(seed * 1000 + at)
        const fault = faults[numbers(faults.length)]
        let begun: number | undefined
        const disk = new FaultyDisk({
          numbers,
          fault: ({ number }) => (begun !== undefined && number === begun + at ? fault : undefined),
        })
        const files = new WholeFiles(disk)
        await files.replace(PATH, 'old')
        await files.replace(PATH, 'old, too')
        begun = disk.operations
        const isAcknowledged = await files.replace(PATH, 'new').then(
          () => true,
          () => false,
        )
        if (disk.hasCrashed) crashes++
        const next = disk.restarted(power ? { power, survival: 'some' } : { power })
        const found = new WholeFiles(next)
        await found.removeLeftovers(PATH)
        const text = await textOf(found)
        assert.ok(text === 'new' || (!isAcknowledged && text === 'old, too'), `${seed}, ${at}: ${text}`)
        assert.ok(next.list('/store/config')?.every(({ name }) => !name.endsWith('.new')))
      }
    }
    assert.ok(crashes > 50)
  })
}

test('a failed replacement leaves the file as it was and nothing beside it, and the next one succeeds', async () => {
  let left = 0
  const disk = new FaultyDisk({
    numbers: numbersFrom(1),
    fault: ({ kind, path }) =>
      left > 0 && kind === 'datasync' && path.endsWith('.new') && left-- > 0 ? { fails: 'ENOSPC' } : undefined,
  })
  const files = new WholeFiles(disk)
  await files.replace(PATH, 'old')
  left = 1
  await assert.rejects(files.replace(PATH, 'new'), { code: 'ENOSPC' })
  assert.equal(await textOf(files), 'old')
  assert.deepEqual(disk.list('/store/config')?.filter(({ name }) => name.endsWith('.new')), []) // biome-ignore format: one thought
  await files.replace(PATH, 'new')
  assert.equal(await textOf(files), 'new')
})

test('a disk in memory that was killed fails, and its files go on in the next one', async () => {
  const disk = new MemoryDisk()
  const files = new WholeFiles(disk)
  await files.replace(PATH, 'a')
  const open = disk.open(PATH)
  const claim = await disk.lock('/store/lock')
  const next = disk.afterKill()
  assert.throws(() => open.writeSync(Buffer.from('b'), 0, 1, 0), { code: 'EIO' })
  await assert.rejects(files.replace(PATH, 'b'), { code: 'EIO' })
  await assert.rejects(open.datasync(), { code: 'EIO' })
  assert.equal(await textOf(new WholeFiles(next)), 'a')
  await next.lock('/store/lock')
  claim[Symbol.dispose]()
})
