import { bool, defaulted, header, int, long, optional, request, text } from '@gantrymq/remoting'
import { rawBody } from '../bodies/tables.ts'
import { responseCodes } from '../response-codes.ts'
import { rpcFields, topicFields } from './shared-fields.ts'

const sendHeader = header({
  producerGroup: text(),
  topic: text(),
  /** Whose settings a topic gets that does not exist yet. */
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

/** The same with short names. The broker's name is `n`: with binary headers Java leaves the inherited fields out. */
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
  // The message is stored with these too.
  codes: [FLUSH_DISK_TIMEOUT, SLAVE_NOT_AVAILABLE, FLUSH_SLAVE_TIMEOUT],
  header: header({
    /** The offset message id; those of a batch with commas between. */
    msgId: text(),
    queueId: int(),
    /** Of the first message of a batch. */
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

/** What stores messages, or undoes it. */
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
    purpose: 'Stores a message; short names of SEND_MESSAGE.',
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
    purpose: 'Gives the reply of a consumer to the producer that waits for it.',
    header: sendHeader,
    body: messageBody,
    reply: sendReply,
  }),
  SEND_REPLY_MESSAGE_V2: request({
    code: 325,
    purpose: 'Gives the reply of a consumer to the producer that waits for it; short names of SEND_REPLY_MESSAGE.',
    header: sendHeaderV2,
    body: messageBody,
    reply: sendReply,
  }),
  CONSUMER_SEND_MSG_BACK: request({
    code: 36,
    purpose: 'Puts a message into the retry topic of its group, or among the dead letters.',
    header: header({
      /** In the commit log. */
      offset: long(),
      group: text(),
      /** 0: the broker decides; below 0: dead letter. */
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
    purpose: 'Commits a half message, drops it, or says that its fate is not known yet.',
    header: header({
      /** 5.x. */
      topic: optional(text()),
      producerGroup: text(),
      /** Queue offset of the half message. */
      tranStateTableOffset: long(),
      commitLogOffset: long(),
      /** 8 commit, 12 rollback, 0 unknown. */
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
    purpose: 'Takes back a message whose time has not come (5.x).',
    header: header({ producerGroup: optional(text()), topic: text(), recallHandle: text(), ...topicFields }),
    reply: { header: header({ msgId: text(), MSG_REGION: optional(text()) }) },
  }),
}
