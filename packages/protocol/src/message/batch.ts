import { RemotingError } from '@gantrymq/remoting'
import { MAX_PROPERTIES_LENGTH, readMessageProperties, writeMessageProperties } from './properties.ts'

/** One message of a batch; its topic and the rest are in the request's header. */
export interface BatchedMessage {
  /** The user's own number. */
  readonly flag: number
  readonly body: Buffer
  readonly properties: ReadonlyMap<string, string>
}

/** Size, magic, CRC, flag, length of the body, length of the properties. */
const FIXED = 4 * 5 + 2

/**
 * The body of SEND_BATCH_MESSAGE: Apache's MessageDecoder.encodeMessages.
 * @throws RemotingError BAD_OPTION if properties are too long
 */
export function encodeBatch(messages: readonly BatchedMessage[]): Buffer {
  return Buffer.concat(messages.map(encodeOne))
}

function encodeOne(message: BatchedMessage): Buffer {
  const properties = Buffer.from(writeMessageProperties(message.properties))
  if (properties.length > MAX_PROPERTIES_LENGTH) {
    throw new RemotingError('BAD_OPTION', `the properties are longer than ${MAX_PROPERTIES_LENGTH} bytes`)
  }
  const size = FIXED + message.body.length + properties.length
  // Magic and CRC stay 0: receivers do not look at them.
  const out = Buffer.alloc(size)
  out.writeInt32BE(size, 0)
  out.writeInt32BE(message.flag, 12)
  out.writeInt32BE(message.body.length, 16)
  message.body.copy(out, 20)
  out.writeInt16BE(properties.length, 20 + message.body.length)
  properties.copy(out, FIXED + message.body.length)
  return out
}

/**
 * Reads such a body; the messages' bodies are views of it.
 * @throws RemotingError BAD_BODY
 */
export function decodeBatch(bytes: Buffer): BatchedMessage[] {
  const messages: BatchedMessage[] = []
  for (let at = 0; at < bytes.length; ) {
    const left = bytes.length - at
    const size = left < FIXED ? 0 : bytes.readInt32BE(at)
    if (size < FIXED || size > left) throw bad(at)
    messages.push(decodeOne(bytes.subarray(at, at + size), at))
    at += size
  }
  return messages
}

function decodeOne(bytes: Buffer, at: number): BatchedMessage {
  const bodyLength = bytes.readInt32BE(16)
  if (bodyLength < 0 || bodyLength > bytes.length - FIXED) throw bad(at)
  const bodyEnd = 20 + bodyLength
  const length = bytes.readInt16BE(bodyEnd)
  if (length < 0 || bodyEnd + 2 + length > bytes.length) throw bad(at)
  return {
    flag: bytes.readInt32BE(12),
    body: bytes.subarray(20, bodyEnd),
    properties: readMessageProperties(bytes.toString('utf8', bodyEnd + 2, bodyEnd + 2 + length)),
  }
}

function bad(at: number): RemotingError {
  return new RemotingError('BAD_BODY', `the batch is not whole: the message at byte ${at} does not fit`)
}
