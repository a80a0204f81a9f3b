import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bodyCrc, encodeMessage } from '@gantrymq/protocol'
import fc from 'fast-check'
import type { OpenFile } from '../files/disk.ts'
import { MemoryDisk } from '../files/memory-disk.ts'
import { SegmentList } from '../files/segment-list.ts'
import { LogScan } from './log-scan.ts'

const FOLDER = '/store/commitlog'
const FILE_BYTES = 20_000
const WINDOW_BYTES = 1_000

function record(position: number, bodyBytes: number): Buffer {
  const body = Buffer.alloc(bodyBytes, 'a')
  return encodeMessage({
    topic: 'TopicA',
    body,
    bodyCrc: bodyCrc(body),
    properties: new Map(),
    queueId: 0,
    flag: 0,
    sysFlag: 0,
    queueOffset: 0,
    physicalOffset: position,
    bornTimestamp: 1,
    bornHost: { ip: '127.0.0.1', port: 1 },
    storeTimestamp: 1,
    storeHost: { ip: '127.0.0.1', port: 2 },
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
  })
}

/** A log file with records of the given body sizes one behind the other, as many as fit. */
async function logWith(bodySizes: readonly number[], disk = new MemoryDisk()) {
  disk.makeFolder(FOLDER)
  const file = disk.create(`${FOLDER}/${'0'.repeat(20)}`, FILE_BYTES)
  const positions: number[] = []
  let end = 0
  for (const size of bodySizes) {
    const bytes = record(end, size)
    if (end + bytes.length > FILE_BYTES) break
    file.writeSync(bytes, 0, bytes.length, end)
    positions.push(end)
    end += bytes.length
  }
  file.close()
  const segments = new SegmentList(disk, FOLDER, FILE_BYTES)
  await segments.load(false)
  return { segments, positions, end }
}

async function scan(segments: SegmentList, from = 0) {
  const positions: number[] = []
  const problems: string[] = []
  const end = await new LogScan({
    segments,
    windowBytes: WINDOW_BYTES,
    trustedBelow: 0,
    checkCrc: () => true,
    onRecord: (_, __, position) => void positions.push(position),
    onDamage: (_, __, problem) => void problems.push(problem),
    onWindow: async () => {},
  }).run(from)
  return { positions, problems, end }
}

test('every record is found, wherever the windows cut the log, and records larger than a window too', async () => {
  const sizes = fc.array(
    fc.oneof(
      fc.integer({ min: 0, max: 300 }),
      fc.integer({ min: 700, max: 1_200 }),
      fc.integer({ min: 0, max: 5_000 }),
    ),
    { maxLength: 60 },
  )
  await fc.assert(
    fc.asyncProperty(sizes, fc.nat(), async (bodySizes, start) => {
      const { segments, positions, end } = await logWith(bodySizes)
      assert.deepEqual(await scan(segments), { positions, problems: [], end })
      if (positions.length === 0) return
      const first = start % positions.length
      assert.deepEqual((await scan(segments, positions[first])).positions, positions.slice(first))
    }),
  )
})

/** A disk of which some reads fail. */
class BadDisk extends MemoryDisk {
  reads = 0
  fails: (at: number) => boolean = () => false

  override open(path: string): OpenFile {
    const file = super.open(path)
    const read = file.read.bind(file)
    file.read = (into, from, to, at) => {
      this.reads++
      return this.fails(at) ? Promise.reject(new Error('EIO')) : read(into, from, to, at)
    }
    return file
  }
}

test('each window is read once', async () => {
  const disk = new BadDisk()
  const { segments, end } = await logWith(
    Array.from({ length: 60 }, () => 100),
    disk,
  )
  await scan(segments)
  assert.ok(disk.reads <= Math.ceil(end / WINDOW_BYTES) + 2, `${disk.reads} reads of ${end} bytes`)
})

test('what cannot be read behind the end of the log does no harm, but a record that cannot be read is an error', async () => {
  const disk = new BadDisk()
  const { segments, positions, end } = await logWith([100, 100, 100, 100], disk)
  disk.fails = at => at >= WINDOW_BYTES
  assert.ok(end < WINDOW_BYTES)
  assert.deepEqual((await scan(segments)).positions, positions)
  const broken = new BadDisk()
  const { segments: unreadable } = await logWith(
    Array.from({ length: 60 }, () => 100),
    broken,
  )
  broken.fails = at => at > 0
  await assert.rejects(scan(unreadable), /EIO/)
})
