import { bool, header, int, long, optional, request, text } from '@gantrymq/remoting'
import { lockBatchBody, lockBatchResponseBody, unlockBatchBody } from '../bodies/lock-batch.ts'
import { rawBody } from '../bodies/tables.ts'
import { responseCodes } from '../response-codes.ts'
import { rpcFields, topicFields } from './shared-fields.ts'

const pullHeader = header({
  consumerGroup: text(),
  topic: text(),
  queueId: int(),
  queueOffset: long(),
  maxMsgNums: int(),
  /** See `pullFlags`; 8 marks the class filter of filter servers. */
  sysFlag: int(),
  commitOffset: long(),
  suspendTimeoutMillis: long(),
  subscription: optional(text()),
  subVersion: long(),
  expressionType: optional(text()),
  /** 5.x. */
  maxMsgBytes: optional(int()),
  /** 5.x: -1 for a client, 0 and more for a proxy. */
  requestSource: optional(int()),
  /** 5.x; the wire has this spelling. */
  proxyFrowardClientId: optional(text()),
  /** 5.5. */
  liteTopic: optional(text()),
  ...topicFields,
})

const { PULL_NOT_FOUND, PULL_RETRY_IMMEDIATELY, PULL_OFFSET_MOVED } = responseCodes

const pullReply = {
  // There is no message, no matching message, or the offset is out of range: the header tells where to continue.
  codes: [PULL_NOT_FOUND, PULL_RETRY_IMMEDIATELY, PULL_OFFSET_MOVED],
  header: header({
    suggestWhichBrokerId: long(),
    nextBeginOffset: long(),
    minOffset: long(),
    maxOffset: long(),
    /** 5.x: must be added to the queue offsets of the messages, in static topics. */
    offsetDelta: optional(long()),
    topicSysFlag: optional(int()),
    groupSysFlag: optional(int()),
    forbiddenType: optional(int()),
  }),
  body: rawBody('stored messages'),
}

/** Requests of consumers that pull. */
export const consumeRequests = {
  PULL_MESSAGE: request({
    code: 11,
    purpose:
      'Returns messages of a queue from an offset on. The broker may wait for messages if the request allows it.',
    header: pullHeader,
    reply: pullReply,
  }),
  LITE_PULL_MESSAGE: request({
    code: 361,
    purpose: 'The same as PULL_MESSAGE, for lite pull consumers (5.x).',
    header: pullHeader,
    reply: pullReply,
  }),
  QUERY_CONSUMER_OFFSET: request({
    code: 14,
    purpose: 'Returns the offset that a group has committed; code 22 if there is none.',
    header: header({
      consumerGroup: text(),
      topic: text(),
      queueId: int(),
      /** 5.x: if false, the broker never answers 0 for a new group. */
      setZeroIfNotFound: optional(bool()),
      ...topicFields,
    }),
    reply: { header: header({ offset: long() }) },
  }),
  UPDATE_CONSUMER_OFFSET: request({
    code: 15,
    purpose: 'Commits the offset of a group.',
    header: header({ consumerGroup: text(), topic: text(), queueId: int(), commitOffset: long(), ...topicFields }),
  }),
  LOCK_BATCH_MQ: request({
    code: 41,
    purpose: 'Locks queues for one client of a group for a minute, and returns the locked queues.',
    header: header(rpcFields),
    body: lockBatchBody,
    reply: { body: lockBatchResponseBody },
  }),
  UNLOCK_BATCH_MQ: request({
    code: 42,
    purpose: 'Unlocks queues.',
    header: header(rpcFields),
    body: unlockBatchBody,
  }),
}
