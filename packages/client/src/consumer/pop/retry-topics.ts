import { isRetryTopic, popTopic } from '@gantrymq/protocol'
import type { Membership } from '../group/membership.ts'
import type { Assigned } from '../rebalance/rebalancer.ts'
import type { Subscriptions } from '../group/subscriptions.ts'

/**
 * What was popped of a topic and failed comes again in a topic beside it, which only pops see. Where the topic is pulled
 * now, that one is pulled too (spec client 4.18).
 */
export class PopRetryTopics {
  readonly #membership: Membership
  readonly #subscriptions: Subscriptions
  /** Tells the brokers of the subscriptions. */
  readonly #tell: () => Promise<void>

  constructor(membership: Membership, subscriptions: Subscriptions, tell: () => Promise<void>) {
    this.#membership = membership
    this.#subscriptions = subscriptions
    this.#tell = tell
  }

  /** A topic's queues are to be pulled or popped like this. Never rejects. */
  async follow(topic: string, assigned: readonly Assigned[]): Promise<void> {
    if (isRetryTopic(topic) || assigned.length === 0) return
    if (assigned.every(({ mode }) => mode === 'PULL')) await this.#add(this.#beside(topic))
    else if (assigned.every(({ mode }) => mode === 'POP') && this.forget(topic)) await this.#tell()
  }

  /** The topic is not wanted, or popped. False if nothing has changed. */
  forget(topic: string): boolean {
    const retryTopic = this.#beside(topic)
    this.#membership.part(retryTopic)
    return this.#subscriptions.delete(retryTopic)
  }

  // Java subscribes to it whether it is there or not, and asks for its queues without end.
  async #add(retryTopic: string): Promise<void> {
    const { routes, clock } = this.#membership.instance
    if (this.#subscriptions.has(retryTopic)) return
    const isThere = await routes.get(retryTopic).then(
      () => true,
      () => false,
    )
    if (!isThere || this.#membership.isClosing) return
    this.#subscriptions.set(retryTopic, '*', clock.now())
    await this.#membership.meet(retryTopic)
    await this.#tell()
  }

  #beside(topic: string): string {
    return popTopic('1', topic, this.#membership.group)
  }
}
