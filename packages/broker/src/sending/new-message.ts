import { hostBytes, type StoredMessage } from '@gantrymq/protocol'

/** A message that the broker stores: Apache's MessageExtBrokerInner. */
export interface NewMessage {
  readonly topic: string
  readonly queueId: number
  readonly body: Buffer
  readonly properties: ReadonlyMap<string, string>
  /** A number of the user's own. */
  readonly flag: number
  readonly sysFlag: number
  /** Milliseconds since the epoch, by the sender's clock. */
  readonly bornTimestamp: number
  /** As stored; see `bornHostOf`. */
  readonly bornHost: Buffer
  readonly reconsumeTimes: number
  /** Position of the half message of a committed message. Default 0. */
  readonly preparedTransactionOffset?: number
}

/** What a broker changes when it stores a message again. */
export type Change = Pick<NewMessage, 'topic' | 'queueId'> & Partial<NewMessage>

/** A stored message as a new one in another queue: content, sender and times consumed stay as they are. */
export function copyOf(message: StoredMessage, change: Change): NewMessage {
  return {
    body: message.body,
    properties: message.properties,
    flag: message.flag,
    sysFlag: message.sysFlag,
    bornTimestamp: Number(message.bornTimestamp),
    bornHost: hostBytes(message.bornHost),
    reconsumeTimes: message.reconsumeTimes,
    ...change,
  }
}
