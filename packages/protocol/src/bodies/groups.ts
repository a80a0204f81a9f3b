import { boolOf, objectOf, textOf, textsOf } from '@gantrymq/remoting'
import { readSubscription, type SubscriptionData, subscriptionBean } from './heartbeat.ts'
import { jsonBody } from './json-body.ts'

/** Names of groups: Apache's GroupList. */
export const groupListBody = jsonBody<readonly string[]>(
  'GroupList',
  groupList => ({ groupList }),
  object => textsOf(object, 'groupList') ?? [],
)

/** Whether a group may read a topic (5.x): Apache's GroupForbidden. */
export interface GroupForbidden {
  readonly group: string
  readonly topic: string
  readonly readable: boolean
}

export const groupForbiddenBody = jsonBody<GroupForbidden>(
  'GroupForbidden',
  ({ group, readable, topic }) => ({ group, readable, topic }),
  object => ({
    group: textOf(object, 'group') ?? '',
    topic: textOf(object, 'topic') ?? '',
    readable: boolOf(object, 'readable', true),
  }),
)

/** A group's subscription to a topic (5.x): Apache's QuerySubscriptionResponseBody. */
export interface TopicSubscription {
  readonly group: string
  readonly topic: string
  /** Absent if the group does not consume the topic now. */
  readonly subscription?: SubscriptionData
}

export const topicSubscriptionBody = jsonBody<TopicSubscription>(
  'QuerySubscriptionResponseBody',
  ({ group, subscription, topic }) => ({
    group,
    subscriptionData: subscription && subscriptionBean(subscription),
    topic,
  }),
  object => {
    const subscription = objectOf(object, 'subscriptionData')
    return {
      group: textOf(object, 'group') ?? '',
      topic: textOf(object, 'topic') ?? '',
      ...(subscription && { subscription: readSubscription(subscription) }),
    }
  },
)
