import { bool, defaulted, header, int, long, optional, request, text } from '@gantrymq/remoting'
import { assignmentsBody, queryAssignmentBody, setMessageRequestModeBody } from '../bodies/assignment.ts'
import { batchAckBody } from '../bodies/batch-ack.ts'
import { rawBody } from '../bodies/tables.ts'
import { responseCodes } from '../response-codes.ts'
import { topicFields } from './shared-fields.ts'

const { PULL_NOT_FOUND, POLLING_FULL, POLLING_TIMEOUT } = responseCodes

const popReply = {
  // There are no messages: PULL_NOT_FOUND at once, POLLING_FULL because too many pops wait, POLLING_TIMEOUT after waiting.
  codes: [PULL_NOT_FOUND, POLLING_FULL, POLLING_TIMEOUT],
  header: header({
    /** Milliseconds since the epoch. */
    popTime: defaulted(long(), 0),
    invisibleTime: defaulted(long(), 0),
    reviveQid: defaulted(int(), 0),
    restNum: defaulted(long(), 0),
    /** `retry queueId offset`, with `;` between. */
    startOffsetInfo: optional(text()),
    /** `retry queueId offset,offset`, with `;` between. */
    msgOffsetInfo: optional(text()),
    /** `retry queueId count` or `retry qo<queueId>%<offset> count`, with `;` between. */
    orderCountInfo: optional(text()),
  }),
  body: rawBody('stored messages'),
}

/** Requests of consumers that pop (5.x). */
export const popRequests = {
  POP_MESSAGE: request({
    code: 200050,
    purpose: 'Returns messages of any queue and hides them for a while (5.x).',
    header: header({
      consumerGroup: text(),
      topic: text(),
      /** -1: any queue. */
      queueId: int(),
      maxMsgNums: int(),
      invisibleTime: long(),
      /** How long to wait for messages, milliseconds. */
      pollTime: long(),
      /** When the request was made, milliseconds since the epoch. */
      bornTime: long(),
      /** Where a new group starts: 0 at the lowest offset, 1 at the highest. */
      initMode: int(),
      expType: optional(text()),
      exp: optional(text()),
      order: defaulted(bool(), false),
      attemptId: optional(text()),
      ...topicFields,
    }),
    reply: popReply,
  }),
  ACK_MESSAGE: request({
    code: 200051,
    purpose: 'Acknowledges a popped message (5.x).',
    header: header({
      consumerGroup: text(),
      topic: text(),
      queueId: int(),
      /** The message's POP_CK property. */
      extraInfo: text(),
      offset: long(),
      /** 5.5. */
      liteTopic: optional(text()),
      ...topicFields,
    }),
  }),
  BATCH_ACK_MESSAGE: request({
    code: 200151,
    purpose: 'Acknowledges several popped messages (5.x).',
    body: batchAckBody,
  }),
  CHANGE_MESSAGE_INVISIBLETIME: request({
    code: 200053,
    purpose: 'Changes how long a popped message stays hidden, counted from now (5.x).',
    header: header({
      consumerGroup: text(),
      topic: text(),
      queueId: int(),
      /** The message's POP_CK property. */
      extraInfo: text(),
      offset: long(),
      invisibleTime: long(),
      /** 5.5. */
      liteTopic: optional(text()),
      /** 5.5. */
      suspend: optional(bool()),
      ...topicFields,
    }),
    reply: {
      header: header({
        popTime: defaulted(long(), 0),
        invisibleTime: defaulted(long(), 0),
        reviveQid: defaulted(int(), 0),
      }),
    },
  }),
  PEEK_MESSAGE: request({
    code: 200052,
    purpose: 'Returns messages without hiding them (5.x).',
    header: header({ topic: text(), queueId: int(), maxMsgNums: int(), consumerGroup: text(), ...topicFields }),
    reply: popReply,
  }),
  NOTIFICATION: request({
    code: 200054,
    purpose: 'Waits until there are messages to pop (5.x).',
    header: header({
      consumerGroup: text(),
      topic: text(),
      queueId: int(),
      pollTime: long(),
      bornTime: long(),
      order: defaulted(bool(), false),
      attemptId: optional(text()),
      /** 5.5. */
      expType: optional(text()),
      /** 5.5. */
      exp: optional(text()),
      ...topicFields,
    }),
    reply: { header: header({ hasMsg: defaulted(bool(), false), pollingFull: defaulted(bool(), false) }) },
  }),
  POLLING_INFO: request({
    code: 200055,
    purpose: 'Returns the number of waiting pops (5.x).',
    header: header({ consumerGroup: text(), topic: text(), queueId: int(), ...topicFields }),
    reply: { header: header({ pollingNum: defaulted(int(), 0) }) },
  }),
  QUERY_ASSIGNMENT: request({
    code: 400,
    purpose: 'Returns the queues assigned to one consumer, and whether to pull or pop them (5.x).',
    body: queryAssignmentBody,
    reply: { body: assignmentsBody },
  }),
  SET_MESSAGE_REQUEST_MODE: request({
    code: 401,
    purpose: 'Sets whether a group pulls or pops a topic (5.x).',
    body: setMessageRequestModeBody,
  }),
}
