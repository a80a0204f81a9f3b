import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryDisk } from './memory-disk.ts'
import { SegmentList } from './segment-list.ts'

const SIZE = 100

function list(disk = new MemoryDisk()): { disk: MemoryDisk; segments: SegmentList } {
  disk.makeFolder('/log')
  return { disk, segments: new SegmentList(disk, '/log', SIZE) }
}

function file(disk: MemoryDisk, name: string, size = SIZE): void {
  disk.makeFolder('/log')
  disk.create(`/log/${name}`, size)
}

const name = (start: number) => String(start).padStart(20, '0')

test('files are found by position, and named after their start', async () => {
  const { disk, segments } = list()
  for (const start of [300, 100, 200]) file(disk, name(start))
  disk.makeFolder('/log/folder')
  await segments.load(false)
  assert.deepEqual(segments.all.map(({ start }) => start), [100, 200, 300]) // biome-ignore format: one line
  assert.deepEqual([99, 100, 199, 200, 399, 400].map(at => segments.find(at)?.start), [undefined, 100, 100, 200, 300, undefined]) // biome-ignore format: one line
  segments.adopt(segments.create(400))
  assert.deepEqual([segments.find(450)?.path, segments.last?.start], [`/log/${name(400)}`, 400])
})

test('a missing file in between hides no other', async () => {
  const { disk, segments } = list()
  for (const start of [0, 300, 400]) file(disk, name(start))
  await segments.load(false)
  assert.deepEqual([50, 150, 350, 450].map(at => segments.find(at)?.start), [0, undefined, 300, 400]) // biome-ignore format: one line
  assert.deepEqual([segments.next(100)?.start, segments.next(401)?.start], [300, undefined])
})

test('files of another size, and other files, are refused with what to do', async () => {
  for (const [other, size, message] of [
    [name(100), 50, /50 bytes where files of 100 are expected\. Set the size .*truncate -s 100/],
    [name(100), 150, /150 bytes where files of 100/],
    [name(150), 100, /has 100 bytes where files of 100/],
    ['notes.txt', 100, /notes\.txt is not a file of the store/],
    [`${name(100)}.bak`, 100, /is not a file of the store/],
  ] as const) {
    const { disk, segments } = list()
    file(disk, name(0))
    file(disk, other, size)
    await assert.rejects(segments.load(false), { code: 'BAD_FILES', message })
  }
})

test('after a crash a file that is too short is completed', async () => {
  const { disk, segments } = list()
  file(disk, name(0))
  file(disk, name(100), 0)
  await segments.load(true)
  assert.equal(disk.list('/log')?.find(entry => entry.name === name(100))?.size, SIZE)
})

test('a removed file is closed when its last read has ended', async () => {
  const { disk, segments } = list()
  segments.adopt(segments.create(0))
  const [segment] = segments.all
  const into = Buffer.alloc(10)
  const reading = segment?.read(into, 0, 10, 0)
  if (segment !== undefined) await segments.remove(segment)
  await reading
  assert.deepEqual([segments.all.length, disk.list('/log')], [0, []])
  assert.throws(() => segment?.readSync(into, 0, 10, 0), { code: 'CLOSED' })
})
