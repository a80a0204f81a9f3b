import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '@gantrymq/remoting/testing'
import { MemoryDisk } from './files/memory-disk.ts'
import { writeLong } from './log/record-layout.ts'
import type { ConsumeQueue } from './queues/consume-queue.ts'
import { ConsumeQueues } from './queues/consume-queues.ts'
import { offsetByTime, storeTimeOf, type TimedLog } from './time-search.ts'

const RECORD = 100

/** A queue with a message for each time, in files of 10 units. Records with odd numbers have IPv6 hosts. */
function messagesAt(times: readonly number[], start = 0): { queue: ConsumeQueue; log: TimedLog } {
  const queues = new ConsumeQueues({
    disk: new MemoryDisk(),
    folder: '/queues',
    fileBytes: 200,
    clock: new ManualClock(),
  })
  const queue = queues.findOrMake('Orders', 0)
  for (let offset = 0; offset < times.length; offset++) queue.put(offset, offset * RECORD, RECORD, 0, 0)
  const log = {
    start,
    async peek(position: number, size: number): Promise<Buffer | undefined> {
      const time = times[position / RECORD]
      if (time === undefined) return undefined
      const head = Buffer.alloc(size)
      const isV6 = (position / RECORD) % 2 === 1
      head.writeInt32BE(isV6 ? 0x10 : 0, 36)
      writeLong(head, isV6 ? 68 : 56, time)
      return head
    },
  }
  return { queue, log }
}

const everyTen = Array.from({ length: 35 }, (_, index) => 1_000 + index * 10)

test('the store time of a message is read from its record', async () => {
  const { queue, log } = messagesAt(everyTen)
  assert.deepEqual([await storeTimeOf(log, queue, 0), await storeTimeOf(log, queue, 7)], [1_000, 1_070])
  assert.equal(await storeTimeOf(log, queue, 35), -1)
})

test('a time stands for the nearest message, the earlier one if two are as near, as in Apache 4.9', async () => {
  const { queue, log } = messagesAt(everyTen)
  const offsets = [0, 1_000, 1_154, 1_155, 1_156, 1_340, 9_999].map(time => offsetByTime(log, queue, time))
  assert.deepEqual(await Promise.all(offsets), [0, 0, 15, 15, 16, 34, 34])
})

test('a time between two files stands for a message of the second, as in Apache 4.9', async () => {
  const { queue, log } = messagesAt(everyTen)
  assert.equal(await offsetByTime(log, queue, 1_091), 10)
})

test('a deleted message is never the nearest', async () => {
  const { queue, log } = messagesAt(everyTen, 500)
  assert.equal(await offsetByTime(log, queue, 1_000), 5)
})

test('a lower boundary is the first message at or after a time, or the next one to come', async () => {
  const { queue, log } = messagesAt([10, 20, 20, 20, 30])
  const offsets = [5, 10, 15, 20, 25, 30, 31].map(time => offsetByTime(log, queue, time, 'lower'))
  assert.deepEqual(await Promise.all(offsets), [0, 0, 1, 1, 4, 4, 5])
})

test('an upper boundary is the last message at or before a time, or the first one', async () => {
  const { queue, log } = messagesAt([10, 20, 20, 20, 30])
  const offsets = [5, 10, 15, 20, 25, 30, 31].map(time => offsetByTime(log, queue, time, 'upper'))
  assert.deepEqual(await Promise.all(offsets), [0, 0, 0, 3, 3, 4, 4])
})

test('a queue without messages has offset 0 at any time', async () => {
  const { queue, log } = messagesAt([])
  assert.equal(await offsetByTime(log, queue, 5), 0)
})
