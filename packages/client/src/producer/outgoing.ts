import {
  compress,
  COMPRESSED,
  type Compression,
  compressionFlag,
  isClosedTopic,
  RESERVED_PROPERTIES,
  TRANSACTION_PREPARED,
  topicProblem,
  wrapNamespace,
  writeMessageProperties,
} from '@gantrymq/protocol'
import { ClientError } from '../errors.ts'
import type { OutgoingMessage } from '../message.ts'

/** A message ready for the wire: checked, encoded, with its id. */
export interface PreparedMessage {
  /** With the namespace. */
  readonly topic: string
  /** As sent: perhaps compressed. */
  readonly body: Buffer
  /** Bytes of the body before compression. */
  readonly bodyLength: number
  readonly flag: number
  readonly sysFlag: number
  readonly messageId: string
  /** The property text. */
  readonly properties: string
  readonly bornTimestamp: number
}

export interface OutgoingRules {
  readonly namespace: string
  /** Largest body in bytes, before compression. */
  readonly maxMessageSize: number
  /** Bodies of so many bytes and more are compressed. */
  readonly compressOver: number
  readonly compression: Compression
  readonly compressionLevel: number
}

const MESSAGE_ILLEGAL = 13

function illegal(text: string): ClientError {
  return new ClientError('MESSAGE_ILLEGAL', text, { responseCode: MESSAGE_ILLEGAL })
}

/** The topic as brokers know it. @throws ClientError BAD_NAME */
export function topicOf(topic: unknown, namespace: string): string {
  if (typeof topic !== 'string') throw new ClientError('BAD_NAME', 'the message has no topic: give it as text')
  const problem = topicProblem(topic)
  if (problem !== null) throw new ClientError('BAD_NAME', problem, { responseCode: MESSAGE_ILLEGAL })
  if (isClosedTopic(topic)) {
    throw new ClientError('BAD_NAME', `Sending message to topic[${topic}] is forbidden: RocketMQ uses it itself`)
  }
  return wrapNamespace(namespace, topic)
}

/** The bytes of a body. @throws ClientError MESSAGE_ILLEGAL if there are none, or too many */
export function bodyOf(encoded: unknown, maxMessageSize: number): Buffer {
  if (!(encoded instanceof Uint8Array)) {
    throw illegal(`the message body must be bytes or text, not ${encoded === null ? 'null' : typeof encoded}`)
  }
  const { length } = encoded
  if (length === 0) throw illegal('the message body length is zero')
  if (length > maxMessageSize) {
    throw illegal(`the message body size over max value, MAX: ${maxMessageSize}: it has ${length} bytes`)
  }
  return Buffer.isBuffer(encoded) ? encoded : Buffer.from(encoded.buffer, encoded.byteOffset, length)
}

/** Properties of a message in Java's order of setting them, without its id. @throws ClientError MESSAGE_ILLEGAL */
export function propertiesOf(message: OutgoingMessage<unknown>): [string, string][] {
  const { tags, keys, properties, waitStored } = message
  const list: [string, string][] = [['WAIT', waitStored === false ? 'false' : 'true']]
  if (tags !== undefined && tags !== '') list.push(['TAGS', tags])
  const joined = typeof keys === 'string' ? keys : keys?.join(' ')
  if (joined !== undefined && joined !== '') list.push(['KEYS', joined])
  if (message.shardingKey !== undefined) list.push(['__SHARDINGKEY', message.shardingKey])
  list.push(...delayOf(message))
  if (message.checkImmunitySeconds !== undefined) {
    list.push(['CHECK_IMMUNITY_TIME_IN_SECONDS', String(message.checkImmunitySeconds)])
  }
  for (const [name, value] of Object.entries(properties ?? {})) list.push([userName(name), userValue(name, value)])
  return list
}

function delayOf({ delayLevel, delayMs, deliverAt }: OutgoingMessage<unknown>): [string, string][] {
  const given = [delayLevel, delayMs, deliverAt].filter(each => each !== undefined)
  if (given.length > 1) throw illegal('a message has one of delayLevel, delayMs and deliverAt, not several')
  if (delayLevel !== undefined) return [['DELAY', wholeOf('delayLevel', delayLevel)]]
  if (delayMs !== undefined) return [['TIMER_DELAY_MS', wholeOf('delayMs', delayMs)]]
  return deliverAt === undefined ? [] : [['TIMER_DELIVER_MS', wholeOf('deliverAt', Number(deliverAt))]]
}

function wholeOf(name: string, value: number): string {
  if (!Number.isSafeInteger(value) || value < 0)
    throw illegal(`${name} of a message must be a whole number of at least 0`)
  return String(value)
}

function userName(name: string): string {
  if (name.trim() === '') throw illegal('The name or value of property can not be null or blank string!')
  if (RESERVED_PROPERTIES.has(name)) throw illegal(`The Property<${name}> is used by system, input another please`)
  return name
}

function userValue(name: string, value: unknown): string {
  if (typeof value === 'string' && value.trim() !== '') return value
  throw illegal(
    `The name or value of property can not be null or blank string! The value of ${JSON.stringify(name)} is`,
  )
}

/** What a message is on the wire. @throws ClientError BAD_NAME, MESSAGE_ILLEGAL */
export function prepare(
  message: OutgoingMessage<unknown>,
  encoded: unknown,
  rules: OutgoingRules,
  given: { readonly messageId: string; readonly now: number; readonly extra?: readonly [string, string][] },
): PreparedMessage {
  const topic = topicOf(message.topic, rules.namespace)
  const plain = bodyOf(encoded, rules.maxMessageSize)
  const properties = propertiesOf(message)
  properties.push(['UNIQ_KEY', given.messageId])
  if (rules.namespace !== '') properties.push(['INSTANCE_ID', rules.namespace])
  if (given.extra !== undefined) properties.push(...given.extra)
  const prepared = given.extra?.some(([name, value]) => name === 'TRAN_MSG' && value === 'true') === true
  const squeezed = plain.length >= rules.compressOver
  return {
    topic,
    body: squeezed ? compress(plain, rules.compression, rules.compressionLevel) : plain,
    bodyLength: plain.length,
    flag: message.flag ?? 0,
    sysFlag: (squeezed ? COMPRESSED | compressionFlag(rules.compression) : 0) | (prepared ? TRANSACTION_PREPARED : 0),
    messageId: given.messageId,
    properties: propertyText(properties),
    bornTimestamp: given.now,
  }
}

function propertyText(properties: readonly [string, string][]): string {
  try {
    return writeMessageProperties(properties)
  } catch (error) {
    throw illegal(error instanceof Error ? error.message : String(error))
  }
}
