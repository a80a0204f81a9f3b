import { KEY_SEPARATOR, type MessageView, offsetMessageId, PROPERTY } from '@gantrymq/protocol'
import { hostText } from '../message/received-message.ts'

/** A message that a query found. */
export interface FoundMessage {
  /** The id that its producer assigned; else the broker's id. */
  readonly messageId: string
  /** The id that the broker assigned, which encodes where the message is stored. */
  readonly offsetMessageId: string
  readonly topic: string
  readonly queueId: number
  readonly queueOffset: number
  /** Decompressed. */
  readonly body: Buffer
  readonly tags: string | undefined
  readonly keys: readonly string[]
  /** All properties, including RocketMQ's own. */
  readonly properties: ReadonlyMap<string, string>
  /** A number of the producer's own. */
  readonly flag: number
  readonly sysFlag: number
  readonly reconsumeTimes: number
  /** Milliseconds since the epoch, by the producer's clock. */
  readonly bornTimestamp: number
  /** `ip:port` of the producer. */
  readonly bornHost: string
  /** Milliseconds since the epoch, by the broker's clock. */
  readonly storeTimestamp: number
  /** `ip:port` of the broker. */
  readonly storeHost: string
  /** Position in the commit log. */
  readonly physicalOffset: number
  readonly preparedTransactionOffset: number
}

/** @throws RemotingError BAD_BODY if its body cannot be decompressed */
export async function foundMessage(view: MessageView): Promise<FoundMessage> {
  const { bornHost, physicalOffset, properties, storeHost } = view
  const storedAt = offsetMessageId(storeHost, physicalOffset)
  return {
    messageId: properties.get(PROPERTY.UNIQ_KEY) ?? storedAt,
    offsetMessageId: storedAt,
    topic: view.topic,
    queueId: view.queueId,
    queueOffset: view.queueOffset,
    body: await view.readBody(),
    tags: properties.get(PROPERTY.TAGS),
    keys: keysOf(properties.get(PROPERTY.KEYS)),
    properties,
    flag: view.flag,
    sysFlag: view.sysFlag,
    reconsumeTimes: view.reconsumeTimes,
    bornTimestamp: view.bornTimestamp,
    bornHost: hostText(bornHost),
    storeTimestamp: view.storeTimestamp,
    storeHost: hostText(storeHost),
    physicalOffset,
    preparedTransactionOffset: view.preparedTransactionOffset,
  }
}

function keysOf(text: string | undefined): string[] {
  return text === undefined ? [] : text.split(KEY_SEPARATOR).filter(key => key !== '')
}
