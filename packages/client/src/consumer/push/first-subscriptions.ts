import { retryTopicOf, wrapNamespace } from '@gantrymq/protocol'
import { checkedSubscriptions, checkedTopic } from '../group/checked-names.ts'
import { Subscriptions } from '../group/subscriptions.ts'
import type { PushConsumerOptions } from './options.ts'
import type { PushSettings } from './settings.ts'

/** The subscriptions a push consumer starts with: the user's topics and its group's retry topic. @throws ClientError BAD_OPTION, BAD_NAME */
export function firstSubscriptions(
  { namespace, broadcast, clock }: Pick<PushSettings, 'namespace' | 'broadcast' | 'clock'>,
  group: string,
  wanted: PushConsumerOptions['subscriptions'],
): Subscriptions {
  checkedSubscriptions('PushConsumer', wanted)
  const subscriptions = new Subscriptions()
  const now = clock.now()
  for (const [topic, expression] of Object.entries(wanted)) {
    subscriptions.set(checkedTopic(namespace, topic), expression, now)
  }
  // Without a filter: messages in the retry topic passed the filter at their first delivery.
  if (!broadcast) subscriptions.set(wrapNamespace(namespace, retryTopicOf(group)), '*', now)
  return subscriptions
}
