import { type Host, offsetMessageId, responseCodes, type sendRequests } from '@gantrymq/protocol'
import type { Answer } from '@gantrymq/remoting'
import { type APPENDED, BUSY, NOT_WRITABLE, PROPERTIES_TOO_LONG, StoreError } from '@gantrymq/store'
import { MAX_TIMERS, TIMER_CONGESTED, TIMER_ILLEGAL } from '../timers/timer-refusal.ts'
import type { WriteStatus } from './message-writer.ts'
import type { Refused } from './send-checks.ts'

const { MESSAGE_ILLEGAL, SERVICE_NOT_AVAILABLE, SYSTEM_BUSY, SYSTEM_ERROR } = responseCodes

export type SendAnswer = Pick<Answer<(typeof sendRequests)['SEND_MESSAGE']>, 'code' | 'header'>

/** A stored message, for the answer to its sender. */
export interface Receipt {
  readonly storeHost: Host
  /** In the log; of a batch, that of each message. */
  readonly positions: readonly number[]
  /** The queue of the request, which is not always the queue of the record. */
  readonly queueId: number
  readonly queueOffset: number
  /** The unique id of the message. */
  readonly transactionId: string | undefined
  /** Of a message that waits for its time: what cancels it. */
  readonly recallHandle?: string | undefined
  /** The options regionId and traceOn. */
  readonly regionId: string
  readonly traceOn: boolean
}

/** The answer for a stored message: Apache's SendMessageProcessor.handlePutMessageResult. */
export function sendReply(receipt: Receipt, code: number = responseCodes.SUCCESS): SendAnswer {
  const { storeHost, positions, queueId, queueOffset, transactionId, recallHandle, regionId, traceOn } = receipt
  return {
    code,
    header: {
      msgId: positions.map(position => offsetMessageId(storeHost, position)).join(','),
      queueId,
      queueOffset,
      ...(transactionId !== undefined && { transactionId }),
      ...(recallHandle !== undefined && { recallHandle }),
      MSG_REGION: regionId,
      TRACE_ON: traceOn,
    },
  }
}

/** What a store that refuses a message returns in Apache: PutMessageStatus. */
export function statusName(status: Exclude<WriteStatus, typeof APPENDED>): string {
  if (status === NOT_WRITABLE) return 'SERVICE_NOT_AVAILABLE'
  if (status === BUSY) return 'OS_PAGE_CACHE_BUSY'
  if (status === TIMER_ILLEGAL) return 'WHEEL_TIMER_MSG_ILLEGAL'
  if (status === TIMER_CONGESTED) return 'WHEEL_TIMER_FLOW_CONTROL'
  return status === PROPERTIES_TOO_LONG ? 'PROPERTIES_SIZE_EXCEEDED' : 'MESSAGE_ILLEGAL'
}

/** The options that remarks mention. */
export interface SendLimits {
  readonly maxMessageSize: number
  readonly timerMaxDelaySec: number
}

/** Why a message was not stored, in Apache's words. */
export function refusedByStore(
  status: Exclude<WriteStatus, typeof APPENDED>,
  { maxMessageSize, timerMaxDelaySec }: SendLimits,
  problem: StoreError | undefined,
): Refused {
  if (status === NOT_WRITABLE) return notAvailable(problem)
  if (status === TIMER_ILLEGAL) return illegalTime(timerMaxDelaySec * 1000)
  if (status === TIMER_CONGESTED) return tooManyTimers
  if (status !== BUSY) return illegalMessage(maxMessageSize)
  return { code: SYSTEM_BUSY, remark: '[PC_SYNCHRONIZED]broker busy, start flow control for a while' }
}

export function illegalMessage(maxMessageSize: number): Refused {
  const remark =
    'the message is illegal, maybe msg body or properties length not matched. ' +
    `msg body length limit ${maxMessageSize}B, msg properties length limit 32KB.`
  return { code: MESSAGE_ILLEGAL, remark }
}

function illegalTime(maxDelayMs: number): Refused {
  const remark =
    `timer message illegal, the delay time should not be bigger than the max delay ${maxDelayMs}ms; ` +
    'or if set del msg, the delay time should be bigger than the current time'
  return { code: MESSAGE_ILLEGAL, remark }
}

const tooManyTimers: Refused = {
  code: SYSTEM_ERROR,
  remark: `timer message is under flow control, max num limit is ${MAX_TIMERS}`,
}

function notAvailable(problem: StoreError | undefined): Refused {
  const remark =
    'service not available now. It may be caused by one of the following reasons: ' +
    `the broker's disk is full, messages are put to the slave, message store has been shut down, etc. ${problem?.message ?? ''}`
  return { code: SERVICE_NOT_AVAILABLE, remark: remark.trimEnd() }
}

/** The answer if a message was appended but is not stored. The message may be sent again. */
export function lostBy(error: unknown): Refused {
  if (error instanceof StoreError) return notAvailable(error)
  return { code: SYSTEM_ERROR, remark: `UNKNOWN_ERROR ${error instanceof Error ? error.message : String(error)}` }
}
