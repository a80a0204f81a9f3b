import { type MessageQueue, queueKey } from '../../message/message.ts'
import { type LitePullCore, LitePullWork } from './pulled-queue.ts'

/** The queues that a user assigned to a lite pull consumer. */
export class AssignedQueues<Body> {
  readonly #core: LitePullCore<Body>
  readonly #works = new Map<string, LitePullWork<Body>>()

  constructor(core: LitePullCore<Body>) {
    this.#core = core
  }

  get works(): Iterable<LitePullWork<Body>> {
    return this.#works.values()
  }

  find(queue: MessageQueue): LitePullWork<Body> | undefined {
    return this.#works.get(queueKey(queue))
  }

  /** Works on these and no others. Those that it has already go on as they are; the offsets of others are kept. */
  async assign(queues: Iterable<MessageQueue>): Promise<void> {
    const wanted = new Map([...queues].map(queue => [queueKey(queue), queue]))
    const gone = [...this.#works].filter(([key]) => !wanted.has(key))
    for (const [key] of gone) this.#works.delete(key)
    for (const [key, queue] of wanted) if (!this.#works.has(key)) this.#begin(key, queue)
    await this.#giveUp(gone.map(([, work]) => work))
  }

  #begin(key: string, queue: MessageQueue): void {
    const work = new LitePullWork(this.#core, queue)
    this.#works.set(key, work)
    work.start()
  }

  async #giveUp(works: readonly LitePullWork<Body>[]): Promise<void> {
    const { offsets } = this.#core
    await Promise.all(works.map(work => work.drop()))
    await offsets.persist(works.map(({ queue }) => queue))
    // It may have been assigned anew meanwhile.
    for (const { queue } of works) if (!this.#works.has(queueKey(queue))) offsets.forget(queue)
  }

  async dropAll(): Promise<void> {
    await Promise.all([...this.#works.values()].map(work => work.drop()))
  }
}
