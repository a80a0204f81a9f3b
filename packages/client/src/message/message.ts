/** One queue of a topic: Apache's MessageQueue. */
export interface MessageQueue {
  readonly topic: string
  readonly brokerName: string
  readonly queueId: number
}

/** A queue as one text, to tell queues apart in maps. */
export function queueKey({ topic, brokerName, queueId }: MessageQueue): string {
  return `${topic}@${brokerName}@${queueId}`
}

/** A message to be sent. Only topic and body are needed. */
export interface OutgoingMessage<Body = Buffer | Uint8Array | string> {
  readonly topic: string
  /** What the codec makes bytes of; without a codec bytes, or text that is sent as UTF-8. */
  readonly body: Body
  /** One tag, to filter by. */
  readonly tags?: string | undefined
  /** Keys to find the message by, such as an order number. */
  readonly keys?: string | readonly string[] | undefined
  /** Your own, readable by consumers and by SQL92 filters. */
  readonly properties?: Readonly<Record<string, string>> | undefined
  /** Deliver later: 1 to 18 of the broker's table, by default 1s 5s 10s 30s 1m 2m ... 10m 20m 30m 1h 2h. */
  readonly delayLevel?: number | undefined
  /** Deliver so many milliseconds later. Brokers of 5.x only; those of 4.9 deliver at once. */
  readonly delayMs?: number | undefined
  /** Deliver at that time. Brokers of 5.x only. */
  readonly deliverAt?: Date | number | undefined
  /** Messages with the same one go to the same queue, in order. */
  readonly shardingKey?: string | undefined
  /** A number of your own. Default 0. */
  readonly flag?: number | undefined
  /** Whether the broker answers only after disk and slaves have it, as configured there. Default true. */
  readonly waitStored?: boolean | undefined
  /** Seconds before a transaction's outcome is asked for the first time. Default: the broker's own. */
  readonly checkImmunitySeconds?: number | undefined
}

/** What the broker said of the message: all of them mean that it has it. */
export type SendStatus = 'SEND_OK' | 'FLUSH_DISK_TIMEOUT' | 'FLUSH_SLAVE_TIMEOUT' | 'SLAVE_NOT_AVAILABLE'

/** A message that was stored: Apache's SendResult. */
export interface SendReceipt {
  readonly status: SendStatus
  /** The id that this client gave it; consumers see the same. */
  readonly messageId: string
  /** The broker's id: where it is stored. */
  readonly offsetMessageId: string
  readonly queue: MessageQueue
  readonly queueOffset: number
  readonly transactionId: string | undefined
  readonly regionId: string
  /** Whether the broker wants this message traced. */
  readonly traceOn: boolean
  /** To take a timer message back (5.x). */
  readonly recallHandle: string | undefined
}

/** Ends for calls: every wait has one. */
export interface CallOptions {
  /** How long it may take, milliseconds. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}
