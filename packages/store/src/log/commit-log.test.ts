import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ManualClock, numbersFrom } from '@gantrymq/remoting/testing'
import { APPENDED, BUSY, NOT_WRITABLE } from '../append-status.ts'
import type { StoreError } from '../errors.ts'
import { MessageStore } from '../message-store.ts'
import type { StoreOptions } from '../options.ts'
import { type DiskFault, FaultyDisk, type Operation } from '../testing/faulty-disk.ts'
import { bodies, message, Turns } from '../testing/store-fixture.ts'

const isLog = ({ path }: Operation) => path.startsWith('/store/commitlog/')

/** A store on a disk whose faults and delays the test decides. */
async function opened(options: Partial<StoreOptions> = {}) {
  const turns = new Turns()
  const clock = new ManualClock()
  let fault: (operation: Operation) => DiskFault | undefined = () => undefined
  const held: (() => void)[] = []
  let isHolding = false
  let begun = 0
  const disk = new FaultyDisk({
    numbers: numbersFrom(7),
    fault: operation => fault(operation),
    complete: completion => {
      begun++
      if (isHolding) held.push(completion)
      else queueMicrotask(completion)
    },
  })
  const store = await MessageStore.open({
    disk,
    root: '/store',
    clock,
    schedule: turns.schedule,
    logFileBytes: 4096,
    indexSlots: 16,
    indexEntries: 1000,
    ...options,
  })
  const queue = store.queueFor('TopicA', 0)
  const events: string[] = []
  store.onCommit({
    committed: () => void events.push(`safe ${store.safe}`),
    lost: (from: number, error: StoreError) => void events.push(`lost ${from} ${error.code}`),
  })
  return {
    store,
    queue,
    turns,
    clock,
    disk,
    events,
    append: (...sent: string[]) => sent.map(body => store.append(message(queue, body))),
    setFault: (next: typeof fault) => void (fault = next),
    /** From now on nothing in the background completes. */
    hold: () => void (isHolding = true),
    /** Completes what was held, in order. */
    release: async () => {
      isHolding = false
      for (const completion of held.splice(0)) completion()
      await setImmediate()
    },
    /** How many calls were ever begun in the background. */
    begun: () => begun,
    /** How many calls are held. */
    held: () => held.length,
  }
}

/** Fails the next operation that matches. */
function once(
  matches: (operation: Operation) => boolean,
  fault: DiskFault,
): (operation: Operation) => DiskFault | undefined {
  let isDone = false
  return operation => {
    if (isDone || !matches(operation)) return undefined
    isDone = true
    return fault
  }
}

const isLogWrite = (operation: Operation) => operation.kind === 'write' && isLog(operation)

for (const writeWay of ['loop', 'pool'] as const) {
  test(`when the disk is full, nothing of that write counts, and later messages take its place (${writeWay})`, async () => {
    const { store, queue, turns, append, events, setFault } = await opened({ writeWay })
    append('one')
    turns.end()
    await store.whenSafe(store.end)
    const { end } = store
    setFault(once(isLogWrite, { fails: 'ENOSPC' }))
    assert.deepEqual(append('two', 'three'), [APPENDED, APPENDED])
    const waiting = assert.rejects(store.whenSafe(store.end), { code: 'DISK_FULL' })
    turns.end()
    await waiting
    assert.deepEqual([store.end, store.written, queue.nextOffset, queue.maxOffset], [end, end, 1, 1])
    assert.equal(events.at(-1), `lost ${end} DISK_FULL`)
    assert.equal(store.whyNotWritable?.code, 'DISK_FULL')
    assert.deepEqual(append('four'), [NOT_WRITABLE])
    assert.deepEqual(await bodies(store, queue), ['one'])
  })

  test(`a quota that is used up is a full disk: messages are taken again when there is room (${writeWay})`, async () => {
    const { store, turns, append, setFault, clock } = await opened({ writeWay })
    setFault(once(isLogWrite, { fails: 'EDQUOT' }))
    append('one')
    const waiting = assert.rejects(store.whenSafe(store.end), { code: 'DISK_FULL' })
    turns.end()
    await waiting
    for (let count = 0; count < 10; count++) await setImmediate()
    clock.advance(10_000)
    for (let count = 0; count < 10; count++) await setImmediate()
    assert.deepEqual(append('two'), [APPENDED])
    turns.end()
    await store.whenSafe(store.end)
    await store.close()
  })

  test(`a part of a lost write never comes back (${writeWay})`, async () => {
    const { store, turns, append, disk, setFault } = await opened({ writeWay })
    append('one')
    turns.end()
    await store.whenSafe(store.end)
    let writes = 0
    setFault(operation => {
      if (!isLogWrite(operation)) return undefined
      writes++
      return writes === 1 ? 'write short' : writes === 2 ? { fails: 'ENOSPC' } : undefined
    })
    append('two', 'three', 'four')
    const waiting = assert.rejects(store.whenSafe(store.end), { code: 'DISK_FULL' })
    turns.end()
    await waiting
    assert.ok(writes >= 3, 'what was written of it is zeroed')
    const next = await MessageStore.open({ disk: disk.restarted({ power: false }), root: '/store', logFileBytes: 4096 })
    assert.deepEqual(await bodies(next, next.queueFor('TopicA', 0)), ['one'])
    await next.close()
  })

  test(`a short write goes on where it stopped (${writeWay})`, async () => {
    const { store, queue, turns, append, setFault } = await opened({ writeWay })
    setFault(operation => (isLogWrite(operation) && operation.number % 2 === 0 ? 'write short' : undefined))
    const sent = Array.from({ length: 50 }, (_, i) => `body ${i}`)
    append(...sent)
    turns.end()
    await store.whenSafe(store.end)
    assert.deepEqual(await bodies(store, queue), sent)
  })

  test(`a write error closes the store for messages, until it is opened again (${writeWay})`, async () => {
    const { store, queue, turns, append, disk, setFault, events } = await opened({ writeWay })
    append('one')
    turns.end()
    await store.whenSafe(store.end)
    setFault(once(isLogWrite, { fails: 'EIO' }))
    append('two')
    const waiting = assert.rejects(store.whenSafe(store.end), { code: 'WRITE_FAILED' })
    turns.end()
    await waiting
    assert.ok(events.some(event => event.endsWith('WRITE_FAILED')))
    assert.deepEqual(append('three'), [NOT_WRITABLE])
    assert.deepEqual(await bodies(store, queue), ['one'])
    await store.close()
    assert.equal(disk.exists('/store/abort'), true, 'the next start is a recovery')
  })
}

test('a failed sync is not repeated: the store accepts nothing, and what was not acknowledged fails', async () => {
  const { store, turns, append, setFault, events } = await opened({ flushMode: 'SYNC_FLUSH' })
  append('one')
  turns.end()
  await store.whenSafe(store.end)
  const { end } = store
  let syncs = 0
  setFault(operation => {
    if (operation.kind !== 'datasync' || !isLog(operation)) return undefined
    syncs++
    return syncs === 1 ? { fails: 'EIO' } : undefined
  })
  append('two')
  const waiting = assert.rejects(store.whenSafe(store.end), { code: 'SYNC_FAILED' })
  turns.end()
  await waiting
  assert.equal(events.at(-1), `lost ${end} SYNC_FAILED`)
  assert.equal(store.whyNotWritable?.code, 'SYNC_FAILED')
  await store.close()
  assert.equal(syncs, 1)
})

test('with SYNC_FLUSH all messages that came during a sync share the next one', async () => {
  const { store, queue, turns, append, setFault, hold, release, held } = await opened({ flushMode: 'SYNC_FLUSH' })
  append('first')
  turns.end()
  await store.whenSafe(store.end)
  let syncs = 0
  setFault(operation => {
    if (operation.kind === 'datasync') syncs++
    return undefined
  })
  hold()
  append('a')
  turns.end()
  assert.deepEqual([store.written, queue.maxOffset, held()], [store.end, 1, 1])
  for (const body of ['b', 'c', 'd']) {
    append(body)
    turns.end()
  }
  assert.deepEqual([held(), queue.maxOffset], [1, 1], 'one sync at a time; nothing is visible before it')
  await release()
  await store.whenSafe(store.end)
  assert.deepEqual([syncs, queue.maxOffset], [2, 5])
  await store.close()
})

test('with SYNC_FLUSH the next sync runs while the messages of the last one are answered', async () => {
  const { store, queue, turns, append, hold, release, begun } = await opened({ flushMode: 'SYNC_FLUSH' })
  append('first')
  turns.end()
  await store.whenSafe(store.end)
  const before = begun()
  hold()
  append('a')
  turns.end()
  append('b')
  turns.end()
  assert.equal(begun(), before + 1)
  const begunWhenSafe: [number, number][] = []
  store.onCommit({ committed: () => void begunWhenSafe.push([queue.maxOffset, begun() - before]), lost: () => {} })
  await release()
  await store.whenSafe(store.end)
  assert.deepEqual(begunWhenSafe, [
    [2, 2],
    [3, 2],
  ])
  await store.close()
})

test('a file is acknowledged into only when its name is durable', async () => {
  const { store, turns, append, hold, release } = await opened()
  hold()
  append('one')
  turns.end()
  assert.deepEqual([store.written > 0, store.safe], [true, 0])
  await release()
  await store.whenSafe(store.end)
  await store.close()
})

test('what is written but not synced is bounded', async () => {
  const { store, turns, append, hold, release } = await opened({ maxUnflushedBytes: 2000, flushBytes: 1000 })
  append('one')
  turns.end()
  await store.whenSafe(store.end)
  hold()
  let count = 0
  while (append(`body ${count}`)[0] === APPENDED) {
    turns.end()
    count++
  }
  assert.deepEqual(append('one more'), [BUSY])
  assert.ok(count > 15 && store.end <= 2000)
  await release()
  await store.whenSafe(store.end)
  assert.deepEqual(append('one more'), [APPENDED])
  turns.end()
  await store.close()
})

test('while the disk is slow the pool writes, and nothing changes its order', async () => {
  const { store, queue, turns, append, clock, hold, release, held, setFault } = await opened()
  append('one')
  turns.end()
  await store.whenSafe(store.end)
  let isSlow = true
  setFault(operation => {
    if (isLogWrite(operation) && isSlow) clock.advance(6)
    return undefined
  })
  append('two')
  turns.end()
  assert.equal(queue.maxOffset, 2, 'the slow write itself was on the loop')
  isSlow = false
  hold()
  append('three')
  turns.end()
  assert.deepEqual([held(), queue.maxOffset], [1, 2], 'the next one is not')
  append('four')
  turns.end()
  assert.equal(held(), 1)
  await release()
  await store.whenSafe(store.end)
  assert.deepEqual(await bodies(store, queue), ['one', 'two', 'three', 'four'])
  clock.advance(1001)
  append('five')
  turns.end()
  assert.equal(queue.maxOffset, 5, 'after a second without a slow write it is on the loop again')
  await store.close()
})

test('memory stays within the blocks, whatever is read', async () => {
  const { store, queue, turns, append } = await opened({ logBlocks: 16 })
  const sent = Array.from({ length: 1000 }, (_, i) => `body ${i}`.padEnd(200, '.'))
  for (const body of sent) {
    assert.deepEqual(append(body), [APPENDED])
    turns.end()
    await store.whenSafe(store.end)
  }
  assert.ok(store.end > 50 * 4096)
  assert.deepEqual(await bodies(store, queue), sent)
  assert.equal((await store.messageAt(0))?.toString('utf8', 88, 94), 'body 0')
  assert.equal(await store.messageAt(1), undefined)
  assert.equal(await store.messageAt(-1), undefined)
  assert.equal(await store.messageAt(store.end), undefined)
  await store.close()
})
