import { isReadable, popTopic, responseCodes, type SubscriptionGroupConfig, type TopicConfig } from '@gantrymq/protocol'
import { filterOfSubscription, givenSubscription, type TagFilter } from '../pulling/pull-checks.ts'
import { FAQ, illegalQueueRemark, topicMissingRemark } from '../remarks.ts'
import { isStorable } from '../sending/new-message.ts'
import type { Refused } from '../sending/send-checks.ts'

const {
  INVALID_PARAMETER,
  MESSAGE_ILLEGAL,
  NO_MESSAGE,
  NO_PERMISSION,
  POLLING_TIMEOUT,
  SUBSCRIPTION_GROUP_NOT_EXIST,
  TOPIC_NOT_EXIST,
} = responseCodes

/** The most messages of one pop. */
const MAX_POP = 32
/** How long after the end of its waiting time a pop may still arrive, milliseconds (Apache's PopMessageRequestHeader). */
const LATE_MS = 500

/** What all requests of consumers that pop name. */
export interface PopTarget {
  readonly topic: string
  readonly consumerGroup: string
  /** Below 0: any queue. */
  readonly queueId: number
}

/** What the checks look at besides the header. */
export interface PopRules {
  /** The option brokerPermission. */
  readonly brokerPermission: number
  /** How remarks name the broker: brokerIP1. */
  readonly brokerIp: string
  readonly group: SubscriptionGroupConfig | undefined
  readonly topic: TopicConfig | undefined
  /** The address of the consumer. */
  readonly consumer: string
}

/** The header of a pop, as far as it is checked. */
export interface PopHeader extends PopTarget {
  readonly maxMsgNums: number
  readonly bornTime: number
  readonly pollTime: number
  readonly exp?: string | undefined
  readonly expType?: string | undefined
}

/** A pop that is allowed. */
export interface PopAllowed {
  readonly accepts: TagFilter
}

/** The checks of a pop in Apache's order: PopMessageProcessor.processRequest. @param now Milliseconds since the epoch. */
export function checkPop(header: PopHeader, rules: PopRules, now: number): PopAllowed | Refused {
  const { brokerIp, brokerPermission } = rules
  if (now - header.bornTime - header.pollTime > LATE_MS) {
    return { code: POLLING_TIMEOUT, remark: `the broker[${brokerIp}] pop message is timeout too much` }
  }
  if (!isReadable(brokerPermission)) {
    return { code: NO_PERMISSION, remark: `the broker[${brokerIp}] pop message is forbidden` }
  }
  if (header.maxMsgNums > MAX_POP) {
    const remark = `the broker[${brokerIp}] pop message's num is greater than ${MAX_POP}`
    return { code: INVALID_PARAMETER, remark }
  }
  const refused = checkTarget(header, rules)
  if (refused !== undefined) return refused
  const filter = filterOf(header)
  if ('remark' in filter) return filter
  const retryTopic = popTopic('1', header.topic, header.consumerGroup)
  if (isStorable(retryTopic)) return filter
  const remark = `the names of topic and group are too long together: no message can be stored in the retry topic ${retryTopic}`
  return { code: INVALID_PARAMETER, remark }
}

/** The checks of requests that only look at queues: Apache's PeekMessageProcessor, NotificationProcessor, PollingInfoProcessor. */
export function checkPeek(header: PopTarget, rules: PopRules): Refused | undefined {
  if (isReadable(rules.brokerPermission)) return checkTarget(header, rules)
  return { code: NO_PERMISSION, remark: `the broker[${rules.brokerIp}] peeking message is forbidden` }
}

function checkTarget(
  { topic: topicName, consumerGroup, queueId }: PopTarget,
  { topic, group, consumer }: PopRules,
): Refused | undefined {
  if (topic === undefined) return { code: TOPIC_NOT_EXIST, remark: topicMissingRemark(topicName) }
  if (!isReadable(topic.perm)) {
    return { code: NO_PERMISSION, remark: `the topic[${topicName}] peeking message is forbidden` }
  }
  if (queueId >= topic.readQueueNums) {
    return { code: INVALID_PARAMETER, remark: illegalQueueRemark(queueId, topic, consumer) }
  }
  if (group === undefined) {
    const remark = `subscription group [${consumerGroup}] does not exist, ${FAQ}`
    return { code: SUBSCRIPTION_GROUP_NOT_EXIST, remark }
  }
  if (group.consumeEnable) return undefined
  return { code: NO_PERMISSION, remark: `subscription group no permission, ${consumerGroup}` }
}

/** The filter that a pop brings; without one it gets all messages. */
function filterOf({ topic, exp, expType = 'TAG' }: Pick<PopHeader, 'topic' | 'exp' | 'expType'>): PopAllowed | Refused {
  if (exp === undefined || exp === '') return { accepts: undefined }
  const accepts = filterOfSubscription(givenSubscription(topic, exp, expType, 0))
  return typeof accepts === 'object' ? accepts : { accepts }
}

/** What an acknowledgement, or a change of the invisible time, names. */
export interface AckTarget {
  readonly topic: string
  readonly queueId: number
  readonly offset: number
}

/**
 * The checks of an acknowledgement in Apache's order: AckMessageProcessor.processRequest.
 * @param range The offsets of the queue.
 */
export function checkAck(
  target: AckTarget,
  topic: TopicConfig | undefined,
  range: { readonly minOffset: number; readonly maxOffset: number },
  consumer: string,
): Refused | undefined {
  const refused = checkAckQueue(target, topic, consumer)
  const { offset, queueId } = target
  const { minOffset, maxOffset } = range
  if (refused !== undefined || (offset >= minOffset && offset <= maxOffset)) return refused
  const key = `${target.topic}@${queueId}`
  return {
    code: NO_MESSAGE,
    remark: `offset is illegal, key:${key}, commit:${offset}, store:${minOffset}~${maxOffset}`,
  }
}

/** Source: Apache's ChangeInvisibleTimeProcessor.processRequestAsync, whose refusal of an offset has no remark. */
export function checkChange(
  target: AckTarget,
  topic: TopicConfig | undefined,
  range: { readonly minOffset: number; readonly maxOffset: number },
  consumer: string,
): Refused | undefined {
  const refused = checkAckQueue(target, topic, consumer)
  const isKnown = target.offset >= range.minOffset && target.offset < range.maxOffset
  return refused !== undefined || isKnown ? refused : { code: NO_MESSAGE, remark: '' }
}

function checkAckQueue(
  { topic: topicName, queueId }: AckTarget,
  topic: TopicConfig | undefined,
  consumer: string,
): Refused | undefined {
  if (topic === undefined) return { code: TOPIC_NOT_EXIST, remark: topicMissingRemark(topicName) }
  if (queueId >= 0 && queueId < topic.readQueueNums) return undefined
  return { code: MESSAGE_ILLEGAL, remark: illegalQueueRemark(queueId, topic, consumer) }
}
