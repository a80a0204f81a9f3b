import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ManualClock } from '@gantrymq/remoting/testing'
import { APPENDED } from './append-status.ts'
import { MemoryDisk } from './files/memory-disk.ts'
import { MessageStore } from './message-store.ts'
import type { StoreOptions } from './options.ts'

const HOST = Buffer.from([127, 0, 0, 1, 0, 0, 4, 210])
const EVER = { max: 64, begin: 0, end: Number.MAX_SAFE_INTEGER }

interface Fixture {
  readonly store: MessageStore
  readonly clock: ManualClock
  /** Sends a message and waits until it is stored. */
  readonly send: (topic: string, properties?: string) => Promise<void>
}

async function fixture(t: TestContext, options: Partial<StoreOptions> = {}): Promise<Fixture> {
  const clock = new ManualClock()
  const store = await MessageStore.open({
    disk: new MemoryDisk(),
    root: '/store',
    clock,
    logFileBytes: 64 << 10,
    indexSlots: 100,
    indexEntries: 1_000,
    ...options,
  })
  t.after(() => store.close())
  const body = Buffer.from('body')
  return {
    store,
    clock,
    async send(topic, text = '') {
      const properties = Buffer.from(text)
      const status = store.append({
        queue: store.queueFor(topic, 0),
        flag: 0,
        sysFlag: 0,
        bornTimestamp: 1,
        bornHost: HOST,
        storeHost: HOST,
        reconsumeTimes: 0,
        preparedTransactionOffset: 0,
        body,
        bodyStart: 0,
        bodyEnd: body.length,
        properties,
        propertiesStart: 0,
        propertiesEnd: properties.length,
      })
      assert.equal(status, APPENDED)
      await store.whenSafe(store.end)
    },
  }
}

async function queueOffsetsOf(store: MessageStore, topic: string, key: string, limits = {}): Promise<number[]> {
  const { records } = await store.queryKey(topic, key, { ...EVER, ...limits })
  return records.map(record => Number(record.readBigInt64BE(20)))
}

test('a message is found by each of its keys and by its unique key, once', async t => {
  const { store, send } = await fixture(t)
  await send('Orders', 'KEYS\u0001k1 k2\u0002UNIQ_KEY\u0001k1\u0002')
  await send('Orders', 'KEYS\u0001k2\u0002')
  await send('Other', 'KEYS\u0001k2\u0002')
  assert.deepEqual(await queueOffsetsOf(store, 'Orders', 'k1'), [0])
  assert.deepEqual(await queueOffsetsOf(store, 'Orders', 'k2'), [0, 1])
  assert.deepEqual(await queueOffsetsOf(store, 'Orders', 'k2', { max: 1 }), [1])
  assert.deepEqual(await queueOffsetsOf(store, 'Orders', 'nothing'), [])
  const { lastUpdate, lastPosition } = await store.queryKey('Orders', 'k1', EVER)
  assert.ok(lastUpdate >= 1_700_000_000_000)
  assert.ok(lastPosition > 0)
})

test('a query takes the newest messages that fit into its bytes, and one in any case', async t => {
  const { store, send } = await fixture(t)
  for (let sent = 0; sent < 5; sent++) await send('Orders', 'KEYS\u0001k\u0002')
  const bytes = store.end / 5
  assert.deepEqual(await queueOffsetsOf(store, 'Orders', 'k', { maxBytes: 3 * bytes }), [2, 3, 4])
  assert.deepEqual(await queueOffsetsOf(store, 'Orders', 'k', { maxBytes: 3 * bytes - 1 }), [3, 4])
  assert.deepEqual(await queueOffsetsOf(store, 'Orders', 'k', { maxBytes: 1 }), [4])
})

test('a position in the middle of a message, where any number may stand, takes no memory for a record of that size', async t => {
  const { store } = await fixture(t, { logFileBytes: 64 << 20, logBlocks: 16 })
  const queue = store.queueFor('Orders', 0)
  const body = Buffer.alloc(4 << 20, 1)
  body.writeInt32BE(30 << 20, 0)
  const message = { queue, flag: 0, sysFlag: 0, bornTimestamp: 1, bornHost: HOST, storeHost: HOST, reconsumeTimes: 0, preparedTransactionOffset: 0, body, bodyStart: 0, bodyEnd: body.length, properties: body, propertiesStart: 0, propertiesEnd: 0 } // biome-ignore format: one thought
  for (let sent = 0; sent < 9; sent++) {
    assert.equal(store.append(message), APPENDED)
    await store.whenSafe(store.end)
  }
  assert.equal(await store.messageAt(88), undefined)
  assert.equal((await store.messageAt(0))?.length, store.end / 9)
})

test('a query ends with its signal', async t => {
  const { store, send } = await fixture(t)
  await send('Orders', 'KEYS\u0001k\u0002')
  const reason = new Error('enough')
  await assert.rejects(store.queryKey('Orders', 'k', { ...EVER, signal: AbortSignal.abort(reason) }), reason)
})

test('the offset of a time is found by the store times of messages', async t => {
  const { store, clock, send } = await fixture(t)
  for (let sent = 0; sent < 5; sent++) {
    await send('Orders')
    clock.advance(1_000)
  }
  const queue = store.queueFor('Orders', 0)
  const start = 1_700_000_000_000
  assert.equal(await store.storeTimeOf(queue, 3), start + 3_000)
  assert.equal(await store.offsetByTime(queue, start + 2_400), 2)
  assert.equal(await store.offsetByTime(queue, start + 2_400, 'lower'), 3)
  assert.equal(await store.earliestTime(), start)
  assert.equal(await store.earliestTime(store.queueFor('Unused', 0)), -1)
})
