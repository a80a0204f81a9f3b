import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { test } from 'node:test'
import { encodeMessage, type TopicConfig } from '@gantrymq/protocol'
import { silent } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import { APPENDED, BUSY, type ConsumeQueue, PROPERTIES_TOO_LONG } from '@gantrymq/store'
import { OffsetTable } from '../offsets/offset-table.ts'
import type { NewMessage } from '../sending/new-message.ts'
import { PopLedger, type PopQueue } from './pop-ledger.ts'
import { Revival } from './revival.ts'

const host = { ip: '10.0.0.1', port: 5000 }
const queue: PopQueue = { topic: 'Orders', group: 'billing', queueId: 0 }

function record(position: number): Buffer {
  return encodeMessage({
    topic: 'Orders',
    queueId: 0,
    queueOffset: position,
    physicalOffset: position,
    body: Buffer.from(String(position)),
    properties: new Map(),
    flag: 0,
    sysFlag: 0,
    bornTimestamp: 1,
    bornHost: host,
    storeTimestamp: 2,
    storeHost: host,
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    bodyCrc: 0,
  })
}

/** A revival whose store has a message at every offset, and takes messages as `state` says. */
function fixture() {
  const clock = new ManualClock()
  const ledger = new PopLedger(() => ({ perQueue: 1000, total: 1000 }))
  const state = { isBusy: false, mostProperties: 10, hasGroup: true, hasMessages: true, stored: [] as string[] }
  const revival = new Revival({
    ledger,
    store: {
      queue: () => ({}) as ConsumeQueue,
      unitAt: (_queue, offset) => Promise.resolve({ position: offset, size: 1, tagsCode: 0 }),
      messageAt: position => Promise.resolve(state.hasMessages ? record(position) : undefined),
    },
    writer: {
      writeNow({ topic, body, properties }: NewMessage) {
        const fits = properties.size <= state.mostProperties
        const status = state.isBusy ? BUSY : fits ? APPENDED : PROPERTIES_TOO_LONG
        if (status === APPENDED) state.stored.push(`${topic} ${body.toString()}`)
        return { status, topic, positions: [0], queueOffset: 0, bytes: 0, safe: setImmediate() }
      },
    },
    topics: { has: () => true, inner: () => ({}) as TopicConfig },
    groups: { has: () => state.hasGroup },
    offsets: new OffsetTable(),
    usesV2: () => false,
    onRevived: () => {},
    onFreed: () => {},
    clock,
    log: silent,
  })
  const popped = (offset: number): void =>
    ledger.add(queue, offset, { popTime: clock.now(), due: clock.elapsed() + 1000 })
  const passes = async (ms: number): Promise<void> => {
    clock.advance(ms)
    revival.tick()
    for (let turn = 0; turn < 20; turn++) await setImmediate()
  }
  return { clock, ledger, state, revival, popped, passes }
}

test('what has expired is stored in the retry topic, and is not popped any more', async () => {
  const { ledger, state, popped, passes } = fixture()
  popped(7)
  await passes(900)
  assert.deepEqual([state.stored, ledger.size], [[], 1])
  await passes(100)
  assert.deepEqual([state.stored, ledger.size], [['%RETRY%billing_Orders 7'], 0])
})

test('a message that is acknowledged while others are being stored is not stored', async () => {
  const { clock, ledger, state, revival, popped } = fixture()
  for (let offset = 0; offset < 40; offset++) popped(offset)
  const popTime = clock.now()
  clock.advance(1000)
  revival.tick()
  assert.equal(ledger.acknowledge(queue, 39, popTime), true)
  await revival.close()
  assert.equal(state.stored.length, 39)
  assert.equal(state.stored.includes('%RETRY%billing_Orders 39'), false)
})

test('a store that is busy gets the message a second later', async () => {
  const { ledger, state, popped, passes } = fixture()
  popped(7)
  state.isBusy = true
  await passes(1000)
  assert.equal(ledger.size, 1)
  state.isBusy = false
  await passes(900)
  assert.deepEqual(state.stored, [])
  await passes(200)
  assert.deepEqual([state.stored.length, ledger.size], [1, 0])
})

test('a message whose properties leave no room for the time of its first pop comes again without it', async () => {
  const { state, popped, passes } = fixture()
  popped(7)
  state.mostProperties = 0
  await passes(1000)
  assert.deepEqual(state.stored, ['%RETRY%billing_Orders 7'])
})

test('a message that is gone, or whose group is, is forgotten', async () => {
  for (const gone of [{ hasGroup: false }, { hasMessages: false }]) {
    const { ledger, state, popped, passes } = fixture()
    Object.assign(state, gone)
    popped(7)
    await passes(1000)
    assert.deepEqual([state.stored, ledger.size], [[], 0])
  }
})

test('any number of messages may expire at once', async () => {
  const { clock, ledger, state, revival, popped } = fixture()
  state.hasGroup = false
  for (let offset = 0; offset < 150_000; offset++) popped(offset)
  clock.advance(1000)
  revival.tick()
  await revival.close()
  assert.equal(ledger.size, 0)
})

test('after its end nothing is stored', async () => {
  const { state, revival, popped, passes } = fixture()
  popped(7)
  revival.stop()
  await passes(1000)
  assert.deepEqual(state.stored, [])
})
