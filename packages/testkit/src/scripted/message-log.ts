import { bodyCrc, encodeMessage, type Host, type StoredMessage } from '@gantrymq/protocol'

/** The settings of a topic of a scripted broker. */
export interface TopicSettings {
  /** Default 4. */
  readonly readQueues?: number
  /** Default: `readQueues`. */
  readonly writeQueues?: number
  /** Default 6: read and write. */
  readonly perm?: number
}

/** A message to store. */
export interface NewMessage {
  readonly topic: string
  readonly queueId: number
  readonly body: Buffer
  readonly properties: ReadonlyMap<string, string>
  readonly flag?: number
  readonly sysFlag?: number
  readonly bornTimestamp?: number
  readonly bornHost?: Host
  readonly reconsumeTimes?: number
  readonly preparedTransactionOffset?: number
}

export interface LogEntry {
  readonly message: StoredMessage
  /** The encoded message, as consumers get it. */
  readonly bytes: Buffer
  readonly queueOffset: number
  readonly physicalOffset: number
  readonly storeTimestamp: number
}

interface Queue {
  /** Offset of the first entry. */
  min: number
  readonly entries: LogEntry[]
}

export interface Topic {
  readonly name: string
  readQueues: number
  writeQueues: number
  perm: number
  readonly queues: Queue[]
}

/** Messages in memory: topics, their queues, and the log of all messages in the order of their arrival. */
export class MessageLog {
  readonly topics = new Map<string, Topic>()
  readonly #host: () => Host
  readonly #log = new Map<number, LogEntry>()
  #end = 0

  /** @param host the store address of messages */
  constructor(host: () => Host) {
    this.#host = host
  }

  /** Creates or changes a topic. */
  setTopic(name: string, settings: TopicSettings = {}): Topic {
    const { readQueues = 4, writeQueues = readQueues, perm = 6 } = settings
    const topic: Topic = this.topics.get(name) ?? { name, readQueues, writeQueues, perm, queues: [] }
    Object.assign(topic, { readQueues, writeQueues, perm })
    while (topic.queues.length < Math.max(readQueues, writeQueues)) topic.queues.push({ min: 0, entries: [] })
    this.topics.set(name, topic)
    return topic
  }

  /** Stores a message. @param now store time, milliseconds since the epoch */
  put(message: NewMessage, now: number): LogEntry {
    const queue = this.#queue(message.topic, message.queueId)
    if (queue === undefined) throw new Error(`the scripted broker has no queue ${message.topic}@${message.queueId}`)
    const stored: StoredMessage = {
      topic: message.topic,
      body: Buffer.from(message.body),
      properties: message.properties,
      queueId: message.queueId,
      flag: message.flag ?? 0,
      sysFlag: message.sysFlag ?? 0,
      queueOffset: queue.min + queue.entries.length,
      physicalOffset: this.#end,
      bornTimestamp: message.bornTimestamp ?? now,
      bornHost: message.bornHost ?? this.#host(),
      storeTimestamp: now,
      storeHost: this.#host(),
      reconsumeTimes: message.reconsumeTimes ?? 0,
      preparedTransactionOffset: message.preparedTransactionOffset ?? 0,
      bodyCrc: bodyCrc(message.body),
    }
    const entry: LogEntry = {
      message: stored,
      bytes: encodeMessage(stored),
      queueOffset: queue.min + queue.entries.length,
      physicalOffset: this.#end,
      storeTimestamp: now,
    }
    queue.entries.push(entry)
    this.#log.set(entry.physicalOffset, entry)
    this.#end += entry.bytes.length
    return entry
  }

  /** The message at a position of the log. */
  at(physicalOffset: number): LogEntry | undefined {
    return this.#log.get(physicalOffset)
  }

  /** The messages of a queue from an offset on, or without `queueId` those of all queues. */
  messages(topic: string, queueId?: number, from = 0): LogEntry[] {
    const queues = this.topics.get(topic)?.queues ?? []
    const wanted = queueId === undefined ? queues : queues.filter((_, id) => id === queueId)
    return wanted.flatMap(({ entries }) => entries.filter(entry => entry.queueOffset >= from))
  }

  minOffset(topic: string, queueId: number): number {
    return this.#queue(topic, queueId)?.min ?? 0
  }

  /** The offset of the next message. */
  maxOffset(topic: string, queueId: number): number {
    const queue = this.#queue(topic, queueId)
    return queue === undefined ? 0 : queue.min + queue.entries.length
  }

  /** Removes the messages before an offset, as Apache's file cleanup does. */
  trim(topic: string, queueId: number, min: number): void {
    const queue = this.#queue(topic, queueId)
    if (queue === undefined) return
    for (const { physicalOffset } of queue.entries.splice(0, min - queue.min)) this.#log.delete(physicalOffset)
    queue.min = min
  }

  /** The offset of the first message stored at a time or later; the max offset if all are older. */
  offsetAt(topic: string, queueId: number, timestamp: number): number {
    const later = this.#queue(topic, queueId)?.entries.find(entry => entry.storeTimestamp >= timestamp)
    return later?.queueOffset ?? this.maxOffset(topic, queueId)
  }

  /** The messages with a key in KEYS or UNIQ_KEY, the oldest first. */
  byKey(topic: string, key: string, begin: number, end: number): LogEntry[] {
    return this.messages(topic).filter(
      ({ message, storeTimestamp }) =>
        storeTimestamp >= begin &&
        storeTimestamp <= end &&
        (message.properties.get('UNIQ_KEY') === key || message.properties.get('KEYS')?.split(' ').includes(key)),
    )
  }

  #queue(topic: string, queueId: number): Queue | undefined {
    return this.topics.get(topic)?.queues[queueId]
  }
}
