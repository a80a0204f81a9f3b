import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ManualClock, numbersFrom } from '@gantrymq/remoting/testing'
import { APPENDED, NOT_WRITABLE } from './append-status.ts'
import type { Disk } from './files/disk.ts'
import { MemoryDisk } from './files/memory-disk.ts'
import { MessageStore } from './message-store.ts'
import type { StoreOptions } from './options.ts'
import { FaultyDisk } from './testing/faulty-disk.ts'
import { bodies, message, Turns } from './testing/store-fixture.ts'

const HOUR = 3_600_000

async function opened(disk: Disk, clock: ManualClock, options: Partial<StoreOptions> = {}) {
  const turns = new Turns()
  const store = await MessageStore.open({
    disk,
    root: '/store',
    clock,
    schedule: turns.schedule,
    logFileBytes: 2_000,
    queueFileBytes: 200,
    indexSlots: 16,
    indexEntries: 64,
    ...options,
  })
  const send = async (topic: string, ...texts: string[]) => {
    for (const text of texts) {
      assert.equal(
        store.append(message(store.queueFor(topic, 0), text, `KEYS\u0001${text.replace(' ', '-')}`)),
        APPENDED,
      )
    }
    turns.end()
    await store.whenSafe(store.end)
  }
  return { store, send, turns }
}

function many(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix} ${index}`)
}

test('a deleted topic stays deleted after a crash, and begins again at 0', async () => {
  const disk = new FaultyDisk({ numbers: numbersFrom(1) })
  const clock = new ManualClock()
  const { store, send } = await opened(disk, clock)
  await send('Gone', ...many('gone', 30))
  await send('Kept', 'kept')
  await store.deleteTopic('Gone')
  assert.equal(store.queue('Gone', 0), undefined)
  await send('Gone', 'new')
  const again = await opened(disk.restarted({ power: true, survival: 'all' }), clock)
  assert.deepEqual(await bodies(again.store, again.store.queueFor('Gone', 0)), ['new'])
  assert.deepEqual(await bodies(again.store, again.store.queueFor('Kept', 0)), ['kept'])
  await again.store.close()
})

test('topics that are not in the list are deleted, the others stay', async () => {
  const disk = new MemoryDisk()
  const { store, send } = await opened(disk, new ManualClock())
  for (const topic of ['A', 'B', 'C']) await send(topic, 'text')
  assert.equal(await store.deleteUnused(new Set(['B'])), 2)
  assert.deepEqual(
    disk.list('/store/consumequeue')?.map(({ name }) => name),
    ['B'],
  )
  await store.close()
})

test('messages that a topic got while it was being deleted do not bring it back after a crash', async () => {
  const disk = new FaultyDisk({ numbers: numbersFrom(1) })
  const { store, send, turns } = await opened(disk, new ManualClock())
  await send('Gone', ...many('gone', 30))
  const queue = store.queueFor('Gone', 0)
  assert.equal(store.append(message(queue, 'early')), APPENDED)
  const deleted = store.deleteTopic('Gone')
  turns.end()
  // It is not written when the first one is.
  assert.equal(store.append(message(queue, 'late')), APPENDED)
  for (let count = 0; count < 5; count++) await setImmediate()
  turns.end()
  await deleted
  const again = await opened(disk.restarted({ power: false }), new ManualClock())
  assert.equal(again.store.queue('Gone', 0), undefined)
  await again.store.close()
})

test('a store that closes deletes nothing any more: another one may have the folder', async () => {
  const clock = new ManualClock()
  const disk = new MemoryDisk({ now: () => clock.now() })
  const { store, send } = await opened(disk, clock, { retention: { reservedMs: HOUR } })
  await send('Orders', ...many('old', 100))
  clock.pause(2 * HOUR)
  const { promise: slow, resolve: goOn } = Promise.withResolvers<void>()
  const unlink = disk.unlink.bind(disk)
  disk.unlink = async path => {
    await slow
    await unlink(path)
  }
  const [first, second] = [store.deleteExpired(), store.deleteExpired()]
  const refused = assert.rejects(second, { code: 'CLOSED' })
  for (let count = 0; count < 20; count++) await setImmediate()
  const closing = store.close()
  for (let count = 0; count < 20; count++) await setImmediate()
  await assert.rejects(disk.lock('/store/lock'), { code: 'EBUSY' })
  goOn()
  assert.equal(await first, 1, 'only the file that was being removed')
  await closing
  await refused
})

test('expired files go with the units and keys that lead there, and reading goes on behind them', async () => {
  const clock = new ManualClock()
  const disk = new MemoryDisk({ now: () => clock.now() })
  const { store, send } = await opened(disk, clock, { retention: { reservedMs: 2 * HOUR } })
  await send('Orders', ...many('old', 200))
  clock.pause(HOUR)
  await send('Orders', ...many('new', 50))
  const files = disk.list('/store/commitlog')?.length ?? 0
  clock.pause(1.5 * HOUR)
  const deleted = await store.deleteExpired()
  assert.ok(deleted > 8)
  assert.equal(disk.list('/store/commitlog')?.length, files - deleted)
  const queue = store.queueFor('Orders', 0)
  assert.ok(queue.minOffset > 100 && queue.minOffset <= 200)
  const left = await bodies(store, queue)
  assert.deepEqual(left, [...many('old', 200), ...many('new', 50)].slice(queue.minOffset))
  const limits = { max: 64, begin: 0, end: Number.MAX_SAFE_INTEGER }
  assert.equal((await store.queryKey('Orders', 'old-0', limits)).records.length, 0)
  assert.equal((await store.queryKey('Orders', 'new-49', limits)).records.length, 1)
  await store.close()
  const again = await opened(disk, clock)
  assert.deepEqual(await bodies(again.store, again.store.queueFor('Orders', 0)), left)
  await again.store.close()
})

test('a full disk refuses messages until there is room', async () => {
  const clock = new ManualClock()
  const disk = new MemoryDisk({ capacity: 1 << 20, now: () => clock.now() })
  const { store, send, turns } = await opened(disk, clock, { retention: { isForceable: false } })
  await send('Orders', 'first')
  const hog = disk.create('/hog', 1 << 20)
  hog.writeSync(Buffer.alloc(1 << 20, 1), 0, 970_000, 0)
  clock.advance(10_000)
  await store.deleteExpired()
  assert.ok(store.diskUsed > 0.9)
  assert.equal(store.append(message(store.queueFor('Orders', 0), 'refused')), NOT_WRITABLE)
  assert.equal(store.whyNotWritable?.code, 'DISK_FULL')
  await disk.unlink('/hog')
  await store.deleteExpired()
  await send('Orders', 'second')
  turns.end()
  assert.deepEqual(await bodies(store, store.queueFor('Orders', 0)), ['first', 'second'])
  await store.close()
})

test('a store that writes extensions filters by them', async () => {
  const disk = new MemoryDisk()
  const options = { writeExtensions: true, extensionFileBytes: 200 }
  const { store, send } = await opened(disk, new ManualClock(), options)
  await send('Orders', ...many('text', 30))
  await store.close()
  assert.ok(disk.exists('/store/consumequeue_ext/Orders/0'))
  const again = await opened(disk, new ManualClock(), options)
  const queue = again.store.queueFor('Orders', 0)
  assert.deepEqual(await bodies(again.store, queue), many('text', 30))
  assert.deepEqual((await again.store.unitAt(queue, 29))?.tagsCode, 0)
  await again.store.close()
})
