import {
  compressAsync,
  COMPRESSED,
  type Compression,
  compressionFlag,
  isClosedTopic,
  MAX_PROPERTIES_LENGTH,
  RESERVED_PROPERTIES,
  responseCodes,
  topicProblem,
  wrapNamespace,
} from '@gantrymq/protocol'
import { ClientError } from '../errors.ts'
import { isObject, meant, shown, unknownField } from '../fields.ts'
import type { OutgoingMessage } from '../message/message.ts'

/** A message ready to be sent: checked, encoded, with its id. */
export interface PreparedMessage {
  /** With the namespace. */
  readonly topic: string
  /** As sent, which may be compressed. */
  readonly body: Buffer
  readonly flag: number
  readonly sysFlag: number
  readonly messageId: string
  /** The properties, encoded. */
  readonly properties: string
  readonly bornTimestamp: number
  /** Delivered at a time or after a delay that only brokers of 5.x know. */
  readonly isTimed: boolean
  /** The messages of a batch. */
  readonly parts?: readonly PreparedMessage[]
}

/** The options that messages are prepared by. */
export interface MessageRules {
  readonly namespace: string
  /** Largest body in bytes, as it is sent. */
  readonly maxMessageSize: number
  /** Bodies of at least this many bytes are compressed. */
  readonly compressOver: number
  readonly compression: Compression
  readonly compressionLevel: number
}

/** What a kind of send adds to its messages. */
export interface Extras {
  /** Reserved properties, which users may not set. */
  readonly properties?: Readonly<Record<string, string>> | undefined
  readonly sysFlag?: number | undefined
  /** Properties set by subscribers of the send channel. */
  readonly traced?: Readonly<Record<string, string>> | undefined
  /** The topic is in no namespace. */
  readonly bare?: boolean | undefined
}

/** What the client adds to a message. */
export interface Additions extends Extras {
  /** Empty for none. */
  readonly messageId: string
  /** Milliseconds since the epoch. */
  readonly now: number
}

const { MESSAGE_ILLEGAL } = responseCodes
const NAME_END = '\u0001'
const VALUE_END = '\u0002'
const WAIT_TRUE = `WAIT${NAME_END}true${VALUE_END}`
const WAIT_FALSE = `WAIT${NAME_END}false${VALUE_END}`

/** The error for a message that Apache's client refuses before it sends it. */
export function illegal(text: string, cause?: unknown): ClientError {
  return new ClientError('MESSAGE_ILLEGAL', text, { responseCode: MESSAGE_ILLEGAL, cause })
}

const FIELDS: Readonly<Record<keyof OutgoingMessage, true>> = {
  topic: true,
  body: true,
  tags: true,
  keys: true,
  properties: true,
  delayLevel: true,
  delayMs: true,
  deliverAt: true,
  shardingKey: true,
  flag: true,
  waitStored: true,
  checkImmunitySeconds: true,
}

/** Checks that a message is an object with no other fields than those of a message. @throws ClientError MESSAGE_ILLEGAL */
export function checkFields(message: unknown): void {
  if (!isObject(message) || Array.isArray(message))
    throw illegal(
      `a message must be an object such as { topic, body }, not ${message === undefined ? 'nothing' : shown(message)}`,
    )
  const unknown = unknownField(message, FIELDS)
  if (unknown === undefined) return
  throw illegal(`a message has no field ${unknown.slice(0, 80)}${meant(unknown, Object.keys(FIELDS))}`)
}

/** The topic with the namespace. @throws ClientError BAD_NAME */
export function topicOf(topic: unknown, namespace: string): string {
  if (typeof topic !== 'string') throw new ClientError('BAD_NAME', 'the message has no topic: set it to a string')
  if (!checkedTopics.has(topic)) checkTopic(topic)
  return namespace === '' ? topic : wrapNamespace(namespace, topic)
}

// Checking is slow, and most programs send to few topics. Topics beyond the first thousand are checked each time.
const checkedTopics = new Set<string>()
const MAX_CHECKED = 1000

function checkTopic(topic: string): void {
  const problem = topicProblem(topic)
  if (problem !== null) throw new ClientError('BAD_NAME', problem, { responseCode: MESSAGE_ILLEGAL })
  if (isClosedTopic(topic)) {
    throw new ClientError('BAD_NAME', `Sending message to topic[${topic}] is forbidden: RocketMQ uses it itself`)
  }
  if (checkedTopics.size < MAX_CHECKED) checkedTopics.add(topic)
}

/** The bytes of a body. @throws ClientError MESSAGE_ILLEGAL if there are none */
function bodyOf(encoded: unknown): Buffer {
  if (encoded === undefined || encoded === null) throw illegal('a message has no body')
  if (!(encoded instanceof Uint8Array))
    throw illegal(
      `the body of a message must be bytes or a string, not ${shown(encoded)}; a codec, such as json(), encodes others`,
    )
  const { length } = encoded
  if (length === 0) throw illegal('the body of a message is empty')
  return Buffer.isBuffer(encoded) ? encoded : Buffer.from(encoded.buffer, encoded.byteOffset, length)
}

/** Checks the size of a body as it is sent. @throws ClientError MESSAGE_ILLEGAL */
export function checkSize({ body: { length } }: PreparedMessage, maxMessageSize: number): void {
  if (length > maxMessageSize) {
    throw illegal(`the body of a message has ${length} bytes, more than option maxMessageSize, ${maxMessageSize}`)
  }
}

/** The encoded properties of a message, in the order in which Java sets them. @throws ClientError MESSAGE_ILLEGAL */
export function propertiesOf(message: OutgoingMessage<unknown>, namespace: string, additions: Additions): string {
  const { tags, keys, properties, shardingKey, checkImmunitySeconds } = message
  const { waitStored = true } = message
  if (typeof waitStored !== 'boolean')
    throw illegal(`waitStored of a message must be true or false, not ${shown(waitStored)}`)
  let text = waitStored ? WAIT_TRUE : WAIT_FALSE
  if (tags !== undefined && tags !== '') text += entry('TAGS', checkedTag(tags))
  const joined = joinedKeys(keys)
  if (joined !== '') text += entry('KEYS', joined)
  if (shardingKey !== undefined) text += entry('__SHARDINGKEY', shardingKey)
  text += delayOf(message)
  if (checkImmunitySeconds !== undefined)
    text += entry('CHECK_IMMUNITY_TIME_IN_SECONDS', wholeOf('checkImmunitySeconds', checkImmunitySeconds))
  if (properties !== undefined) text += userProperties(properties)
  if (additions.traced !== undefined) text += userProperties(additions.traced)
  if (additions.properties !== undefined) text += entries(additions.properties)
  if (additions.messageId !== '') text += `UNIQ_KEY${NAME_END}${additions.messageId}${VALUE_END}`
  if (namespace !== '') text += entry('INSTANCE_ID', namespace)
  return fitting(text)
}

function joinedKeys(keys: unknown): string {
  if (keys === undefined) return ''
  if (typeof keys === 'string') return keys
  if (!Array.isArray(keys))
    throw illegal(`keys of a message must be a string or an array of strings, not ${shown(keys)}`)
  for (const key of keys as readonly unknown[]) {
    if (typeof key !== 'string' || key === '')
      throw illegal(`a key of a message must be a string that is not empty, not ${shown(key)}`)
    // Brokers split the keys at blanks (MessageConst.KEY_SEPARATOR), and would find it by neither.
    if (key.includes(' ')) throw illegal(`the key ${shown(key)} of a message has a blank, which separates keys`)
  }
  return keys.join(' ')
}

// Consumers trim the tags of their subscriptions, and separate them by ||.
function checkedTag(tags: unknown): unknown {
  if (typeof tags !== 'string') throw illegal(`tags of a message must be a string: one tag, not ${shown(tags)}`)
  if (tags === tags.trim() && !tags.includes('||')) return tags
  throw illegal(
    `the tag ${shown(tags)} of a message has ${tags.includes('||') ? '||' : 'blanks at its ends'}: no subscription can match it`,
  )
}

function fitting(text: string): string {
  if (text.length * 3 <= MAX_PROPERTIES_LENGTH || Buffer.byteLength(text) <= MAX_PROPERTIES_LENGTH) return text
  throw illegal(`the message's properties are longer than ${MAX_PROPERTIES_LENGTH} bytes`)
}

function entry(name: string, value: unknown): string {
  if (typeof value !== 'string') throw illegal(`the message's ${name} must be a string, not ${shown(value)}`)
  if (hasSeparator(name) || hasSeparator(value)) {
    throw illegal(`the message property ${JSON.stringify(name)} contains U+0001 or U+0002`)
  }
  return name + NAME_END + value + VALUE_END
}

function hasSeparator(text: string): boolean {
  return text.includes(NAME_END) || text.includes(VALUE_END)
}

function entries(properties: Readonly<Record<string, string>>): string {
  let text = ''
  for (const name in properties) text += entry(name, properties[name])
  return text
}

function userProperties(properties: Readonly<Record<string, string>>): string {
  if (!isObject(properties) || Array.isArray(properties))
    throw illegal(`properties of a message must be an object of strings, not ${shown(properties)}`)
  let text = ''
  for (const [name, value] of Object.entries(properties)) {
    checkUserProperty(name, value)
    text += entry(name, value)
  }
  return text
}

function checkUserProperty(name: string, value: unknown): void {
  if (name.trim() === '') throw illegal('a message has a property whose name is blank')
  if (RESERVED_PROPERTIES.has(name))
    throw illegal(`the property ${name} of a message is RocketMQ's own: choose another name`)
  if (typeof value !== 'string')
    throw illegal(`the property ${name} of a message must be a string, not ${shown(value)}`)
  if (value.trim() === '') throw illegal(`the property ${name} of a message is blank: leave it out`)
  if (name === 'INNER_MULTI_DISPATCH' && value.includes('/')) {
    throw illegal(`the property INNER_MULTI_DISPATCH of a message must not contain /, as ${shown(value)} does`)
  }
}

/** True if a message is to be delivered later. */
export function isDelayed({ delayLevel, delayMs, deliverAt }: OutgoingMessage<unknown>): boolean {
  return (delayLevel !== undefined && delayLevel !== 0) || delayMs !== undefined || deliverAt !== undefined
}

function delayOf({ delayLevel, delayMs, deliverAt }: OutgoingMessage<unknown>): string {
  if (delayLevel === undefined && delayMs === undefined && deliverAt === undefined) return ''
  if ([delayLevel, delayMs, deliverAt].filter(each => each !== undefined).length > 1) {
    throw illegal('a message may have only one of delayLevel, delayMs and deliverAt')
  }
  if (delayLevel !== undefined)
    return delayLevel === 0 ? '' : entry('DELAY', wholeOf('delayLevel', delayLevel, MAX_DELAY_LEVEL))
  if (delayMs !== undefined) return entry('TIMER_DELAY_MS', wholeOf('delayMs', delayMs))
  return entry('TIMER_DELIVER_MS', wholeOf('deliverAt', deliverAt instanceof Date ? deliverAt.getTime() : deliverAt))
}

/** The last level of Apache's table (MessageStoreConfig.messageDelayLevel). */
const MAX_DELAY_LEVEL = 18

function wholeOf(name: string, value: unknown, max = Number.MAX_SAFE_INTEGER): string {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max) return String(value)
  const range = max === MAX_DELAY_LEVEL ? `a level from 0 to ${max}` : 'a whole number of 0 or more'
  throw illegal(`${name} of a message must be ${range}, not ${shown(value)}`)
}

function flagOf(flag: number | undefined): number {
  if (flag === undefined) return 0
  if (typeof flag === 'number' && flag === (flag | 0)) return flag
  throw illegal(`flag of a message must be a 32-bit integer, not ${shown(flag)}`)
}

/** Prepares a message whose body is encoded already. @throws ClientError BAD_NAME, MESSAGE_ILLEGAL */
export function prepare(
  message: OutgoingMessage<unknown>,
  encoded: unknown,
  rules: MessageRules,
  additions: Additions,
): PreparedMessage {
  const namespace = additions.bare === true ? '' : rules.namespace
  return {
    topic: topicOf(message.topic, namespace),
    body: bodyOf(encoded),
    flag: flagOf(message.flag),
    sysFlag: additions.sysFlag ?? 0,
    messageId: additions.messageId,
    properties: propertiesOf(message, namespace, additions),
    bornTimestamp: additions.now,
    isTimed: message.delayMs !== undefined || message.deliverAt !== undefined,
  }
}

/** The message with its body compressed. It is unchanged if compression fails, as in Apache's client, or does not pay. */
export async function compressed(message: PreparedMessage, rules: MessageRules): Promise<PreparedMessage> {
  const { compression, compressionLevel } = rules
  try {
    const body = await compressAsync(message.body, compression, compressionLevel)
    // Random bytes and what is compressed already only get larger.
    if (body.length >= message.body.length) return message
    return { ...message, body, sysFlag: message.sysFlag | COMPRESSED | compressionFlag(compression) }
  } catch {
    return message
  }
}
