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
  /** 1: commitOffset counts, 2: may wait, 4: with subscription, 8: class filter, 16: lite pull. */
  sysFlag: int(),
  commitOffset: long(),
  suspendTimeoutMillis: long(),
  subscription: optional(text()),
  subVersion: long(),
  expressionType: optional(text()),
  /** 5.x. */
  maxMsgBytes: optional(int()),
  /** 5.x: -1 a client, 0 and more a proxy. */
  requestSource: optional(int()),
  /** 5.x; spelt so on the wire. */
  proxyFrowardClientId: optional(text()),
  /** 5.5. */
  liteTopic: optional(text()),
  ...topicFields,
})

const { PULL_NOT_FOUND, PULL_RETRY_IMMEDIATELY, PULL_OFFSET_MOVED } = responseCodes

const pullReply = {
  // There is nothing, nothing that matches, or the offset is another: the header tells where to go on.
  codes: [PULL_NOT_FOUND, PULL_RETRY_IMMEDIATELY, PULL_OFFSET_MOVED],
  header: header({
    suggestWhichBrokerId: long(),
    nextBeginOffset: long(),
    minOffset: long(),
    maxOffset: long(),
    /** 5.x: to add to the messages' queue offsets, in static topics. */
    offsetDelta: optional(long()),
    topicSysFlag: optional(int()),
    groupSysFlag: optional(int()),
    forbiddenType: optional(int()),
  }),
  body: rawBody('stored messages'),
}

/** What consumers need that pull. */
export const consumeRequests = {
  PULL_MESSAGE: request({
    code: 11,
    purpose: 'Gives messages of a queue from an offset on, and waits for some if it may.',
    header: pullHeader,
    reply: pullReply,
  }),
  LITE_PULL_MESSAGE: request({
    code: 361,
    purpose: 'As PULL_MESSAGE, for lite pull consumers (5.x).',
    header: pullHeader,
    reply: pullReply,
  }),
  QUERY_CONSUMER_OFFSET: request({
    code: 14,
    purpose: 'Gives the offset that a group has committed; code 22 if there is none.',
    header: header({
      consumerGroup: text(),
      topic: text(),
      queueId: int(),
      /** 5.x: false: never answer 0 for a group that is new. */
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
    purpose: 'Locks queues for one client of a group, for a minute, and tells which it got.',
    header: header(rpcFields),
    body: lockBatchBody,
    reply: { body: lockBatchResponseBody },
  }),
  UNLOCK_BATCH_MQ: request({
    code: 42,
    purpose: 'Gives locked queues back.',
    header: header(rpcFields),
    body: unlockBatchBody,
  }),
}
