import { MESSAGE_MAGIC_V1, MESSAGE_MAGIC_V2 } from '@gantrymq/protocol'
import type { CheckpointTimes } from '../files/checkpoint.ts'
import type { Segment } from '../files/segment.ts'
import type { SegmentList } from '../files/segment-list.ts'
import { storeTimeAt } from './record-check.ts'
import { readLong } from './record-layout.ts'

/** After a clean stop Apache looks at this many of the last files. */
const CHECKED_FILES = 3
/** Apache's StoreCheckpoint.getMinTimestamp allows for times of messages that are out of order. */
const TIME_MARGIN_MS = 3000
/** More than the fixed fields of any record. */
const HEAD_BYTES = 128
/** How far behind the end of the log records are looked for. */
const LOOKED_AT = 1 << 20
const MAGICS = [MESSAGE_MAGIC_V1, MESSAGE_MAGIC_V2].map(magic => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(magic)
  return bytes
})

/** Where a recovery begins to read the log. */
export interface RecoveryStart {
  readonly from: number
  /** Below this everything was on the disk, so what is damaged there does not end the log. */
  readonly trustedBelow: number
  /** Whether units and index entries of records from `from` on may be wrong. */
  readonly distrustsDerived: boolean
}

/**
 * Where to begin without a mark: Apache's rules. After a clean stop everything was on the disk, and only the last files are looked at.
 * Otherwise it is the newest file that begins with a message older than the checkpoint: CommitLog.isMappedFileMatchedRecover.
 */
export async function startByApachesRule(
  segments: SegmentList,
  wasAborted: boolean,
  times: CheckpointTimes,
): Promise<RecoveryStart> {
  const first = segments.first?.start ?? 0
  if (!wasAborted) {
    const from = segments.all.at(-CHECKED_FILES)?.start ?? first
    return { from, trustedBelow: Number.POSITIVE_INFINITY, distrustsDerived: false }
  }
  const limit = Math.min(times.log, times.queues, times.index) - TIME_MARGIN_MS
  for (const segment of segments.all.toReversed()) {
    const time = await firstStoreTime(segment)
    if (time !== undefined && time <= limit) return { from: segment.start, trustedBelow: 0, distrustsDerived: true }
  }
  return { from: first, trustedBelow: 0, distrustsDerived: true }
}

/** Store time of the first message of a file, milliseconds since the epoch. */
async function firstStoreTime(segment: Segment): Promise<number | undefined> {
  const head = Buffer.alloc(HEAD_BYTES)
  await segment.read(head, 0, Math.min(HEAD_BYTES, segment.size), 0)
  const time = storeTimeAt(head, 0)
  return time === undefined || time === 0 ? undefined : time
}

/**
 * Whether records stand behind the end that a recovery has found: in later files, or near the end. A power failure leaves such
 * records if it takes older ones, and so does damage before a crash.
 */
export async function hasRecordsBehind(segments: SegmentList, end: number): Promise<boolean> {
  for (const segment of segments.all) {
    if (segment.start > end && (await firstStoreTime(segment)) !== undefined) return true
  }
  const segment = segments.find(end)
  if (segment === undefined) return false
  const bytes = Buffer.alloc(Math.min(LOOKED_AT, segment.end - end))
  await segment.read(bytes, 0, bytes.length, end - segment.start)
  for (const magic of MAGICS) {
    for (let at = bytes.indexOf(magic, 5); at >= 0 && at + 32 <= bytes.length; at = bytes.indexOf(magic, at + 1)) {
      // The magic code is behind the size of its record, and the position is behind both.
      if (readLong(bytes, at + 24) === end + at - 4) return true
    }
  }
  return false
}

/**
 * Makes the end of the log final, before anything is accepted. Everything from `from` on is synced, because a killed process leaves
 * records in the page cache only, and new messages must not become durable before older ones. Behind the end there are zeros
 * afterwards, so that no old record is found again when a new one ends where it began. Later files are removed.
 */
export async function settleEnd(segments: SegmentList, from: number, end: number): Promise<void> {
  const later = segments.all.filter(segment => segment.start > end)
  // The newest first: after a crash in between, the rest is still without gaps.
  for (const segment of later.toReversed()) await segments.remove(segment)
  const last = segments.find(end)
  last?.clearFrom(end - last.start)
  for (const segment of segments.all) if (segment.end > from || segment === last) await segment.datasync()
  await segments.syncFolder()
}
