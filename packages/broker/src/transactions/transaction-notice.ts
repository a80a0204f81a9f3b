import { encodeMessage, type Host, offsetMessageId, PROPERTY, type StoredMessage } from '@gantrymq/protocol'
import type { Logger } from '@gantrymq/remoting'
import type { ClientNotices } from '../clients/client-notices.ts'
import type { ClientRegistry } from '../clients/client-registry.ts'
import { targetOf } from './half-messages.ts'

export interface TransactionNoticeParts {
  readonly clients: ClientRegistry
  readonly notices: ClientNotices
  readonly brokerName: string
  readonly storeHost: Host
  readonly log: Logger
}

/**
 * Asks one producer of a group for the outcome of a transaction, another one at each call. Without a producer this check is lost, as
 * in Apache's AbstractTransactionalMessageCheckListener.sendCheckMessage.
 */
export function askProducer(
  half: StoredMessage,
  { clients, notices, brokerName, storeHost, log }: TransactionNoticeParts,
): void {
  const group = half.properties.get(PROPERTY.PRODUCER_GROUP) ?? ''
  const target = targetOf(half)
  const producer = clients.someProducer(group)
  if (target === undefined || producer === undefined) {
    log.warn(
      { group, ...target },
      'a transaction could not be checked: no producer of its group is connected and reads what it gets',
    )
    return
  }
  const uniqueId = half.properties.get(PROPERTY.UNIQ_KEY)
  const header = {
    topic: target.topic,
    commitLogOffset: Number(half.physicalOffset),
    tranStateTableOffset: Number(half.queueOffset),
    offsetMsgId: offsetMessageId(storeHost, half.physicalOffset),
    ...(uniqueId !== undefined && { msgId: uniqueId, transactionId: uniqueId }),
    brokerName,
  }
  notices.checkTransaction(producer.peer, header, encodeMessage({ ...half, ...target, storeHost }))
}
