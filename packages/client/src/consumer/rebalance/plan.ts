import { type MessageQueue, queueKey } from '../../message/message.ts'

/** A queue that this consumer works on. A ProcessQueue knows whether its pull has expired. */
export interface HeldQueue {
  readonly queue: MessageQueue
  /** Nothing was pulled for so long that the queue is taken up anew. */
  readonly pullExpired: boolean
}

/** What to do so that the held queues become the assigned ones. First drop, then add. */
export interface RebalancePlan {
  readonly drop: readonly { readonly queue: MessageQueue; readonly reason: 'not assigned' | 'pull expired' }[]
  /** New ones, and those whose pull had expired. */
  readonly add: readonly MessageQueue[]
}

/** Compares the queues held of one topic with those assigned now (Apache's updateProcessQueueTableInRebalance). */
export function planRebalance(held: Iterable<HeldQueue>, assigned: Iterable<MessageQueue>): RebalancePlan {
  const wanted = new Map<string, MessageQueue>()
  for (const queue of assigned) wanted.set(queueKey(queue), queue)
  const missing = new Map(wanted)
  const drop: RebalancePlan['drop'][number][] = []
  for (const { queue, pullExpired } of held) {
    const key = queueKey(queue)
    if (!wanted.has(key)) drop.push({ queue, reason: 'not assigned' })
    else if (pullExpired) drop.push({ queue, reason: 'pull expired' })
    else missing.delete(key)
  }
  return { drop, add: [...missing.values()] }
}

/** Whether a plan leaves all as it is. */
export function isBalanced({ drop, add }: Record<'drop' | 'add', readonly unknown[]>): boolean {
  return drop.length === 0 && add.length === 0
}
