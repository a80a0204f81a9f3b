import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { numbersFrom } from '@gantrymq/remoting/testing'
import { SegmentList } from '../files/segment-list.ts'
import { MessageStore } from '../message-store.ts'
import { FaultyDisk } from '../testing/faulty-disk.ts'
import { message, Turns } from '../testing/store-fixture.ts'
import { LogBlocks } from './log-blocks.ts'

const FILE = '/store/commitlog/00000000000000000000'
const BLOCK_BYTES = 512

/** The blocks of a log with records of 20 messages, which are on the disk only, and where each record is. */
async function logOnDisk() {
  const disk = new FaultyDisk({ numbers: numbersFrom(1) })
  const turns = new Turns()
  const store = await MessageStore.open({ disk, root: '/store', schedule: turns.schedule, logFileBytes: 16_384 })
  const queue = store.queueFor('TopicA', 0)
  const records: { position: number; size: number }[] = []
  for (let n = 0; n < 20; n++) {
    store.append(message(queue, `message ${n}`))
    records.push({ position: store.appended.position, size: store.appended.size })
  }
  turns.end()
  await store.close()
  const segments = new SegmentList(disk, '/store/commitlog', 16_384)
  await segments.load(false)
  const blocks = new LogBlocks({ segments, blockBytes: BLOCK_BYTES, count: 16, pinnedFrom: () => 16_384 })
  const end = records.at(-1) as { position: number; size: number }
  await blocks.load(0, end.position + end.size)
  return { disk, blocks, records }
}

const isInOneBlock = ({ position, size }: { position: number; size: number }) =>
  Math.floor(position / BLOCK_BYTES) === Math.floor((position + size - 1) / BLOCK_BYTES)

test('each record of a block from the disk is found whole, as often as it is asked for', async () => {
  const { blocks, records } = await logOnDisk()
  assert.ok(records.some(isInOneBlock) && !records.every(isInOneBlock), 'some records cross blocks')
  for (let times = 0; times < 2; times++) {
    for (const { position, size } of records) assert.ok(blocks.isRecord(position, size), `${position}`)
  }
})

test('only records are found whole: not other positions and sizes near one that was', async () => {
  const { blocks, records } = await logOnDisk()
  for (const { position, size } of records) assert.ok(blocks.isRecord(position, size))
  for (const { position, size } of records) {
    for (const [at, length] of [
      [position + 1, size],
      [position - 1, size],
      [position, size + 1],
      [position, size - 1],
    ] as const) {
      assert.equal(at >= 0 && blocks.isRecord(at, length), false, `${at} ${length}`)
    }
  }
})

test('a damaged record is never found whole, though its neighbours are', async () => {
  for (let damaged = 0; damaged < 20; damaged++) {
    const { disk, blocks, records } = await logOnDisk()
    const { position, size } = records[damaged] as { position: number; size: number }
    disk.open(FILE).writeSync(Buffer.from('X'), 0, 1, position + 88)
    blocks.dropFrom(0)
    await blocks.load(0, 16_384 / 4)
    for (let times = 0; times < 2; times++) {
      for (const [n, record] of records.entries()) {
        assert.equal(blocks.isRecord(record.position, record.size), n !== damaged, `${n} with ${damaged} damaged`)
      }
    }
    assert.equal(blocks.isRecord(position, size), false)
  }
})

test('a block that is read from the disk again is checked again', async () => {
  const { disk, blocks, records } = await logOnDisk()
  const record = records.find(isInOneBlock) as { position: number; size: number }
  assert.ok(blocks.isRecord(record.position, record.size))
  disk.open(FILE).writeSync(Buffer.from('X'), 0, 1, record.position + 88)
  blocks.dropFrom(0)
  await blocks.load(record.position, record.size)
  assert.equal(blocks.isRecord(record.position, record.size), false)
})

test('a block that was pushed out and is read again is not checked again, but the heads of its records are', async () => {
  const { disk, blocks, records } = await logOnDisk()
  const [first, second] = records.filter(isInOneBlock) as [(typeof records)[0], (typeof records)[0]]
  for (const { position, size } of [first, second]) assert.ok(blocks.isRecord(position, size))
  const file = disk.open(FILE)
  file.writeSync(Buffer.from('X'), 0, 1, first.position + 88)
  file.writeSync(Buffer.from('X'), 0, 1, second.position)
  await blocks.load(8192, 8192)
  assert.equal(blocks.find(first.position), undefined)
  await blocks.load(first.position, second.position + second.size - first.position)
  assert.equal(blocks.isRecord(first.position, first.size), true)
  assert.equal(blocks.isRecord(second.position, second.size), false)
})

test('what was found whole is forgotten with the file, and behind a cut', async () => {
  for (const forget of ['dropBefore', 'dropFrom'] as const) {
    const { disk, blocks, records } = await logOnDisk()
    const record = records.find(isInOneBlock) as (typeof records)[0]
    assert.ok(blocks.isRecord(record.position, record.size))
    await blocks.load(8192, 8192)
    assert.equal(blocks.find(record.position), undefined)
    disk.open(FILE).writeSync(Buffer.from('X'), 0, 1, record.position + 88)
    blocks[forget](forget === 'dropFrom' ? record.position : 8192)
    await blocks.load(record.position, record.size)
    assert.equal(blocks.isRecord(record.position, record.size), false, forget)
  }
})

test('blocks that a reader needs soon are read, unless as many reads are under way already', async () => {
  const { blocks } = await logOnDisk()
  await blocks.load(0, 1)
  blocks.dropFrom(0)
  // From one block to the next.
  blocks.loadSoon(BLOCK_BYTES - 1, 2)
  blocks.loadSoon(2 * BLOCK_BYTES, 1)
  assert.equal(blocks.has(0, 1), false)
  await turn()
  assert.deepEqual(
    [0, 1, 2].map(block => blocks.has(block * BLOCK_BYTES, 1)),
    [true, true, false],
  )
  blocks.loadSoon(3 * BLOCK_BYTES - 1, 2)
  await turn()
  assert.deepEqual(
    [2, 3].map(block => blocks.has(block * BLOCK_BYTES, 1)),
    [true, true],
  )
})
