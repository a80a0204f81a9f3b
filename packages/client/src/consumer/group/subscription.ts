import {
  subscriptionOf as readExpression,
  type SubscriptionData,
  type SubscriptionExpression,
} from '@gantrymq/protocol'
import { asClientErrors } from '../../errors.ts'

/** Which messages of a topic to receive: `*`, tags such as `new || paid`, a list of tags, or an SQL92 filter on properties. */
export type Expression = SubscriptionExpression

/** The subscription for a user's expression. @throws ClientError BAD_OPTION if the expression has no tags or no text */
export function subscriptionOf(topic: string, expression: Expression, version: number): SubscriptionData {
  return asClientErrors(() => readExpression(topic, expression, version))
}
