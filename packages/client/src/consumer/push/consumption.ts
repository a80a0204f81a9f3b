import type { ReceivedMessage } from '../../message/received-message.ts'
import type { ProcessQueue } from '../queue/process-queue.ts'
import type { LockedQueue } from '../rebalance/queue-locks.ts'

/** A queue whose messages are consumed. */
export interface ConsumedQueue<Body> extends LockedQueue {
  readonly process: ProcessQueue<ReceivedMessage<Body>>
  /** The queue is about to be given up: no more of its messages may be started. */
  readonly isDropped: boolean
  /** Has to be called when messages are done: pulls again if that made enough room. */
  messagesDone(): void
}

/** Hands pulled messages to listeners: concurrently or in order. */
export interface Consumption<Body> {
  readonly orderly: boolean
  /** How many listeners may run at a time. */
  concurrency: number
  /** Running listeners; for orderly consumption, queues that are being consumed. */
  readonly running: number
  /**
   * Takes messages that were put into the process queue of `source`. Returns at once.
   * @param start what `ProcessQueue.put` returned
   */
  submit(source: ConsumedQueue<Body>, messages: readonly ReceivedMessage<Body>[], start: boolean): void
  /** Waits up to `ms` until no listener has messages of the queue. False if one still has. */
  waitIdle(source: ConsumedQueue<Body>, ms: number): Promise<boolean>
  /** Starts no more listeners, and waits up to `drainMs` for those that run. */
  close(drainMs: number): Promise<void>
}
