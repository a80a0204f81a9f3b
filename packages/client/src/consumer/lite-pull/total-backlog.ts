import type { HeldQueue } from '../queue/held-queue.ts'

/** The messages in memory of all queues of a consumer together. */
export class TotalBacklog {
  readonly #queues: readonly Iterable<Pick<HeldQueue, 'process'>>[]

  constructor(...queues: Iterable<Pick<HeldQueue, 'process'>>[]) {
    this.#queues = queues
  }

  /** Messages that are not done. */
  get count(): number {
    let count = 0
    for (const queues of this.#queues) for (const { process } of queues) count += process.count
    return count
  }
}
