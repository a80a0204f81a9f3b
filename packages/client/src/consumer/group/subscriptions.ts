import type { SubscriptionData } from '@gantrymq/protocol'
import { type Expression, subscriptionOf } from './subscription.ts'

/**
 * What a consumer subscribes to. Brokers refuse a pull that names a newer subscription than the last heartbeat, so a change
 * takes effect for pulls only after it was announced.
 */
export class Subscriptions {
  readonly #wanted = new Map<string, SubscriptionData>()
  readonly #announced = new Map<string, SubscriptionData>()

  /** What the user subscribes to, by topic: the next heartbeat announces it. Topics have their namespaces. */
  get wanted(): ReadonlyMap<string, SubscriptionData> {
    return this.#wanted
  }

  /** What the brokers have learned from heartbeats, by topic: pulls may name it. */
  get announced(): ReadonlyMap<string, SubscriptionData> {
    return this.#announced
  }

  /** What the user subscribes to, as a heartbeat lists it. */
  get list(): SubscriptionData[] {
    return [...this.#wanted.values()]
  }

  /** @throws ClientError BAD_OPTION */
  set(topic: string, expression: Expression, now: number): void {
    this.#wanted.set(topic, subscriptionOf(topic, expression, this.#nextVersion(topic, now)))
  }

  /** Gives a subscription a new version: brokers use it to tell which of two members' subscriptions is newer. */
  touch(topic: string, now: number): void {
    const subscription = this.#wanted.get(topic)
    if (subscription === undefined) return
    this.#wanted.set(topic, { ...subscription, subVersion: this.#nextVersion(topic, now) })
  }

  #nextVersion(topic: string, now: number): number {
    return Math.max(now, (this.#wanted.get(topic)?.subVersion ?? 0) + 1)
  }

  /** False if there was no such subscription. */
  delete(topic: string): boolean {
    this.#announced.delete(topic)
    return this.#wanted.delete(topic)
  }

  /** The brokers have received a heartbeat with these subscriptions. Those that were deleted meanwhile are ignored. */
  markAnnounced(subscriptions: readonly SubscriptionData[]): void {
    for (const subscription of subscriptions) {
      if (this.#wanted.has(subscription.topic)) this.#announced.set(subscription.topic, subscription)
    }
  }
}
