import { BORN_HOST_V6 } from '@gantrymq/protocol'
import { readLong, V6_BYTES } from './log/record-layout.ts'
import type { ConsumeQueue } from './queues/consume-queue.ts'

/**
 * Which message a time stands for: without a boundary the one whose store time is nearest, as in Apache 4.9. In Apache 5 it is by
 * default `lower`, the first message at or after the time, or `upper`, the last one at or before it.
 */
export type TimeBoundary = 'lower' | 'upper'

/** What a search needs to know of the log. */
export interface TimedLog {
  readonly start: number
  /** A copy of bytes of the log, read without taking memory of the log's cache; undefined if they do not exist. */
  peek(position: number, size: number): Promise<Buffer | undefined>
}

const SYS_FLAG_AT = 36
const STORE_TIMESTAMP_AT = 56
const HEAD_BYTES = STORE_TIMESTAMP_AT + V6_BYTES + 8
const UNREADABLE = -1

/** Store time of the record at a position, milliseconds since the epoch; -1 if there is none: Apache's CommitLog.pickupStoreTimestamp. */
export async function storeTimeAt(log: TimedLog, position: number): Promise<number> {
  const head = await log.peek(position, HEAD_BYTES)
  if (head === undefined) return UNREADABLE
  const isV6 = (head.readInt32BE(SYS_FLAG_AT) & BORN_HOST_V6) !== 0
  return readLong(head, isV6 ? STORE_TIMESTAMP_AT + V6_BYTES : STORE_TIMESTAMP_AT)
}

/** Store time of a message, -1 if there is none at this offset: Apache's DefaultMessageStore.getMessageStoreTimeStamp. */
export async function storeTimeOf(log: TimedLog, queue: ConsumeQueue, offset: number): Promise<number> {
  const unit = await queue.unit(offset)
  return unit === undefined || unit.position < log.start ? UNREADABLE : await storeTimeAt(log, unit.position)
}

/** The offset that stands for a time; 0 for a queue without messages: Apache's ConsumeQueue.getOffsetInQueueByTime. */
export async function offsetByTime(
  log: TimedLog,
  queue: ConsumeQueue,
  time: number,
  boundary?: TimeBoundary,
): Promise<number> {
  const { minOffset, maxOffset } = queue
  if (minOffset === maxOffset) return maxOffset
  if (boundary === undefined) return await nearest(log, queue, time)
  const isBehind = (stored: number) => (boundary === 'lower' ? stored >= time : stored > time)
  let low = minOffset
  let high = maxOffset
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (isBehind(await storeTimeOf(log, queue, middle))) high = middle
    else low = middle + 1
  }
  return boundary === 'lower' ? low : Math.max(low - 1, minOffset)
}

/**
 * Apache 4.9 looks in one file, the first that was changed at or after the time, and there for the nearest message. Time stamps of
 * files do not survive a copy, so the store time of the file's last message decides here.
 */
async function nearest(log: TimedLog, queue: ConsumeQueue, time: number): Promise<number> {
  let [low, high] = await fileOf(log, queue, time)
  let left: number | undefined
  let leftTime: number | undefined
  let right: number | undefined
  let rightTime: number | undefined
  while (low <= high) {
    const middle = Math.floor((low + high) / 2)
    const stored = await storeTimeOf(log, queue, middle)
    if (stored === time) return middle
    if (stored > time) {
      high = middle - 1
      right = middle
      rightTime = stored
    } else {
      low = middle + 1
      left = middle
      // The record is deleted: it is before the time, but not near it.
      if (stored >= 0) leftTime = stored
    }
  }
  if (leftTime === undefined) return right ?? queue.minOffset
  if (rightTime === undefined) return left ?? queue.minOffset
  return time - leftTime > rightTime - time ? (right ?? 0) : (left ?? 0)
}

/** First and last offset in the first file that ends at or after the time, or in the last file. */
async function fileOf(log: TimedLog, queue: ConsumeQueue, time: number): Promise<[low: number, high: number]> {
  const { minOffset, maxOffset, unitsPerFile } = queue
  let low = minOffset
  for (;;) {
    const next = (Math.floor(low / unitsPerFile) + 1) * unitsPerFile
    if (next >= maxOffset) return [low, maxOffset - 1]
    if ((await storeTimeOf(log, queue, next - 1)) >= time) return [low, next - 1]
    low = next
  }
}
