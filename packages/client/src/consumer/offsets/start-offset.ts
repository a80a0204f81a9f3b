import { type ConsumeFromWhere, isRetryTopic } from '@gantrymq/protocol'

/** Where a group without a stored offset starts: after the last message, at the first message, or at a time. */
export type ConsumeFrom = 'last' | 'first' | Date

/**
 * How to find the offset at which to start reading a queue. `stored`: the group's stored offset; `max`: ask the broker for
 * the end of the queue; `zero`: offset 0, which the broker moves to its oldest message; `time`: ask the broker for the
 * offset at this time, in milliseconds since the epoch; `unknown`: the stored offset could not be read, so the queue has to
 * wait for the next rebalance.
 */
export type StartOffset = 'stored' | 'unknown' | 'max' | 'zero' | { readonly time: number }

/** The broker has no offset of this group: -1, as in Apache's OffsetStore. */
export const NO_STORED_OFFSET = -1
/** The offset could not be read: -2, as in Apache's OffsetStore. It must not look like a new group. */
export const UNREADABLE_OFFSET = -2

/** Where a group without an offset starts, in a topic and in its retry topic: Apache's RebalancePushImpl. */
const newGroupStarts = {
  last: { topic: 'max', retryTopic: 'zero' },
  first: { topic: 'zero', retryTopic: 'zero' },
  time: { topic: 'time', retryTopic: 'max' },
} as const

/** How to find the start of a queue of `topic`. A new group on a topic whose offsets still begin at 0 gets 0 from the broker. */
export function startOffset(stored: number, consumeFrom: ConsumeFrom, topic: string): StartOffset {
  if (stored >= 0) return 'stored'
  if (stored !== NO_STORED_OFFSET) return 'unknown'
  const row = newGroupStarts[consumeFrom instanceof Date ? 'time' : consumeFrom]
  const from = isRetryTopic(topic) ? row.retryTopic : row.topic
  return from === 'time' ? { time: Number(consumeFrom) } : from
}

/** Where a new group starts, as heartbeats tell the brokers. */
export function consumeFromWhere(from: ConsumeFrom): ConsumeFromWhere {
  if (from instanceof Date) return 'CONSUME_FROM_TIMESTAMP'
  return from === 'first' ? 'CONSUME_FROM_FIRST_OFFSET' : 'CONSUME_FROM_LAST_OFFSET'
}
