import { isRetryTopic, popTopic } from '@gantrymq/protocol'
import type { Membership } from '../group/membership.ts'
import type { Subscriptions } from '../group/subscriptions.ts'
import type { AssignedQueue } from '../rebalance/context.ts'

/**
 * Messages that failed after a pop are redelivered through a retry topic of their group and topic, which only pops read. If the
 * brokers now want the topic to be pulled, that retry topic has to be pulled as well (Apache's RebalanceImpl.updateMessageQueueAssignment).
 */
export class PopRetryTopics {
  readonly #membership: Membership
  readonly #subscriptions: Subscriptions
  /** Announces the subscriptions to the brokers. */
  readonly #announce: () => Promise<void>

  constructor(membership: Membership, subscriptions: Subscriptions, announce: () => Promise<void>) {
    this.#membership = membership
    this.#subscriptions = subscriptions
    this.#announce = announce
  }

  /** Adds or removes the retry topic of a topic after a broker has assigned its queues. Never rejects. */
  async follow(topic: string, assigned: readonly AssignedQueue[]): Promise<void> {
    if (isRetryTopic(topic) || assigned.length === 0) return
    if (assigned.every(({ mode }) => mode === 'PULL')) await this.#add(topic)
    else if (assigned.every(({ mode }) => mode === 'POP') && this.remove(topic)) await this.#announce()
  }

  /** Removes the retry topic of a topic that is popped or not subscribed to. False if there was none. */
  remove(topic: string): boolean {
    const retryTopic = this.#retryTopicOf(topic)
    this.#membership.unwatch(retryTopic)
    return this.#subscriptions.delete(retryTopic)
  }

  // Java subscribes to it whether it exists or not, and keeps asking for its queues.
  async #add(topic: string): Promise<void> {
    const { routes, clock } = this.#membership.instance
    const retryTopic = this.#retryTopicOf(topic)
    if (this.#subscriptions.wanted.has(retryTopic)) return
    const exists = await routes.get(retryTopic).then(
      () => true,
      () => false,
    )
    // The user may have given the topic up meanwhile.
    if (!exists || this.#membership.isClosing || !this.#subscriptions.wanted.has(topic)) return
    this.#subscriptions.set(retryTopic, '*', clock.now())
    this.#membership.watch(retryTopic)
    await this.#announce()
  }

  #retryTopicOf(topic: string): string {
    return popTopic('1', topic, this.#membership.group)
  }
}
