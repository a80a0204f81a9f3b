import type { Health } from '@gantrymq/daemon'
import type { ConsumeType, MessageModel, SubscriptionGroupConfig, TopicConfig } from '@gantrymq/protocol'

/** One queue of a topic, and how far a group is in it. */
export interface QueueView {
  readonly queueId: number
  readonly minOffset: number
  readonly maxOffset: number
}

export interface QueueBacklog extends QueueView {
  readonly topic: string
  /** The committed offset; undefined if the group has none. */
  readonly committed: number | undefined
  /** Messages that the group has not consumed yet, with those that it has popped and not acknowledged. */
  readonly backlog: number
}

/** A delay level. Its messages wait in the queue `level - 1` of SCHEDULE_TOPIC_XXXX. */
export interface LevelView {
  readonly level: number
  /** Undefined if the level is not configured any more: its messages are due at once. */
  readonly delayMs: number | undefined
  /** The offset of the first message that waits. */
  readonly offset: number
  readonly maxOffset: number
}

export interface TopicView {
  readonly config: TopicConfig
  /** Messages stored per second over the last minute. */
  readonly putRate: number
  readonly queues: readonly QueueView[]
}

export interface GroupView {
  readonly config: SubscriptionGroupConfig
  /** Connected clients. */
  readonly clients: number
  /** Undefined if no client is connected. */
  readonly consumeType: ConsumeType | undefined
  readonly messageModel: MessageModel | undefined
  readonly backlog: number
}

export interface ClientView {
  readonly role: 'producer' | 'consumer'
  readonly group: string
  readonly clientId: string
  readonly address: string
  readonly language: string
  /** The release of the client. */
  readonly version: string
}

/**
 * What the HTTP pages and the metrics read from a broker. Every method is synchronous and cheap; the iterables are read in slices,
 * and may be the tables' own iterators: JavaScript's Map allows changes during iteration.
 */
export interface BrokerStatus extends Health {
  readonly brokerName: string
  readonly clusterName: string
  topics(): Iterable<string>
  topic(name: string): TopicView | undefined
  groups(): Iterable<string>
  group(name: string): GroupView | undefined
  /** The progress of a group in each queue of the topics in which it has offsets or to which it subscribes. */
  backlogs(group: string): Iterable<QueueBacklog>
  clients(): Iterable<ClientView>
  delayLevels(): Iterable<LevelView>
  /** Pulls that wait for messages. */
  readonly heldPulls: number
  /** What was stored and delivered since the start, and what groups have not consumed. */
  traffic(): Traffic
}

/** Messages of a broker. */
export interface Traffic {
  readonly stored: number
  readonly delivered: number
  /** Over all groups that have committed an offset: what they have not consumed. */
  readonly backlog: number
}
