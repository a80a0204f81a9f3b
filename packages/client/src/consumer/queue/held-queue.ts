import type { MessageQueue } from '../../message/message.ts'

/** The part of a ProcessQueue that rebalancing changes and operators see. Times are milliseconds by `Clock.elapsed`. */
export interface QueueState {
  /** The queue is about to be given up: nothing more of it is pulled or handed to a listener. */
  dropped: boolean
  /** The broker has locked the queue for this client. */
  locked: boolean
  lastLockAt: number
  /** How many times the queue could not be unlocked because a listener was still busy with it. */
  unlockAttempts: number
  readonly lastPullAt: number
  readonly lastConsumeAt: number
  /** Messages that are not done, and the bytes of their bodies. */
  readonly count: number
  readonly size: number
  readonly firstOffset: number | undefined
  readonly lastOffset: number | undefined
  /** Messages that an orderly listener has taken and that are not committed. */
  readonly takenCount: number
  readonly takenSpan: { readonly first: number; readonly last: number } | undefined
}

/**
 * A queue that a consumer holds, from rebalancing or because the user assigned it. It is pulled (PulledQueue,
 * LitePullQueue), popped (PoppedQueue), or left to the user (ManualQueue).
 */
export interface HeldQueue {
  readonly queue: MessageQueue
  readonly process: QueueState
  readonly isDropped: boolean
  /** Messages that were popped and are neither acknowledged nor sent back. Undefined for a queue that is not popped. */
  readonly popped?: number
  /** The broker has given its lock to another client, so its offset must not be stored. Default false. */
  readonly isLost?: boolean
  /** Whether the queue has to be dropped and added again: it is dropped, or has not been pulled for too long. */
  isExpired(now: number): boolean
  /** Starts pulling or popping. */
  start(): void
  /** Stops pulling or popping. Messages that are already here are still consumed. */
  stopPulling(): void
  /** Gives the queue up: from now on its results do not count. Resolves when the last pull or pop has ended. */
  drop(): Promise<void>
  /** Ends a wait between two pulls or pops. */
  wake(): void
}
