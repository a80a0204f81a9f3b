import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '@gantrymq/remoting/testing'
import type { DispatchedRecord } from '../dispatched-record.ts'
import type { Disk } from '../files/disk.ts'
import { MemoryDisk } from '../files/memory-disk.ts'
import type { ConsumeQueue } from './consume-queue.ts'
import { ConsumeQueues } from './consume-queues.ts'

const FOLDER = '/store/consumequeue'

function openQueues(disk: Disk): ConsumeQueues {
  return new ConsumeQueues({ disk, folder: FOLDER, fileBytes: 400, clock: new ManualClock() })
}

async function reopen(disk: Disk, cutAt?: number): Promise<ConsumeQueues> {
  const queues = openQueues(disk)
  await queues.load({ start: 0, end: Number.POSITIVE_INFINITY }, cutAt !== undefined)
  if (cutAt !== undefined) await queues.cut(cutAt)
  return queues
}

function record(queue: ConsumeQueue, queueOffset: number, position: number, sysFlag = 0): DispatchedRecord {
  return {
    position,
    size: 100,
    queue,
    queueOffset,
    tagsCode: 0,
    storeTimestamp: 0,
    sysFlag,
    keyHashes: new Int32Array(0),
    keyCount: 0,
  }
}

/** Puts messages into queue 0 and 1 of a topic in turns, from position 0 on. */
function putMany(queues: ConsumeQueues, count: number, from = 0): void {
  for (let n = from; n < count; n++) {
    queues.put(record(queues.findOrMake('Orders', n % 2), Math.floor(n / 2), n * 100))
  }
}

function shapeOf(queues: ConsumeQueues): string[] {
  return [...queues.all()]
    .map(({ topic, id, minOffset, maxOffset }) => `${topic}-${id}: ${minOffset}..${maxOffset}`)
    .sort()
}

test('queues are found again with their offsets', async () => {
  const disk = new MemoryDisk()
  const queues = openQueues(disk)
  putMany(queues, 101)
  queues.findOrMake('Empty', 4)
  await queues.close()
  const again = await reopen(disk)
  assert.deepEqual(shapeOf(again), ['Orders-0: 0..51', 'Orders-1: 0..50'])
  assert.equal(again.find('Orders', 0)?.nextOffset, 51)
  assert.deepEqual([again.found, again.countDurable], [2, 2])
})

test('names that are no folders are refused', () => {
  const queues = openQueues(new MemoryDisk())
  for (const topic of ['', '.', '..', '../..', 'a/b', 'a\\b', 'a\0b', 'x'.repeat(256), 'ü'.repeat(128)]) {
    assert.throws(() => queues.findOrMake(topic, 0), { code: 'BAD_NAME' })
  }
  for (const id of [-1, 0.5, 2 ** 31, Number.NaN])
    assert.throws(() => queues.findOrMake('Orders', id), { code: 'BAD_NAME' })
  assert.equal(queues.findOrMake('%RETRY%group-Ünïcode', 0).maxOffset, 0)
})

test('prepared and rolled back messages have no unit', () => {
  const queues = openQueues(new MemoryDisk())
  const queue = queues.findOrMake('Orders', 0)
  queues.put(record(queue, 0, 0, 0x4))
  queues.put(record(queue, 0, 100, 0xc))
  queues.put(record(queue, 0, 200, 0x8))
  assert.equal(queue.maxOffset, 1)
})

test('what is durable grows to what was asked for, the oldest units first', async () => {
  const queues = openQueues(new MemoryDisk())
  for (let id = 0; id < 1_050; id++) queues.put(record(queues.findOrMake('Many', id), 0, id * 100))
  assert.equal(await queues.sync(1_000), 1_000)
  assert.equal(await queues.sync(105_000), 101_000, 'a thousand queues at once')
  assert.equal(await queues.sync(105_000), 105_000)
  assert.equal(queues.unwritten, 0)
})

test('units are written in slices', () => {
  const queues = openQueues(new MemoryDisk())
  putMany(queues, 10)
  assert.equal(queues.unwritten, 200)
  assert.equal(queues.writeSome(1), false)
  assert.equal(queues.unwritten, 0)
})

test('after a crash the queues continue with what is put again', async () => {
  const disk = new MemoryDisk()
  const queues = openQueues(disk)
  putMany(queues, 101)
  await queues.close()
  const again = await reopen(disk, 4_700)
  assert.deepEqual(shapeOf(again), ['Orders-0: 0..24', 'Orders-1: 0..23'])
  putMany(again, 101, 40)
  assert.deepEqual(shapeOf(again), ['Orders-0: 0..51', 'Orders-1: 0..50'])
  assert.equal(again.incomplete.size, 0)
})

test('a queue whose files were removed is known by its next message, and rebuilt', async () => {
  const disk = new MemoryDisk()
  const queues = openQueues(disk)
  putMany(queues, 101)
  await queues.close()
  for (const { name } of disk.list(`${FOLDER}/Orders/1`) ?? []) await disk.unlink(`${FOLDER}/Orders/1/${name}`)
  const again = await reopen(disk, 4_700)
  assert.equal(again.found, 1)
  putMany(again, 101, 47)
  assert.deepEqual([...again.incomplete], [again.find('Orders', 1)])
  await again.rebuildIncomplete()
  putMany(again, 101)
  assert.deepEqual(shapeOf(again), ['Orders-0: 0..51', 'Orders-1: 0..50'])
})

test('a queue that lacks a file in between counts as lost after a clean stop', async () => {
  const disk = new MemoryDisk()
  const queues = openQueues(disk)
  putMany(queues, 101)
  await queues.close()
  await disk.unlink(`${FOLDER}/Orders/1/${String(400).padStart(20, '0')}`)
  const again = await reopen(disk)
  assert.deepEqual([again.found, ...shapeOf(again)], [1, 'Orders-0: 0..51', 'Orders-1: 0..0'])
  putMany(again, 101)
  assert.deepEqual(shapeOf(again), ['Orders-0: 0..51', 'Orders-1: 0..50'])
})

test('of files on both sides of a gap after a crash those count that have units below the mark', async () => {
  const disk = new MemoryDisk()
  const queues = openQueues(disk)
  putMany(queues, 101)
  await queues.close()
  const removed = `${FOLDER}/Orders/1/${String(400).padStart(20, '0')}`
  await disk.unlink(removed)
  assert.deepEqual(shapeOf(await reopen(disk, 9_000)), ['Orders-0: 0..45', 'Orders-1: 40..45'])
  assert.equal(disk.list(`${FOLDER}/Orders/1`)?.length, 1)
})

test('of files on both sides of a gap after a crash those above the mark are discarded', async () => {
  const disk = new MemoryDisk()
  const queues = openQueues(disk)
  putMany(queues, 101)
  await queues.close()
  await disk.unlink(`${FOLDER}/Orders/1/${String(400).padStart(20, '0')}`)
  assert.deepEqual(shapeOf(await reopen(disk, 3_000)), ['Orders-0: 0..15', 'Orders-1: 0..15'])
  assert.equal(disk.list(`${FOLDER}/Orders/1`)?.length, 1)
})

test('a queue whose first messages were deleted from the log is rebuilt from the first that is left', async () => {
  const queues = openQueues(new MemoryDisk())
  putMany(queues, 30, 10)
  assert.equal(queues.incomplete.size, 2)
  await queues.rebuildIncomplete()
  putMany(queues, 30, 10)
  assert.deepEqual(shapeOf(queues), ['Orders-0: 5..15', 'Orders-1: 5..15'])
})

test('a queue that lacks its last units is known by its next message, and rebuilt', async () => {
  const disk = new MemoryDisk()
  const queues = openQueues(disk)
  putMany(queues, 101)
  await queues.close()
  await disk.unlink(`${FOLDER}/Orders/1/${String(800).padStart(20, '0')}`)
  const again = await reopen(disk, 9_000)
  putMany(again, 101, 90)
  assert.deepEqual([...again.incomplete], [again.find('Orders', 1)])
  await again.rebuildIncomplete()
  putMany(again, 101)
  assert.deepEqual(shapeOf(again), ['Orders-0: 0..51', 'Orders-1: 0..50'])
  await again.close()
  assert.deepEqual(shapeOf(await reopen(disk)), ['Orders-0: 0..51', 'Orders-1: 0..50'])
})

test('a message that is missing in the log leaves a gap when its queue is rebuilt', async () => {
  const queues = openQueues(new MemoryDisk())
  const queue = queues.findOrMake('Orders', 0)
  await queues.rebuildIncomplete()
  queues.put(record(queue, 0, 0))
  queues.put(record(queue, 3, 300))
  queues.put(record(queue, 2 ** 40, 400))
  assert.equal(queue.maxOffset, 4)
  assert.deepEqual(await queue.unit(3), { position: 300, size: 100, tagsCode: 0 })
})

test('a topic that was deleted and made again has only its new messages after the log is put again', async () => {
  const disk = new MemoryDisk()
  const queues = openQueues(disk)
  const queue = queues.findOrMake('Orders', 0)
  for (let n = 0; n < 50; n++) queues.put(record(queue, n, n * 100))
  for (let n = 0; n < 3; n++) queues.put(record(queue, n, 5_000 + n * 100))
  assert.deepEqual(shapeOf(queues), ['Orders-0: 0..3'])
  await queues.close()
  assert.deepEqual(shapeOf(await reopen(disk)), ['Orders-0: 0..3'])
})

test('a deleted topic leaves no folder, and what is still put does not bring it back', async () => {
  const disk = new MemoryDisk()
  const queues = openQueues(disk)
  putMany(queues, 30)
  await queues.sync(3_000)
  const [queue] = [...queues.all('Orders')]
  const taken = queues.takeOut('Orders')
  assert.throws(() => queues.findOrMake('Orders', 0), { code: 'BEING_DELETED' })
  await queues.removeFiles(taken)
  assert.equal(disk.exists(`${FOLDER}/Orders`), false)
  queues.put(record(queue as ConsumeQueue, 15, 3_000))
  await queues.close()
  assert.deepEqual(shapeOf(await reopen(disk)), [])
  assert.equal(queues.findOrMake('Orders', 0).nextOffset, 0)
})

test('a queue whose file cannot be read does not keep the units of others from being deleted', async () => {
  const disk = new MemoryDisk()
  const queues = openQueues(disk)
  putMany(queues, 120)
  await queues.sync(120 * 100)
  const again = await reopen(disk)
  await disk.unlink(`${FOLDER}/Orders/0/00000000000000000000`)
  await assert.rejects(again.dropBefore(100 * 100), { code: 'READ_FAILED' })
  assert.deepEqual([again.find('Orders', 0)?.minOffset, again.find('Orders', 1)?.minOffset], [0, 50])
})
