import type { CallOptions } from '../../message/message.ts'
import type { Membership } from './membership.ts'
import { type Expression, subscriptionOf } from './subscription.ts'
import type { Subscriptions } from './subscriptions.ts'

/** A consumer whose subscriptions can be changed while it runs. */
export interface Subscriber {
  /**
   * Subscribes to another topic, or changes the filter of one. Resolves when the brokers know the subscription; messages arrive
   * some moments later. If it rejects, nothing has changed. If the time is over, or the signal aborted, when only the brokers
   * remain to be told, it resolves: the subscription counts, and they are told in the background. `timeoutMs` is by default
   * six times `requestTimeoutMs`, which is longer than all steps together take.
   * @throws ClientError BAD_OPTION, also after `assign`; BAD_NAME, UNSUPPORTED, TIMEOUT, ABORTED, CLOSED
   */
  subscribe(topic: string, expression?: Expression, options?: CallOptions): Promise<void>

  /**
   * Gives a topic up: its messages are no longer received, and listeners that run finish. Resolves when the brokers know, or
   * when the time is over or the signal aborted: they are then told in the background. ABORTED means that the signal was
   * aborted before the call and nothing has changed.
   * @throws ClientError BAD_OPTION, BAD_NAME, ABORTED, CLOSED
   */
  unsubscribe(topic: string, options?: CallOptions): Promise<void>
}

export interface SubscriptionChangesOptions {
  readonly membership: Membership
  readonly subscriptions: Subscriptions
  /** Announces the subscriptions to the brokers. */
  readonly announce: () => Promise<unknown>
  /** Called when the subscriptions have changed: after the announcement of a new one, before that of a removal. */
  readonly onChange?: (() => void) | undefined
  /** Called when a topic was removed. @param topic with its namespace */
  readonly onRemove?: ((topic: string) => void) | undefined
}

/** Changes the subscriptions of a running consumer. */
export class SubscriptionChanges implements Subscriber {
  readonly #options: SubscriptionChangesOptions

  constructor(options: SubscriptionChangesOptions) {
    this.#options = options
  }

  /** @param commit called when everything was checked and nothing has changed yet; what it throws ends the call */
  async subscribe(
    topic: string,
    expression: Expression,
    options: CallOptions,
    commit: () => void = () => {},
  ): Promise<void> {
    const { membership, subscriptions, announce, onChange } = this.#options
    const wireTopic = membership.topic(topic)
    const { clock } = membership.instance
    const subscription = subscriptionOf(wireTopic, expression, clock.now())
    const deadline = membership.changeDeadline('subscribe', options)
    const missing = await membership.checkSubscription(subscription, deadline)
    commit()
    membership.watch(wireTopic, missing)
    subscriptions.set(wireTopic, expression, clock.now())
    await deadline.upTo(announce().then(() => onChange?.()))
  }

  async unsubscribe(topic: string, options: CallOptions): Promise<void> {
    const { membership, subscriptions, announce, onChange, onRemove } = this.#options
    const wireTopic = membership.topic(topic)
    const deadline = membership.changeDeadline('unsubscribe', options)
    if (!subscriptions.delete(wireTopic)) return
    membership.unwatch(wireTopic)
    onRemove?.(wireTopic)
    onChange?.()
    await deadline.upTo(announce().then(() => {}))
  }
}
