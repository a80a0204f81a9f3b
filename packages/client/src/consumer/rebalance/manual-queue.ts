import type { MessageQueue } from '../../message/message.ts'
import { ProcessQueue } from '../queue/process-queue.ts'
import type { HeldWork } from './rebalancer.ts'

/** A queue that rebalancing gave to a consumer whose user pulls it himself: nothing runs by itself. */
export class PullShare implements HeldWork {
  readonly queue: MessageQueue
  readonly process: ProcessQueue<never>

  constructor(queue: MessageQueue, now: number) {
    this.queue = queue
    this.process = new ProcessQueue(now, () => 0)
  }

  get isDropped(): boolean {
    return this.process.dropped
  }

  isExpired(): boolean {
    return this.isDropped
  }

  start(): void {}

  stopPulling(): void {}

  wake(): void {}

  drop(): Promise<void> {
    this.process.dropped = true
    return Promise.resolve()
  }
}
