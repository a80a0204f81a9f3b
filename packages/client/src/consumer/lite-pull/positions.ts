import type { ClientInstance } from '../../instance/client-instance.ts'
import { ClientError } from '../../errors.ts'
import type { CallOptions, MessageQueue } from '../../message/message.ts'
import { maxOffset, minOffset } from '../offsets/queue-offsets.ts'

/** An offset to commit. */
export interface OffsetToCommit {
  readonly queue: MessageQueue
  readonly offset: number
}

/** Whether a queue reaches an offset, as its broker knows. @throws ClientError BAD_OPTION if not, and what the broker says */
export async function checkReach(
  instance: ClientInstance,
  queue: MessageQueue,
  offset: number,
  options: CallOptions,
): Promise<void> {
  const [min, max] = await Promise.all([minOffset(instance, queue, options), maxOffset(instance, queue, options)])
  if (Number.isSafeInteger(offset) && offset >= min && offset <= max) return
  const text = `Seek offset illegal, seek offset = ${offset}, min offset = ${min}, max offset = ${max}`
  throw new ClientError('BAD_OPTION', text)
}

/** @throws ClientError BAD_OPTION if it is no offset */
export function checkedOffset(offset: number): number {
  if (Number.isSafeInteger(offset) && offset >= 0) return offset
  throw new ClientError('BAD_OPTION', `an offset to commit must be a whole number from 0 on, not ${offset}`)
}
