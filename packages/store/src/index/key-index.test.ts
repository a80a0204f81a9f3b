import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stringHash } from '@gantrymq/protocol'
import { ManualClock, numbersFrom } from '@gantrymq/remoting/testing'
import fc from 'fast-check'
import type { DispatchedRecord } from '../dispatched-record.ts'
import type { Disk } from '../files/disk.ts'
import { MemoryDisk } from '../files/memory-disk.ts'
import { FaultyDisk } from '../testing/faulty-disk.ts'
import { KeyIndex } from './key-index.ts'

const FOLDER = '/store/index'
const SIZES = { slots: 10, entries: 20 }
const ALWAYS = { max: 64, begin: 0, end: Number.MAX_SAFE_INTEGER }

function openIndex(disk: Disk, { sizes = SIZES, clock = new ManualClock() } = {}): KeyIndex {
  return new KeyIndex({ disk, folder: FOLDER, sizes, clock })
}

async function reopen(disk: Disk, cutAt?: number): Promise<KeyIndex> {
  const index = openIndex(disk)
  await index.load()
  if (cutAt !== undefined) await index.cut(cutAt)
  return index
}

/** A record of 100 bytes, number `n`, stored `n` seconds after the epoch. */
function record(n: number, keys: readonly string[], sysFlag = 0): DispatchedRecord {
  return {
    position: n * 100,
    size: 100,
    queue: undefined as never,
    queueOffset: n,
    tagsCode: 0,
    storeTimestamp: n * 1000,
    sysFlag,
    keyHashes: Int32Array.from(keys, key => stringHash(`TopicA#${key}`)),
    keyCount: keys.length,
  }
}

function putMany(index: KeyIndex, from: number, to: number): void {
  for (let n = from; n < to; n++) index.put(record(n, [`key${n % 7}`]))
}

async function search(index: KeyIndex, key: string, limits: Partial<typeof ALWAYS> = {}): Promise<number[]> {
  const { positions } = await index.search({ keyHash: stringHash(`TopicA#${key}`), ...ALWAYS, ...limits })
  return positions.map(position => position / 100)
}

function numbers(to: number, key: number, from = 0): number[] {
  return Array.from({ length: to }, (_, n) => n)
    .filter(n => n >= from && n % 7 === key)
    .toReversed()
}

test('a key is found before and after it is written, over several files, newest first', async () => {
  const disk = new MemoryDisk()
  const index = openIndex(disk)
  putMany(index, 0, 50)
  assert.deepEqual(await search(index, 'key3'), numbers(50, 3))
  assert.equal(disk.exists(FOLDER), false, 'put touches no file')
  index.writeSome(10)
  assert.equal(index.unwritten, 0)
  assert.deepEqual(await search(index, 'key3'), numbers(50, 3))
  await index.close()
  assert.equal(disk.list(FOLDER)?.length, 3)
  const again = await reopen(disk)
  assert.deepEqual(await search(again, 'key3'), numbers(50, 3))
  putMany(again, 50, 70)
  assert.deepEqual(await search(again, 'key3'), numbers(70, 3))
})

test('a file has the bytes that Apache writes', async () => {
  const disk = new MemoryDisk()
  const index = openIndex(disk, { clock: new ManualClock(new Date(2026, 10, 30, 9, 5, 7, 42).getTime()) })
  index.put(record(3, ['UK1', 'k1']))
  index.put(record(5, ['UK1']))
  await index.close()
  const file = disk.open(`${FOLDER}/20261130090507042`)
  const bytes = Buffer.alloc(40 + 40 + 80)
  file.readSync(bytes, 0, bytes.length, 0)
  assert.equal(file.size, 40 + 10 * 4 + 20 * 20)
  const [slots, one, two, three] = [
    bytes.subarray(40, 80),
    bytes.subarray(100, 120),
    bytes.subarray(120, 140),
    bytes.subarray(140, 160),
  ]
  assert.equal(
    bytes.toString('hex', 0, 40),
    '0000000000000bb8' + '0000000000001388' + '000000000000012c' + '00000000000001f4' + '00000002' + '00000004',
  )
  assert.equal(slots.readInt32BE((0x434c1d6a % 10) * 4), 3)
  assert.equal(slots.readInt32BE((0x717125c9 % 10) * 4), 2)
  assert.equal(one.toString('hex'), '434c1d6a' + '000000000000012c' + '00000000' + '00000000')
  assert.equal(two.toString('hex'), '717125c9' + '000000000000012c' + '00000000' + '00000000')
  assert.equal(three.toString('hex'), '434c1d6a' + '00000000000001f4' + '00000002' + '00000001')
})

test('until it is saved, the header of a file tells Apache to delete the file after a crash', async () => {
  const disk = new MemoryDisk()
  const index = openIndex(disk)
  putMany(index, 0, 5)
  index.writeSome(10)
  const [file] = disk.list(FOLDER) ?? []
  const opened = disk.open(`${FOLDER}/${file?.name}`)
  const header = Buffer.alloc(40)
  opened.readSync(header, 0, 40, 0)
  assert.equal(header.readBigInt64BE(8), BigInt(Number.MAX_SAFE_INTEGER), 'endTimestamp')
  assert.equal(header.readInt32BE(36), 1, 'indexCount')
  await index.close()
  opened.readSync(header, 0, 40, 0)
  assert.equal(header.readBigInt64BE(8), 4000n, 'endTimestamp')
  opened.close()
})

test('a search is bounded by time and number', async () => {
  const index = openIndex(new MemoryDisk())
  putMany(index, 0, 50)
  assert.deepEqual(await search(index, 'key3', { max: 2 }), [45, 38])
  assert.deepEqual(await search(index, 'key3', { begin: 17_000, end: 40_000 }), [38, 31, 24, 17])
  assert.deepEqual(await search(index, 'unknown'), [])
})

test('a record is indexed once however often it is put, and a rolled back one never', async () => {
  const index = openIndex(new MemoryDisk())
  putMany(index, 0, 10)
  putMany(index, 0, 10)
  index.put(record(10, ['key3'], 0xc))
  assert.deepEqual(await search(index, 'key3'), [3])
})

test('files that only describe deleted records are removed, but not the last', async () => {
  const disk = new MemoryDisk()
  const index = openIndex(disk)
  putMany(index, 0, 50)
  await index.close()
  const again = await reopen(disk)
  await again.dropBefore(2_000)
  assert.equal(disk.list(FOLDER)?.length, 2)
  await again.dropBefore(1e9)
  assert.equal(disk.list(FOLDER)?.length, 1)
})

test('saving waits ten seconds or 256 MiB', async () => {
  const clock = new ManualClock()
  const index = openIndex(new MemoryDisk(), { clock })
  assert.equal(await index.sync(5), 5)
  putMany(index, 0, 3)
  assert.equal(await index.sync(300), 5)
  clock.advance(10_000)
  assert.equal(await index.sync(300), 300)
  putMany(index, 3, 4)
  assert.equal(await index.sync(400), 300)
  assert.equal(await index.sync(300 + 2 ** 28), 300 + 2 ** 28)
})

test('a save writes each file once, however many records come meanwhile', async () => {
  let saves = 0
  let next = 1
  const disk = new FaultyDisk({
    numbers: numbersFrom(1),
    fault: ({ kind }) => {
      if (kind !== 'datasync') return undefined
      assert.ok(++saves < 3, 'the save goes on as long as records come')
      index.put(record(next++, ['during']))
      return undefined
    },
  })
  const index = openIndex(disk)
  index.put(record(0, ['before']))
  index.saveNext()
  assert.equal(await index.sync(100), 100)
  assert.equal(saves, 1)
  index.saveNext()
  assert.equal(await index.sync(200), 200)
  assert.equal(saves, 2, 'the record that came during the first save')
})

test('after a crash exactly the entries below the mark are kept, whatever was lost above it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(55),
      fc.nat(20),
      fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }),
      async (below, above, kept) => {
        const disk = new MemoryDisk()
        const index = openIndex(disk)
        putMany(index, 0, below)
        await index.close()
        const saved = snapshot(disk)
        const more = await reopen(disk)
        putMany(more, below, below + above)
        await more.close()
        loseSectors(disk, saved, kept)
        const again = await reopen(disk, below * 100)
        assert.equal(again.isComplete, true)
        for (let key = 0; key < 7; key++) assert.deepEqual(await search(again, `key${key}`), numbers(below, key))
        putMany(again, below, below + 30)
        await again.close()
        const last = await reopen(disk)
        for (let key = 0; key < 7; key++) assert.deepEqual(await search(last, `key${key}`), numbers(below + 30, key))
      },
    ),
  )
})

function snapshot(disk: Disk): Map<string, Buffer> {
  const files = new Map<string, Buffer>()
  for (const { name, size } of disk.list(FOLDER) ?? []) {
    const bytes = Buffer.alloc(size)
    disk.open(`${FOLDER}/${name}`).readSync(bytes, 0, size, 0)
    files.set(name, bytes)
  }
  return files
}

/** Pieces of 64 bytes become again what they were, unless they are kept. */
function loseSectors(disk: Disk, saved: ReadonlyMap<string, Buffer>, kept: readonly boolean[]): void {
  let sector = 0
  for (const { name, size } of disk.list(FOLDER) ?? []) {
    const before = saved.get(name) ?? Buffer.alloc(size)
    const file = disk.open(`${FOLDER}/${name}`)
    // The header is within one sector: it is old or new as a whole.
    for (let at = 0; at < size; at += at === 0 ? 40 : 64) {
      const end = at === 0 ? 40 : Math.min(at + 64, size)
      if (kept[sector++ % kept.length] === false) file.writeSync(before, at, end, at)
    }
  }
}

test('damage below the mark is noticed, and putting the log again repairs it', async () => {
  const disk = new MemoryDisk()
  const index = openIndex(disk)
  putMany(index, 0, 15)
  await index.close()
  const [name] = [...snapshot(disk).keys()]
  disk.open(`${FOLDER}/${name}`).writeSync(Buffer.alloc(60), 0, 60, 40 + 40 + 5 * 20)
  const again = await reopen(disk, 1_500)
  assert.equal(again.isComplete, false)
  await again.rebuild()
  putMany(again, 0, 15)
  assert.deepEqual(await search(again, 'key3'), numbers(15, 3))
})

test('files of another size are refused with the names of the options', async () => {
  const disk = new MemoryDisk()
  const index = openIndex(disk)
  putMany(index, 0, 50)
  await index.close()
  const other = openIndex(disk, { sizes: { slots: 10, entries: 30 } })
  await assert.rejects(other.load(), { code: 'BAD_FILES', message: /480 bytes.*maxHashSlotNum/ })
})
