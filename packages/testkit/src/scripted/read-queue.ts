import { responseCodes, type StoredMessage } from '@gantrymq/protocol'
import type { LogEntry, MessageLog } from './message-log.ts'

/** The maximum of messages and bytes in an answer: Apache's limits for messages in memory. */
const MAX_MESSAGES = 32
const MAX_BYTES = 256 * 1024

/** The result of a read: Apache's GetMessageResult. */
export interface Found {
  readonly code: number
  /** Apache's GetMessageStatus. It becomes the remark. */
  readonly status: string
  readonly nextOffset: number
  readonly entries: readonly LogEntry[]
}

/** What to read. */
export interface QueueRead {
  readonly topic: string
  readonly queueId: number
  readonly offset: number
  readonly max: number
  readonly matches: (message: StoredMessage) => boolean
}

/** Reads a queue as Apache's DefaultMessageStore.getMessage does. */
export function readQueue(log: MessageLog, { topic, queueId, offset, max, matches }: QueueRead): Found {
  const minOffset = log.minOffset(topic, queueId)
  const maxOffset = log.maxOffset(topic, queueId)
  const { PULL_NOT_FOUND, PULL_OFFSET_MOVED, PULL_RETRY_IMMEDIATELY, SUCCESS } = responseCodes
  const nothing = (code: number, status: string, nextOffset: number): Found => ({
    code,
    status,
    nextOffset,
    entries: [],
  })
  if (maxOffset === 0) {
    return nothing(offset === 0 ? PULL_NOT_FOUND : PULL_OFFSET_MOVED, 'NO_MESSAGE_IN_QUEUE', 0)
  }
  if (offset < minOffset) return nothing(PULL_OFFSET_MOVED, 'OFFSET_TOO_SMALL', minOffset)
  if (offset === maxOffset) return nothing(PULL_NOT_FOUND, 'OFFSET_OVERFLOW_ONE', offset)
  if (offset > maxOffset) return nothing(PULL_OFFSET_MOVED, 'OFFSET_OVERFLOW_BADLY', maxOffset)
  const { entries, nextOffset } = take(log.messages(topic, queueId, offset), Math.min(max, MAX_MESSAGES), matches)
  if (entries.length === 0) return nothing(PULL_RETRY_IMMEDIATELY, 'NO_MATCHED_MESSAGE', nextOffset)
  return { code: SUCCESS, status: 'FOUND', nextOffset, entries }
}

function take(waiting: readonly LogEntry[], max: number, matches: (message: StoredMessage) => boolean) {
  const entries: LogEntry[] = []
  let nextOffset = waiting[0]?.queueOffset ?? 0
  let bytes = 0
  for (const entry of waiting) {
    if (matches(entry.message)) {
      bytes += entry.bytes.length
      // The first message may exceed the limit of bytes.
      if (entries.length === max || (entries.length > 0 && bytes > MAX_BYTES)) break
      entries.push(entry)
    }
    nextOffset = entry.queueOffset + 1
  }
  return { entries, nextOffset }
}
