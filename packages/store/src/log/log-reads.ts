import type { CommitLog } from './commit-log.ts'
import { RecordReader } from './record-check.ts'
import { FIXED_BYTES } from './record-layout.ts'

/** The size and the magic code of a record. */
const HEAD_BYTES = 8

/**
 * A copy of the record at a position, which may come from any client; undefined if there is no whole record at it, or consumers
 * cannot see it yet. Source: Apache's DefaultMessageStore.lookMessageByOffset, which checks nothing.
 * @throws StoreError READ_FAILED
 */
export async function recordAt(log: CommitLog, position: number): Promise<Buffer | undefined> {
  const fileEnd = log.segments.find(position)?.end ?? 0
  const end = Math.min(log.safe, fileEnd)
  if (!Number.isSafeInteger(position) || position < log.start || position + HEAD_BYTES > end) return undefined
  const size = (await bytesAt(log, position, HEAD_BYTES))?.readInt32BE(0) ?? 0
  // In the middle of a body there may be any number, for which the whole log would be read.
  if (size < FIXED_BYTES || size > log.largestRecord || position + size > end) return undefined
  const record = await bytesAt(log, position, size)
  if (record === undefined) return undefined
  const found = new RecordReader().read(record, 0, size, position, fileEnd - position, true)
  return found === 'record' ? record : undefined
}

async function bytesAt(log: CommitLog, position: number, size: number): Promise<Buffer | undefined> {
  while (log.exists(position, size)) {
    if (log.has(position, size)) {
      const bytes = Buffer.allocUnsafe(size)
      log.copy(position, size, bytes, 0)
      return bytes
    }
    await log.load(position, size)
  }
  return undefined
}

/** A copy of bytes of one file that are perhaps not in memory, read without taking a place there. @throws the error of the disk */
export async function peek(log: CommitLog, position: number, size: number): Promise<Buffer | undefined> {
  const segment = log.segments.find(position)
  if (segment === undefined || !log.exists(position, size) || position + size > segment.end) return undefined
  const bytes = Buffer.allocUnsafe(size)
  if (log.has(position, size)) log.copy(position, size, bytes, 0)
  else await segment.read(bytes, 0, size, position - segment.start)
  return bytes
}
