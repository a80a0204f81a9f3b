import {
  PROPERTY,
  type StoredMessage,
  topicProblem,
  TRANSACTION_PREPARED,
  TRANSACTION_ROLLBACK,
  transactionPart,
} from '@gantrymq/protocol'
import { copyOf, type NewMessage } from '../sending/new-message.ts'
import { HALF_TOPIC, SCHEDULE_TOPIC } from '../topics/topic-table.ts'

/**
 * Where a message with a delay level waits: in the queue of its level, with its own topic and queue in its properties. Other
 * messages stay as they are. Source: Apache's HookUtils.handleScheduleMessage.
 * @param levels How many delay levels there are; a higher one is taken for the highest.
 */
export function delayed(message: NewMessage, levels: number): NewMessage {
  const level = Math.min(delayLevelOf(message.properties), levels)
  const part = transactionPart(message.sysFlag)
  if (level <= 0 || part === TRANSACTION_PREPARED || part === TRANSACTION_ROLLBACK) return message
  const properties = new Map(message.properties)
  for (const name of TIMER_PROPERTIES) properties.delete(name)
  properties.set(PROPERTY.DELAY, String(level))
  properties.set(PROPERTY.REAL_TOPIC, message.topic)
  properties.set(PROPERTY.REAL_QUEUE_ID, String(message.queueId))
  return { ...message, topic: SCHEDULE_TOPIC, queueId: queueOfLevel(level), properties }
}

/** A delay level replaces them (Apache's HookUtils.checkIfTimerMessage). */
const TIMER_PROPERTIES = [PROPERTY.TIMER_DELIVER_MS, PROPERTY.TIMER_DELAY_SEC, PROPERTY.TIMER_DELAY_MS]

/** Why a sender's delay level is refused: Apache fails with a NumberFormatException (Message.getDelayTimeLevel). */
export function delayProblem(properties: ReadonlyMap<string, string>): string | undefined {
  const level = properties.get(PROPERTY.DELAY)
  if (level === undefined || (/^[+-]?\d+$/.test(level) && Math.abs(Number(level)) <= MAX_INT)) return undefined
  return `the property DELAY of the message must be a delay level, a whole number, and is ${JSON.stringify(level)}`
}

const MAX_INT = 0x7fff_ffff

/** The delay level of a message; 0 if it has none. */
export function delayLevelOf(properties: ReadonlyMap<string, string>): number {
  const level = Number(properties.get(PROPERTY.DELAY) ?? 0)
  return Number.isInteger(level) ? level : 0
}

/** The queue in which messages of a delay level wait (Apache's ScheduleMessageService.delayLevel2QueueId). */
export function queueOfLevel(level: number): number {
  return level - 1
}

/**
 * A delayed message as it is delivered. As in Apache, it keeps its delay level and the names of its topic and queue as properties.
 * Source: Apache's ScheduleMessageService.messageTimeUp.
 * @returns undefined if the message does not say where it is to go, or names the half topic, where no delayed message comes from
 */
export function delivered(message: StoredMessage): NewMessage | undefined {
  const topic = message.properties.get(PROPERTY.REAL_TOPIC) ?? ''
  const queueId = Number(message.properties.get(PROPERTY.REAL_QUEUE_ID) ?? -1)
  const isKnown = topicProblem(topic) === null && Number.isInteger(queueId) && queueId >= 0
  return isKnown && topic !== HALF_TOPIC ? copyOf(message, { topic, queueId }) : undefined
}
