import {
  deadLetterTopicOf,
  offsetMessageId,
  PROPERTY,
  retryTopicOf,
  type StoredMessage,
  type SubscriptionGroupConfig,
} from '@gantrymq/protocol'
import { copyOf, type NewMessage } from './new-message.ts'

/** Ordinal of V3_4_9 in Apache's MQVersion: since then, consumers say how often a message may be consumed again. */
const FIRST_VERSION_WITH_MAX = 121
/** The first retry of a message waits for this delay level, the next one for the next level. */
const FIRST_DELAY_LEVEL = 3

/**
 * How often a group may consume a message again before it becomes a dead letter: as the group is configured, or as its consumer
 * says.
 * @param version The version that the request announces.
 */
export function maxRetries(
  { retryMaxTimes }: Pick<SubscriptionGroupConfig, 'retryMaxTimes'>,
  version: number,
  ofConsumer: number | undefined,
): number {
  return version >= FIRST_VERSION_WITH_MAX ? (ofConsumer ?? retryMaxTimes) : retryMaxTimes
}

/** A message that a consumer sends back. */
export interface SendBack {
  readonly group: string
  /** 0: by how often the message was consumed; below 0: the message becomes a dead letter. */
  readonly delayLevel: number
  /** See `maxRetries`. */
  readonly maxRetries: number
  /** The queue in the retry topic. */
  readonly queueId: number
}

/** The topic to which the message was sent first. */
export function originalTopicOf({ properties, topic }: StoredMessage): string {
  return properties.get(PROPERTY.RETRY_TOPIC) ?? topic
}

/** Whether a message that is sent back becomes a dead letter (Apache's AbstractSendMessageProcessor.consumerSendMsgBack). */
export function isDeadLetter(message: StoredMessage, { delayLevel, maxRetries: max }: SendBack): boolean {
  return message.reconsumeTimes >= max || delayLevel < 0
}

/**
 * The message that is stored when a consumer sends one back: for the retry topic of its group after a delay, or for the dead-letter
 * topic. It names the topic and the id of the first one. Unlike Apache's, its sender waits until it is safe.
 * Source: Apache's AbstractSendMessageProcessor.consumerSendMsgBack.
 */
export function sentBack(message: StoredMessage, back: SendBack): NewMessage {
  const isLast = isDeadLetter(message, back)
  const { group, queueId, delayLevel } = back
  const properties = new Map(message.properties)
  if (!properties.has(PROPERTY.RETRY_TOPIC)) properties.set(PROPERTY.RETRY_TOPIC, message.topic)
  if (!properties.get(PROPERTY.ORIGIN_MESSAGE_ID)?.trim()) {
    properties.set(PROPERTY.ORIGIN_MESSAGE_ID, offsetMessageId(message.storeHost, message.physicalOffset))
  }
  const level = delayLevel === 0 ? FIRST_DELAY_LEVEL + message.reconsumeTimes : delayLevel
  properties.set(PROPERTY.DELAY, String(isLast ? 0 : level))
  properties.delete(PROPERTY.WAIT)
  return copyOf(message, {
    topic: isLast ? deadLetterTopicOf(group) : retryTopicOf(group),
    queueId: isLast ? 0 : queueId,
    properties,
    reconsumeTimes: message.reconsumeTimes + 1,
  })
}

/** A message that a consumer has sent to the retry topic itself, as a dead letter (Apache's SendMessageProcessor.handleRetryAndDLQ). */
export function asDeadLetter(message: NewMessage, group: string): NewMessage {
  const properties = new Map(message.properties).set(PROPERTY.DELAY, '-1')
  return { ...message, topic: deadLetterTopicOf(group), queueId: 0, properties }
}
