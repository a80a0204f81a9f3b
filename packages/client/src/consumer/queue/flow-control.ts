/** How much of one queue may wait in memory. */
export interface PullLimits {
  /** Messages of a queue: Java's pullThresholdForQueue. */
  readonly messagesPerQueue: number
  /** Mebibytes of messages of a queue: Java's pullThresholdSizeForQueue. */
  readonly mebibytesPerQueue: number
  /** Distance from the oldest offset to the newest, for concurrent consumers: Java's consumeConcurrentlyMaxSpan. */
  readonly span: number
}

/** Limits for all queues of a consumer together. Unlimited where undefined. */
export interface TopicLimits {
  /** Messages: Java's pullThresholdForTopic. */
  readonly messagesPerTopic?: number | undefined
  /** Mebibytes of messages: Java's pullThresholdSizeForTopic. */
  readonly mebibytesPerTopic?: number | undefined
}

/** The limits among a consumer's options. -1 means unlimited for those of topics. */
export interface LimitSettings {
  readonly maxQueuedMessages: number
  readonly maxQueuedMebibytes: number
  readonly maxSpan: number
  readonly maxTopicMessages: number
  readonly maxTopicMebibytes: number
}

/** What waits of a queue. A ProcessQueue is one. */
export interface Backlog {
  readonly count: number
  /** Bytes. */
  readonly size: number
  readonly span: number
}

const MEBIBYTE = 1 << 20

/**
 * The limit that a queue exceeds; null if it may be pulled. As in Java, a queue has to exceed a limit, not just reach it. The
 * span does not apply to orderly consumers, which finish their messages in turn.
 */
export function exceededLimit(
  backlog: Backlog,
  limits: PullLimits,
  orderly: boolean,
): 'count' | 'size' | 'span' | null {
  if (backlog.count > limits.messagesPerQueue) return 'count'
  if (Math.floor(backlog.size / MEBIBYTE) > limits.mebibytesPerQueue) return 'size'
  return !orderly && backlog.span > limits.span ? 'span' : null
}

/**
 * The limits of one queue when `queuesHeld` queues share the limits of the topic. Java divides by all queues of the consumer,
 * whatever their topic, including those of retry topics.
 */
export function limitsPerQueue(limits: PullLimits, topic: TopicLimits, queuesHeld: number): PullLimits {
  const divide = (total: number | undefined, alone: number) =>
    total === undefined || queuesHeld === 0 ? alone : Math.max(1, Math.floor(total / queuesHeld))
  return {
    messagesPerQueue: divide(topic.messagesPerTopic, limits.messagesPerQueue),
    mebibytesPerQueue: divide(topic.mebibytesPerTopic, limits.mebibytesPerQueue),
    span: limits.span,
  }
}

/** The limits of a consumer's queues, which depend on how many of them it holds. */
export class SharedLimits {
  readonly #limits: PullLimits
  readonly #topic: TopicLimits
  readonly #held: { readonly size: number }
  #perQueue: PullLimits
  /** The number of queues that `#perQueue` was computed for. */
  #queues = 0

  constructor(settings: LimitSettings, held: { readonly size: number }) {
    const { maxQueuedMessages, maxQueuedMebibytes, maxSpan, maxTopicMessages, maxTopicMebibytes } = settings
    this.#limits = { messagesPerQueue: maxQueuedMessages, mebibytesPerQueue: maxQueuedMebibytes, span: maxSpan }
    this.#topic = {
      messagesPerTopic: maxTopicMessages === -1 ? undefined : maxTopicMessages,
      mebibytesPerTopic: maxTopicMebibytes === -1 ? undefined : maxTopicMebibytes,
    }
    this.#held = held
    this.#perQueue = limitsPerQueue(this.#limits, this.#topic, 0)
  }

  /** The limits of each queue, for the number of queues held now. */
  get perQueue(): PullLimits {
    const { size } = this.#held
    if (size !== this.#queues) {
      this.#queues = size
      this.#perQueue = limitsPerQueue(this.#limits, this.#topic, size)
    }
    return this.#perQueue
  }
}
