import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '@gantrymq/remoting/testing'
import fc from 'fast-check'
import { MemoryDisk } from '../files/memory-disk.ts'
import { MessageStore } from '../message-store.ts'
import { bodies, message, Turns } from '../testing/store-fixture.ts'

const QUEUE_FILE = '/store/consumequeue/Orders/1/00000000000000000000'

async function opened(disk: MemoryDisk) {
  const turns = new Turns()
  const store = await MessageStore.open({
    disk,
    root: '/store',
    clock: new ManualClock(),
    schedule: turns.schedule,
    logFileBytes: 4_000,
    queueFileBytes: 20_000,
    indexKeys: false,
  })
  return { store, turns }
}

const texts = Array.from({ length: 60 }, (_, n) => `text ${n}`.padEnd(n * 7, '.'))

/** A closed store with messages in three queues in turns, those of queue 1 with these texts. */
async function written(): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  const { store, turns } = await opened(disk)
  for (const [n, text] of texts.entries()) {
    store.append(message(store.queueFor('Orders', 0), 'x'.repeat(n)))
    store.append(message(store.queueFor('Orders', 1), text, 'TAGS\u0001TagX\u0002'))
    store.append(message(store.queueFor('Other', 1), text))
  }
  turns.end()
  await store.close()
  return disk
}

function damage(disk: MemoryDisk, at: number, bytes: Buffer): void {
  disk.open(QUEUE_FILE).writeSync(bytes, 0, bytes.length, at)
}

test('whatever bytes of a queue are damaged, its messages are read in order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(texts.length * 20), fc.uint8Array({ minLength: 1, maxLength: 30 }), async (at, bytes) => {
      const disk = await written()
      damage(disk, at, Buffer.from(bytes))
      const { store } = await opened(disk)
      const queue = store.queueFor('Orders', 1)
      const seen = await bodies(store, queue)
      // The last unit decides where the queue ends when it is opened.
      if (queue.maxOffset === texts.length) assert.deepEqual(seen, texts)
      await store.close()
    }),
    { numRuns: 60 },
  )
})

test('a repaired unit is right in the file, with its tags', async () => {
  const disk = await written()
  const before = Buffer.alloc(20)
  disk.open(QUEUE_FILE).readSync(before, 0, 20, 200)
  damage(disk, 200, Buffer.alloc(20))
  const { store } = await opened(disk)
  assert.deepEqual(await bodies(store, store.queueFor('Orders', 1)), texts)
  await store.close()
  const after = Buffer.alloc(20)
  disk.open(QUEUE_FILE).readSync(after, 0, 20, 200)
  assert.deepEqual(after, before)
})

test('a message that is damaged in the log is passed over', async () => {
  const disk = await written()
  const unit = Buffer.alloc(20)
  disk.open(QUEUE_FILE).readSync(unit, 0, 20, 100)
  const position = Number(unit.readBigInt64BE(0))
  const start = position - (position % 4_000)
  const file = disk.open(`/store/commitlog/${String(start).padStart(20, '0')}`)
  file.writeSync(Buffer.from([0x7f]), 0, 1, position - start)
  const { store } = await opened(disk)
  assert.deepEqual(await bodies(store, store.queueFor('Orders', 1)), texts.toSpliced(5, 1))
  await store.close()
})
