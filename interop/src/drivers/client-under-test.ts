import type { Arrivals } from './arrivals.ts'
import type { Owner } from '../launch/launched-program.ts'

/** How long a request waits for its reply: a Java consumer may get its first queues only at a later rebalance. */
export const REQUEST_MS = 40_000

/** A queue of a topic. */
export interface Queue {
  readonly topic: string
  readonly brokerName: string
  readonly queueId: number
}

/** A message to send. */
export interface MessageToSend {
  readonly topic: string
  readonly body: string | Uint8Array
  readonly tags?: string
  readonly keys?: readonly string[]
  readonly properties?: Readonly<Record<string, string>>
  readonly delayLevel?: number
  /** Needs a 5.x broker. */
  readonly delayMs?: number
  readonly flag?: number
}

/** Settings that every producer and consumer takes. */
export interface ClientSpec {
  readonly nameServers?: string
  readonly namespace?: string
  readonly instanceName?: string
  readonly unitName?: string
  readonly accessKey?: string
  readonly secretKey?: string
  readonly tls?: boolean
  readonly vip?: boolean
  readonly trace?: boolean
}

export interface ProducerSpec extends ClientSpec {
  readonly group?: string
  readonly compressType?: 'ZLIB' | 'LZ4' | 'ZSTD'
  /** The client compresses bodies of this size and more. */
  readonly compressOver?: number
  readonly timeoutMs?: number
  /** Combines single sends into batches. Java has it since 5.x. */
  readonly autoBatch?: boolean
}

/** How to send. */
export interface SendSpec {
  readonly producer?: ProducerSpec
  /** Default `sync`: one after the other. */
  readonly mode?: 'sync' | 'async' | 'oneway' | 'batch'
  readonly queue?: Queue
  readonly shardingKey?: string
}

export type LocalTransactionState = 'commit' | 'rollback' | 'unknown'

/** The result of a send. */
export interface SendResult {
  readonly status: string
  readonly messageId: string
  readonly offsetMessageId?: string | undefined
  readonly queue: Queue
  readonly queueOffset: number
  readonly transactionId?: string | undefined
  readonly recallHandle?: string | undefined
}

/** A message that a consumer received or an operator looked up. */
export interface ConsumedMessage {
  readonly topic: string
  /** The body as UTF-8. */
  readonly text: string
  readonly body: Buffer
  readonly tags?: string | undefined
  /** Separated by blanks. */
  readonly keys?: string | undefined
  readonly flag: number
  readonly properties: Readonly<Record<string, string>>
  readonly messageId: string
  readonly offsetMessageId?: string | undefined
  readonly queueId: number
  readonly queueOffset: number
  readonly reconsumeTimes: number
  readonly bornTimestamp: number
  readonly storeTimestamp: number
  /** When the consumer received it; 0 if it was looked up. */
  readonly at: number
}

export type SubscriptionSpec = Readonly<Record<string, string | { readonly sql: string }>>

export interface ConsumerSpec extends ClientSpec {
  readonly group: string
  readonly subscriptions: SubscriptionSpec
  readonly orderly?: boolean
  readonly broadcast?: boolean
  /** Where a new group starts. Default `first`. */
  readonly from?: 'first' | 'last' | 'time'
  /** For `from: 'time'`: milliseconds since the epoch, a whole second. */
  readonly fromTime?: number
  /** The strategy that assigns queues, by Apache's name. Default `AVG`. */
  readonly allocate?: 'AVG' | 'AVG_BY_CIRCLE' | 'CONSISTENT_HASH'
  /** Where our broadcasting consumer stores offsets. Default: a new folder. */
  readonly offsetsFolder?: string
  readonly threads?: number
  readonly batchSize?: number
  readonly maxReconsumeTimes?: number
  /** How often the listener refuses each message before it accepts it. */
  readonly failTimes?: number
  /** Makes the listener refuse with an exception. */
  readonly throws?: boolean
  /** Delay level of refused messages: 0 lets the broker choose, -1 makes them dead letters. */
  readonly delayLevel?: number
  /** How long an orderly consumer waits after a refused message. */
  readonly suspendMs?: number
  /** How long the listener works on a batch. */
  readonly workMs?: number
  /** Sends a reply to each message. */
  readonly reply?: boolean
  /** Lets a 5.x broker assign the queues. */
  readonly brokerAssigns?: boolean
  /** How often our consumer rebalances. Default: the client's default. */
  readonly rebalanceMs?: number
}

/** A running push consumer. */
export interface ConsumerUnderTest {
  readonly clientId: string
  readonly received: Arrivals<ConsumedMessage>
  /** The queues that are assigned to it now. */
  queues(): Promise<readonly Queue[]>
  suspend(): Promise<void>
  resume(): Promise<void>
  /** Closes in order: lets the listeners finish, stores offsets and unregisters at the brokers. */
  stop(): Promise<void>
}

export interface LitePullSpec extends ClientSpec {
  readonly group: string
  readonly subscriptions?: SubscriptionSpec
  /** Assigns all queues of this topic. */
  readonly assign?: string
  /** Default false. */
  readonly autoCommit?: boolean
}

/** A running lite pull consumer. */
export interface LitePullUnderTest {
  /** Polls until this many messages came. @throws if the time passes first */
  take(count: number): Promise<readonly ConsumedMessage[]>
  assignment(): Promise<readonly Queue[]>
  /** Stores the current offsets at the broker. */
  commit(): Promise<void>
  /** The stored offset of a queue; -1 if there is none. */
  committed(queue: Queue): Promise<number>
  seek(queue: Queue, offset: number): Promise<void>
  stop(): Promise<void>
}

/** Our client or Java's, so that one case tests both directions. */
export interface ClientUnderTest {
  readonly name: 'ours' | 'Java'
  send(messages: readonly MessageToSend[], settings?: SendSpec): Promise<readonly SendResult[]>
  /** Sends in a transaction. The message's property `check` is the answer to the broker's checks. */
  transaction(message: MessageToSend, local: LocalTransactionState, group: string): Promise<SendResult>
  /** Sends a request and returns the text of its reply. */
  request(message: MessageToSend, group: string): Promise<string>
  recall(topic: string, recallHandle: string): Promise<void>
  consume(owner: Owner, settings: ConsumerSpec): Promise<ConsumerUnderTest>
  litePull(owner: Owner, settings: LitePullSpec): Promise<LitePullUnderTest>
}
