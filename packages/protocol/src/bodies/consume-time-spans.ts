import { type JsonObject, listOf, numberOf, objectOf, toObject } from '@gantrymq/remoting'
import { jsonBody } from './json-body.ts'
import { type MessageQueue, messageQueueBean, readMessageQueue } from './message-queue.ts'

/** How far a group lags behind in time in one queue: Apache's QueueTimeSpan. Times in milliseconds since the epoch. */
export interface ConsumeTimeSpan {
  readonly queue: MessageQueue
  /** Store time of the oldest message. */
  readonly minTimestamp: number
  /** Store time of the newest message. */
  readonly maxTimestamp: number
  /** Store time of the last message consumed. */
  readonly consumeTimestamp: number
  /** How long the next message has waited, milliseconds; 0 if all are consumed. */
  readonly delayMs: number
}

function readSpan(object: JsonObject): ConsumeTimeSpan {
  return {
    queue: readMessageQueue(objectOf(object, 'messageQueue') ?? new Map()),
    minTimestamp: numberOf(object, 'minTimeStamp', 0),
    maxTimestamp: numberOf(object, 'maxTimeStamp', 0),
    consumeTimestamp: numberOf(object, 'consumeTimeStamp', 0),
    delayMs: numberOf(object, 'delayTime', 0),
  }
}

/** Apache's QueryConsumeTimeSpanBody. Java also writes each time as local text, which is neither read nor written here. */
export const consumeTimeSpansBody = jsonBody<readonly ConsumeTimeSpan[]>(
  'QueryConsumeTimeSpanBody',
  spans => ({
    consumeTimeSpanSet: spans.map(({ consumeTimestamp, delayMs, maxTimestamp, minTimestamp, queue }) => ({
      consumeTimeStamp: consumeTimestamp,
      delayTime: delayMs,
      maxTimeStamp: maxTimestamp,
      messageQueue: messageQueueBean(queue),
      minTimeStamp: minTimestamp,
    })),
  }),
  object => (listOf(object, 'consumeTimeSpanSet') ?? []).map(item => readSpan(toObject(item, 'consumeTimeSpanSet'))),
)
