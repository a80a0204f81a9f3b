import { type MessageQueue, queueKey } from '../../message/message.ts'

/** A queue that this consumer holds. */
export interface CurrentQueue {
  readonly queue: MessageQueue
  /** Whether the queue has to be dropped and added again. */
  readonly isStale: boolean
}

/** How to get from the queues held to those assigned. Drop first, then add. */
export interface RebalancePlan {
  readonly drop: readonly { readonly queue: MessageQueue; readonly reason: 'not assigned' | 'stale' }[]
  /** New queues, and stale ones again. */
  readonly add: readonly MessageQueue[]
}

/** Compares the queues of one topic that are held with those assigned (Apache's updateProcessQueueTableInRebalance). */
export function planRebalance(held: Iterable<CurrentQueue>, assigned: Iterable<MessageQueue>): RebalancePlan {
  const wanted = new Map<string, MessageQueue>()
  for (const queue of assigned) wanted.set(queueKey(queue), queue)
  const missing = new Map(wanted)
  const drop: RebalancePlan['drop'][number][] = []
  for (const { queue, isStale } of held) {
    const key = queueKey(queue)
    if (!wanted.has(key)) drop.push({ queue, reason: 'not assigned' })
    else if (isStale) drop.push({ queue, reason: 'stale' })
    else missing.delete(key)
  }
  return { drop, add: [...missing.values()] }
}

/** Whether a plan changes nothing. */
export function isBalanced({ drop, add }: Record<'drop' | 'add', readonly unknown[]>): boolean {
  return drop.length === 0 && add.length === 0
}
