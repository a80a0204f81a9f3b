import {
  type Bean,
  boolOf,
  intOf,
  isObject,
  type JsonObject,
  objectOf,
  readFastjson,
  RemotingError,
  textOf,
  textTable,
  writeFastjson,
} from '@gantrymq/remoting'
/** One topic on one broker, as the broker keeps it: Apache's TopicConfig. */
export interface TopicConfig {
  readonly topicName: string
  /** Default 16. */
  readonly readQueueNums: number
  /** Default 16. */
  readonly writeQueueNums: number
  /** Permission bits, default 6. */
  readonly perm: number
  /** `SINGLE_TAG` or `MULTI_TAG`. */
  readonly topicFilterType: string
  /** Bit 1: unit, bit 2: unit subscription. */
  readonly topicSysFlag: number
  readonly order: boolean
  /** 5.x; absent in what 4.9 brokers send. */
  readonly attributes?: ReadonlyMap<string, string>
}

const DEFAULT_QUEUES = 16
const DEFAULT_PERM = 6

/** Order of Java's TopicFilterType: its ordinals. */
const FILTER_TYPES = ['SINGLE_TAG', 'MULTI_TAG'] as const

/** As Java reads an enum: by name in any case, or by ordinal; what is unknown counts as missing. */
function filterType(text: string | undefined): string {
  const found = FILTER_TYPES[Number(text)] ?? FILTER_TYPES.find(type => type === text?.toUpperCase())
  return found ?? 'SINGLE_TAG'
}

/** Attributes are written for 5.x only. */
export function topicConfigBean(config: TopicConfig, withAttributes: boolean): Bean {
  return {
    attributes: withAttributes ? (config.attributes ?? new Map()) : undefined,
    order: config.order,
    perm: config.perm,
    readQueueNums: config.readQueueNums,
    topicFilterType: config.topicFilterType,
    topicName: config.topicName,
    topicSysFlag: config.topicSysFlag,
    writeQueueNums: config.writeQueueNums,
  }
}

/** @param key the name it is listed under, for a configuration that does not name its topic; Java then stores `null`. */
export function readTopicConfig(object: JsonObject, key: string): TopicConfig {
  const attributes = objectOf(object, 'attributes')
  return {
    topicName: textOf(object, 'topicName') ?? key,
    readQueueNums: intOf(object, 'readQueueNums', DEFAULT_QUEUES),
    writeQueueNums: intOf(object, 'writeQueueNums', DEFAULT_QUEUES),
    perm: intOf(object, 'perm', DEFAULT_PERM),
    topicFilterType: filterType(textOf(object, 'topicFilterType')),
    topicSysFlag: intOf(object, 'topicSysFlag', 0),
    order: boolOf(object, 'order', false),
    ...(attributes === null ? undefined : { attributes: textTable(attributes) }),
  }
}

/** The line of a compressed registration: Java's TopicConfig.encode. Neither sys flag nor order travel in it. */
export function topicConfigLine(config: TopicConfig, withAttributes: boolean): string {
  const { topicName, readQueueNums, writeQueueNums, perm, topicFilterType } = config
  const line = `${topicName} ${readQueueNums} ${writeQueueNums} ${perm} ${topicFilterType}`
  return withAttributes ? `${line} ${writeFastjson(config.attributes ?? new Map(), 'standard')}` : line
}

const LINE = /^([^ ]+) ([+-]?\d{1,10}) ([+-]?\d{1,10}) (-?\d{1,10}) ([A-Za-z_]+)(?: (.*))?$/s

/**
 * Reads such a line; 5.x has the attributes behind it. Java 4.9 refuses those, we take both.
 * @throws RemotingError BAD_BODY
 */
export function readTopicConfigLine(line: string): TopicConfig {
  const [, topicName, readQueues, writeQueues, perm, type, rest] = LINE.exec(line) ?? []
  if (topicName === undefined) {
    const shown = JSON.stringify(line.slice(0, 64))
    throw new RemotingError('BAD_BODY', `not the line of a topic in a compressed registration: ${shown}`)
  }
  const attributes = attributesOf(rest)
  return {
    topicName,
    readQueueNums: Number(readQueues) | 0,
    writeQueueNums: Number(writeQueues) | 0,
    perm: Number(perm) | 0,
    topicFilterType: filterType(type),
    topicSysFlag: 0,
    order: false,
    ...(attributes === undefined ? undefined : { attributes }),
  }
}

/** Attributes that cannot be read are dropped, as in Java. */
function attributesOf(text: string | undefined): Map<string, string> | undefined {
  if (text === undefined) return undefined
  try {
    const value = readFastjson(text, { maxDepth: 4 })
    return isObject(value) ? textTable(value) : undefined
  } catch {
    return undefined
  }
}
