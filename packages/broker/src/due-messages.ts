import type { Clock, Logger } from '@gantrymq/remoting'
import type { MessageStore } from '@gantrymq/store'
import type { ClientNotices } from './clients/client-notices.ts'
import type { ClientRegistry } from './clients/client-registry.ts'
import { readDelayLevels } from './delays/delay-levels.ts'
import type { DelayOffsets } from './delays/delay-offsets.ts'
import { DelayedDelivery } from './delays/delayed-delivery.ts'
import type { OwnAddress } from './name-servers/own-address.ts'
import type { OffsetTable } from './offsets/offset-table.ts'
import type { BrokerOptions } from './options.ts'
import type { MessageWriter } from './sending/message-writer.ts'
import type { MessageCounts } from './statistics/message-counts.ts'
import { Timers } from './timers/timers.ts'
import type { Topics } from './topics/topics.ts'
import { TransactionChecks } from './transactions/transaction-checks.ts'
import { askProducer } from './transactions/transaction-notice.ts'
import { Transactions } from './transactions/transactions.ts'

export interface DueMessagesParts {
  /** Read again at each use. */
  readonly options: () => BrokerOptions
  readonly store: MessageStore
  readonly writer: MessageWriter
  readonly topics: Topics
  readonly offsets: OffsetTable
  readonly delayOffsets: DelayOffsets
  readonly clients: ClientRegistry
  readonly notices: ClientNotices
  readonly counts: MessageCounts
  readonly own: OwnAddress
  readonly clock: Clock
  readonly log: Logger
}

/**
 * The messages on which the broker goes on working by itself after it has stored them: delayed ones, those that are delivered at any
 * time, and those of transactions whose outcome is not known.
 */
export class DueMessages {
  readonly delays: DelayedDelivery
  /** Undefined: the broker has a folder, see `Timers`. */
  readonly timers: Timers | undefined
  readonly transactions: Transactions
  readonly checks: TransactionChecks

  constructor(parts: DueMessagesParts) {
    const { options, store, writer, topics, offsets, delayOffsets, clients, notices, counts, own, clock, log } = parts
    const { messageDelayLevel, storePathRootDir } = options()
    const levels = readDelayLevels(messageDelayLevel)
    const onDelivered = (topic: string, bytes: number): void => counts.stored(topic, 1, bytes)
    const maxDelayMs = (): number => options().timerMaxDelaySec * 1000
    const isInMemory = storePathRootDir === null
    this.delays = new DelayedDelivery({ store, writer, offsets: delayOffsets, levels, clock, log, onDelivered })
    this.timers = isInMemory ? new Timers({ store, writer, maxDelayMs, onDelivered, clock, log }) : undefined
    this.transactions = new Transactions({ writer, storeHost: () => own.storeHostBytes, clock, log })
    this.checks = new TransactionChecks({
      store,
      writer,
      transactions: this.transactions,
      topics,
      offsets,
      rules: options,
      ask: half => {
        const { brokerName } = options()
        askProducer(half, { clients, notices, brokerName, storeHost: own.storeHost, log })
      },
      clock,
      log,
    })
  }

  /** Begins nothing more; before the store closes. */
  stop(): void {
    this.delays.stop()
    this.timers?.stop()
    this.checks.stop()
  }

  /** Waits for what was begun and stores how far it came; after the store has closed. */
  async close(): Promise<void> {
    await Promise.all([this.checks.close(), this.timers?.close()])
    await this.delays.close()
  }
}
