import { inSlices } from '@gantrymq/daemon'
import type { TopicConfig } from '@gantrymq/protocol'
import type { Sliced } from '@gantrymq/remoting'
import { scanEntries } from './scan.ts'

/** A registration body whose topics have been read. */
export interface ReadBody {
  readonly bytes: Buffer
  /** Just after the opening brace of the topic table. */
  readonly tableStart: number
  /** The table's closing brace. */
  readonly tableEnd: number
  /** Where each entry begins. */
  readonly offsets: Uint32Array
  /** The only range after `tableStart` in which it differs from another body of the same length. */
  readonly differs?: { readonly from: Buffer; readonly start: number; readonly end: number }
}

/** A body that was compared with the previous one, and the topics read from the range that differs. */
export interface BodyDifference {
  readonly topics: readonly TopicConfig[]
  readonly body: ReadBody
}

/**
 * Compares a body with the last one of the same broker, and reads only the entries between the first and the last
 * byte that differ. A broker that changed one topic sends all its topics again; comparing memory is a hundred times
 * cheaper than reading it.
 *
 * Where all bytes before the start of an entry are the same, a reader would be in the same state there. So reading may
 * start and end at entry boundaries of the old body, as long as it meets them exactly.
 * @param tableStart Of the new body.
 * @returns undefined if the two have too little in common, or something is not as expected.
 */
export function* differenceOf(old: ReadBody, bytes: Buffer, tableStart: number): Sliced<BodyDifference | undefined> {
  const { offsets } = old
  const longest = Math.min(old.tableEnd - old.tableStart, bytes.length - tableStart)
  const same = commonPrefix(old.bytes, old.tableStart, bytes, tableStart, longest)
  const grown = bytes.length - old.bytes.length
  // The common suffix must not overlap the common prefix.
  const most = Math.min(old.bytes.length - old.tableStart, bytes.length - tableStart) - same
  const end = old.bytes.length - commonSuffix(old.bytes, bytes, most)
  if (offsets.length === 0 || end > old.tableEnd) return undefined

  const first = Math.max(0, firstAbove(offsets, old.tableStart + same) - 1)
  const next = firstAbove(offsets, end - 1)
  const resume = next < offsets.length ? (offsets[next] as number) : old.tableEnd
  const start = (offsets[first] as number) - old.tableStart + tableStart
  const read = yield* scanEntries(bytes, start, resume + grown)
  const before = yield* scanEntries(old.bytes, offsets[first] as number, resume)
  if (read === undefined || before === undefined) return undefined
  if (!(yield* isSubset(read.topics, before.topics))) return undefined
  return {
    topics: read.topics,
    body: {
      bytes,
      tableStart,
      tableEnd: old.tableEnd + grown,
      ...(grown === 0 && tableStart === old.tableStart && { differs: { from: old.bytes, start, end: resume } }),
      offsets: joined(
        offsets.subarray(0, first),
        tableStart - old.tableStart,
        read.offsets,
        offsets.subarray(next),
        grown,
      ),
    },
  }
}

/**
 * A name that is new in this range may also occur elsewhere in the body, and then only reading all of it is correct.
 */
function* isSubset(topics: readonly TopicConfig[], before: readonly TopicConfig[]): Sliced<boolean> {
  const known = new Set<string>()
  yield* inSlices(before, ({ topicName }) => known.add(topicName))
  let isKnown = true
  yield* inSlices(topics, ({ topicName }) => (isKnown &&= known.delete(topicName)))
  return isKnown
}

function joined(
  head: Uint32Array,
  headBy: number,
  middle: Uint32Array,
  tail: Uint32Array,
  tailBy: number,
): Uint32Array {
  const offsets = new Uint32Array(head.length + middle.length + tail.length)
  for (let i = 0; i < head.length; i++) offsets[i] = (head[i] as number) + headBy
  offsets.set(middle, head.length)
  const at = head.length + middle.length
  for (let i = 0; i < tail.length; i++) offsets[at + i] = (tail[i] as number) + tailBy
  return offsets
}

/** Index of the first offset greater than `position`. */
function firstAbove(offsets: Uint32Array, position: number): number {
  let low = 0
  let high = offsets.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((offsets[middle] as number) > position) high = middle
    else low = middle + 1
  }
  return low
}

/** Bytes compared per native call, which takes a few microseconds. */
const BLOCK = 64 * 1024

function commonPrefix(a: Buffer, aStart: number, b: Buffer, bStart: number, length: number): number {
  const isSame = (from: number, size: number): boolean =>
    a.compare(b, bStart + from, bStart + from + size, aStart + from, aStart + from + size) === 0
  return sameSoFar(length, isSame)
}

function commonSuffix(a: Buffer, b: Buffer, most: number): number {
  const isSame = (from: number, size: number): boolean =>
    a.compare(b, b.length - from - size, b.length - from, a.length - from - size, a.length - from) === 0
  return sameSoFar(most, isSame)
}

/** How many bytes are the same, compared in blocks that are halved where they differ. */
function sameSoFar(length: number, isSame: (from: number, size: number) => boolean): number {
  let same = 0
  for (let size = BLOCK; size > 0; ) {
    const step = Math.min(size, length - same)
    if (step === 0) break
    if (isSame(same, step)) same += step
    else if (step === 1) break
    else size = step >>> 1
  }
  return same
}
