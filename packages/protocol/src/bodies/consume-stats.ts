import { type Bean, doubleOf, type JsonObject, numberOf, objectOf, textOf, toObjects, toText } from '@gantrymq/remoting'
import { jsonBody } from './json-body.ts'
import { type MessageQueue, queueTable, readQueueTable } from './message-queue.ts'

/** Offsets of one queue: Apache's TopicOffset. */
export interface QueueStats {
  readonly queue: MessageQueue
  /** Offset of the oldest message. */
  readonly minOffset: number
  /** Offset that the next message gets. */
  readonly maxOffset: number
  /** Store time of the newest message, milliseconds since the epoch; 0 if there is none. */
  readonly lastUpdateTimestamp: number
}

/** Offsets of all queues of a topic at one broker: Apache's TopicStatsTable. */
export interface TopicStats {
  readonly queues: readonly QueueStats[]
  /** Messages stored per second; always 0 with 4.9. */
  readonly putTps: number
}

export const topicStatsBody = jsonBody<TopicStats>(
  'TopicStatsTable',
  ({ putTps, queues }) => ({
    offsetTable: queueTable(queues, ({ lastUpdateTimestamp, maxOffset, minOffset }) => ({
      lastUpdateTimestamp,
      maxOffset,
      minOffset,
    })),
    topicPutTps: putTps,
  }),
  object => ({
    queues: readQueueTable(objectOf(object, 'offsetTable'), (queue, offsets) => ({
      queue,
      minOffset: numberOf(offsets, 'minOffset', 0),
      maxOffset: numberOf(offsets, 'maxOffset', 0),
      lastUpdateTimestamp: numberOf(offsets, 'lastUpdateTimestamp', 0),
    })),
    putTps: doubleOf(object, 'topicPutTps'),
  }),
)

/** The progress of a group in one queue: Apache's OffsetWrapper. */
export interface QueueProgress {
  readonly queue: MessageQueue
  /** Offset that the next message gets. */
  readonly brokerOffset: number
  /** Offset that the group committed. */
  readonly consumerOffset: number
  /** 5.x: offset up to which the group has read. */
  readonly pullOffset?: number
  /** Store time of the last message consumed, milliseconds since the epoch; 0 if there is none. */
  readonly lastTimestamp: number
}

/** The progress of a group at one broker: Apache's ConsumeStats. */
export interface ConsumeStats {
  readonly queues: readonly QueueProgress[]
  /** Messages delivered per second. */
  readonly consumeTps: number
}

function consumeStatsBean({ consumeTps, queues }: ConsumeStats): Bean {
  return {
    consumeTps,
    offsetTable: queueTable(queues, ({ brokerOffset, consumerOffset, lastTimestamp, pullOffset }) => ({
      brokerOffset,
      consumerOffset,
      lastTimestamp,
      pullOffset,
    })),
  }
}

function readProgress(queue: MessageQueue, offsets: JsonObject): QueueProgress {
  return {
    queue,
    brokerOffset: numberOf(offsets, 'brokerOffset', 0),
    consumerOffset: numberOf(offsets, 'consumerOffset', 0),
    ...(offsets.has('pullOffset') && { pullOffset: numberOf(offsets, 'pullOffset', 0) }),
    lastTimestamp: numberOf(offsets, 'lastTimestamp', 0),
  }
}

function readConsumeStats(object: JsonObject): ConsumeStats {
  return {
    queues: readQueueTable(objectOf(object, 'offsetTable'), readProgress),
    consumeTps: doubleOf(object, 'consumeTps'),
  }
}

export const consumeStatsBody = jsonBody<ConsumeStats>('ConsumeStats', consumeStatsBean, readConsumeStats)

/** The progress of all groups at one broker: Apache's ConsumeStatsList. */
export interface BrokerConsumeStats {
  readonly brokerAddr: string
  /** Each group with one item for each of its topics. */
  readonly groups: readonly { readonly group: string; readonly topics: readonly ConsumeStats[] }[]
  /** Messages that no group has consumed. */
  readonly totalDiff: number
  /** 5.x: messages read but not consumed. */
  readonly totalInflightDiff?: number
}

function readGroups(object: JsonObject): BrokerConsumeStats['groups'] {
  return toObjects(object.get('consumeStatsList') ?? null, 'consumeStatsList').flatMap(table =>
    [...table].map(([group, topics]) => ({
      group: toText(group),
      topics: toObjects(topics, 'consumeStatsList').map(readConsumeStats),
    })),
  )
}

export const consumeStatsListBody = jsonBody<BrokerConsumeStats>(
  'ConsumeStatsList',
  ({ brokerAddr, groups, totalDiff, totalInflightDiff }) => ({
    brokerAddr,
    consumeStatsList: groups.map(({ group, topics }) => new Map([[group, topics.map(consumeStatsBean)]])),
    totalDiff,
    totalInflightDiff,
  }),
  object => ({
    brokerAddr: textOf(object, 'brokerAddr') ?? '',
    groups: readGroups(object),
    totalDiff: numberOf(object, 'totalDiff', 0),
    ...(object.has('totalInflightDiff') && { totalInflightDiff: numberOf(object, 'totalInflightDiff', 0) }),
  }),
)
