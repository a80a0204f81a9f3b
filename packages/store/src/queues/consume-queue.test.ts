import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stringHash } from '@gantrymq/protocol'
import fc from 'fast-check'
import { type Disk, diskError } from '../files/disk.ts'
import { MemoryDisk } from '../files/memory-disk.ts'
import { OpenFiles } from '../files/open-files.ts'
import { ConsumeQueue, type SharedByQueues, UnsavedQueues } from './consume-queue.ts'
import { findFiles } from './queue-files.ts'
import { writeUnit } from './queue-unit.ts'
import { TailMemory } from './tail-memory.ts'
import { blockBytesFor, UnitBlocks } from './unit-blocks.ts'

const FOLDER = '/store/consumequeue/Orders/3'

/** Files of 20 units as in Apache's own tests, unless said otherwise. */
function openQueue(
  disk: Disk,
  fileBytes = 400,
  maxTailBytes = 1 << 20,
): { queue: ConsumeQueue; shared: SharedByQueues } {
  const blocks = new UnitBlocks(blockBytesFor(fileBytes, 20, 20_000), 4 * fileBytes)
  const shared = {
    files: new OpenFiles(disk, '/store'),
    blocks,
    tails: new TailMemory(blocks, maxTailBytes),
    unsaved: new UnsavedQueues(),
    lastSerial: 0,
    fileBytes,
  }
  const runs = findFiles(shared.files, FOLDER, fileBytes, 'mappedFileSizeConsumeQueue')
  const keyPrefixHash = stringHash('Orders#')
  return {
    queue: new ConsumeQueue({
      topic: 'Orders',
      topicBytes: Buffer.from('Orders'),
      id: 3,
      keyPrefixHash,
      folder: FOLDER,
      shared,
      runs,
    }),
    shared,
  }
}

function reopen(disk: Disk, limit = Number.POSITIVE_INFINITY, fileBytes = 400): ConsumeQueue {
  const { queue } = openQueue(disk, fileBytes)
  queue.recover(limit, 0)
  return queue
}

/** Puts units of records of 100 bytes, each with the tags code of its offset. */
function putMany(queue: ConsumeQueue, from: number, to: number): void {
  for (let offset = from; offset < to; offset++) assert.ok(queue.put(offset, offset * 100, 100, -offset, 0))
}

async function tagsOf(queue: ConsumeQueue): Promise<number[]> {
  const tags: number[] = []
  for (let offset = queue.minOffset; offset < queue.maxOffset; offset++) {
    const unit = await queue.unit(offset)
    assert.equal(unit?.position, offset * 100)
    tags.push(0 - (unit.tagsCode ?? Number.NaN))
  }
  return tags
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index)
}

function bytesOf(disk: Disk, name: string, from: number, to: number): string {
  const bytes = Buffer.alloc(to - from)
  disk.open(`${FOLDER}/${name}`).readSync(bytes, 0, bytes.length, from)
  return bytes.toString('hex')
}

for (const limit of [0, 1000]) {
  test(`with ${limit} bytes for tails a queue keeps its newest units, once all are written`, async () => {
    const { queue, shared } = openQueue(new MemoryDisk(), 20 * 300, limit)
    const view = { bytes: Buffer.alloc(0), at: 0 }
    for (const max of [40, 50, 51, 250, 258, 263, 269, 299, 300, 301, 330, 450, 600, 610, 1000]) {
      putMany(queue, queue.maxOffset, max)
      if (max === 250) assert.ok(shared.tails.bytes > 1000)
      queue.write()
      assert.ok(shared.tails.bytes <= 1000)
      for (let offset = Math.max(max - 8, max - (max % 300)); offset < max; offset++) {
        assert.ok(queue.unitsAt(offset, view) > 0, `unit ${offset} of ${max} is in memory`)
      }
      assert.deepEqual(await tagsOf(queue), range(0, max))
    }
    queue.retire()
    assert.equal(shared.tails.bytes, 0)
  })
}

test('without memory for tails a queue that is written often stays in the smallest', () => {
  const { queue, shared } = openQueue(new MemoryDisk(), 20 * 300, 0)
  for (let offset = 0; offset < 1000; offset++) {
    putMany(queue, offset, offset + 1)
    assert.equal(shared.tails.bytes, offset % 300 === 0 && offset > 0 ? 2 * 320 : 320, `at ${offset}`)
    queue.write()
  }
})

test('units are read from memory before they are written, and from the files after', async () => {
  const disk = new MemoryDisk()
  const { queue } = openQueue(disk)
  putMany(queue, 0, 50)
  assert.deepEqual(await tagsOf(queue), range(0, 50))
  assert.equal(disk.exists(FOLDER), false)
  await queue.sync()
  queue.releaseTail()
  assert.deepEqual(await tagsOf(queue), range(0, 50))
  assert.deepEqual(await tagsOf(reopen(disk)), range(0, 50))
})

test('a queue that was opened again continues behind its last unit', async () => {
  const disk = new MemoryDisk()
  const { queue } = openQueue(disk)
  putMany(queue, 0, 20)
  await queue.sync()
  const again = reopen(disk)
  assert.equal(again.nextOffset, 20)
  putMany(again, 20, 27)
  await again.sync()
  assert.deepEqual(await tagsOf(reopen(disk)), range(0, 27))
})

test('a file is created with its first unit and has its full size', async () => {
  const disk = new MemoryDisk()
  const { queue } = openQueue(disk)
  putMany(queue, 0, 20)
  await queue.sync()
  assert.deepEqual(
    disk.list(FOLDER)?.map(({ name, size }) => [name, size]),
    [['00000000000000000000', 400]],
  )
  putMany(queue, 20, 21)
  await queue.sync()
  assert.equal(disk.list(FOLDER)?.length, 2)
})

test('a queue whose first offset is 45 fills the units before it as Apache does', async () => {
  const disk = new MemoryDisk()
  const { queue } = openQueue(disk)
  assert.ok(queue.put(45, 4500, 100, -45, 0))
  assert.equal(queue.minOffset, 45)
  await queue.sync()
  const blank = '00000000000000007fffffff0000000000000000'
  assert.equal(bytesOf(disk, '00000000000000000800', 0, 100), blank.repeat(5))
  assert.equal(bytesOf(disk, '00000000000000000800', 100, 120), '00000000000011940000006' + '4ffffffffffffffd3')
  const again = reopen(disk)
  assert.deepEqual([again.minOffset, again.maxOffset], [45, 46])
})

test('putting a record again changes nothing', () => {
  const { queue } = openQueue(new MemoryDisk())
  putMany(queue, 0, 5)
  assert.ok(queue.put(3, 300, 100, 99, 0))
  assert.equal(queue.maxOffset, 5)
})

test('a unit that leaves a gap, or goes back, is refused', () => {
  const { queue } = openQueue(new MemoryDisk())
  putMany(queue, 0, 5)
  assert.equal(queue.put(7, 700, 100, 0, 0), false)
  assert.equal(queue.put(2, 700, 100, 0, 0), false)
  assert.equal(queue.maxOffset, 5)
})

test('a tail starts with 16 units, and does not grow beyond a block', async () => {
  const disk = new MemoryDisk()
  const { queue, shared } = openQueue(disk, 6_000_000)
  putMany(queue, 0, 2_500)
  assert.equal(shared.blocks.blockBytes, 20_000)
  assert.equal(shared.unsaved.bytes, 50_000)
  queue.write()
  assert.equal(shared.unsaved.bytes, 0)
  assert.deepEqual(await tagsOf(queue), range(0, 2_500))
})

test('a block that was read while the queue grew is read again', async () => {
  const disk = new MemoryDisk()
  const { queue } = openQueue(disk, 6_000_000)
  putMany(queue, 0, 10)
  await queue.sync()
  queue.releaseTail()
  await queue.unit(3)
  putMany(queue, 10, 20)
  await queue.sync()
  queue.releaseTail()
  assert.deepEqual(await tagsOf(queue), range(0, 20))
})

test('after a crash units of records at and above the mark are discarded, with the files that had only those', async () => {
  const disk = new MemoryDisk()
  const { queue } = openQueue(disk)
  putMany(queue, 0, 70)
  await queue.sync()
  const again = reopen(disk, 3_000)
  assert.deepEqual(await tagsOf(again), range(0, 30))
  await again.sync()
  assert.equal(disk.list(FOLDER)?.length, 2)
  putMany(again, 30, 33)
  await again.sync()
  assert.deepEqual(await tagsOf(reopen(disk)), range(0, 33))
})

test('a mark below all units leaves an empty queue', async () => {
  const disk = new MemoryDisk()
  const { queue } = openQueue(disk)
  putMany(queue, 5, 50)
  await queue.sync()
  const again = reopen(disk, 0)
  assert.deepEqual(await tagsOf(again), [])
  putMany(again, 5, 6)
  assert.deepEqual(await tagsOf(again), [5])
})

test('whatever sectors a power failure loses above the mark, exactly the units below it are kept', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(200),
      fc.nat(200),
      fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }),
      async (below, above, kept) => {
        const disk = new MemoryDisk()
        const { queue } = openQueue(disk, 2_000)
        putMany(queue, 0, below + above)
        await queue.sync()
        loseSectors(disk, below * 20, 2_000, kept)
        assert.deepEqual(await tagsOf(reopen(disk, below * 100, 2_000)), range(0, below))
      },
    ),
  )
})

/** Sectors with bytes from `from` on lose those, unless they are kept. */
function loseSectors(disk: Disk, from: number, fileBytes: number, kept: readonly boolean[]): void {
  let sector = 0
  for (const { name } of disk.list(FOLDER) ?? []) {
    const file = disk.open(`${FOLDER}/${name}`)
    for (let at = 0; at < fileBytes; at += 512) {
      const lost = Math.max(from - Number(name), at)
      const end = Math.min(at + 512, fileBytes)
      if (kept[sector++ % kept.length] === true || lost >= end) continue
      file.writeSync(Buffer.alloc(end - lost), 0, end - lost, lost)
    }
  }
}

test('the end of a long queue is found at any mark, and behind damage after a clean stop', async () => {
  const disk = new MemoryDisk()
  const { queue } = openQueue(disk, 80_000)
  putMany(queue, 0, 7_300)
  await queue.sync()
  const path = `${FOLDER}/${String(80_000).padStart(20, '0')}`
  for (const damaged of [0, 1, 999, 1_000, 1_001, 2_500, 3_297]) {
    disk.open(path).writeSync(Buffer.alloc(20, 0xff), 0, 20, damaged * 20)
    assert.equal(reopen(disk, Number.POSITIVE_INFINITY, 80_000).maxOffset, 7_300, `damaged ${damaged}`)
    const unit = Buffer.alloc(20)
    writeUnit(unit, 0, (4_000 + damaged) * 100, 100, 0)
    disk.open(path).writeSync(unit, 0, 20, damaged * 20)
  }
  for (const mark of [7_300, 7_299, 7_001, 7_000, 6_999, 5_001, 5_000, 4_999, 4_001, 4_000, 3_999, 1_000, 999, 1, 0]) {
    assert.equal(reopen(disk, mark * 100, 80_000).maxOffset, mark, `mark ${mark}`)
  }
})

test('files that a crash left short are completed', async () => {
  const disk = new MemoryDisk()
  const { queue } = openQueue(disk)
  putMany(queue, 0, 30)
  await queue.sync()
  disk.open(`${FOLDER}/00000000000000000400`).truncate(100)
  assert.deepEqual(await tagsOf(reopen(disk)), range(0, 25))
  assert.equal(disk.open(`${FOLDER}/00000000000000000400`).size, 400)
  disk.open(`${FOLDER}/00000000000000000000`).truncate(0)
  assert.deepEqual(await tagsOf(reopen(disk, 0)), [])
})

test('files of another size are refused with their name and the option', async () => {
  const disk = new MemoryDisk()
  const { queue } = openQueue(disk)
  putMany(queue, 0, 30)
  await queue.sync()
  assert.throws(() => openQueue(disk, 200), {
    code: 'BAD_FILES',
    message: /00000000000000000000 has 400.*mappedFileSizeConsumeQueue/,
  })
})

test('deleting the start of the log moves the minimum and removes files that only point there', async () => {
  const disk = new MemoryDisk()
  const { queue } = openQueue(disk)
  putMany(queue, 0, 70)
  await queue.sync()
  await queue.deleteBefore(4_550)
  assert.equal(queue.minOffset, 46)
  assert.deepEqual(disk.list(FOLDER)?.length, 2)
  await queue.deleteBefore(100_000)
  assert.deepEqual([queue.minOffset, queue.maxOffset, disk.list(FOLDER)?.length], [70, 70, 1])
  putMany(queue, 70, 72)
  assert.deepEqual(await tagsOf(queue), [70, 71])
})

test('units that a full disk refuses stay readable, and are written when there is room', async () => {
  const disk = new MemoryDisk({ capacity: 16_384 })
  const { queue, shared } = openQueue(disk)
  const hog = disk.create('/hog', 16_384)
  hog.writeSync(Buffer.alloc(16_384, 1), 0, 16_384, 0)
  putMany(queue, 0, 50)
  await assert.rejects(queue.sync(), { code: 'ENOSPC' })
  assert.deepEqual(await tagsOf(queue), range(0, 50))
  assert.equal(shared.unsaved.bytes, 1_000)
  await disk.unlink('/hog')
  await queue.sync()
  assert.deepEqual(await tagsOf(reopen(disk)), range(0, 50))
})

test('a first file whose blank units could not be written is begun again', async () => {
  const disk = new MemoryDisk()
  const { queue } = openQueue(disk)
  assert.ok(queue.put(15, 1500, 100, -15, 0))
  let isFull = true
  const create = disk.create.bind(disk)
  disk.create = (path, size) => {
    const file = create(path, size)
    const writeSync = file.writeSync.bind(file)
    file.writeSync = (...given) => {
      if (isFull) throw diskError('ENOSPC', 'no space')
      return writeSync(...given)
    }
    return file
  }
  assert.throws(() => queue.write(), { code: 'ENOSPC' })
  isFull = false
  await queue.sync()
  const again = reopen(disk)
  assert.deepEqual([again.minOffset, again.maxOffset], [15, 16])
})

test('a disk that reads a few bytes at a time is read to the end', async () => {
  const disk = new MemoryDisk()
  const { queue } = openQueue(disk)
  putMany(queue, 0, 45)
  await queue.sync()
  const open = disk.open.bind(disk)
  disk.open = path => {
    const file = open(path)
    const [read, readSync] = [file.read.bind(file), file.readSync.bind(file)]
    file.read = (into, from, to, at) => read(into, from, Math.min(to, from + 7), at)
    file.readSync = (into, from, to, at) => readSync(into, from, Math.min(to, from + 7), at)
    return file
  }
  assert.deepEqual(await tagsOf(reopen(disk)), range(0, 45))
})
