import type { SubscriptionData } from '@gantrymq/protocol'
import type { ConsumerMember } from '../../instance/instance-members.ts'
import type { DeclaredOptions } from '../../options.ts'
import type { OffsetStore } from '../offsets/offset-store.ts'
import { consumeFromWhere } from '../offsets/start-offset.ts'
import type { HeldQueue } from '../queue/held-queue.ts'
import type { Membership } from './membership.ts'
import { type ConsumerSettings, runningInfo } from './running-info.ts'

export interface PullMemberOptions {
  readonly membership: Membership
  readonly settings: ConsumerSettings
  /** The option table of the settings. */
  readonly table: DeclaredOptions
  /** The subscriptions, as heartbeats list them. */
  readonly subscriptions: () => readonly SubscriptionData[]
  /** For consumers that hold queues. */
  readonly queues?: {
    readonly held: Iterable<Pick<HeldQueue, 'queue' | 'process'>>
    readonly offsets: OffsetStore
    readonly rebalance: () => void
  }
}

/** A consumer whose user asks for messages, as the client instance sees it. */
export function pullMember({ membership, settings, table, subscriptions, queues }: PullMemberOptions): ConsumerMember {
  const { broadcast = false, consumeFrom = 'last', unitMode } = settings
  const held = () => [...(queues?.held ?? [])]
  return {
    kind: 'consumer',
    group: membership.group,
    describe: () => ({
      groupName: membership.group,
      consumeType: 'CONSUME_ACTIVELY',
      messageModel: broadcast ? 'BROADCASTING' : 'CLUSTERING',
      consumeFromWhere: consumeFromWhere(consumeFrom),
      subscriptionDataSet: [...subscriptions()],
      unitMode,
    }),
    heartbeatEnded: (address, error) => membership.health.heartbeatEnded(address, error),
    rebalance: () => queues?.rebalance(),
    offsets: topic =>
      held()
        .filter(({ queue }) => queue.topic === topic)
        .map(({ queue }) => ({ queue, offset: queues?.offsets.peek(queue) ?? -1 })),
    runningInfo: withStack =>
      runningInfo({
        membership,
        settings,
        table,
        queues: held(),
        offsets: queues?.offsets,
        subscriptions: subscriptions(),
        consumption: undefined,
        withStack,
      }),
  }
}
