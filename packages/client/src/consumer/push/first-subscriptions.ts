import { retryTopicOf, wrapNamespace } from '@gantrymq/protocol'
import { badOption } from '../../options.ts'
import { checkedTopic } from '../group/checked-names.ts'
import type { PushConsumerOptions } from './options.ts'
import type { PushSettings } from './settings.ts'
import { Subscriptions } from '../group/subscriptions.ts'

/** What a push consumer wants when it starts: the user's topics, and its group's retries. @throws ClientError BAD_OPTION, BAD_NAME */
export function firstSubscriptions(
  { namespace, broadcast, clock }: Pick<PushSettings, 'namespace' | 'broadcast' | 'clock'>,
  group: string,
  wanted: PushConsumerOptions['subscriptions'],
): Subscriptions {
  if (typeof wanted !== 'object' || wanted === null) {
    throw badOption('PushConsumer', 'subscriptions', wanted, "an object such as { Orders: '*' }")
  }
  const all = new Subscriptions()
  const now = clock.now()
  for (const [topic, expression] of Object.entries(wanted)) all.set(checkedTopic(namespace, topic), expression, now)
  // What is pulled of it was wanted when it came the first time.
  if (!broadcast) all.set(wrapNamespace(namespace, retryTopicOf(group)), '*', now)
  return all
}
