import { PROPERTY, type StoredMessage } from '@gantrymq/protocol'
import type { NewMessage } from '../sending/new-message.ts'
import { OPERATION_TOPIC } from '../topics/topic-table.ts'

/** The tag of an operation message: its half messages are not to be checked any more (Apache's TransactionalMessageUtil.REMOVE_TAG). */
const DONE = 'd'
const SEPARATOR = ','

/**
 * An operation message, which says that a transaction has ended: with the offset of one half message, as 4.9 writes it and both
 * lines read it. Source: Apache's TransactionalMessageBridge.makeOpMessageInner.
 * @param storeHost The broker's address as stored.
 */
export function operationFor(halfOffset: number, storeHost: Buffer, now: number): NewMessage {
  return {
    topic: OPERATION_TOPIC,
    queueId: 0,
    body: Buffer.from(String(halfOffset)),
    properties: new Map([[PROPERTY.TAGS, DONE]]),
    flag: 0,
    sysFlag: 0,
    bornTimestamp: now,
    bornHost: storeHost,
    reconsumeTimes: 0,
  }
}

/** The offsets of half messages in an operation message: one as in 4.9, or several as in 5.x. */
export function offsetsIn({ body, properties }: Pick<StoredMessage, 'body' | 'properties'>): number[] {
  if (properties.get(PROPERTY.TAGS) !== DONE) return []
  const texts = body.toString('latin1').split(SEPARATOR)
  return texts.filter(text => /^\s*\d{1,15}\s*$/.test(text)).map(Number)
}
