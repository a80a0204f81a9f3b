import { hasSeparator } from './properties.ts'

/**
 * Property names with a meaning to brokers and clients, as on the wire: Apache's MessageConst of 5.5.0. Names that only brokers
 * use internally are left out, unless they are reserved.
 */
export const PROPERTY = {
  KEYS: 'KEYS',
  TAGS: 'TAGS',
  /** `false`: the broker need not wait for the disk or a slave. */
  WAIT: 'WAIT',
  /** Delay level, from 1. */
  DELAY: 'DELAY',
  /** The original topic of a message in a retry topic. */
  RETRY_TOPIC: 'RETRY_TOPIC',
  ORIGIN_GROUP: 'ORIGIN_GROUP',
  REAL_TOPIC: 'REAL_TOPIC',
  REAL_QUEUE_ID: 'REAL_QID',
  /** `true`: a half message of a transaction. */
  TRANSACTION_MESSAGE: 'TRAN_MSG',
  PRODUCER_GROUP: 'PGROUP',
  MIN_OFFSET: 'MIN_OFFSET',
  MAX_OFFSET: 'MAX_OFFSET',
  BUYER_ID: 'BUYER_ID',
  ORIGIN_MESSAGE_ID: 'ORIGIN_MESSAGE_ID',
  TRANSFER_FLAG: 'TRANSFER_FLAG',
  CORRECTION_FLAG: 'CORRECTION_FLAG',
  MQ2_FLAG: 'MQ2_FLAG',
  RECONSUME_TIME: 'RECONSUME_TIME',
  MSG_REGION: 'MSG_REGION',
  /** `false`: the message is not to be traced. */
  TRACE_ON: 'TRACE_ON',
  /** The id that the sender assigned. */
  UNIQ_KEY: 'UNIQ_KEY',
  EXTEND_UNIQ_INFO: 'EXTEND_UNIQ_INFO',
  MAX_RECONSUME_TIMES: 'MAX_RECONSUME_TIMES',
  CONSUME_START_TIME: 'CONSUME_START_TIME',
  /** 5.5: priority of a message, from 0. */
  PRIORITY: '_SYS_MSG_PRIORITY_',
  INNER_NUM: 'INNER_NUM',
  INNER_BASE: 'INNER_BASE',
  DUP_INFO: 'DUP_INFO',
  /** Seconds before the broker first checks the state of a transaction. */
  CHECK_IMMUNITY_TIME_IN_SECONDS: 'CHECK_IMMUNITY_TIME_IN_SECONDS',
  TRANSACTION_PREPARED_QUEUE_OFFSET: 'TRAN_PREPARED_QUEUE_OFFSET',
  TRANSACTION_ID: '__transactionId__',
  TRANSACTION_CHECK_TIMES: 'TRANSACTION_CHECK_TIMES',
  INSTANCE_ID: 'INSTANCE_ID',
  /** Matches a reply with its request. */
  CORRELATION_ID: 'CORRELATION_ID',
  /** Id of the client that waits for the reply. */
  REPLY_TO_CLIENT: 'REPLY_TO_CLIENT',
  /** How long the requester waits, milliseconds. */
  TTL: 'TTL',
  ARRIVE_TIME: 'ARRIVE_TIME',
  PUSH_REPLY_TIME: 'PUSH_REPLY_TIME',
  /** Cluster that stored the message; replies are sent to its reply topic. */
  CLUSTER: 'CLUSTER',
  /** `reply` for replies. */
  MSG_TYPE: 'MSG_TYPE',
  /** Receipt of a pop, see `PopReceipt`. */
  POP_CK: 'POP_CK',
  POP_CK_OFFSET: 'POP_CK_OFFSET',
  FIRST_POP_TIME: '1ST_POP_TIME',
  SHARDING_KEY: '__SHARDINGKEY',
  LITE_TOPIC: '__LITE_TOPIC',
  /** Queue id that a message of a static topic is forwarded to; the long name is the name on the wire. */
  FORWARD_QUEUE_ID: 'PROPERTY_FORWARD_QUEUE_ID',
  REDIRECT: 'REDIRECT',
  INNER_MULTI_DISPATCH: 'INNER_MULTI_DISPATCH',
  INNER_MULTI_QUEUE_OFFSET: 'INNER_MULTI_QUEUE_OFFSET',
  TRACE_CONTEXT: 'TRACE_CONTEXT',
  TIMER_DELAY_SEC: 'TIMER_DELAY_SEC',
  TIMER_DELAY_MS: 'TIMER_DELAY_MS',
  /** Milliseconds since the epoch. */
  TIMER_DELIVER_MS: 'TIMER_DELIVER_MS',
  TIMER_DELAY_LEVEL: 'TIMER_DELAY_LEVEL',
  TIMER_ENQUEUE_MS: 'TIMER_ENQUEUE_MS',
  TIMER_DEQUEUE_MS: 'TIMER_DEQUEUE_MS',
  TIMER_ROLL_TIMES: 'TIMER_ROLL_TIMES',
  TIMER_OUT_MS: 'TIMER_OUT_MS',
  TIMER_DEL_UNIQKEY: 'TIMER_DEL_UNIQKEY',
  BORN_HOST: '__BORNHOST',
  BORN_TIMESTAMP: 'BORN_TIMESTAMP',
  DLQ_ORIGIN_TOPIC: 'DLQ_ORIGIN_TOPIC',
  DLQ_ORIGIN_MESSAGE_ID: 'DLQ_ORIGIN_MESSAGE_ID',
  /** Checksum over a stored message, the last property. */
  PROPERTIES_CRC: '__CRC32#',
  /** Properties whose names start with this are not stored. */
  TRANSIENT_PREFIX: '__RMQ.TRANSIENT.',
} as const

/** Separates the keys in KEYS. */
export const KEY_SEPARATOR = ' '

/** Names that both lines reserve: MessageConst.STRING_HASH_SET. */
const BOTH_LINES: readonly string[] = [
  PROPERTY.KEYS,
  PROPERTY.TAGS,
  PROPERTY.WAIT,
  PROPERTY.DELAY,
  PROPERTY.RETRY_TOPIC,
  PROPERTY.REAL_TOPIC,
  PROPERTY.REAL_QUEUE_ID,
  PROPERTY.TRANSACTION_MESSAGE,
  PROPERTY.PRODUCER_GROUP,
  PROPERTY.MIN_OFFSET,
  PROPERTY.MAX_OFFSET,
  PROPERTY.BUYER_ID,
  PROPERTY.ORIGIN_MESSAGE_ID,
  PROPERTY.TRANSFER_FLAG,
  PROPERTY.CORRECTION_FLAG,
  PROPERTY.MQ2_FLAG,
  PROPERTY.RECONSUME_TIME,
  PROPERTY.MSG_REGION,
  PROPERTY.TRACE_ON,
  PROPERTY.UNIQ_KEY,
  PROPERTY.MAX_RECONSUME_TIMES,
  PROPERTY.CONSUME_START_TIME,
  PROPERTY.INSTANCE_ID,
  PROPERTY.CORRELATION_ID,
  PROPERTY.REPLY_TO_CLIENT,
  PROPERTY.TTL,
  PROPERTY.ARRIVE_TIME,
  PROPERTY.PUSH_REPLY_TIME,
  PROPERTY.CLUSTER,
  PROPERTY.MSG_TYPE,
  PROPERTY.INNER_MULTI_QUEUE_OFFSET,
]

/** Further names that 5.x reserves. */
const MODERN_LINE: readonly string[] = [
  PROPERTY.ORIGIN_GROUP,
  PROPERTY.PRIORITY,
  PROPERTY.LITE_TOPIC,
  PROPERTY.TRANSACTION_PREPARED_QUEUE_OFFSET,
  PROPERTY.POP_CK,
  PROPERTY.POP_CK_OFFSET,
  PROPERTY.FIRST_POP_TIME,
  PROPERTY.DUP_INFO,
  PROPERTY.EXTEND_UNIQ_INFO,
  PROPERTY.TIMER_DELAY_MS,
  PROPERTY.TIMER_DELAY_SEC,
  PROPERTY.TIMER_DELIVER_MS,
  PROPERTY.TIMER_ENQUEUE_MS,
  PROPERTY.TIMER_DEQUEUE_MS,
  PROPERTY.TIMER_ROLL_TIMES,
  PROPERTY.TIMER_OUT_MS,
  PROPERTY.TIMER_DEL_UNIQKEY,
  PROPERTY.TIMER_DELAY_LEVEL,
  PROPERTY.BORN_HOST,
  PROPERTY.BORN_TIMESTAMP,
  PROPERTY.DLQ_ORIGIN_TOPIC,
  PROPERTY.DLQ_ORIGIN_MESSAGE_ID,
  PROPERTY.PROPERTIES_CRC,
]

/** Names that users may not set. Those of both lines are reserved, because a message may pass from one line to the other. */
export const RESERVED_PROPERTIES: ReadonlySet<string> = new Set([...BOTH_LINES, ...MODERN_LINE])

/** Why a user may not set this property; undefined if it is allowed: Apache's Message.putUserProperty, and the separators. */
export function userPropertyProblem(name: string, value: string): string | undefined {
  const quoted = JSON.stringify(name)
  if (name.trim() === '') return 'a message property has no name'
  if (value.trim() === '') return `the message property ${quoted} has no value: brokers would drop it`
  if (RESERVED_PROPERTIES.has(name)) return `the message property ${quoted} is reserved, choose another name`
  if (hasSeparator(name) || hasSeparator(value)) return `the message property ${quoted} has U+0001 or U+0002 in it`
  return undefined
}
