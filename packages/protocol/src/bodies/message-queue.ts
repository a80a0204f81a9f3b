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

/** An item of a Java map by queue: we list them, since an object is no key to look up. */
export interface OfQueue {
  readonly queue: MessageQueue
}

export interface QueueOffset extends OfQueue {
  readonly offset: number
}

/** Also the key of a map: Java writes the bean itself there, without quotes (spec remoting 4.1). */
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

/** A list's item, or a member. */
export function toMessageQueue(value: JsonValue): MessageQueue {
  return readMessageQueue(toObject(value, 'a message queue'))
}

/** A map's key: the bean bare, or as a quoted text, which Java reads as well. */
function toQueueKey(key: JsonKey): MessageQueue {
  return toMessageQueue(typeof key === 'string' ? readFastjson(key) : key)
}

/** Java's map by queue, for the writer. */
export function queueTable<T extends OfQueue>(items: readonly T[], toValue: (item: T) => JsonInput): JsonMap {
  return new Map(items.map(item => [messageQueueBean(item.queue), toValue(item)]))
}

/** Java's map from queues to beans. A missing map is an empty one, null values are left out. */
export function readQueueTable<T>(table: JsonObject | null, read: (queue: MessageQueue, bean: JsonObject) => T): T[] {
  return readItems(table, (queue, value) => read(queue, toObject(value, 'a value by queue')))
}

/** Java's map from queues to offsets, for the writer. */
export function offsetTable(items: readonly QueueOffset[]): JsonMap {
  return queueTable(items, ({ offset }) => offset)
}

/** As `readQueueTable`. */
export function readOffsetTable(table: JsonObject | null): QueueOffset[] {
  return readItems(table, (queue, value) => ({ queue, offset: toNumber(value, 'an offset') }))
}

function readItems<T>(table: JsonObject | null, read: (queue: MessageQueue, value: JsonValue) => T): T[] {
  const items: T[] = []
  for (const [key, value] of table ?? []) if (value !== null) items.push(read(toQueueKey(key), value))
  return items
}
