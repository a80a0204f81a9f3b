import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryDisk } from './files/memory-disk.ts'
import { resolveOptions, type StoreOptions } from './options.ts'

const MIB = 1 << 20

function resolve(options: Partial<StoreOptions> = {}) {
  return resolveOptions({ disk: new MemoryDisk(), root: '/store', ...options })
}

test("the defaults are Apache's", () => {
  const { logFileBytes, queueFileBytes, maxMessageBytes, flushMode, delayLevels } = resolve()
  assert.deepEqual(
    [logFileBytes, queueFileBytes, maxMessageBytes, flushMode],
    [2 ** 30, 6_000_000, 4 * MIB, 'ASYNC_FLUSH'],
  )
  assert.deepEqual([delayLevels.length, delayLevels[0], delayLevels[17]], [18, 1_000, 7_200_000])
})

test('files of queues hold whole units', () => {
  assert.equal(resolve({ queueFileBytes: 101 }).queueFileBytes, 120)
})

for (const [wrong, message] of [
  [{ root: 'store' }, /root of the store: "store" is not absolute/],
  [{ logFileBytes: 98 }, /logFileBytes of the store: 98 is too small/],
  [{ logFileBytes: 1.5e3 + 0.5 }, /logFileBytes/],
  [{ queueFileBytes: 0 }, /queueFileBytes/],
  [{ indexSlots: 0 }, /indexSlots/],
  [{ indexEntries: 1 }, /indexEntries/],
  [{ logBlocks: 15 }, /15 is below 16/],
] as const) {
  test(`${JSON.stringify(wrong)} cannot work`, () => {
    assert.throws(() => resolve(wrong), { code: 'BAD_OPTION', message })
  })
}

test('large messages get more blocks, but not more than a file needs', () => {
  assert.equal(resolve({ maxMessageBytes: 32 * MIB }).logBlocks, 66)
  assert.equal(resolve({ maxMessageBytes: 32 * MIB, logBlocks: 70 }).logBlocks, 70)
  assert.equal(resolve({ maxMessageBytes: 32 * MIB, logFileBytes: 4 * MIB }).logBlocks, 48)
})
