import type { Arrivals } from './arrivals.ts'
import type { Owner } from '../launch/launched.ts'

/** How long a request waits for its reply: a consumer of Java may have its first queues only after 20 s. */
export const REQUEST_MS = 40_000

/** A queue of a topic. */
export interface Queue {
  readonly topic: string
  readonly brokerName: string
  readonly queueId: number
}

/** A message to be sent. */
export interface OutgoingMessage {
  readonly topic: string
  readonly body: string | Uint8Array
  readonly tags?: string
  readonly keys?: readonly string[]
  readonly properties?: Readonly<Record<string, string>>
  readonly delayLevel?: number
  /** 5.x. */
  readonly delayMs?: number
  readonly flag?: number
}

/** Settings that every client takes. */
export interface ClientSettings {
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

export interface ProducerSettings extends ClientSettings {
  readonly group?: string
  readonly compressType?: 'ZLIB' | 'LZ4' | 'ZSTD'
  /** Bodies of this size and more are compressed. */
  readonly compressOver?: number
  readonly timeoutMs?: number
  /** Single sends that come together are sent as a batch. Java's of 5.x. */
  readonly autoBatch?: boolean
}

export interface SendSettings {
  readonly producer?: ProducerSettings
  /** Default sync: one after the other. */
  readonly mode?: 'sync' | 'async' | 'oneway' | 'batch'
  readonly queue?: Queue
  readonly shardingKey?: string
}

export type Outcome = 'commit' | 'rollback' | 'unknown'

/** What a sender is told. */
export interface Receipt {
  readonly status: string
  readonly messageId: string
  readonly offsetMessageId?: string | undefined
  readonly queue: Queue
  readonly queueOffset: number
  readonly transactionId?: string | undefined
  readonly recallHandle?: string | undefined
}

/** A message that came. */
export interface Received {
  readonly topic: string
  /** The body as UTF-8. */
  readonly text: string
  readonly body: Buffer
  readonly tags?: string | undefined
  /** With a blank between. */
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
  /** When its consumer was given it; 0 if it was asked for. */
  readonly at: number
}

export type Subscriptions = Readonly<Record<string, string | { readonly sql: string }>>

export interface ConsumerSettings extends ClientSettings {
  readonly group: string
  readonly subscriptions: Subscriptions
  readonly orderly?: boolean
  readonly broadcast?: boolean
  /** Default first. */
  readonly from?: 'first' | 'last' | 'time'
  /** With `from: 'time'`: milliseconds since the epoch, a whole second. */
  readonly fromTime?: number
  /** How queues are shared, by Apache's names. Default AVG. */
  readonly allocate?: 'AVG' | 'AVG_BY_CIRCLE' | 'CONSISTENT_HASH'
  /** Where ours keeps offsets when it broadcasts. Default: a fresh folder. */
  readonly offsetsFolder?: string
  readonly threads?: number
  readonly batchSize?: number
  readonly maxReconsumeTimes?: number
  /** How often each message is refused before it is taken. */
  readonly failTimes?: number
  /** Refuse by an exception. */
  readonly throws?: boolean
  /** Of refused messages: 0 lets the broker choose, -1 sends to the dead letters. */
  readonly delayLevel?: number
  /** How long an orderly consumer waits after a refusal. */
  readonly suspendMs?: number
  /** How long the listener takes. */
  readonly workMs?: number
  /** Answer each message as a request. */
  readonly reply?: boolean
  /** Let a 5.x broker assign the queues. */
  readonly brokerAssigns?: boolean
  /** How often ours shares queues out. Default as its own. */
  readonly rebalanceMs?: number
}

/** A running push consumer. */
export interface ConsumerUnderTest {
  readonly clientId: string
  readonly received: Arrivals<Received>
  /** The queues that it holds now. */
  queues(): Promise<readonly Queue[]>
  suspend(): Promise<void>
  resume(): Promise<void>
  /** Ends in order: what is being consumed ends, offsets are stored, brokers are told. */
  stop(): Promise<void>
}

export interface LitePullSettings extends ClientSettings {
  readonly group: string
  readonly subscriptions?: Subscriptions
  /** All queues of this topic are assigned. */
  readonly assign?: string
  /** Default false. */
  readonly autoCommit?: boolean
}

/** A running lite pull consumer. */
export interface LitePullUnderTest {
  /** Polls until so many came. @throws when the time is up. */
  take(count: number): Promise<readonly Received[]>
  assignment(): Promise<readonly Queue[]>
  /** Stores at the broker where it stands. */
  commit(): Promise<void>
  /** The stored offset of a queue. */
  committed(queue: Queue): Promise<number>
  seek(queue: Queue, offset: number): Promise<void>
  stop(): Promise<void>
}

/** Either client, ours or Java's, so that one case serves both directions. */
export interface ClientUnderTest {
  readonly name: 'ours' | 'Java'
  send(messages: readonly OutgoingMessage[], manner?: SendSettings): Promise<readonly Receipt[]>
  /** Sends in a transaction; the property `check` of the message answers check-backs. */
  transaction(message: OutgoingMessage, local: Outcome, group: string): Promise<Receipt>
  /** Sends a request and waits for the text of its reply. */
  request(message: OutgoingMessage, group: string): Promise<string>
  recall(topic: string, recallHandle: string): Promise<void>
  consume(owner: Owner, settings: ConsumerSettings): Promise<ConsumerUnderTest>
  litePull(owner: Owner, settings: LitePullSettings): Promise<LitePullUnderTest>
}
