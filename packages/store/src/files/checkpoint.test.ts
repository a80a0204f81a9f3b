import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Checkpoint, type CheckpointContent } from './checkpoint.ts'
import { writeAllSync } from './disk.ts'
import { MemoryDisk } from './memory-disk.ts'

const PATH = '/checkpoint'
const content: CheckpointContent = {
  mark: 2 ** 40 + 7,
  times: { log: 1_700_000_000_001, queues: 1_700_000_000_002, index: 1_700_000_000_003 },
  queueFolders: 5,
  indexFiles: 2,
  units: 1_000,
}

async function written(): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  await Checkpoint.open(disk, '/').write(content)
  return disk
}

function change(disk: MemoryDisk, at: number, bytes: Buffer): void {
  writeAllSync(disk.open(PATH), bytes, 0, bytes.length, at)
}

test('a checkpoint is read as it was written', async () => {
  const { mark, times, queueFolders, indexFiles, units } = Checkpoint.open(await written(), '/')
  assert.deepEqual({ mark, times, queueFolders, indexFiles, units }, content)
})

test('a new checkpoint has no mark, and times of 0', () => {
  const { mark, times, units } = Checkpoint.open(new MemoryDisk(), '/')
  assert.deepEqual([mark, times, units], [undefined, { log: 0, queues: 0, index: 0 }, undefined])
})

test("the times stand where Apache's StoreCheckpoint reads them, in a file of 4096 bytes", async () => {
  const disk = await written()
  const bytes = Buffer.alloc(24)
  const file = disk.open(PATH)
  file.readSync(bytes, 0, 24, 0)
  assert.deepEqual([file.size, bytes.toString('hex')], [4096, '0000018bcfe568010000018bcfe568020000018bcfe56803'])
})

test('what Apache 5 keeps behind the times stays', async () => {
  const disk = new MemoryDisk()
  disk.create(PATH, 4096)
  change(disk, 24, Buffer.alloc(16, 0xab))
  await Checkpoint.open(disk, '/').write(content)
  const bytes = Buffer.alloc(16)
  disk.open(PATH).readSync(bytes, 0, 16, 24)
  assert.deepEqual(bytes, Buffer.alloc(16, 0xab))
})

test('the mark does not count when an Apache broker has changed a time since', async () => {
  for (const at of [7, 15, 23]) {
    const disk = await written()
    change(disk, at, Buffer.from([0x77]))
    const checkpoint = Checkpoint.open(disk, '/')
    assert.deepEqual([checkpoint.mark, checkpoint.queueFolders, checkpoint.units], [undefined, 0, undefined])
    assert.notDeepEqual(checkpoint.times, content.times)
  }
})

test('a torn or damaged mark does not count, and the times do', async () => {
  for (let at = 1024; at < 1084; at++) {
    const disk = await written()
    const byte = Buffer.alloc(1)
    disk.open(PATH).readSync(byte, 0, 1, at)
    change(disk, at, Buffer.from([(byte[0] as number) ^ 0x10]))
    const checkpoint = Checkpoint.open(disk, '/')
    assert.equal(checkpoint.mark, undefined, `byte ${at}`)
    assert.deepEqual(checkpoint.times, content.times)
  }
})

test('a file that is too short is completed', () => {
  const disk = new MemoryDisk()
  disk.create(PATH, 100)
  assert.equal(Checkpoint.open(disk, '/').mark, undefined)
  assert.equal(disk.open(PATH).size, 4096)
})
