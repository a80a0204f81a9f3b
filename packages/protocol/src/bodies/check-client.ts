import { objectOf, textOf } from '@gantrymq/remoting'
import { type SubscriptionData, readSubscription, subscriptionBean } from './heartbeat.ts'
import { jsonBody } from './json-body.ts'

/** A subscription whose SQL expression the broker should check: Apache's CheckClientRequestBody. */
export interface CheckClientRequestBody {
  readonly clientId: string
  readonly group: string
  readonly subscriptionData: SubscriptionData
  /** 5.x. */
  readonly namespace?: string
}

export const checkClientBody = jsonBody<CheckClientRequestBody>(
  'CheckClientRequestBody',
  ({ clientId, group, namespace, subscriptionData }) => ({
    clientId,
    group,
    namespace,
    subscriptionData: subscriptionBean(subscriptionData),
  }),
  object => {
    const namespace = textOf(object, 'namespace')
    return {
      clientId: textOf(object, 'clientId') ?? '',
      group: textOf(object, 'group') ?? '',
      subscriptionData: readSubscription(objectOf(object, 'subscriptionData') ?? new Map()),
      ...(namespace === undefined ? undefined : { namespace }),
    }
  },
)
