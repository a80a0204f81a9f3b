import { bigLong, bool, header, int, long, optional, request, text } from '@gantrymq/remoting'
import { rawBody } from '../bodies/tables.ts'
import { topicFields } from './shared-fields.ts'

const queueHeader = header({ topic: text(), queueId: int(), ...topicFields })
const offsetReply = { header: header({ offset: long() }) }

/** Requests that find messages and offsets. */
export const queryRequests = {
  QUERY_MESSAGE: request({
    code: 12,
    purpose: 'Returns the messages with a key in a span of time; code 22 if there are none.',
    header: header({
      topic: text(),
      key: text(),
      maxNum: int(),
      /** Milliseconds since the epoch. */
      beginTimestamp: bigLong(),
      /** Java sends Long.MAX_VALUE. */
      endTimestamp: bigLong(),
      /** True: the key is a unique id. */
      _UNIQUE_KEY_QUERY: optional(bool()),
      /** 5.5. */
      indexType: optional(text()),
      /** 5.5. */
      lastKey: optional(text()),
      ...topicFields,
    }),
    reply: {
      header: header({ indexLastUpdateTimestamp: long(), indexLastUpdatePhyoffset: long() }),
      body: rawBody('stored messages'),
    },
  }),
  VIEW_MESSAGE_BY_ID: request({
    code: 33,
    purpose: 'Returns the message at an offset of the commit log.',
    header: header({
      /** 5.x. */
      topic: optional(text()),
      offset: long(),
    }),
    reply: { body: rawBody('a stored message') },
  }),
  SEARCH_OFFSET_BY_TIMESTAMP: request({
    code: 29,
    purpose: 'Returns the offset of the first message stored at a time or later.',
    header: header({
      topic: text(),
      queueId: int(),
      /** Milliseconds since the epoch. */
      timestamp: bigLong(),
      /** 5.x: `LOWER` or `UPPER`, for the first or the last message with the same time. */
      boundaryType: optional(text()),
      /** 5.5. */
      liteTopic: optional(text()),
      ...topicFields,
    }),
    reply: offsetReply,
  }),
  GET_MAX_OFFSET: request({
    code: 30,
    purpose: 'Returns the offset that the next message will have.',
    header: header({
      topic: text(),
      queueId: int(),
      /** 5.x: counts only messages that are replicated. Default true. */
      committed: optional(bool()),
      ...topicFields,
    }),
    reply: offsetReply,
  }),
  GET_MIN_OFFSET: request({
    code: 31,
    purpose: 'Returns the offset of the oldest message.',
    header: queueHeader,
    reply: offsetReply,
  }),
  GET_EARLIEST_MSG_STORETIME: request({
    code: 32,
    purpose: 'Returns the time of the oldest message; -1 if there is none.',
    header: queueHeader,
    reply: { header: header({ timestamp: long() }) },
  }),
}
