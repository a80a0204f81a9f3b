import type { SubscriptionData } from '@gantrymq/protocol'
import type { ClientInstance } from '../../instance/client-instance.ts'
import { Producer } from '../../producer/producer.ts'
import type { ConsumerTrace } from '../../trace/consumer-trace.ts'
import { consumerTrace } from '../../trace/start-trace.ts'
import type { Membership } from '../group/membership.ts'
import type { Subscriptions } from '../group/subscriptions.ts'
import type { OffsetStore } from '../offsets/offset-store.ts'
import { offsetStoreOf } from '../offsets/readable-offsets.ts'
import type { ConsumptionStats } from '../queue/consumption-stats.ts'
import type { PollHealth } from '../queue/poll-health.ts'
import type { PushSettings } from './settings.ts'

/** What the parts of a push consumer share. It refers to none of them. */
export interface PushContext {
  readonly instance: ClientInstance
  /** With its namespace. */
  readonly group: string
  readonly settings: PushSettings
  readonly offsets: OffsetStore
  readonly health: PollHealth
  readonly stats: ConsumptionStats
  /** RocketMQ's own message trace; undefined if it is off. */
  readonly trace: ConsumerTrace | undefined
  /** The subscriptions that pulls and pops may name, by topic, with namespaces and the group's retry topic. */
  readonly subscriptions: ReadonlyMap<string, SubscriptionData>
}

/** Makes the context of a push consumer. Nothing runs yet. */
export function pushContext(
  settings: PushSettings,
  { instance, group, stats, health }: Membership,
  subscriptions: Subscriptions,
): PushContext {
  return {
    instance,
    group,
    settings,
    offsets: offsetStoreOf({
      ...settings,
      instance,
      group,
      onShared: message => health.problems.raise('OFFSETS_SHARED', message),
    }),
    stats,
    health: health.polls,
    trace: consumerTrace(settings, group, options => Producer.start(options)),
    subscriptions: subscriptions.announced,
  }
}

/** Whether the user has paused a consumer. Its queues look before each pull or pop. */
export interface PauseState {
  isPaused: boolean
}
