import {
  type Bean,
  intOf,
  type JsonInput,
  type JsonKey,
  type JsonMap,
  type JsonObject,
  type JsonValue,
  readFastjson,
  textOf,
  toNumber,
  toObject,
} from '@gantrymq/remoting'
/** One queue of a topic: Apache's MessageQueue. */
export interface MessageQueue {
  readonly topic: string
  readonly brokerName: string
  readonly queueId: number
}

/** An entry of a Java map keyed by queue. Such maps are lists here, because an object is not a useful key in JavaScript. */
export interface OfQueue {
  readonly queue: MessageQueue
}

export interface QueueOffset extends OfQueue {
  readonly offset: number
}

/** Also the key of a map: Java writes the bean itself there, without quotes (fastjson's MapSerializer). */
export function messageQueueBean({ brokerName, queueId, topic }: MessageQueue): Bean {
  return { brokerName, queueId, topic }
}

export function readMessageQueue(object: JsonObject): MessageQueue {
  return {
    topic: textOf(object, 'topic') ?? '',
    brokerName: textOf(object, 'brokerName') ?? '',
    queueId: intOf(object, 'queueId', 0),
  }
}

/** Reads an item of a list, or a member. */
export function toMessageQueue(value: JsonValue): MessageQueue {
  return readMessageQueue(toObject(value, 'a message queue'))
}

/** Reads the key of a map: the bare bean, or the bean in a quoted string, which Java reads as well. */
function toQueueKey(key: JsonKey): MessageQueue {
  return toMessageQueue(typeof key === 'string' ? readFastjson(key) : key)
}

/** A Java map keyed by queue, for the writer. */
export function queueTable<T extends OfQueue>(items: readonly T[], toValue: (item: T) => JsonInput): JsonMap {
  return new Map(items.map(item => [messageQueueBean(item.queue), toValue(item)]))
}

/** Reads a Java map from queues to beans. A missing map counts as empty; null values are left out. */
export function readQueueTable<T>(table: JsonObject | null, read: (queue: MessageQueue, bean: JsonObject) => T): T[] {
  return readItems(table, (queue, value) => read(queue, toObject(value, 'a value by queue')))
}

/** A Java map from queues to offsets, for the writer. */
export function offsetTable(items: readonly QueueOffset[]): JsonMap {
  return queueTable(items, ({ offset }) => offset)
}

/** As `readQueueTable`, for offsets. */
export function readOffsetTable(table: JsonObject | null): QueueOffset[] {
  return readItems(table, (queue, value) => ({ queue, offset: toNumber(value, 'an offset') }))
}

function readItems<T>(table: JsonObject | null, read: (queue: MessageQueue, value: JsonValue) => T): T[] {
  const items: T[] = []
  for (const [key, value] of table ?? []) if (value !== null) items.push(read(toQueueKey(key), value))
  return items
}
