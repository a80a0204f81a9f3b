import type { ClientInstance } from '../client-instance.ts'
import type { MessageQueue } from '../message.ts'
import type { QueueWork } from './queue-work.ts'
import type { PullLimits } from './flow-control.ts'
import type { OffsetStore } from './offsets.ts'
import type { ReceivedMessage } from './received-message.ts'
import type { PushSettings } from './push-options.ts'
import type { SubscriptionData } from './subscription.ts'
import type { ConsumeStats } from './consume-stats.ts'
import type { ConsumerTrace } from '../trace/consumer-trace.ts'

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
  /** Makes the user's message of what came. */
  readonly consumption: Consumption<Body>
}

/** What becomes of pulled messages: concurrent or orderly. */
export interface Consumption<Body> {
  /** Messages were put into the process queue of `work`; `start` as `ProcessQueue.put` said. Returns at once. */
  submit(work: QueueWork<Body>, messages: readonly ReceivedMessage<Body>[], start: boolean): void
  /** A queue of this consumer's was locked, unlocked or given up. */
  readonly orderly: boolean
  /** Messages being consumed now. */
  readonly running: number
  /** Takes nothing new and waits for listeners that run, `drainMs` at most. */
  close(drainMs: number): Promise<void>
}

/** Queues as logs show them. */
export function queueFields({ topic, brokerName, queueId }: MessageQueue) {
  return { topic, brokerName, queueId }
}
