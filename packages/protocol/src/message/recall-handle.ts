import { RemotingError } from '@gantrymq/remoting'

/** The handle that recalls a delayed message: Apache's RecallMessageHandle, version 1. */
export interface RecallHandle {
  readonly topic: string
  readonly brokerName: string
  /** When it is due, milliseconds since the epoch. A string, because brokers compare it as one. */
  readonly deliverTime: string
  /** The unique id. */
  readonly messageId: string
}

const VERSION = 'v1'
const BASE64_URL = /^[A-Za-z0-9_-]+={0,2}$/

/** The handle's text. */
export function writeRecallHandle({ topic, brokerName, deliverTime, messageId }: RecallHandle): string {
  const text = Buffer.from(`${VERSION} ${topic} ${brokerName} ${deliverTime} ${messageId}`).toString('base64url')
  // Java adds padding, Node does not.
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=')
}

/** @throws RemotingError BAD_OPTION if the text is not a handle */
export function readRecallHandle(handle: string): RecallHandle {
  const text = BASE64_URL.test(handle) ? Buffer.from(handle, 'base64url').toString('utf8') : ''
  const [version, topic, brokerName, deliverTime, messageId] = text.split(' ')
  if (version !== VERSION || !topic || !brokerName || !deliverTime || !messageId) {
    throw new RemotingError('BAD_OPTION', 'recall handle is invalid')
  }
  return { topic, brokerName, deliverTime, messageId }
}
