import {
  isReadable,
  pullFlags,
  responseCodes,
  type SubscriptionData,
  type SubscriptionGroupConfig,
  subscriptionOf,
  type TopicConfig,
} from '@gantrymq/protocol'
import { RemotingError } from '@gantrymq/remoting'
import type { ConsumerGroup } from '../clients/client-registry.ts'
import { FAQ, illegalQueueRemark, topicMissingRemark } from '../remarks.ts'
import type { Refused } from '../sending/send-checks.ts'
import type { PullHeader } from './pull-reply.ts'

const {
  INVALID_PARAMETER,
  NO_PERMISSION,
  SUBSCRIPTION_GROUP_NOT_EXIST,
  SUBSCRIPTION_NOT_EXIST,
  SUBSCRIPTION_NOT_LATEST,
  SUBSCRIPTION_PARSE_FAILED,
  SYSTEM_ERROR,
  TOPIC_NOT_EXIST,
} = responseCodes

/** What the checks of a pull look at besides its header. */
export interface PullRules {
  /** The option brokerPermission. */
  readonly brokerPermission: number
  /** How remarks name the broker: brokerIP1. */
  readonly brokerIp: string
  readonly group: SubscriptionGroupConfig | undefined
  readonly topic: TopicConfig | undefined
  /** The group, if any of its clients is connected. */
  readonly consumers: ConsumerGroup | undefined
  /** Whether an operator has forbidden the group to read the topic. */
  readonly isForbidden: boolean
  /** The address of the consumer. */
  readonly consumer: string
}

/** A pull that is allowed. */
export interface PullAllowed {
  readonly group: SubscriptionGroupConfig
  readonly topic: TopicConfig
  readonly accepts: TagFilter
}

/** A pull that is refused. */
export interface PullRefused extends Refused {
  /** For NO_PERMISSION: what forbids it, see `forbiddenBy`. */
  readonly forbiddenType?: number
}

/** What forbids a pull (5.x, Apache's ForbiddenType). */
export const forbiddenBy = { broker: 1, group: 2, topic: 3, broadcasting: 4, subscription: 5 } as const

/** The checks of a pull in Apache's order: PullMessageProcessor.processRequest. */
export function checkPull(header: PullHeader, rules: PullRules): PullAllowed | PullRefused {
  const { topic: topicName, consumerGroup, queueId } = header
  const { group, topic, brokerIp } = rules
  if (!isReadable(rules.brokerPermission)) {
    return forbidden('broker', `the broker[${brokerIp}] pulling message is forbidden`)
  }
  if (group === undefined) {
    const remark = `subscription group [${consumerGroup}] does not exist, ${FAQ}`
    return { code: SUBSCRIPTION_GROUP_NOT_EXIST, remark }
  }
  if (!group.consumeEnable) {
    return forbidden('group', `subscription group no permission, ${consumerGroup}`)
  }
  if (topic === undefined) {
    return { code: TOPIC_NOT_EXIST, remark: topicMissingRemark(topicName) }
  }
  if (!isReadable(topic.perm)) {
    return forbidden('topic', `the topic[${topicName}] pulling message is forbidden`)
  }
  if (queueId < 0 || queueId >= topic.readQueueNums) {
    return { code: INVALID_PARAMETER, remark: illegalQueueRemark(queueId, topic, rules.consumer) }
  }
  const accepts = bringsAll(header) ? undefined : filterOfSubscription(subscriptionOfPull(header, rules, group))
  return typeof accepts === 'object' ? accepts : { group, topic, accepts }
}

/** Whether a pull brings a subscription to all messages, which needs no object: most of those that bring one do. */
function bringsAll({ sysFlag, subscription = '', expressionType = 'TAG' }: PullHeader): boolean {
  return (sysFlag & pullFlags.subscription) !== 0 && isTagType(expressionType) && isAll(subscription)
}

function isAll(expression: string): boolean {
  return expression === '*' || expression === ''
}

function subscriptionOfPull(
  header: PullHeader,
  rules: PullRules,
  group: SubscriptionGroupConfig,
): SubscriptionData | PullRefused {
  const { consumerGroup, topic, subVersion } = header
  if ((header.sysFlag & pullFlags.subscription) !== 0) {
    return givenSubscription(topic, header.subscription ?? '', header.expressionType ?? 'TAG', subVersion)
  }
  const { consumers, isForbidden } = rules
  if (consumers === undefined) {
    return { code: SUBSCRIPTION_NOT_EXIST, remark: `the consumer's group info not exist${FAQ}` }
  }
  if (!group.consumeBroadcastEnable && consumers.messageModel === 'BROADCASTING') {
    return forbidden('broadcasting', `the consumer group[${consumerGroup}] can not consume by broadcast way`)
  }
  if (isForbidden) {
    return forbidden('subscription', `the consumer group[${consumerGroup}] is forbidden for topic[${topic}]`)
  }
  const known = consumers.subscriptions.get(topic)
  if (known === undefined) {
    return { code: SUBSCRIPTION_NOT_EXIST, remark: `the consumer's subscription not exist${FAQ}` }
  }
  if (known.subVersion < subVersion) {
    return { code: SUBSCRIPTION_NOT_LATEST, remark: "the consumer's subscription not latest" }
  }
  return known
}

/** The subscription that a request brings. */
export function givenSubscription(
  topic: string,
  expression: string,
  expressionType: string,
  subVersion: number,
): SubscriptionData | Refused {
  try {
    const data = subscriptionOf(topic, isTagType(expressionType) ? expression : { sql: expression }, subVersion)
    return { ...data, expressionType }
  } catch (error) {
    if (!(error instanceof RemotingError)) throw error
    return { code: SUBSCRIPTION_PARSE_FAILED, remark: "parse the consumer's subscription failed" }
  }
}

/** The filter of a subscription. The broker has no filters but those by tags. */
export function filterOfSubscription(subscription: SubscriptionData | PullRefused): TagFilter | PullRefused {
  if ('remark' in subscription) return subscription
  const { expressionType } = subscription
  if (isTagType(expressionType)) return tagFilter(subscription)
  return { code: SYSTEM_ERROR, remark: `The broker does not support consumer to filter message by ${expressionType}` }
}

/** Source: Apache's ExpressionType.isTagType. */
export function isTagType(expressionType: string): boolean {
  return expressionType === '' || expressionType === 'TAG'
}

/** Called with the code of a message's tags. Undefined: all messages are wanted. */
export type TagFilter = ((tagsCode: number | undefined) => boolean) | undefined

/** Source: Apache's ExpressionMessageFilter.isMatchedByConsumeQueue, which compares the low 32 bits. */
export function tagFilter({ subString, codeSet, classFilterMode }: SubscriptionData): TagFilter {
  if (classFilterMode || isAll(subString)) return undefined
  const [first] = codeSet
  if (codeSet.length === 1) return tagsCode => tagsCode === undefined || (tagsCode | 0) === first
  // A pull that waits for the disk keeps them: a set would take ten times the bytes of the request.
  const codes = Int32Array.from(codeSet).sort()
  return tagsCode => tagsCode === undefined || isAmong(codes, tagsCode | 0)
}

/** @param sorted In ascending order. */
function isAmong(sorted: Int32Array, code: number): boolean {
  let from = 0
  let to = sorted.length
  while (from < to) {
    const middle = (from + to) >>> 1
    if ((sorted[middle] as number) < code) from = middle + 1
    else to = middle
  }
  return sorted[from] === code
}

function forbidden(by: keyof typeof forbiddenBy, remark: string): PullRefused {
  return { code: NO_PERMISSION, remark, forbiddenType: forbiddenBy[by] }
}
