import {
  decodeMessage,
  encodeMessage,
  POP_ORDER_REVIVE_QUEUE,
  popRetryOf,
  type popRequests,
  PROPERTY,
  responseCodes,
  writePopReceipt,
} from '@gantrymq/protocol'
import type { Answer } from '@gantrymq/remoting'
import type { DeliveryCounts } from './ordered-pops.ts'
import type { PopQueue } from './pop-ledger.ts'

const { POLLING_FULL, POLLING_TIMEOUT, SUCCESS } = responseCodes

export type PopAnswer = Pick<Answer<(typeof popRequests)['POP_MESSAGE']>, 'code' | 'remark' | 'header' | 'body'>

/** The messages that a pop has got from one queue. */
export interface PoppedPart {
  readonly queue: PopQueue
  /** Where the pop read the queue from. */
  readonly startOffset: number
  /** Of the messages, ascending. */
  readonly offsets: readonly number[]
  readonly records: readonly Buffer[]
  /** Of an ordered pop. */
  readonly counts: DeliveryCounts | undefined
}

/** One pop of all its queues. */
export interface PopResult {
  /** Milliseconds since the epoch. */
  readonly popTime: number
  /** Milliseconds. */
  readonly invisibleMs: number
  /** Apache's checkpoint queue; `POP_ORDER_REVIVE_QUEUE` for an ordered pop. Receipts contain it. */
  readonly reviveQueueId: number
  readonly parts: readonly PoppedPart[]
  /** Messages that are left in the queues. */
  readonly rest: number
}

/** The answer to a pop: Apache's PopMessageProcessor, with the texts of ExtraInfoUtil. */
export function popReply(result: PopResult, topic: string, brokerName: string): PopAnswer {
  const { popTime, invisibleMs, reviveQueueId, parts, rest } = result
  if (parts.length === 0) return emptyReply(result)
  return {
    code: SUCCESS,
    remark: 'FOUND',
    header: {
      popTime,
      invisibleTime: invisibleMs,
      reviveQid: reviveQueueId,
      restNum: rest,
      startOffsetInfo: parts.map(part => `${markOf(part)} ${part.startOffset}`).join(';'),
      msgOffsetInfo: parts.map(part => `${markOf(part)} ${part.offsets.join(',')}`).join(';'),
      ...(reviveQueueId === POP_ORDER_REVIVE_QUEUE && { orderCountInfo: parts.map(countsText).join(';') }),
    },
    body: Buffer.concat(parts.flatMap(part => bodiesOf(part, result, topic, brokerName))),
  }
}

/** The same answer without messages, if too many pops wait already: its consumer asks again a second later. */
export function fullReply(empty: PopAnswer): PopAnswer {
  return { ...empty, code: POLLING_FULL }
}

function emptyReply({ popTime, invisibleMs, reviveQueueId, rest }: PopResult): PopAnswer {
  const header = {
    popTime,
    invisibleTime: invisibleMs,
    reviveQid: reviveQueueId,
    restNum: rest,
    startOffsetInfo: '',
    msgOffsetInfo: '',
  }
  return { code: POLLING_TIMEOUT, remark: 'NO_MESSAGE_IN_QUEUE', header }
}

function markOf({ queue }: PoppedPart): string {
  return `${popRetryOf(queue.topic)} ${queue.queueId}`
}

/** Consumers of 5.0 look up the queue, newer ones the message. */
function countsText({ queue, counts }: PoppedPart): string {
  const retry = popRetryOf(queue.topic)
  const texts = [...(counts?.byOffset ?? [])].map(([offset, count]) => `${retry} qo${queue.queueId}%${offset} ${count}`)
  return [...texts, `${retry} ${queue.queueId} ${counts?.lowest ?? 0}`].join(';')
}

/** A message of a retry topic gets its first topic, and its receipt, which its consumer cannot build then. */
function bodiesOf(part: PoppedPart, result: PopResult, topic: string, brokerName: string): readonly Buffer[] {
  const { queue, startOffset, offsets, records } = part
  const retry = popRetryOf(queue.topic)
  if (retry === '0') return records
  const { popTime, invisibleMs, reviveQueueId } = result
  return records.map((record, index) => {
    const message = decodeMessage(record)
    const properties = new Map(message.properties)
    if (!properties.has(PROPERTY.POP_CK)) {
      const { queueId } = queue
      const queueOffset = offsets[index]
      properties.set(
        PROPERTY.POP_CK,
        writePopReceipt({ startOffset, popTime, invisibleMs, reviveQueueId, retry, brokerName, queueId, queueOffset }),
      )
    }
    return encodeMessage({ ...message, topic, properties })
  })
}
