import { ClientError } from '../../errors.ts'
import { shown } from '../../fields.ts'
import type { ClientInstance } from '../../instance/client-instance.ts'
import type { CallOptions, MessageQueue } from '../../message/message.ts'
import { maxOffset, minOffset } from '../offsets/queue-offsets.ts'

/** An offset to commit. */
export interface OffsetToCommit {
  readonly queue: MessageQueue
  readonly offset: number
}

/** Asks the broker whether a queue contains an offset. @throws ClientError BAD_OPTION if it does not, and what the broker answers */
export async function checkInQueue(
  instance: ClientInstance,
  queue: MessageQueue,
  offset: number,
  options: CallOptions,
): Promise<void> {
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new ClientError('BAD_OPTION', `an offset to seek must be a whole number of 0 or more, not ${shown(offset)}`)
  }
  const [min, max] = await Promise.all([minOffset(instance, queue, options), maxOffset(instance, queue, options)])
  if (offset >= min && offset <= max) return
  const text = `the offset ${offset} to seek is not one of this queue, which has those from ${min} to ${max}`
  throw new ClientError('BAD_OPTION', text)
}

/** @throws ClientError BAD_OPTION if `offset` cannot be an offset */
export function checkedOffset(offset: number): number {
  if (Number.isSafeInteger(offset) && offset >= 0) return offset
  throw new ClientError('BAD_OPTION', `an offset to commit must be a whole number of 0 or more, not ${shown(offset)}`)
}
