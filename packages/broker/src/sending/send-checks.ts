import { isClosedTopic, isRetryTopic, isWriteable, responseCodes, type TopicConfig } from '@gantrymq/protocol'
import { topicNameRemark } from '../topics/topic-name-check.ts'
import { FAQ } from '../remarks.ts'
import type { SendHeader } from './send-header.ts'

const { INVALID_PARAMETER, NO_PERMISSION, SYSTEM_ERROR, TOPIC_NOT_EXIST } = responseCodes

/** A request that is refused with a code and Apache's remark. */
export interface Refused {
  readonly code: number
  readonly remark: string
}

/** What the checks of a send look at besides its header. */
export interface SendRules {
  /** The option brokerPermission. */
  readonly brokerPermission: number
  /** The option startAcceptSendRequestTimeStamp. */
  readonly startAcceptSendRequestTimeStamp: number
  /** How remarks name the broker: brokerIP1. */
  readonly brokerIp: string
  /** Milliseconds since the epoch. */
  readonly now: number
}

/**
 * The checks before the topic is looked up or created, in Apache's order: SendMessageProcessor.preSend and
 * AbstractSendMessageProcessor.msgCheck.
 * @param known The topic, if it exists.
 */
export function refusedBeforeTopic(
  topic: string,
  known: TopicConfig | undefined,
  rules: SendRules,
): Refused | undefined {
  const { brokerPermission, startAcceptSendRequestTimeStamp: start, brokerIp, now } = rules
  if (now < start) return { code: SYSTEM_ERROR, remark: `broker unable to service, until ${timeText(start)}` }
  if (!isWriteable(brokerPermission) && known?.order) {
    return { code: NO_PERMISSION, remark: brokerForbidden(brokerIp) }
  }
  const remark = topicNameRemark(topic)
  if (remark !== null) return { code: INVALID_PARAMETER, remark }
  if (isClosedTopic(topic)) return { code: NO_PERMISSION, remark: `Sending message to topic[${topic}] is forbidden.` }
  return undefined
}

/** The remark of a broker without permission to write. @param brokerIp How remarks name the broker: brokerIP1. */
export function brokerForbidden(brokerIp: string): string {
  return `the broker[${brokerIp}] sending message is forbidden`
}

/** The answer if a topic neither exists nor may be created. */
export function topicMissing(topic: string): Refused {
  return { code: TOPIC_NOT_EXIST, remark: `topic[${topic}] not exist, apply first please!${FAQ}` }
}

/**
 * The queue of a message, with its topic known: the one in the header, or one by chance if that is negative.
 * @param random At least 0, below 1.
 */
export function queueOf(queueId: number, topic: TopicConfig, producer: string, random: number): number | Refused {
  if (queueId >= Math.max(topic.writeQueueNums, topic.readQueueNums)) {
    const remark = `request queueId[${queueId}] is illegal, ${topicText(topic)} Producer: ${producer}`
    return { code: INVALID_PARAMETER, remark }
  }
  if (queueId >= 0) return queueId
  // Apache divides by zero here.
  if (topic.writeQueueNums === 0)
    return { code: SYSTEM_ERROR, remark: `topic[${topic.topicName}] has no queue to write` }
  return Math.floor(random * topic.writeQueueNums)
}

/** Bits of a topic's sys flag (Apache's TopicSysFlag): it belongs to a unit; consumers of other units subscribe to it. */
const UNIT = 1
const UNIT_SUBSCRIPTION = 2

/** The sys flag of a topic that a send, or the heartbeat of a consumer, creates. */
export function topicSysFlagOf({ topic, unitMode = false }: Pick<SendHeader, 'topic' | 'unitMode'>): number {
  if (!unitMode) return 0
  return isRetryTopic(topic) ? UNIT_SUBSCRIPTION : UNIT
}

/** Apache's TopicConfig.toString. */
function topicText(topic: TopicConfig): string {
  const { topicName, readQueueNums, writeQueueNums, perm, topicFilterType, topicSysFlag, order, attributes } = topic
  const attributeText = [...(attributes ?? [])].map(([name, value]) => `${name}=${value}`).join(', ')
  return (
    `TopicConfig [topicName=${topicName}, readQueueNums=${readQueueNums}, writeQueueNums=${writeQueueNums}, ` +
    `perm=${permissionText(perm)}, topicFilterType=${topicFilterType}, topicSysFlag=${topicSysFlag}, order=${order}, ` +
    `attributes={${attributeText}}]`
  )
}

function permissionText(perm: number): string {
  return `${(perm & 4) !== 0 ? 'R' : '-'}${(perm & 2) !== 0 ? 'W' : '-'}${(perm & 1) !== 0 ? 'X' : '-'}`
}

/** `yyyy-MM-dd HH:mm:ss,SSS` in local time (Apache's UtilAll.timeMillisToHumanString2). */
function timeText(time: number): string {
  const date = new Date(time)
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  return `${day} ${clock},${String(date.getMilliseconds()).padStart(3, '0')}`
}
