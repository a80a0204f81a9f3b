import type { SubscriptionData } from '@gantrymq/protocol'
import type { ConsumerMember } from '../../instance/instance-members.ts'
import type { OptionTable } from '../../options.ts'
import { consumeFromWhere } from '../offsets/start-offset.ts'
import type { Membership } from './membership.ts'
import type { OffsetStore } from '../offsets/offset-store.ts'
import type { HeldWork } from '../rebalance/rebalancer.ts'
import { type ConsumerSettings, runningInfo } from './running-info.ts'

/** What a consumer that gives messages when its user asks tells of itself. */
export interface PullMember {
  readonly membership: Membership
  readonly settings: ConsumerSettings
  /** The options that the settings were read by. */
  readonly table: OptionTable
  /** What heartbeats tell. */
  readonly subscriptions: () => readonly SubscriptionData[]
  /** Its queues, of consumers that have some. */
  readonly held?: {
    readonly works: () => Iterable<Pick<HeldWork, 'queue' | 'process'>>
    readonly offsets: OffsetStore
    readonly rebalance: () => void
  }
}

/** A consumer that pulls actively, as the instance knows it. */
export function pullMember({ membership, settings, table, subscriptions, held }: PullMember): ConsumerMember {
  const { broadcast = false, consumeFrom = 'last', unitMode } = settings
  const works = () => [...(held?.works() ?? [])]
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
    rebalance: () => held?.rebalance(),
    offsets: topic =>
      works()
        .filter(({ queue }) => queue.topic === topic)
        .map(({ queue }) => ({ queue, offset: held?.offsets.peek(queue) ?? -1 })),
    runningInfo: withStack =>
      runningInfo({
        membership,
        settings,
        table,
        works: works(),
        offsets: held?.offsets,
        subscriptions: subscriptions(),
        consumption: undefined,
        withStack,
      }),
  }
}
