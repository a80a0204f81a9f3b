import type { MessageQueue } from '../message.ts'
import type { HeldWork } from './rebalance.ts'

/** The broker's locks on the queues of an orderly consumer. */
export interface QueueLocks {
  acquire(queue: MessageQueue): Promise<boolean>
  /** Gives a queue back when nothing of it is being consumed. False if it must be tried again. */
  release(work: Pick<HeldWork, 'queue' | 'process'>): Promise<boolean>
}
