import {
  PROPERTY,
  type StoredMessage,
  TRANSACTION_PREPARED,
  TRANSACTION_ROLLBACK,
  topicProblem,
  transactionPart,
} from '@gantrymq/protocol'
import { delayLevelOf } from '../delays/delayed-message.ts'
import { copyOf, type NewMessage } from '../sending/new-message.ts'
import { HALF_TOPIC, TIMER_TOPIC } from '../topics/topic-table.ts'
import { TIMER_ILLEGAL } from './timer-refusal.ts'
import { TIMER_PRECISION_MS } from './timer-table.ts'

/** The properties that ask for a time of delivery, in the order in which Apache looks at them. */
const REQUESTS = [PROPERTY.TIMER_DELAY_SEC, PROPERTY.TIMER_DELAY_MS, PROPERTY.TIMER_DELIVER_MS] as const

/**
 * Whether a message asks to be delivered at a time. A delay level counts more, and a message that was delivered at its time has done so.
 * Source: Apache's HookUtils.checkIfTimerMessage.
 */
export function isTimed({ properties, sysFlag }: Pick<NewMessage, 'properties' | 'sysFlag'>): boolean {
  if (!REQUESTS.some(name => properties.has(name)) || properties.has(PROPERTY.TIMER_OUT_MS)) return false
  const part = transactionPart(sysFlag)
  return delayLevelOf(properties) <= 0 && part !== TRANSACTION_PREPARED && part !== TRANSACTION_ROLLBACK
}

/**
 * A message that asks to be delivered at a time, as it waits: in the topic of timers, with its own topic and queue in its properties.
 * Source: Apache's HookUtils.transformTimerMessage.
 * @param now Milliseconds since the epoch.
 * @returns undefined if its time is over already, and it is delivered at once
 */
export function timed(
  message: NewMessage,
  now: number,
  maxDelayMs: number,
): NewMessage | typeof TIMER_ILLEGAL | undefined {
  const deliverAt = deliveryTime(message.properties, now)
  if (deliverAt === undefined || deliverAt - now > maxDelayMs) return TIMER_ILLEGAL
  if (deliverAt <= now) return message.properties.has(PROPERTY.TIMER_DEL_UNIQKEY) ? TIMER_ILLEGAL : undefined
  const properties = new Map(message.properties)
  properties.set(PROPERTY.TIMER_OUT_MS, String(roundedDown(deliverAt)))
  properties.set(PROPERTY.REAL_TOPIC, message.topic)
  properties.set(PROPERTY.REAL_QUEUE_ID, String(message.queueId))
  return { ...message, topic: TIMER_TOPIC, queueId: 0, properties }
}

/** Undefined if the property is not a number. */
function deliveryTime(properties: ReadonlyMap<string, string>, now: number): number | undefined {
  const name = REQUESTS.find(each => properties.has(each))
  const text = (name === undefined ? undefined : properties.get(name)) ?? ''
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value)) return undefined
  if (name === PROPERTY.TIMER_DELIVER_MS) return value
  return now + (name === PROPERTY.TIMER_DELAY_SEC ? value * 1000 : value)
}

/** As in Apache, a time that needs no rounding goes down, too: such a message is delivered exactly at its time. */
function roundedDown(time: number): number {
  const rest = time % TIMER_PRECISION_MS
  return time - (rest === 0 ? TIMER_PRECISION_MS : rest)
}

/** The times that Apache writes into a message that has waited, milliseconds since the epoch. */
export interface WaitTimes {
  readonly enqueuedAt: number
  readonly dequeuedAt: number
}

/**
 * A message as it is delivered; as in Apache, it keeps the names of its topic and queue as properties.
 * Source: Apache's TimerMessageStore.convert.
 * @returns undefined if the message does not say where it is to go
 */
export function deliveredAtTime(stored: StoredMessage, times: WaitTimes): NewMessage | undefined {
  const topic = stored.properties.get(PROPERTY.REAL_TOPIC) ?? ''
  const queueId = Number(stored.properties.get(PROPERTY.REAL_QUEUE_ID) ?? -1)
  const isKnown = topicProblem(topic) === null && Number.isInteger(queueId) && queueId >= 0
  if (!isKnown || topic === HALF_TOPIC) return undefined
  return copyOf(stored, { topic, queueId, properties: withTimes(stored, times) })
}

/** A message that is stored again because it waits for longer than messages are kept. Source: as above. */
export function rolled(stored: StoredMessage, times: WaitTimes): NewMessage {
  const properties = withTimes(stored, times)
  const rolls = Number(properties.get(PROPERTY.TIMER_ROLL_TIMES) ?? 0) + 1
  properties.set(PROPERTY.TIMER_ROLL_TIMES, String(rolls))
  return copyOf(stored, { topic: stored.topic, queueId: stored.queueId, properties })
}

function withTimes({ properties }: StoredMessage, { enqueuedAt, dequeuedAt }: WaitTimes): Map<string, string> {
  return new Map(properties)
    .set(PROPERTY.TIMER_ENQUEUE_MS, String(enqueuedAt))
    .set(PROPERTY.TIMER_DEQUEUE_MS, String(dequeuedAt))
}

/** What cancels a message: its topic and unique id, and the time at which it is due (Apache's TimerMessageStore.buildDeleteKey). */
export function cancelKeyOf(topic: string, uniqueId: string): string {
  return `${topic}+${uniqueId}`
}
