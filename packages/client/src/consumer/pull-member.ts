import type { QueueOffset } from '@gantrymq/protocol'
import type { ConsumerMember } from '../members.ts'
import type { MessageQueue } from '../message.ts'
import { consumeFromWhere } from './member-names.ts'
import type { OffsetStore } from './offsets.ts'
import type { ConsumeFrom } from './start-offset.ts'
import type { SubscriptionData } from './subscription.ts'

/** What a consumer that pulls when its user asks tells of itself. */
export interface PullMember {
  /** With its namespace. */
  readonly group: string
  readonly broadcast: boolean
  readonly consumeFrom: ConsumeFrom
  readonly unitMode: boolean
  /** What heartbeats tell. */
  readonly subscriptions: () => readonly SubscriptionData[]
  readonly rebalance: () => void
  readonly offsets: (topic: string) => readonly QueueOffset[]
}

/** A consumer that pulls actively, as the instance knows it. */
export function pullMember(member: PullMember): ConsumerMember {
  const { group, broadcast, consumeFrom, unitMode, subscriptions, rebalance, offsets } = member
  return {
    kind: 'consumer',
    group,
    describe: () => ({
      groupName: group,
      consumeType: 'CONSUME_ACTIVELY',
      messageModel: broadcast ? 'BROADCASTING' : 'CLUSTERING',
      consumeFromWhere: consumeFromWhere(consumeFrom),
      subscriptionDataSet: [...subscriptions()],
      unitMode,
    }),
    rebalance,
    offsets,
    runningInfo: () => ({
      properties: new Map([['PROP_CONSUME_TYPE', 'CONSUME_ACTIVELY']]),
      subscriptionSet: [...subscriptions()],
      mqTable: [],
      statusTable: new Map(),
    }),
  }
}

/** The offsets noted of the queues of a topic. */
export function notedOffsets(store: OffsetStore, queues: readonly MessageQueue[], topic: string): QueueOffset[] {
  return queues.filter(queue => queue.topic === topic).map(queue => ({ queue, offset: store.peek(queue) }))
}
