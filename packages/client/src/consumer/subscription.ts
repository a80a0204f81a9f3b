import {
  subscriptionOf as readExpression,
  type SubscriptionData,
  type SubscriptionExpression,
} from '@gantrymq/protocol'
import { asClientErrors } from '../errors.ts'

/** What to receive of a topic: `*` or tags such as `new || paid`, the tags as a list, or an SQL92 filter on properties. */
export type Expression = SubscriptionExpression

/** The subscription that a user's expression means. @throws ClientError BAD_OPTION for one without tags or without text */
export function subscriptionOf(topic: string, expression: Expression, version: number): SubscriptionData {
  return asClientErrors(() => readExpression(topic, expression, version))
}
