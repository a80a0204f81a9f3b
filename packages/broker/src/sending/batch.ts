import { decodeBatch, PROPERTY } from '@gantrymq/protocol'
import type { NewMessage } from './new-message.ts'

/**
 * The messages of a batch, with the properties of their own: what the header says of the whole batch is not stored, as in 5.5.
 * @param all What the header says about all messages; its body is the batch.
 * @throws RemotingError BAD_BODY if the bytes are not a batch
 */
export function messagesOfBatch(all: NewMessage): NewMessage[] {
  return decodeBatch(all.body).map(({ body, flag, properties }) => ({ ...all, body, flag, properties }))
}

/** Whether a message may not be in a batch: its properties say that it is delayed (Apache's CommitLog.asyncPutMessages). */
export function isDelayed(properties: ReadonlyMap<string, string>): boolean {
  return Number(properties.get(PROPERTY.DELAY) ?? 0) > 0
}
