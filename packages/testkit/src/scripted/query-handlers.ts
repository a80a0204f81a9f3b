import { type queryRequests, responseCodes as codes } from '@gantrymq/protocol'
import { type HandlersFor, ResponseError } from '@gantrymq/remoting'
import type { BrokerState } from './broker-state.ts'

export const queryHandlers: HandlersFor<typeof queryRequests, BrokerState> = {
  QUERY_MESSAGE({ header }, { log }) {
    const { topic, key, maxNum, beginTimestamp, endTimestamp } = header
    const max = header._UNIQUE_KEY_QUERY ? 32 : maxNum
    const found = log.byKey(topic, key, Number(beginTimestamp), Number(endTimestamp)).slice(0, max)
    const last = found.at(-1)
    if (last === undefined) {
      throw new ResponseError(codes.QUERY_NOT_FOUND, 'can not find message, maybe time range not correct')
    }
    return {
      header: { indexLastUpdateTimestamp: last.storeTimestamp, indexLastUpdatePhyoffset: last.physicalOffset },
      body: Buffer.concat(found.map(({ bytes }) => bytes)),
    }
  },

  VIEW_MESSAGE_BY_ID({ header: { offset } }, { log }) {
    const entry = log.at(offset)
    if (entry === undefined) {
      throw new ResponseError(codes.SYSTEM_ERROR, `can not find message by the offset, ${offset}`)
    }
    return { body: entry.bytes }
  },

  SEARCH_OFFSET_BY_TIMESTAMP({ header: { topic, queueId, timestamp } }, { log }) {
    return { header: { offset: log.offsetAt(topic, queueId, Number(timestamp)) } }
  },

  GET_MAX_OFFSET: ({ header: { topic, queueId } }, { log }) => ({ header: { offset: log.maxOffset(topic, queueId) } }),

  GET_MIN_OFFSET: ({ header: { topic, queueId } }, { log }) => ({ header: { offset: log.minOffset(topic, queueId) } }),

  GET_EARLIEST_MSG_STORETIME({ header: { topic, queueId } }, { log }) {
    return { header: { timestamp: log.messages(topic, queueId)[0]?.storeTimestamp ?? -1 } }
  },
}
