import { RemotingError } from '@gantrymq/remoting'
import { readMessageProperties, writeMessageProperties } from './properties.ts'

/** One message of a batch; its topic and the rest are in the request's header. */
export interface BatchedMessage {
  /** A number of the user's own; RocketMQ does not use it. */
  readonly flag: number
  readonly body: Buffer
  readonly properties: ReadonlyMap<string, string>
}

/** A message for a batch, with its properties or their encoded text. */
export interface BatchPart {
  readonly flag: number
  readonly body: Buffer
  readonly properties: ReadonlyMap<string, string> | string
}

/** Size, magic, CRC, flag, length of the body, length of the properties. */
const FIXED = 4 * 5 + 2
const BODY = 4 * 5

/**
 * Size of a message in `encodeBatch`, bytes, so that a batch can be split before it is encoded.
 * @throws RemotingError BAD_OPTION if its properties cannot be written
 */
export function batchedSize(message: BatchPart): number {
  // Writing the text and measuring it is faster than measuring each name and value.
  return FIXED + message.body.length + Buffer.byteLength(propertyText(message))
}

function propertyText({ properties }: BatchPart): string {
  return typeof properties === 'string' ? properties : writeMessageProperties(properties)
}

/**
 * The body of SEND_BATCH_MESSAGE: Apache's MessageDecoder.encodeMessages.
 * @throws RemotingError BAD_OPTION if properties cannot be written
 */
export function encodeBatch(messages: readonly BatchPart[]): Buffer {
  const texts = messages.map(propertyText)
  const sizes = messages.map(({ body }, index) => FIXED + body.length + Buffer.byteLength(texts[index] ?? ''))
  const out = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + size, 0))
  let at = 0
  messages.forEach((message, index) => {
    const size = sizes[index] ?? 0
    writeEntry(out, at, size, message, texts[index] ?? '')
    at += size
  })
  return out
}

function writeEntry(out: Buffer, at: number, size: number, message: BatchPart, text: string): void {
  const { body, flag } = message
  out.writeInt32BE(size, at)
  // Magic and CRC stay 0: receivers ignore them.
  out.fill(0, at + 4, at + 12)
  out.writeInt32BE(flag, at + 12)
  out.writeInt32BE(body.length, at + 16)
  body.copy(out, at + BODY)
  const end = at + BODY + body.length
  out.writeInt16BE(size - FIXED - body.length, end)
  out.write(text, end + 2)
}

/** The positions of the parts of one message of a batch. */
export interface BatchEntry {
  readonly at: number
  /** Where the next one begins. */
  readonly end: number
  readonly bodyAt: number
  readonly bodyLength: number
  readonly propertiesAt: number
  readonly propertiesLength: number
}

/**
 * Reads such a body; the bodies of the messages are views of it.
 * @throws RemotingError BAD_BODY
 */
export function decodeBatch(bytes: Buffer): BatchedMessage[] {
  const messages: BatchedMessage[] = []
  for (let at = 0; at < bytes.length; ) {
    const entry = readBatchEntry(bytes, at)
    messages.push({
      flag: bytes.readInt32BE(entryFlagAt(entry)),
      body: bytes.subarray(entry.bodyAt, entry.bodyAt + entry.bodyLength),
      properties: readMessageProperties(
        bytes.toString('utf8', entry.propertiesAt, entry.propertiesAt + entry.propertiesLength),
      ),
    })
    at = entry.end
  }
  return messages
}

/** The position of the user's own number of a message in a batch. */
export function entryFlagAt(entry: BatchEntry): number {
  return entry.at + 12
}

/**
 * Finds the parts of the message that begins at `at`.
 * @throws RemotingError BAD_BODY if they do not fit
 */
export function readBatchEntry(bytes: Buffer, at: number): BatchEntry {
  const left = bytes.length - at
  const size = left < FIXED ? 0 : bytes.readInt32BE(at)
  if (size < FIXED || size > left) throw bad(at)
  const bodyLength = bytes.readInt32BE(at + 16)
  if (bodyLength < 0 || bodyLength > size - FIXED) throw bad(at)
  const bodyAt = at + BODY
  const propertiesAt = bodyAt + bodyLength + 2
  const propertiesLength = bytes.readInt16BE(propertiesAt - 2)
  const end = at + size
  if (propertiesLength < 0 || propertiesAt + propertiesLength > end) throw bad(at)
  return { at, end, bodyAt, bodyLength, propertiesAt, propertiesLength }
}

function bad(at: number): RemotingError {
  return new RemotingError('BAD_BODY', `the batch is incomplete: the message at byte ${at} does not fit`)
}
