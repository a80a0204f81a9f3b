import type { SubscriptionData } from '@gantrymq/protocol'
import type { ClientInstance } from '../../instance/client-instance.ts'
import type { QueueWork } from './pulled-queue.ts'
import type { PullLimits } from '../queue/flow-control.ts'
import type { OffsetStore } from '../offsets/offset-store.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'
import type { PushSettings } from './settings.ts'
import type { ConsumeStats } from '../queue/consume-stats.ts'
import type { ConsumerTrace } from '../../trace/consumer-trace.ts'

/** What the parts of one push consumer share. */
export interface ConsumerCore<Body> {
  readonly instance: ClientInstance
  /** With its namespace. */
  readonly group: string
  readonly settings: PushSettings
  readonly offsets: OffsetStore
  readonly stats: ConsumeStats
  /** RocketMQ's own message trace; undefined where it is off. */
  readonly trace: ConsumerTrace | undefined
  /** By topic, with namespaces, `%RETRY%` among them. */
  readonly subscriptions: ReadonlyMap<string, SubscriptionData>
  /** Per queue, as shared out now. */
  readonly limits: PullLimits
  readonly isPaused: boolean
  /** Something about the queues may have changed: a round soon. */
  rebalance(): void
  /** The broker says that a queue has another offset: begins it anew there. */
  moved(work: QueueWork<Body>, offset: number): void
  readonly consumption: Consumption<Body>
}

/** What becomes of pulled messages: concurrent or orderly. */
export interface Consumption<Body> {
  readonly orderly: boolean
  /** Listeners that may run at a time. */
  concurrency: number
  /** Messages, or in orderly consumption queues, being consumed now. */
  readonly running: number
  /** Messages were put into the process queue of `work`; `start` as `ProcessQueue.put` said. Returns at once. */
  submit(work: QueueWork<Body>, messages: readonly ReceivedMessage<Body>[], start: boolean): void
  /** Waits until no listener has messages of a queue, `ms` at most. False if one still has. */
  settled(work: QueueWork<Body>, ms: number): Promise<boolean>
  /** Takes nothing new and waits for listeners that run, `drainMs` at most. */
  close(drainMs: number): Promise<void>
}
