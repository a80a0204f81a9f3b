import { stringHash } from '@gantrymq/protocol'
import type { KeyIndex } from './index/key-index.ts'

/** Records that have a key. */
export interface KeyedRecords {
  /** Whole records, oldest first. One with another key of the same hash may be among them. */
  readonly records: Buffer[]
  /** Of the newest record of the index: store time, milliseconds since the epoch, and position. */
  readonly lastUpdate: number
  readonly lastPosition: number
}

/** How much a query may find. Times are store times, milliseconds since the epoch, both included. */
export interface KeyLimits {
  readonly max: number
  /** Of all records; one is found even if it alone has more. Default: any number. */
  readonly maxBytes?: number
  /** Ends the query, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal
  readonly begin: number
  readonly end: number
}

/**
 * The newest records of a topic that have a key: Apache's DefaultMessageStore.queryMessage.
 * @throws the error of the disk, the reason of the signal
 */
export async function recordsOfKey(
  index: KeyIndex,
  recordAt: (position: number) => Promise<Buffer | undefined>,
  topic: string,
  key: string,
  { maxBytes = Number.POSITIVE_INFINITY, ...limits }: KeyLimits,
): Promise<KeyedRecords> {
  const found = await index.search({ keyHash: stringHash(`${topic}#${key}`), ...limits })
  const records: Buffer[] = []
  let bytes = 0
  // A message whose unique key is one of its keys, too, is in the index twice.
  for (const position of new Set(found.positions)) {
    limits.signal?.throwIfAborted()
    const record = await recordAt(position)
    if (record === undefined) continue
    bytes += record.length
    if (bytes > maxBytes && records.length > 0) break
    records.push(record)
  }
  return { records: records.toReversed(), lastUpdate: found.lastUpdate, lastPosition: found.lastPosition }
}
