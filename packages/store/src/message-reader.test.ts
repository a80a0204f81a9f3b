import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryDisk } from './files/memory-disk.ts'
import type { LogBytes } from './log/log-bytes.ts'
import { Found, MessageReader, type ReadQuery } from './message-reader.ts'
import type { ConsumeQueue } from './queues/consume-queue.ts'
import { ConsumeQueues } from './queues/consume-queues.ts'
import { defaultReadLimits, type ReadLimits } from './read-limits.ts'
import { ManualClock } from '@gantrymq/remoting/testing'

const RECORD = 100
const FILE = 1_000

/** A log of records of 100 bytes, each filled with its number; 10 to a file. */
class FakeLog implements LogBytes {
  start = 0
  safe = 0
  largestRecord = 1e6
  /** Numbers of the files in memory; undefined for all. */
  loaded: Set<number> | undefined
  readonly loads: number[] = []
  readonly loadedSoon: number[] = []

  has(position: number): boolean {
    return this.loaded === undefined || this.loaded.has(Math.floor(position / FILE))
  }

  isRecord(position: number, size: number): boolean {
    return position % RECORD === 0 && size === RECORD
  }

  copy(position: number, size: number, out: Uint8Array, at: number): void {
    for (let done = 0; done < size; done++) out[at + done] = Math.floor((position + done) / RECORD)
  }

  async load(position: number): Promise<void> {
    this.loads.push(Math.floor(position / FILE))
    this.loaded?.add(Math.floor(position / FILE))
  }

  isGone(position: number): boolean {
    return position < this.start
  }

  loadSoon(position: number): void {
    this.loadedSoon.push(Math.floor(position / FILE))
  }

  exists(position: number, size: number): boolean {
    return position >= this.start && position + size <= this.safe
  }
}

interface Fixture {
  readonly log: FakeLog
  readonly queue: ConsumeQueue
  readonly repaired: number[]
  readonly read: (query: Partial<ReadQuery>) => Found & { readonly result: string }
  /** Puts messages with these tags codes. */
  readonly put: (...tags: number[]) => void
}

function fixture({ limits = {}, hotBytes = 1e9 }: { limits?: Partial<ReadLimits>; hotBytes?: number } = {}): Fixture {
  const log = new FakeLog()
  const queues = new ConsumeQueues({
    disk: new MemoryDisk(),
    folder: '/store/consumequeue',
    fileBytes: 6_000_000,
    clock: new ManualClock(),
  })
  const queue = queues.findOrMake('Orders', 0)
  const repaired: number[] = []
  const reader = new MessageReader({
    log,
    limits: { ...defaultReadLimits, ...limits },
    hotBytes,
    nextFile: position => (Math.floor(position / FILE) + 1) * FILE,
    repair: async (damaged, offset) => {
      repaired.push(offset)
      damaged.replace(offset, undefined)
    },
  })
  const found = new Found()
  return {
    log,
    queue,
    repaired,
    read: query => {
      const result = reader.read({ queue, offset: 0, maxMessages: 32, maxBytes: 1e9, ...query }, found)
      return Object.assign(found, { result })
    },
    put: (...tags) => {
      for (const code of tags) {
        queue.put(queue.maxOffset, log.safe, RECORD, code, 0)
        log.safe += RECORD
      }
    },
  }
}

function zeros(count: number): number[] {
  return Array.from({ length: count }, () => 0)
}

test('a queue without messages is told apart from offsets outside of a queue', () => {
  const { read, put, queue } = fixture()
  assert.deepEqual([read({ offset: 7 }).result, read({}).nextOffset], ['NO_MESSAGE_IN_QUEUE', 0])
  put(0, 0, 0)
  assert.deepEqual([read({ offset: 3 }).result, read({ offset: 3 }).nextOffset], ['OFFSET_OVERFLOW_ONE', 3])
  assert.deepEqual([read({ offset: 9 }).result, read({ offset: 9 }).nextOffset], ['OFFSET_OVERFLOW_BADLY', 3])
  assert.equal(queue.minOffset, 0)
  assert.deepEqual([read({ offset: -1 }).result, read({ offset: -1 }).nextOffset], ['OFFSET_TOO_SMALL', 0])
})

test('messages are found in order, with the offset of the next read', () => {
  const { read, put } = fixture()
  put(...zeros(5))
  const found = read({ offset: 1, maxMessages: 3 })
  assert.deepEqual([found.result, found.count, found.bytes, found.nextOffset, found.maxOffset], ['FOUND', 3, 300, 4, 5])
  const out = Buffer.alloc(310)
  assert.equal(found.copyTo(out, 10), 310)
  assert.deepEqual([out[9], out[10], out[109], out[110], out[309]], [0, 1, 1, 2, 3])
  assert.deepEqual(found.record(2), Buffer.alloc(100, 3))
})

test('records that do not follow each other are copied one by one', () => {
  const { read, put } = fixture()
  put(1, 2, 1, 1)
  const found = read({ accepts: code => code === 1 })
  const out = Buffer.alloc(300)
  found.copyTo(out, 0)
  assert.deepEqual([out[0], out[100], out[200]], [0, 2, 3])
})

test('a read whose filter accepts nothing moves on', () => {
  const { read, put } = fixture()
  put(...zeros(1_000))
  const found = read({ accepts: () => false })
  assert.deepEqual([found.result, found.count, found.nextOffset], ['NO_MATCHED_MESSAGE', 0, 800])
  const rest = read({ offset: 800, accepts: () => false })
  assert.deepEqual([rest.result, rest.nextOffset], ['NO_MATCHED_MESSAGE', 1_000])
})

test('one message is found whatever the limits are', () => {
  const { read, put } = fixture({ limits: { bytesInMemory: 10, countInMemory: 0 } })
  put(0, 0)
  assert.equal(read({ maxMessages: 0, maxBytes: 0 }).count, 1)
})

test('the limits of what is in memory hold: 32 messages, 262,144 bytes', () => {
  const { read, put } = fixture()
  put(...zeros(50))
  assert.equal(read({ maxMessages: 50 }).count, 32)
  assert.equal(read({ maxBytes: 450 }).count, 4)
  const small = fixture({ limits: { bytesInMemory: 250 } })
  small.put(0, 0, 0)
  assert.equal(small.read({}).count, 2)
})

test('what is likely on disk only comes in smaller pieces, and a slave is suggested', () => {
  const { read, put } = fixture({ hotBytes: 1_000 })
  put(...zeros(50))
  const old = read({})
  assert.deepEqual([old.count, old.suggestSlave], [8, true])
  const fresh = read({ offset: 40 })
  assert.deepEqual([fresh.count, fresh.suggestSlave], [10, false])
})

test('records that were deleted are passed over, file by file', () => {
  const { read, put, log } = fixture()
  put(...zeros(30))
  log.start = 2_000
  const found = read({})
  assert.deepEqual([found.result, found.count, found.positions[0], found.nextOffset], ['FOUND', 10, 2_000, 30])
  log.start = 3_000
  assert.deepEqual([read({}).result, read({}).nextOffset], ['MESSAGE_WAS_REMOVING', 30])
})

test('a unit that leads to no record is repaired before messages behind it are read', async () => {
  const { read, put, log, queue, repaired } = fixture()
  put(0)
  queue.put(1, 50_000, RECORD, 0, 0)
  queue.put(2, 50_100, 99, 0, 0)
  log.safe = 50_300
  queue.put(3, 50_200, RECORD, 0, 0)
  const first = read({ offset: 2 })
  assert.equal(first.result, 'LOADING')
  await first.loading
  const second = read({ offset: 2 })
  assert.deepEqual([second.result, second.count, second.nextOffset], ['FOUND', 1, 4])
  assert.deepEqual(repaired, [2])
  assert.equal(read({}).count, 3)
})

test('a read that finds nothing in memory asks to be repeated after a load', async () => {
  const { read, put, log } = fixture()
  put(...zeros(20))
  log.loaded = new Set([1])
  const first = read({})
  assert.equal(first.result, 'LOADING')
  await first.loading
  log.loaded.delete(1)
  const again = read({})
  assert.deepEqual([again.result, again.count, again.nextOffset], ['FOUND', 10, 10])
  assert.deepEqual([log.loads, log.loadedSoon], [[0], [1]], 'what stopped the read is loaded for the next one')
})

test('a read that may not load begins to load what stopped it, if it has found something', () => {
  const { read, put, log } = fixture()
  put(...zeros(20))
  log.loaded = new Set([0])
  const first = read({ mayLoad: false })
  assert.deepEqual([first.result, first.count], ['FOUND', 10])
  assert.deepEqual(log.loadedSoon, [1])
  const second = read({ offset: 10, mayLoad: false })
  assert.deepEqual([second.result, second.loading], ['LOADING', undefined])
  assert.deepEqual([log.loads, log.loadedSoon], [[], [1]])
})

test('units that are not in memory are loaded', async () => {
  const { read, put, queue } = fixture()
  put(...zeros(5))
  await queue.sync()
  queue.releaseTail()
  const first = read({})
  assert.equal(first.result, 'LOADING')
  await first.loading
  assert.equal(read({}).count, 5)
})

test('a unit that claims more than fits into memory is repaired, not read', async () => {
  const { read, put, repaired, log } = fixture()
  put(0, 0, 0)
  log.safe = 1e9
  log.largestRecord = RECORD - 1
  const { result, loading } = read({})
  assert.equal(result, 'LOADING')
  await loading
  assert.deepEqual([repaired, log.loads], [[0], []])
})

test('a read looks at a bounded number of messages, however many its consumer asks for', () => {
  const { read, put } = fixture()
  put(...zeros(9_000))
  const { result, nextOffset } = read({ maxMessages: 2 ** 31 - 1, accepts: () => false })
  assert.deepEqual([result, nextOffset], ['NO_MATCHED_MESSAGE', 8_000])
})
