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
import type { OtherMembers } from './other-members.ts'

/** The configuration of a topic at one broker: Apache's TopicConfig. */
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
  /** 5.x; absent if the sender is a 4.9 broker. */
  readonly attributes?: ReadonlyMap<string, string>
  /** Only in the table of a broker, which keeps them in its file. */
  readonly others?: OtherMembers
}

const DEFAULT_QUEUES = 16
const DEFAULT_PERM = 6

/** In the order of Java's TopicFilterType, so that an index is its ordinal. */
const FILTER_TYPES = ['SINGLE_TAG', 'MULTI_TAG'] as const

/** Reads an enum as Java does: by name in upper or lower case, or by ordinal. An unknown value counts as missing. */
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

/** @param key The key in the table, used as the name if the configuration does not name its topic; Java then stores `null`. */
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
    ...(attributes === null ? undefined : { attributes: attributesIn(attributes) }),
  }
}

/** The line of a topic in a compressed registration: Java's TopicConfig.encode. It has neither the sys flag nor the order. */
export function topicConfigLine(config: TopicConfig, withAttributes: boolean): string {
  const { topicName, readQueueNums, writeQueueNums, perm, topicFilterType } = config
  const line = `${topicName} ${readQueueNums} ${writeQueueNums} ${perm} ${topicFilterType}`
  return withAttributes ? `${line} ${writeFastjson(config.attributes ?? new Map(), 'standard')}` : line
}

const LINE = /^([^ ]+) ([+-]?\d{1,10}) ([+-]?\d{1,10}) (-?\d{1,10}) ([A-Za-z_]+)(?: (.*))?$/s

/**
 * Reads such a line; 5.x appends the attributes. Java 4.9 refuses attributes, this reader accepts both.
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

/** Almost all topics have none, and a broker has thousands of topics: they share a table. */
const NO_ATTRIBUTES: ReadonlyMap<string, string> = new Map()

function attributesIn(object: JsonObject): ReadonlyMap<string, string> {
  const table = textTable(object)
  return table.size === 0 ? NO_ATTRIBUTES : table
}

/** Attributes that cannot be read are dropped, as in Java. */
function attributesOf(text: string | undefined): ReadonlyMap<string, string> | undefined {
  if (text === undefined) return undefined
  try {
    const value = readFastjson(text, { maxDepth: 4 })
    return isObject(value) ? attributesIn(value) : undefined
  } catch {
    return undefined
  }
}
