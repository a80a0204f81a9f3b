import { hostBytes, type StoredMessage } from '@gantrymq/protocol'

/** Bytes of the longest topic that a stored message can name. Names of retry topics may be longer. */
const MAX_TOPIC_BYTES = 127

/**
 * Whether a message of this topic can be stored. A message that waits is stored in another topic first: without this check it would be
 * lost when its time comes.
 */
export function isStorable(topic: string): boolean {
  return Buffer.byteLength(topic) <= MAX_TOPIC_BYTES
}

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

/** A message of a batch without properties, and each entry of a map, measured in Node 24. */
const MESSAGE_BYTES = 300
const PROPERTY_BYTES = 100

/** About how much memory a message takes while it waits to be stored, bytes: its properties may take more than its body. */
export function memoryOf({ body, properties }: Pick<NewMessage, 'body' | 'properties'>): number {
  return body.length + MESSAGE_BYTES + properties.size * PROPERTY_BYTES
}
