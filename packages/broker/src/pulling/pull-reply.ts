import { type consumeRequests, responseCodes, type SubscriptionGroupConfig } from '@gantrymq/protocol'
import type { Answer, Call } from '@gantrymq/remoting'
import type { Found, ReadStatus } from '@gantrymq/store'
import type { Refused } from '../sending/send-checks.ts'

type Pull = (typeof consumeRequests)['PULL_MESSAGE']

export type PullHeader = Call<Pull>['header']
export type PullAnswer = Pick<Answer<Pull>, 'code' | 'remark' | 'header' | 'body'>

const { SUCCESS, PULL_NOT_FOUND, PULL_OFFSET_MOVED, PULL_RETRY_IMMEDIATELY } = responseCodes

/** What the answer to a pull needs besides what was read. */
export interface PullReplyRules {
  readonly group: SubscriptionGroupConfig
  /** The option slaveReadEnable. */
  readonly slaveReadEnable: boolean
  readonly topicSysFlag: number
}

/**
 * The answer to a pull: Apache's PullMessageProcessor.composeResponseHeader. The records are copied, because the store uses its
 * memory again.
 * @param from The offset of the request.
 */
export function pullReply(found: Found, from: number, rules: PullReplyRules): PullAnswer {
  const body = found.status === 'FOUND' ? Buffer.allocUnsafe(found.bytes) : null
  if (body !== null) found.copyTo(body, 0)
  return {
    code: pullCode(found.status, from),
    remark: found.status,
    header: {
      suggestWhichBrokerId: suggestedBroker(found.suggestSlave, rules),
      nextBeginOffset: found.nextOffset,
      minOffset: found.minOffset,
      maxOffset: found.maxOffset,
      topicSysFlag: rules.topicSysFlag,
      groupSysFlag: rules.group.groupSysFlag ?? 0,
    },
    body,
  }
}

/** The answer that refuses a pull. */
export type PullRefusal = PullAnswer & { readonly code: number }

/** @param refused For NO_PERMISSION, `forbiddenType` says what forbids it (5.x, Apache's ForbiddenType). */
export function refusedPull({
  code,
  remark,
  forbiddenType,
}: Refused & { readonly forbiddenType?: number }): PullRefusal {
  if (forbiddenType === undefined) return { code, remark }
  // Apache sends no offsets here; consumers do not read them.
  const offsets = { suggestWhichBrokerId: 0, nextBeginOffset: 0, minOffset: 0, maxOffset: 0 }
  return { code, remark, header: { ...offsets, forbiddenType } }
}

/** Bytes of the messages in an answer. */
export function bodyBytes({ body }: PullAnswer): number {
  return body?.length ?? 0
}

/** The answer that makes a consumer continue at another offset, because an operator has reset it (5.x). */
export function resetReply(
  offset: number,
  queue: { readonly minOffset: number; readonly maxOffset: number },
  rules: PullReplyRules,
): PullAnswer {
  return {
    code: PULL_OFFSET_MOVED,
    remark: 'OFFSET_RESET',
    header: {
      suggestWhichBrokerId: suggestedBroker(false, rules),
      nextBeginOffset: offset,
      minOffset: queue.minOffset,
      maxOffset: queue.maxOffset,
      topicSysFlag: rules.topicSysFlag,
      groupSysFlag: rules.group.groupSysFlag ?? 0,
    },
  }
}

const codes: Readonly<Record<ReadStatus, number>> = {
  FOUND: SUCCESS,
  NO_MATCHED_MESSAGE: PULL_RETRY_IMMEDIATELY,
  MESSAGE_WAS_REMOVING: PULL_RETRY_IMMEDIATELY,
  OFFSET_OVERFLOW_ONE: PULL_NOT_FOUND,
  OFFSET_OVERFLOW_BADLY: PULL_OFFSET_MOVED,
  OFFSET_TOO_SMALL: PULL_OFFSET_MOVED,
  NO_MESSAGE_IN_QUEUE: PULL_NOT_FOUND,
}

/** The response code for the end of a read. @param from The offset of the request. */
function pullCode(status: ReadStatus, from: number): number {
  return status === 'NO_MESSAGE_IN_QUEUE' && from !== 0 ? PULL_OFFSET_MOVED : codes[status]
}

/** The broker that the consumer is to ask next time: another one, if this one must read from the disk. */
export function suggestedBroker(
  suggestSlave: boolean,
  { group, slaveReadEnable }: Omit<PullReplyRules, 'topicSysFlag'>,
): number {
  if (!slaveReadEnable) return 0
  return suggestSlave ? group.whichBrokerWhenConsumeSlowly : group.brokerId
}
