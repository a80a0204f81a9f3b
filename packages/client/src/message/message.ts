import type { MessageQueue } from '@gantrymq/protocol'

export type { MessageQueue }

/** Identifies a queue by one string, for use as a map key. */
export function queueKey({ topic, brokerName, queueId }: MessageQueue): string {
  return `${topic}@${brokerName}@${queueId}`
}

/** A message to send. Only `topic` and `body` are required. */
export interface OutgoingMessage<Body = Buffer | Uint8Array | string> {
  readonly topic: string
  /** Encoded by the producer's codec. Without a codec: bytes, or a string that is sent as UTF-8. */
  readonly body: Body
  /** One tag that consumers can filter by. */
  readonly tags?: string | undefined
  /** Keys by which the message can be looked up, such as an order number. */
  readonly keys?: string | readonly string[] | undefined
  /** Your own properties, which consumers and SQL92 filters can read. */
  readonly properties?: Readonly<Record<string, string>> | undefined
  /** Delays delivery by a level of the broker's table: 1 to 18, by default 1s 5s 10s 30s 1m 2m ... 10m 20m 30m 1h 2h. */
  readonly delayLevel?: number | undefined
  /** Delays delivery by this many milliseconds. Needs a 5.x broker: see option `allowImmediateDelivery`. */
  readonly delayMs?: number | undefined
  /** Delivers the message at this time. Needs a 5.x broker. */
  readonly deliverAt?: Date | number | undefined
  /** Messages with the same sharding key go to the same queue, in order. */
  readonly shardingKey?: string | undefined
  /** A number for your own use. Default 0. */
  readonly flag?: number | undefined
  /** Whether the broker replies only after the message is on disk and on its slaves, as configured there. Default true. */
  readonly waitStored?: boolean | undefined
  /** Seconds before the broker first checks the outcome of a transaction. Default: the broker's setting. */
  readonly checkImmunitySeconds?: number | undefined
}

/** How well the broker has stored a message. With every status the broker has the message. */
export type SendStatus = 'SEND_OK' | 'FLUSH_DISK_TIMEOUT' | 'FLUSH_SLAVE_TIMEOUT' | 'SLAVE_NOT_AVAILABLE'

/** The receipt of a stored message: Apache's SendResult. */
export interface SendReceipt {
  readonly status: SendStatus
  /** The id assigned by this client. Consumers see the same id. */
  readonly messageId: string
  /** The id assigned by the broker, which encodes where the message is stored. */
  readonly offsetMessageId: string
  readonly queue: MessageQueue
  readonly queueOffset: number
  readonly transactionId: string | undefined
  readonly regionId: string
  /** Whether the broker wants this message to be traced. */
  readonly traceOn: boolean
  /** Cancels a timed message that has not been delivered yet (5.x). */
  readonly recallHandle: string | undefined
}

/** How a call ends early. Every wait has a time limit. */
export interface CallOptions {
  /** How long the call may take, in milliseconds. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}
