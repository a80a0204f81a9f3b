import { decodeBatch, PROPERTY } from '@gantrymq/protocol'
import type { NewMessage } from './message-writer.ts'

/**
 * The messages of a batch: each with the properties of its own, and those that the header gives to all of them.
 * Source: Apache's MessageExtEncoder.encode of a MessageExtBatch.
 * @param all What the header says about all messages; its body is the batch.
 * @throws RemotingError BAD_BODY if the bytes are not a batch
 */
export function messagesOfBatch(all: NewMessage): NewMessage[] {
  return decodeBatch(all.body).map(({ body, flag, properties }) => {
    return { ...all, body, flag, properties: new Map([...properties, ...all.properties]) }
  })
}

/** Whether a message may not be in a batch: its properties say that it is delayed (Apache's CommitLog.asyncPutMessages). */
export function isDelayed(properties: ReadonlyMap<string, string>): boolean {
  return Number(properties.get(PROPERTY.DELAY) ?? 0) > 0
}
