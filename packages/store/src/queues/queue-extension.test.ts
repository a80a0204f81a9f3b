import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '@gantrymq/remoting/testing'
import type { Disk } from '../files/disk.ts'
import { MemoryDisk } from '../files/memory-disk.ts'
import type { ConsumeQueue } from './consume-queue.ts'
import { ConsumeQueues } from './consume-queues.ts'

const EXTENSIONS = '/store/consumequeue_ext'

/** Files of 5 extensions and a rest of 8 bytes. */
function openQueues(disk: Disk, isWritten = true): ConsumeQueues {
  return new ConsumeQueues({
    disk,
    folder: '/store/consumequeue',
    fileBytes: 400,
    extension: { folder: EXTENSIONS, fileBytes: 108, isWritten },
    clock: new ManualClock(),
  })
}

async function reopen(disk: Disk, cutAt?: number, isWritten = true): Promise<ConsumeQueue> {
  const queues = openQueues(disk, isWritten)
  await queues.load({ start: 0, end: Number.POSITIVE_INFINITY }, cutAt !== undefined)
  if (cutAt !== undefined) await queues.cut(cutAt)
  return queues.findOrMake('Orders', 0)
}

function putMany(queue: ConsumeQueue, from: number, to: number): void {
  for (let offset = from; offset < to; offset++) queue.put(offset, offset * 100, 100, offset * 7, 1_000 + offset)
}

async function tagsOf(queue: ConsumeQueue): Promise<(number | undefined)[]> {
  const tags: (number | undefined)[] = []
  for (let offset = queue.minOffset; offset < queue.maxOffset; offset++) tags.push((await queue.unit(offset))?.tagsCode)
  return tags
}

function sevens(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => (from + index) * 7)
}

function bytesOf(disk: Disk, path: string): Buffer {
  const file = disk.open(path)
  const bytes = Buffer.alloc(file.size)
  file.readSync(bytes, 0, file.size, 0)
  return bytes
}

test('the tags of units are kept beside them, in memory and in files', async () => {
  const disk = new MemoryDisk()
  const queue = openQueues(disk).findOrMake('Orders', 0)
  putMany(queue, 0, 33)
  assert.deepEqual(await tagsOf(queue), sevens(0, 33))
  await queue.sync()
  queue.releaseTail()
  assert.deepEqual(await tagsOf(queue), sevens(0, 33))
  const again = await reopen(disk)
  putMany(again, 33, 35)
  assert.deepEqual(await tagsOf(again), sevens(0, 35))
})

test('extensions have the bytes of Apache, and an end of file that it knows', async () => {
  const disk = new MemoryDisk()
  const queue = openQueues(disk).findOrMake('Orders', 0)
  putMany(queue, 0, 6)
  await queue.sync()
  const first = bytesOf(disk, `${EXTENSIONS}/Orders/0/00000000000000000000`)
  assert.equal(first.length, 108)
  assert.equal(first.toString('hex', 20, 40), '0014' + '0000000000000007' + '00000000000003e9' + '0000')
  assert.equal(first.toString('hex', 100, 108), 'ffff000000000000')
  const second = bytesOf(disk, `${EXTENSIONS}/Orders/0/00000000000000000108`)
  assert.equal(second.readBigInt64BE(2), 35n)
  const units = bytesOf(disk, '/store/consumequeue/Orders/0/00000000000000000000')
  assert.equal(units.readBigInt64BE(5 * 20 + 12), 108n - 2n ** 63n)
})

test('after a crash extensions end with those of the units that are left', async () => {
  const disk = new MemoryDisk()
  const queue = openQueues(disk).findOrMake('Orders', 0)
  putMany(queue, 0, 33)
  await queue.sync()
  const again = await reopen(disk, 1_200)
  assert.deepEqual(await tagsOf(again), sevens(0, 12))
  putMany(again, 12, 40)
  await again.sync()
  assert.deepEqual(await tagsOf(await reopen(disk)), sevens(0, 40))
})

test('tags whose extension is lost are unknown, those of new units are not', async () => {
  const disk = new MemoryDisk()
  const queue = openQueues(disk).findOrMake('Orders', 0)
  putMany(queue, 0, 3)
  await queue.sync()
  await disk.unlink(`${EXTENSIONS}/Orders/0/00000000000000000000`)
  const again = await reopen(disk)
  putMany(again, 3, 5)
  assert.deepEqual(await tagsOf(again), [undefined, undefined, undefined, 21, 28])
})

test('extensions of an earlier time are read, and new units do without', async () => {
  const disk = new MemoryDisk()
  const queue = openQueues(disk).findOrMake('Orders', 0)
  putMany(queue, 0, 7)
  await queue.sync()
  const again = await reopen(disk, undefined, false)
  putMany(again, 7, 9)
  assert.deepEqual(await tagsOf(again), sevens(0, 9))
  await again.sync()
  const units = bytesOf(disk, '/store/consumequeue/Orders/0/00000000000000000000')
  assert.equal(units.readBigInt64BE(8 * 20 + 12), 56n)
})

test('files of extensions go with the units that point to them', async () => {
  const disk = new MemoryDisk()
  const queues = openQueues(disk)
  const queue = queues.findOrMake('Orders', 0)
  putMany(queue, 0, 33)
  await queue.sync()
  assert.equal(disk.list(`${EXTENSIONS}/Orders/0`)?.length, 7)
  await queue.deleteBefore(1_200)
  assert.equal(disk.list(`${EXTENSIONS}/Orders/0`)?.length, 5)
  assert.deepEqual(await tagsOf(queue), sevens(12, 33))
  await queues.removeFiles(queues.takeOut('Orders'))
  assert.equal(disk.exists(`${EXTENSIONS}/Orders`), false)
})
