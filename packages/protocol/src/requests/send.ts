import { bool, defaulted, header, int, long, optional, request, text } from '@gantrymq/remoting'
import { rawBody } from '../bodies/tables.ts'
import { responseCodes } from '../response-codes.ts'
import { rpcFields, topicFields } from './shared-fields.ts'

const sendHeader = header({
  producerGroup: text(),
  topic: text(),
  /** The topic whose settings the broker copies if it has to create the topic. */
  defaultTopic: text(),
  defaultTopicQueueNums: int(),
  queueId: int(),
  sysFlag: int(),
  /** Milliseconds since the epoch. */
  bornTimestamp: long(),
  flag: int(),
  properties: optional(text()),
  reconsumeTimes: optional(int()),
  unitMode: optional(bool()),
  batch: optional(bool()),
  maxReconsumeTimes: optional(int()),
  ...topicFields,
})

/** The same with short names. The broker's name is `n`, because Java omits the inherited fields in binary headers. */
const sendHeaderV2 = header({
  /** producerGroup */
  a: text(),
  /** topic */
  b: text(),
  /** defaultTopic */
  c: text(),
  /** defaultTopicQueueNums */
  d: int(),
  /** queueId */
  e: int(),
  /** sysFlag */
  f: int(),
  /** bornTimestamp */
  g: long(),
  /** flag */
  h: int(),
  /** properties */
  i: optional(text()),
  /** reconsumeTimes */
  j: optional(int()),
  /** unitMode */
  k: optional(bool()),
  /** maxReconsumeTimes */
  l: optional(int()),
  /** batch */
  m: optional(bool()),
  /** Name of the broker group. */
  n: optional(text()),
  ...topicFields,
})

const { FLUSH_DISK_TIMEOUT, SLAVE_NOT_AVAILABLE, FLUSH_SLAVE_TIMEOUT } = responseCodes

const sendReply = {
  // With these codes the message is stored, too.
  codes: [FLUSH_DISK_TIMEOUT, SLAVE_NOT_AVAILABLE, FLUSH_SLAVE_TIMEOUT],
  header: header({
    /** The offset message id; for a batch, the ids separated by commas. */
    msgId: text(),
    queueId: int(),
    /** For a batch, the offset of its first message. */
    queueOffset: long(),
    transactionId: optional(text()),
    /** 5.x. */
    batchUniqId: optional(text()),
    /** 5.x: for RECALL_MESSAGE. */
    recallHandle: optional(text()),
    MSG_REGION: optional(text()),
    /** False turns the client's message trace off. */
    TRACE_ON: optional(bool()),
  }),
}

const messageBody = rawBody('the body of a message')

/** Requests that store messages, send them back, end transactions or recall messages. */
export const sendRequests = {
  SEND_MESSAGE: request({
    code: 10,
    purpose: 'Stores a message.',
    header: sendHeader,
    body: messageBody,
    reply: sendReply,
  }),
  SEND_MESSAGE_V2: request({
    code: 310,
    purpose: 'Stores a message; the same as SEND_MESSAGE with short field names.',
    header: sendHeaderV2,
    body: messageBody,
    reply: sendReply,
  }),
  SEND_BATCH_MESSAGE: request({
    code: 320,
    purpose: 'Stores several messages in one queue.',
    header: sendHeaderV2,
    body: rawBody('messages, each with its length'),
    reply: sendReply,
  }),
  SEND_REPLY_MESSAGE: request({
    code: 324,
    purpose: 'Sends the reply of a consumer to the producer that waits for it.',
    header: sendHeader,
    body: messageBody,
    reply: sendReply,
  }),
  SEND_REPLY_MESSAGE_V2: request({
    code: 325,
    purpose:
      'Sends the reply of a consumer to the producer that waits for it; the same as SEND_REPLY_MESSAGE with short field names.',
    header: sendHeaderV2,
    body: messageBody,
    reply: sendReply,
  }),
  CONSUMER_SEND_MSG_BACK: request({
    code: 36,
    purpose: 'Puts a message into the retry topic or the dead-letter topic of its group.',
    header: header({
      /** Offset of the message in the commit log. */
      offset: long(),
      group: text(),
      /** 0: the broker decides; below 0: the message becomes a dead letter. */
      delayLevel: int(),
      originMsgId: optional(text()),
      originTopic: optional(text()),
      unitMode: defaulted(bool(), false),
      maxReconsumeTimes: optional(int()),
      ...rpcFields,
    }),
  }),
  END_TRANSACTION: request({
    code: 37,
    oneway: true,
    purpose: 'Commits a half message, rolls it back, or says that the outcome is not known yet.',
    header: header({
      /** 5.x. */
      topic: optional(text()),
      producerGroup: text(),
      /** Queue offset of the half message. */
      tranStateTableOffset: long(),
      commitLogOffset: long(),
      /** 8: commit; 12: roll back; 0: unknown. */
      commitOrRollback: int(),
      fromTransactionCheck: defaulted(bool(), false),
      /** The unique id of the message. */
      msgId: text(),
      transactionId: optional(text()),
      ...rpcFields,
    }),
  }),
  RECALL_MESSAGE: request({
    code: 370,
    purpose: 'Recalls a delayed message that is not due yet (5.x).',
    header: header({ producerGroup: optional(text()), topic: text(), recallHandle: text(), ...topicFields }),
    reply: { header: header({ msgId: text(), MSG_REGION: optional(text()) }) },
  }),
}
