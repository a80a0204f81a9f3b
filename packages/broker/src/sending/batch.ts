import { decodeBatch } from '@gantrymq/protocol'
import { delayLevelOf } from '../delays/delayed-message.ts'
import { isTimed } from '../timers/timed-message.ts'
import type { NewMessage } from './new-message.ts'

/**
 * The messages of a batch, with the properties of their own: what the header says of the whole batch is not stored, as in 5.5.
 * @param all What the header says about all messages; its body is the batch.
 * @throws RemotingError BAD_BODY if the bytes are not a batch
 */
export function messagesOfBatch(all: NewMessage): NewMessage[] {
  return decodeBatch(all.body).map(({ body, flag, properties }) => ({ ...all, body, flag, properties }))
}

/**
 * Whether the properties of a batch, or of one of its messages, ask for a later delivery: a batch goes to one queue at once. Apache
 * refuses a delay level of the whole batch (CommitLog.asyncPutMessages), and delivers messages that ask for themselves at once.
 */
export function asksForDelay(properties: ReadonlyMap<string, string>): boolean {
  return delayLevelOf(properties) > 0 || isTimed({ properties, sysFlag: 0 })
}
