import type { ServerSettings } from '@gantrymq/daemon'
import type { Host, UniqueIds } from '@gantrymq/protocol'
import type { Clock, Logger } from '@gantrymq/remoting'
import type { MessageStore } from '@gantrymq/store'
import type { ClientNotices } from './clients/client-notices.ts'
import type { ClientRegistry } from './clients/client-registry.ts'
import type { QueueLocks } from './clients/queue-locks.ts'
import type { DelayedDelivery } from './delays/delayed-delivery.ts'
import type { Groups } from './groups/groups.ts'
import type { BrokerIdentity } from './name-servers/registration-form.ts'
import type { TopicQueues } from './name-servers/topic-queues.ts'
import type { OffsetTable } from './offsets/offset-table.ts'
import type { BrokerOptions } from './options.ts'
import type { Popping } from './popping/popping.ts'
import type { ColdReads } from './pulling/cold-reads.ts'
import type { HeldPulls } from './pulling/held-pull.ts'
import type { MessageWriter } from './sending/message-writer.ts'
import type { WaitingSends } from './sending/waiting-sends.ts'
import type { MessageCounts } from './statistics/message-counts.ts'
import type { Timers } from './timers/timers.ts'
import type { Topics } from './topics/topics.ts'
import type { Transactions } from './transactions/transactions.ts'

/** What the handlers of a broker work on. */
export interface BrokerContext {
  /** `settings.options` are the current options; read them again at each use. */
  readonly settings: ServerSettings<BrokerOptions>
  readonly topics: Topics
  readonly groups: Groups
  readonly offsets: OffsetTable
  readonly clients: ClientRegistry
  readonly notices: ClientNotices
  readonly locks: QueueLocks
  readonly delays: DelayedDelivery
  readonly transactions: Transactions
  readonly store: MessageStore
  /** Stores messages. */
  readonly writer: MessageWriter
  /** What producers send goes through it, so that it waits while the store is busy, and keeps its order. */
  readonly waitingSends: WaitingSends
  readonly heldPulls: HeldPulls
  readonly coldReads: ColdReads
  /** Undefined: the broker has a folder, and refuses consumption by pop. */
  readonly popping: Popping | undefined
  /** Undefined: the broker has a folder, and refuses messages that are delivered at any time. */
  readonly timers: Timers | undefined
  /** Queues of topics at all brokers. */
  readonly topicQueues: TopicQueues
  readonly counts: MessageCounts
  /** When the broker started, milliseconds since the epoch. */
  readonly startedAt: number
  /** Ids for messages whose senders gave them none. */
  readonly uniqueIds: UniqueIds
  /** Name, cluster and address, as name servers and clients know them. */
  readonly identity: () => BrokerIdentity
  /** Resolves when the name servers know the latest topics, or at the latest after `ms`. Never rejects. */
  readonly registered: (ms: number) => Promise<void>
  /** The address under which the broker is known, without the port. */
  readonly host: () => string
  /** The address that messages contain; always an IP address. */
  readonly storeHost: () => Host
  /** Bytes at the end of the log that are likely in the machine's memory. */
  readonly memoryBytes: number
  /** At least 0, below 1. */
  readonly random: () => number
  readonly clock: Clock
  readonly log: Logger
}
