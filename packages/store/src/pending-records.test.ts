import assert from 'node:assert/strict'
import { test } from 'node:test'
import { numbersFrom } from '@gantrymq/remoting/testing'
import type { DispatchedRecord } from './dispatched-record.ts'
import { PendingRecords } from './pending-records.ts'
import type { ConsumeQueue } from './queues/consume-queue.ts'

const ROLLED_BACK = 0xc
const NO_KEYS = new Int32Array()

test('records come out in order, or are forgotten from the newest on with their offsets: as with a plain array', () => {
  for (let seed = 0; seed < 50; seed++) {
    const numbers = numbersFrom(seed)
    const pending = new PendingRecords()
    const queue = { nextOffset: 0 } as ConsumeQueue
    const expected: DispatchedRecord[] = []
    let position = 0
    for (let step = 0; step < 2000; step++) {
      const choice = numbers(10)
      if (choice < 6) {
        const keyCount = numbers(4)
        const record = {
          queue,
          position,
          size: 1 + numbers(50),
          queueOffset: queue.nextOffset,
          tagsCode: numbers(1000) * 2 ** 20,
          storeTimestamp: 1_700_000_000_000 + step,
          sysFlag: numbers(5) === 0 ? ROLLED_BACK : 0,
          keyHashes: Int32Array.from({ length: keyCount }, () => numbers(2 ** 31)),
          keyCount,
        }
        if (record.sysFlag === 0) queue.nextOffset++
        pending.push(record)
        expected.push(record)
        position += record.size
      } else if (choice < 9) {
        const safe = position - numbers(200)
        for (let record = pending.take(safe); record !== undefined; record = pending.take(safe)) {
          const { keyHashes, ...facts } = record
          const { keyHashes: keys, ...wanted } = expected.shift() as DispatchedRecord
          assert.deepEqual(facts, wanted)
          assert.deepEqual(keyHashes.subarray(0, record.keyCount), keys)
        }
        assert.ok((expected[0]?.position ?? position) + (expected[0]?.size ?? 1) > safe)
      } else {
        const from = position - numbers(100)
        pending.dropFrom(from)
        while (expected.length > 0 && (expected.at(-1) as DispatchedRecord).position >= from) {
          const { sysFlag, queueOffset, position: start } = expected.pop() as DispatchedRecord
          if (sysFlag === 0) assert.ok(queue.nextOffset <= queueOffset)
          position = start
        }
      }
      assert.equal(pending.count, expected.length)
    }
  }
})

test('the memory of a flood is given back, however often it comes again', () => {
  const pending = new PendingRecords()
  const queue = { nextOffset: 0 } as ConsumeQueue
  const record = { queue, size: 1, queueOffset: 0, tagsCode: 0, storeTimestamp: 1, sysFlag: 0, keyCount: 0 }
  let end = 0
  const pass = (count: number): void => {
    for (const last = end + count; end < last; end++) pending.push({ ...record, position: end, keyHashes: NO_KEYS })
    let taken = 0
    while (pending.take(end) !== undefined) taken++
    assert.equal(taken, count)
  }
  for (let flood = 0; flood < 2; flood++) {
    pass(100_000)
    assert.equal(pending.capacity, 131_072)
    pass(100_000)
    assert.equal(pending.capacity, 131_072)
    for (let quiet = 0; quiet < 20; quiet++) pass(300)
    assert.equal(pending.capacity, 4096)
  }
})
