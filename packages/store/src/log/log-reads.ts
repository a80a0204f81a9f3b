import type { CommitLog } from './commit-log.ts'
import { RecordReader } from './record-check.ts'
import { FIXED_BYTES } from './record-layout.ts'

/** The size and the magic code of a record. */
const HEAD_BYTES = 8

/** Bytes of the log that must be read from the disk first. */
interface Missing {
  readonly position: number
  readonly size: number
}

/**
 * A copy of the record at a position, which may come from any client; undefined if there is no whole record at it, or consumers
 * cannot see it yet. Source: Apache's DefaultMessageStore.lookMessageByOffset, which checks nothing.
 * @throws StoreError READ_FAILED
 */
export async function recordAt(log: CommitLog, position: number): Promise<Buffer | undefined> {
  for (;;) {
    const found = find(log, position)
    if (found === undefined || Buffer.isBuffer(found)) return found
    await log.load(found.position, found.size)
  }
}

/** The same without waiting: undefined as well if the record is not in memory. */
export function recordInMemory(log: CommitLog, position: number): Buffer | undefined {
  const found = find(log, position)
  return Buffer.isBuffer(found) ? found : undefined
}

function find(log: CommitLog, position: number): Buffer | Missing | undefined {
  const fileEnd = log.segments.find(position)?.end ?? 0
  const end = Math.min(log.safe, fileEnd)
  if (!Number.isSafeInteger(position) || position < log.start || position + HEAD_BYTES > end) return undefined
  if (!log.has(position, HEAD_BYTES)) return { position, size: HEAD_BYTES }
  const size = copyOf(log, position, HEAD_BYTES).readInt32BE(0)
  // In the middle of a body there may be any number, for which the whole log would be read.
  if (size < FIXED_BYTES || size > log.largestRecord || position + size > end) return undefined
  if (!log.has(position, size)) return { position, size }
  const record = copyOf(log, position, size)
  const read = new RecordReader().read(record, 0, size, position, fileEnd - position, true)
  return read === 'record' ? record : undefined
}

function copyOf(log: CommitLog, position: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size)
  log.copy(position, size, bytes, 0)
  return bytes
}

/** A copy of bytes of one file that are perhaps not in memory, read without taking a place there. @throws the error of the disk */
export async function peek(log: CommitLog, position: number, size: number): Promise<Buffer | undefined> {
  const segment = log.segments.find(position)
  if (segment === undefined || !log.exists(position, size) || position + size > segment.end) return undefined
  if (log.has(position, size)) return copyOf(log, position, size)
  const bytes = Buffer.allocUnsafe(size)
  await segment.read(bytes, 0, size, position - segment.start)
  return bytes
}
