import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '@gantrymq/remoting/testing'
import {
  APPENDED,
  BAD_PROPERTIES,
  BATCH_TOO_LARGE,
  NOT_WRITABLE,
  PROPERTIES_TOO_LONG,
  TOO_LARGE,
  TOPIC_TOO_LONG,
} from './append-status.ts'
import { MemoryDisk } from './files/memory-disk.ts'
import { MessageStore } from './message-store.ts'
import type { StoreOptions } from './options.ts'
import { bodies, message, Turns } from './testing/store-fixture.ts'

async function opened(options: Partial<StoreOptions> = {}) {
  const turns = new Turns()
  const disk = options.disk ?? new MemoryDisk()
  const clock = new ManualClock()
  const store = await MessageStore.open({
    disk,
    root: '/store',
    clock,
    schedule: turns.schedule,
    logFileBytes: 64 << 10,
    ...options,
  })
  return { store, disk, clock, turns }
}

test('what was appended can be read when the turn has ended', async () => {
  const { store, turns } = await opened()
  const queue = store.queueFor('TopicA', 0)
  assert.equal(store.append(message(queue, 'one')), APPENDED)
  assert.deepEqual(
    { ...store.appended },
    { position: 0, size: 100, queueOffset: 0, storeTimestamp: 1_700_000_000_000, end: 100, waits: true },
  )
  store.append(message(queue, 'two'))
  assert.deepEqual([store.end, store.written, queue.maxOffset], [200, 0, 0])
  turns.end()
  await store.whenSafe(store.end)
  assert.deepEqual([store.safe, queue.maxOffset], [200, 2])
  assert.deepEqual(await bodies(store, queue), ['one', 'two'])
  await store.close()
})

test('messages pass from file to file', async () => {
  const { store, turns, disk } = await opened({ logFileBytes: 1000 })
  const queue = store.queueFor('TopicA', 0)
  const sent = Array.from({ length: 100 }, (_, i) => `body ${i}`.padEnd(i, '.'))
  for (const [i, body] of sent.entries()) {
    assert.equal(store.append(message(queue, body)), APPENDED)
    if (i % 7 === 0) turns.end()
  }
  turns.end()
  await store.whenSafe(store.end)
  assert.deepEqual(await bodies(store, queue), sent)
  const names = disk.list('/store/commitlog')?.map(entry => entry.name) ?? []
  assert.ok(names.length > 15)
  await store.close()
})

test('properties that a recovery would take for bytes never written are refused', async () => {
  const { store } = await opened()
  const queue = store.queueFor('TopicA', 0)
  assert.equal(store.append(message(queue, 'x', 'a\u0001b\0')), BAD_PROPERTIES)
  assert.equal(store.append(message(queue, 'x', `a\u0001${'\0'.repeat(512)}b`)), BAD_PROPERTIES)
  assert.equal(store.append(message(queue, 'x', `a\u0001${'\0'.repeat(511)}b`)), APPENDED)
  await store.close()
})

test('an append says what is wrong with a message', async () => {
  const { store } = await opened({ maxMessageBytes: 500, logFileBytes: 2000 })
  const queue = store.queueFor('TopicA', 0)
  assert.equal(store.append(message(queue, 'x'.repeat(501))), TOO_LARGE)
  assert.equal(store.append(message(queue, 'x', `a\u0001${'b'.repeat(1900)}`)), TOO_LARGE)
  assert.equal(store.append(message(store.queueFor('t'.repeat(128), 0), 'x')), TOPIC_TOO_LONG)
  const six = Array.from({ length: 6 }, () => message(queue, 'x'))
  assert.equal(store.appendBatch(six), BATCH_TOO_LARGE)
  assert.equal(store.end, 0)
  await store.close()
  assert.equal(store.append(message(queue, 'x')), NOT_WRITABLE)
  assert.equal(store.whyNotWritable?.code, 'CLOSED')
})

test('a batch is appended as a whole, or not at all', async () => {
  const { store, turns } = await opened()
  const queue = store.queueFor('TopicA', 0)
  const batch = ['a', 'b', 'c'].map(body => message(queue, body))
  assert.equal(store.appendBatch(batch), APPENDED)
  assert.deepEqual([store.appended.queueOffset, store.appended.position, store.appendedPositions], [0, 0, [0, 98, 196]])
  const bad = [message(queue, 'd'), message(queue, 'e', `a\u0001${'b'.repeat(32_766)}`)]
  assert.equal(store.appendBatch(bad), PROPERTIES_TOO_LONG)
  assert.deepEqual([store.end, queue.nextOffset], [294, 3])
  store.append(message(queue, 'f'))
  turns.end()
  await store.whenSafe(store.end)
  assert.deepEqual(await bodies(store, queue), ['a', 'b', 'c', 'f'])
  await store.close()
})
