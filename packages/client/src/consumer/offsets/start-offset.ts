import { isRetryTopic } from '@gantrymq/protocol'

/** Where a group without a stored offset begins: behind the last message, at the first, or at a time. */
export type ConsumeFrom = 'last' | 'first' | Date

/**
 * Where a queue is read from. `stored` is the group's own offset, `max` is asked of the broker, `zero` is offset 0
 * (the broker moves it to its oldest message), `time` is looked up, milliseconds since the epoch. `unknown`: the stored
 * offset could not be read, so the queue has to wait for the next round.
 */
export type StartOffset = 'stored' | 'unknown' | 'max' | 'zero' | { readonly time: number }

/** The broker knows no offset of this group (Apache's offset store, -1). */
export const NO_STORED_OFFSET = -1
/** The offset could not be read (Apache's -2): it must not look like a new group. */
export const UNREADABLE_OFFSET = -2

/** What a group without an offset does, for topics and for its retry topic: Apache's RebalancePushImpl. */
const beginnings = {
  last: { topic: 'max', retryTopic: 'zero' },
  first: { topic: 'zero', retryTopic: 'zero' },
  time: { topic: 'time', retryTopic: 'max' },
} as const

/** Where to begin with a queue of `topic`. A new group on a topic still at 0 gets stored offset 0 from the broker. */
export function startOffset(stored: number, consumeFrom: ConsumeFrom, topic: string): StartOffset {
  if (stored >= 0) return 'stored'
  if (stored !== NO_STORED_OFFSET) return 'unknown'
  const row = beginnings[consumeFrom instanceof Date ? 'time' : consumeFrom]
  const from = isRetryTopic(topic) ? row.retryTopic : row.topic
  return from === 'time' ? { time: Number(consumeFrom) } : from
}
