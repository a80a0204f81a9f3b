import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { Logger } from '@gantrymq/remoting'
import { ManualClock, numbersFrom } from '@gantrymq/remoting/testing'
import { APPENDED } from './append-status.ts'
import { Checkpoint } from './files/checkpoint.ts'
import { MessageStore } from './message-store.ts'
import type { StoreOptions } from './options.ts'
import { bodies, message, Turns } from './testing/store-fixture.ts'
import { FaultyDisk } from './testing/faulty-disk.ts'

const FILE = 4096

function freshDisk(): FaultyDisk {
  return new FaultyDisk({ numbers: numbersFrom(1) })
}

/** Opens a store on the disk, and appends messages with these bodies to it. */
async function life(disk: FaultyDisk, sent: readonly string[] = [], options: Partial<StoreOptions> = {}) {
  const turns = new Turns()
  const clock = new ManualClock()
  const store = await MessageStore.open({
    disk,
    root: '/store',
    clock,
    schedule: turns.schedule,
    logFileBytes: FILE,
    queueFileBytes: 400,
    indexSlots: 16,
    indexEntries: 64,
    ...options,
  })
  const queue = store.queueFor('TopicA', 0)
  for (const body of sent) assert.equal(store.append(message(queue, body, `KEYS\u0001${body}`)), APPENDED)
  turns.end()
  await store.whenSafe(store.end)
  return { store, queue, turns, clock, sync: () => clock.advance(10_000) }
}

/** Resolves when the first mark has been written. */
async function checkpointMade(disk: FaultyDisk): Promise<void> {
  while (Checkpoint.open(disk, '/store').mark === undefined) await setImmediate()
}

/** Notes what is reported. */
function notes(problems: string[]): Logger {
  const note = (_fields: object, text: string) => void problems.push(text)
  return { debug() {}, info() {}, warn: note, error: note }
}

const names = (from: number, count: number) => Array.from({ length: count }, (_, i) => `body ${from + i}`)

test('a closed store is opened with all its messages', async () => {
  const disk = freshDisk()
  const first = await life(disk, names(0, 100))
  await first.store.close()
  assert.equal(disk.exists('/store/abort'), false)
  const second = await life(disk, names(100, 20))
  assert.deepEqual(await bodies(second.store, second.queue), names(0, 120))
  assert.equal(second.queue.maxOffset, 120)
  await second.store.close()
})

test('a killed store has what was written, although no checkpoint was made', async () => {
  const disk = freshDisk()
  await life(disk, names(0, 100))
  const next = disk.restarted({ power: false })
  assert.equal(next.exists('/store/abort'), true)
  const second = await life(next, names(100, 50))
  assert.deepEqual(await bodies(second.store, second.queue), names(0, 150))
})

test('a killed store is read from its mark, and what is below it is not read again', async () => {
  const disk = freshDisk()
  const { store, queue, turns, sync } = await life(disk, names(0, 100))
  sync()
  await checkpointMade(disk)
  for (const body of names(100, 10)) store.append(message(queue, body))
  turns.end()
  await store.whenSafe(store.end)
  const next = disk.restarted({ power: false })
  const second = await life(next)
  assert.deepEqual(await bodies(second.store, second.queue), names(0, 110))
})

test('after a power failure everything acknowledged with SYNC_FLUSH is there', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const disk = new FaultyDisk({ numbers: numbersFrom(seed) })
    await life(disk, names(0, 60), { flushMode: 'SYNC_FLUSH' })
    const next = disk.restarted({ power: true, survival: seed % 2 === 0 ? 'none' : 'some' })
    const second = await life(next, names(60, 5), { flushMode: 'SYNC_FLUSH' })
    assert.deepEqual(await bodies(second.store, second.queue), names(0, 65))
  }
})

test('a directory is not opened twice, nor with another size of files', async () => {
  const disk = freshDisk()
  const { store } = await life(disk, names(0, 100))
  await assert.rejects(life(disk), { code: 'LOCKED' })
  await store.close()
  await assert.rejects(life(disk, [], { logFileBytes: 8192 }), { code: 'BAD_FILES' })
})

test('what stands behind the end of the log is zeroed, so that it is never found again', async () => {
  const disk = freshDisk()
  const { store, queue, turns } = await life(disk, names(0, 10))
  const before = store.end
  for (const body of ['gone 1', 'gone 2']) store.append(message(queue, body, `KEYS\u0001${body}`))
  turns.end()
  await store.whenSafe(store.end)
  const size = (store.end - before) / 2
  const damaged = disk.restarted({ power: false })
  const file = damaged.open('/store/commitlog/00000000000000000000')
  file.writeSync(Buffer.from([1]), 0, 1, before + 90)
  const second = await life(damaged, ['new 1.'])
  assert.deepEqual(
    [second.store.end - before, await bodies(second.store, second.queue)],
    [size, [...names(0, 10), 'new 1.']],
  )
  const third = await life(damaged.restarted({ power: false }))
  assert.deepEqual(await bodies(third.store, third.queue), [...names(0, 10), 'new 1.'])
})

test('queues and index that were removed are built again', async () => {
  const disk = freshDisk()
  const { store, queue } = await life(disk, names(0, 100))
  assert.equal(queue.maxOffset, 100)
  await store.close()
  for (const folder of ['/store/consumequeue/TopicA/0', '/store/index']) {
    for (const { name } of disk.list(folder) ?? []) await disk.unlink(`${folder}/${name}`)
  }
  const second = await life(disk, names(100, 5))
  assert.deepEqual(await bodies(second.store, second.queue), names(0, 105))
  await second.store.close()
})

test('a damaged record is reported, and the messages behind it stay', async () => {
  const disk = freshDisk()
  const { store } = await life(disk, names(0, 100))
  await store.close()
  disk.open('/store/commitlog/00000000000000000000').writeSync(Buffer.from([9]), 0, 1, 1000)
  await disk.unlink('/store/checkpoint')
  const problems: object[] = []
  const log = { debug() {}, info() {}, warn() {}, error: (fields: object) => void problems.push(fields) }
  for (const { name } of disk.list('/store/consumequeue/TopicA/0') ?? []) {
    await disk.unlink(`/store/consumequeue/TopicA/0/${name}`)
  }
  const { store: repaired, queue } = await life(disk, [], { log })
  assert.ok(problems.length > 0)
  assert.equal(queue.maxOffset, 100)
  const found = await bodies(repaired, queue)
  assert.equal(found.length, 99)
})

/** Makes the directory one that an Apache broker left: without our mark, closed or not. */
function likeApaches(disk: FaultyDisk, isClosed: boolean): void {
  disk.open('/store/checkpoint').writeSync(Buffer.alloc(100), 0, 100, 1024)
  if (!isClosed) disk.create('/store/abort', 0)
}

test('a directory that Apache closed, or left by a crash, is opened by its rules', async () => {
  for (const isClosed of [true, false]) {
    const disk = freshDisk()
    const first = await life(disk, names(0, 200))
    await first.store.close()
    likeApaches(disk, isClosed)
    const second = await life(disk, names(200, 10))
    assert.deepEqual(await bodies(second.store, second.queue), names(0, 210))
    const limits = { max: 10, begin: 0, end: Number.MAX_SAFE_INTEGER }
    for (const body of ['body 0', 'body 199', 'body 205']) {
      const { records } = await second.store.queryKey('TopicA', body.split(' ')[1] as string, limits)
      assert.ok(records.length > 0, `${body}, closed: ${isClosed}`)
    }
    await second.store.close()
  }
})

test("after Apache's crash the newest file that begins before the checkpoint is where reading begins", async () => {
  const disk = freshDisk()
  const { store, queue, turns, clock } = await life(disk)
  for (let n = 0; n < 60; n++) {
    store.append(message(queue, names(n, 1)[0] as string))
    turns.end()
    clock.advance(1_000)
  }
  await store.whenSafe(store.end)
  const last = store.end
  await store.close()
  likeApaches(disk, false)
  const lines: object[] = []
  const log = { debug() {}, info: (fields: object) => void lines.push(fields), warn() {}, error() {} }
  const second = await life(disk, [], { log })
  assert.deepEqual(await bodies(second.store, second.queue), names(0, 60))
  // The last message is 0 s before the checkpoint, and the file that holds it begins more than 3 s before.
  assert.deepEqual(lines.at(-1), { root: '/store', from: last - (last % FILE), end: last, records: 21, clean: false })
})

test('after the last file of a closed log was removed, new messages are seen', async () => {
  const disk = freshDisk()
  const first = await life(disk, names(0, 100))
  const end = first.store.end
  await first.store.close()
  const last = Math.floor((end - 1) / FILE) * FILE
  await disk.unlink(`/store/commitlog/${String(last).padStart(20, '0')}`)
  const second = await life(disk, ['new 1', 'new 2'])
  const found = await bodies(second.store, second.queue)
  const kept = found.length - 2
  assert.deepEqual(found, [...names(0, kept), 'new 1', 'new 2'])
  assert.ok(second.store.start === 0 && kept > 50 && kept < 100)
  await second.store.close()
})

test('however a crash interrupts the recovery of a folder that Apache closed, the next start succeeds', async () => {
  for (let crashAt = 1; ; crashAt++) {
    let disk = freshDisk()
    const first = await life(disk, names(0, 30))
    await first.store.close()
    likeApaches(disk, true)
    const numbers = numbersFrom(crashAt)
    let done = 0
    const fault = (): 'crash after' | undefined => (++done === crashAt ? 'crash after' : undefined)
    disk = disk.restarted({ power: false }, { numbers, fault })
    const opened = await life(disk).catch(() => undefined)
    if (opened !== undefined && !disk.hasCrashed) {
      await opened.store.close()
      assert.ok(crashAt > 5)
      break
    }
    const second = await life(disk.restarted({ power: false }, { numbers }))
    assert.deepEqual(await bodies(second.store, second.queue), names(0, 30), `a crash after operation ${crashAt}`)
    await second.store.close()
  }
})

test('a last unit that leads far behind the log does not hide the messages that follow', async () => {
  const disk = freshDisk()
  const first = await life(disk, names(0, 30))
  await first.store.close()
  // Units 20 to 39 are in the second file: a wrong bit in the position of unit 29.
  disk.open('/store/consumequeue/TopicA/0/00000000000000000400').writeSync(Buffer.of(1), 0, 1, 9 * 20 + 2)
  const second = await life(disk, ['new 1', 'new 2'])
  assert.deepEqual(await bodies(second.store, second.queue), [...names(0, 30), 'new 1', 'new 2'])
  await second.store.close()
})

test('an index that claims records far behind the log does not hide the keys that follow', async () => {
  const disk = freshDisk()
  const first = await life(disk, names(0, 20))
  await first.store.close()
  const name = disk.list('/store/index')?.[0]?.name
  // A wrong bit in the position of the last record.
  disk.open(`/store/index/${name}`).writeSync(Buffer.of(1), 0, 1, 24 + 2)
  const second = await life(disk, names(20, 3))
  const limits = { max: 64, begin: 0, end: Number.MAX_SAFE_INTEGER }
  // The bodies are two words, and so two keys.
  assert.equal((await second.store.queryKey('TopicA', 'body', limits)).records.length, 23)
  await second.store.close()
})

test('a file that is missing within the log is reported, and the messages of the others are read', async () => {
  const disk = freshDisk()
  const first = await life(disk, names(0, 100))
  await first.store.close()
  await disk.unlink('/store/commitlog/00000000000000004096')
  const problems: string[] = []
  const second = await life(disk, ['new'], { log: notes(problems) })
  assert.deepEqual(problems, ['files of the commit log are missing between others'])
  const left = await bodies(second.store, second.queue)
  assert.ok(left.length > 60 && left.length < 100, `${left.length}`)
  assert.deepEqual([left[0], left.at(-1)], ['body 0', 'new'])
  await second.store.close()
})

for (const [where, path] of [
  ['in the same file', '/store/commitlog/00000000000000008192'],
  ['in later files', '/store/commitlog/00000000000000000000'],
] as const) {
  test(`records ${where} behind damage that ends the log after a crash are reported`, async () => {
    const disk = freshDisk()
    await life(disk, names(0, 100))
    const killed = disk.restarted({ power: false })
    killed.open(path).writeSync(Buffer.of(77), 0, 1, 4)
    const problems: string[] = []
    const { store } = await life(killed, [], { log: notes(problems) })
    assert.ok(problems.includes('after a crash the log ends at a damaged record: what follows it is removed'))
    await store.close()
  })
}

test('an end of the process without damage reports nothing', async () => {
  const disk = freshDisk()
  await life(disk, names(0, 100))
  const problems: string[] = []
  const { store } = await life(disk.restarted({ power: false }), [], { log: notes(problems) })
  assert.deepEqual(problems, [])
  await store.close()
})

test('the first file of a queue that is missing is built again from the log', async () => {
  const disk = freshDisk()
  const first = await life(disk, names(0, 50))
  await first.store.close()
  await disk.unlink('/store/consumequeue/TopicA/0/00000000000000000000')
  const problems: string[] = []
  const second = await life(disk, ['new'], { log: notes(problems) })
  assert.deepEqual(problems, ['consume queues are missing or damaged'])
  assert.deepEqual(await bodies(second.store, second.queue), [...names(0, 50), 'new'])
  await second.store.close()
})

const spoilt: Record<string, (disk: FaultyDisk, path: string, bytes: Buffer) => unknown> = {
  'is missing': (disk, path) => disk.unlink(path),
  'is empty': (disk, path) => disk.open(path).truncate(0),
  'is all zeros': (disk, path, bytes) => disk.open(path).writeSync(bytes.fill(0), 0, bytes.length, 0),
  'has a wrong first time': (disk, path) => disk.open(path).writeSync(Buffer.of(1), 0, 1, 3),
  'has a wrong last time': (disk, path) => disk.open(path).writeSync(Buffer.of(1), 0, 1, 8 + 3),
  'has a wrong first position': (disk, path) => disk.open(path).writeSync(Buffer.of(77), 0, 1, 16 + 7),
  'has a wrong last position': (disk, path) => disk.open(path).writeSync(Buffer.of(77), 0, 1, 24 + 7),
  'counts too few entries': (disk, path) => disk.open(path).writeSync(Buffer.of(9), 0, 1, 36 + 3),
}

for (const [how, spoil] of Object.entries(spoilt)) {
  test(`an index of which a file ${how} is reported, and built again from the log`, async () => {
    // The first, one in the middle, the last.
    for (const place of [0, 1, -1]) {
      const disk = freshDisk()
      const first = await life(disk, names(0, 100))
      await first.store.close()
      const files = disk.list('/store/index') ?? []
      assert.ok(files.length > 2)
      const { name, size } = files.at(place) ?? assert.fail()
      await spoil(disk, `/store/index/${name}`, Buffer.alloc(size))
      const problems: string[] = []
      const { store } = await life(disk, [], { log: notes(problems) })
      assert.ok(problems.includes('the key index is damaged or missing'), `${place}: ${problems.join()}`)
      const limits = { max: 64, begin: 0, end: Number.MAX_SAFE_INTEGER }
      assert.equal((await store.queryKey('TopicA', 'body', { ...limits, max: 200 })).records.length, 100)
      await store.close()
      const again: string[] = []
      await (await life(disk, [], { log: notes(again) })).store.close()
      assert.deepEqual(again, [])
    }
  })
}
