import type { MessageQueue } from '../../message/message.ts'
import type { HeldQueue } from '../queue/held-queue.ts'
import { ProcessQueue } from '../queue/process-queue.ts'

/** A queue that the user pulls: this client only knows that it is assigned. */
export class ManualQueue implements HeldQueue {
  readonly queue: MessageQueue
  readonly process: ProcessQueue<never>

  /** @param now by `Clock.elapsed` */
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
