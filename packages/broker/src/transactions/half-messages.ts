import {
  PROPERTY,
  type StoredMessage,
  topicProblem,
  TRANSACTION_COMMIT,
  TRANSACTION_ROLLBACK,
} from '@gantrymq/protocol'
import { delayLevelOf } from '../delays/delayed-message.ts'
import { copyOf, type NewMessage } from '../sending/new-message.ts'
import { HALF_TOPIC } from '../topics/topic-table.ts'

/** The topic of half messages about which the broker has given up (Apache's TopicValidator). */
export const GIVEN_UP_TOPIC = 'TRANS_CHECK_MAX_TIME_TOPIC'

/**
 * Whether a message is the half message of a transaction: not visible to consumers until its producer commits it. A consumer's retry
 * of a committed message still has the property, and is none. Source: Apache's SendMessageProcessor.sendMessage.
 */
export function isHalf({ properties, reconsumeTimes }: NewMessage): boolean {
  const isRetry = reconsumeTimes > 0 && delayLevelOf(properties) > 0
  return properties.get(PROPERTY.TRANSACTION_MESSAGE)?.toLowerCase() === 'true' && !isRetry
}

/**
 * A half message as it is stored (Apache's TransactionalMessageBridge.parseHalfMessageInner). A delay begins with the commit. Unlike in
 * Apache, a producer that sends a message again which it has received does not send the number of its checks with it.
 */
export function halfOf(message: NewMessage): NewMessage {
  const properties = new Map(message.properties)
  properties.delete(PROPERTY.TRANSACTION_CHECK_TIMES)
  properties.delete(PROPERTY.TRANSACTION_PREPARED_QUEUE_OFFSET)
  const uniqueId = properties.get(PROPERTY.UNIQ_KEY)
  if (uniqueId !== undefined) properties.set(PROPERTY.TRANSACTION_ID, uniqueId)
  properties.set(PROPERTY.REAL_TOPIC, message.topic)
  properties.set(PROPERTY.REAL_QUEUE_ID, String(message.queueId))
  return { ...message, topic: HALF_TOPIC, queueId: 0, properties, sysFlag: message.sysFlag & ~TRANSACTION_ROLLBACK }
}

/** What a request to end a transaction says about its half message. */
export interface HalfMessageClaim {
  readonly producerGroup: string
  readonly tranStateTableOffset: number
}

/** Why a message is not the half message that a request names, in Apache's words (EndTransactionProcessor.checkPrepareMessage). */
export function problemOf(half: StoredMessage | undefined, claim: HalfMessageClaim): string | undefined {
  if (half?.topic !== HALF_TOPIC || targetOf(half) === undefined) return 'Find prepared transaction message failed'
  if (half.properties.get(PROPERTY.PRODUCER_GROUP) !== claim.producerGroup) return 'The producer group wrong'
  if (Number(half.queueOffset) !== claim.tranStateTableOffset) return 'The transaction state table offset wrong'
  return undefined
}

/** The message that consumers get, with all properties of its half: Apache's EndTransactionProcessor.endMessageTransaction. */
export function committed(half: StoredMessage): NewMessage {
  return copyOf(half, {
    topic: HALF_TOPIC,
    queueId: 0,
    ...targetOf(half),
    sysFlag: half.sysFlag | TRANSACTION_COMMIT,
    preparedTransactionOffset: Number(half.physicalOffset),
  })
}

/** The half message again, at the end of its queue, after another check (Apache's putBackHalfMsgQueue). */
export function checkedAgain(half: StoredMessage): NewMessage {
  const properties = new Map(half.properties)
  properties.set(PROPERTY.TRANSACTION_CHECK_TIMES, String(checkTimesOf(half) + 1))
  return copyOf(half, { topic: HALF_TOPIC, queueId: 0, properties })
}

/** A half message about which the broker asks again, as often as at first (Apache's AdminBrokerProcessor.resumeCheckHalfMessage). */
export function resumed(half: StoredMessage): NewMessage {
  const properties = new Map(half.properties)
  properties.set(PROPERTY.TRANSACTION_CHECK_TIMES, '0')
  return copyOf(half, { topic: HALF_TOPIC, queueId: 0, properties })
}

/**
 * The half message again, because it may not be checked yet and others wait behind it. It keeps the offset by which its producer
 * knows it. Source: Apache's TransactionalMessageBridge.renewImmunityHalfMessageInner.
 */
export function postponed(half: StoredMessage): NewMessage {
  const properties = new Map(half.properties)
  properties.set(PROPERTY.TRANSACTION_PREPARED_QUEUE_OFFSET, String(firstOffsetOf(half) ?? half.queueOffset))
  return copyOf(half, { topic: HALF_TOPIC, queueId: 0, properties })
}

/** A half message about which the broker gives up (Apache's DefaultTransactionalMessageCheckListener). */
export function givenUp(half: StoredMessage): NewMessage {
  return copyOf(half, { topic: GIVEN_UP_TOPIC, queueId: 0 })
}

/** How often the producer of a half message was asked. */
export function checkTimesOf({ properties }: StoredMessage): number {
  return longOf(properties.get(PROPERTY.TRANSACTION_CHECK_TIMES)) ?? 0
}

/** The offset by which the producer of a postponed half message knows it. */
export function firstOffsetOf({ properties }: StoredMessage): number | undefined {
  return longOf(properties.get(PROPERTY.TRANSACTION_PREPARED_QUEUE_OFFSET))
}

/** How old a half message must be to be checked, milliseconds, if its producer says so; undefined if it does not. */
export function immunityOf({ properties }: StoredMessage): number | undefined {
  const seconds = longOf(properties.get(PROPERTY.CHECK_IMMUNITY_TIME_IN_SECONDS))
  return seconds === undefined ? undefined : seconds * 1000
}

/** The topic and queue of the message that a transaction commits. */
export function targetOf({ properties }: StoredMessage): { topic: string; queueId: number } | undefined {
  const topic = properties.get(PROPERTY.REAL_TOPIC) ?? ''
  const queueId = longOf(properties.get(PROPERTY.REAL_QUEUE_ID))
  return topicProblem(topic) === null && queueId !== undefined ? { topic, queueId } : undefined
}

/** A number of 0 and more; undefined for any other text. */
function longOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text.trim()) ? Number(text) : undefined
}
