import type { PushSettings } from '../push/settings.ts'

/** How much of one queue may wait in memory. */
export interface PullLimits {
  /** Messages of a queue; Java's pullThresholdForQueue. */
  readonly messagesPerQueue: number
  /** Mebibytes of bodies of a queue; Java's pullThresholdSizeForQueue. */
  readonly mebibytesPerQueue: number
  /** From the oldest to the newest offset of a queue, for concurrent consumers; Java's consumeConcurrentlyMaxSpan. */
  readonly span: number
}

/** Limits of all queues of a consumer together, unlimited where not given. */
export interface TopicLimits {
  /** Messages; Java's pullThresholdForTopic. */
  readonly messagesPerTopic?: number | undefined
  /** Mebibytes of bodies; Java's pullThresholdSizeForTopic. */
  readonly mebibytesPerTopic?: number | undefined
}

type LimitSettings = Pick<
  PushSettings,
  'maxQueuedMessages' | 'maxQueuedMebibytes' | 'maxSpan' | 'maxTopicMessages' | 'maxTopicMebibytes'
>

/** The limits of the Java client. */
export const defaultPullLimits: PullLimits = Object.freeze({
  messagesPerQueue: 1000,
  mebibytesPerQueue: 100,
  span: 2000,
})

/** What flow control looks at; a ProcessQueue has it. */
export interface Backlog {
  readonly count: number
  /** Bytes. */
  readonly size: number
  readonly span: number
  readonly firstOffset: number | undefined
}

/** Why a queue is not pulled now, with the sentence for the log. */
export interface PullHold {
  readonly reason: 'count' | 'size' | 'span'
  readonly sentence: string
}

const MEBIBYTE = 1 << 20

/**
 * Why not to pull more of a queue now; null if it may be pulled. Limits are passed before they hold, as in Java.
 * Orderly consumers have no span: their messages are done in turn.
 */
export function pullHold(backlog: Backlog, limits: PullLimits, orderly: boolean): PullHold | null {
  const { count, size, span, firstOffset } = backlog
  if (count > limits.messagesPerQueue) {
    return hold('count', `${count} messages wait, the limit is ${limits.messagesPerQueue}`, firstOffset)
  }
  const mebibytes = Math.floor(size / MEBIBYTE)
  if (mebibytes > limits.mebibytesPerQueue) {
    return hold('size', `${mebibytes} MiB wait, the limit is ${limits.mebibytesPerQueue}`, firstOffset)
  }
  if (!orderly && span > limits.span) {
    return hold('span', `the waiting offsets span ${span}, the limit is ${limits.span}`, firstOffset)
  }
  return null
}

function hold(reason: PullHold['reason'], fact: string, firstOffset: number | undefined): PullHold {
  return { reason, sentence: `${fact}; the oldest is at offset ${firstOffset ?? 'none'}` }
}

/**
 * The limits of one queue when the limits of the topic are shared by so many queues. Java divides by all queues the
 * consumer holds, of whichever topic and retry topics included.
 */
export function sharedLimits(limits: PullLimits, topic: TopicLimits, queuesHeld: number): PullLimits {
  const share = (total: number | undefined, alone: number) =>
    total === undefined || queuesHeld === 0 ? alone : Math.max(1, Math.floor(total / queuesHeld))
  return {
    messagesPerQueue: share(topic.messagesPerTopic, limits.messagesPerQueue),
    mebibytesPerQueue: share(topic.mebibytesPerTopic, limits.mebibytesPerQueue),
    span: limits.span,
  }
}

/** What a push consumer's settings allow a queue, of so many that it holds. */
export function limitsOf(
  { maxQueuedMessages, maxQueuedMebibytes, maxSpan, maxTopicMessages, maxTopicMebibytes }: LimitSettings,
  queuesHeld: number,
): PullLimits {
  const own = { messagesPerQueue: maxQueuedMessages, mebibytesPerQueue: maxQueuedMebibytes, span: maxSpan }
  const shared = {
    messagesPerTopic: maxTopicMessages === -1 ? undefined : maxTopicMessages,
    mebibytesPerTopic: maxTopicMebibytes === -1 ? undefined : maxTopicMebibytes,
  }
  return sharedLimits(own, shared, queuesHeld)
}
