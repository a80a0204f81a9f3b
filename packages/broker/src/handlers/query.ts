import { type queryRequests, responseCodes } from '@gantrymq/protocol'
import { type HandlersFor, type Long, ResponseError } from '@gantrymq/remoting'
import type { TimeBoundary } from '@gantrymq/store'
import type { BrokerContext } from '../context.ts'
import { storedRecord } from '../pulling/stored-record.ts'

const { QUERY_NOT_FOUND, SYSTEM_ERROR } = responseCodes

/**
 * Bytes of the messages in an answer, unless one alone has more. Apache has no such limit: 64 messages of 4 MiB are more than a client
 * takes in a frame.
 */
const MAX_QUERY_BYTES = 4 << 20

/** Finding messages and offsets: Apache's QueryMessageProcessor and AdminBrokerProcessor. */
export const queryHandlers: HandlersFor<typeof queryRequests, BrokerContext> = {
  async QUERY_MESSAGE({ header, peer }, { store, settings, coldReads }) {
    const { topic, key, maxNum, beginTimestamp, endTimestamp, _UNIQUE_KEY_QUERY: isUnique } = header
    const { defaultQueryMaxNum, maxMsgsNumBatch } = settings.options
    const max = Math.min(isUnique ? defaultQueryMaxNum : Math.max(maxNum, 0), maxMsgsNumBatch)
    const limits = { max, maxBytes: MAX_QUERY_BYTES, begin: timeOf(beginTimestamp), end: timeOf(endTimestamp) }
    const search = (signal: AbortSignal) => store.queryKey(topic, key, { ...limits, signal })
    const { records, lastUpdate, lastPosition } = await coldReads.query(peer.id, search)
    const index = { indexLastUpdateTimestamp: lastUpdate, indexLastUpdatePhyoffset: lastPosition }
    if (records.length > 0) return { header: index, body: records }
    // Apache's fields are 0 then.
    return { code: QUERY_NOT_FOUND, remark: 'can not find message, maybe time range not correct', header: index }
  },

  async VIEW_MESSAGE_BY_ID({ header: { offset }, peer }, context) {
    const body = await storedRecord(offset, peer, context)
    if (body !== undefined) return { body }
    throw new ResponseError(SYSTEM_ERROR, `can not find message by the offset, ${offset}`)
  },

  async SEARCH_OFFSET_BY_TIMESTAMP({ header, peer }, { store, coldReads }) {
    const { topic, queueId, timestamp, boundaryType } = header
    const queue = store.queue(topic, queueId)
    if (queue === undefined) return { header: { offset: 0 } }
    const boundary: TimeBoundary = boundaryType?.toUpperCase() === 'UPPER' ? 'upper' : 'lower'
    const search = () => store.offsetByTime(queue, timeOf(timestamp), boundary)
    return { header: { offset: await coldReads.look(peer.id, search) } }
  },

  GET_MAX_OFFSET({ header: { topic, queueId } }, { store }) {
    return { header: { offset: store.queue(topic, queueId)?.maxOffset ?? 0 } }
  },

  GET_MIN_OFFSET({ header: { topic, queueId } }, { store }) {
    return { header: { offset: store.queue(topic, queueId)?.minOffset ?? 0 } }
  },

  async GET_EARLIEST_MSG_STORETIME({ header: { topic, queueId }, peer }, { store, coldReads }) {
    const queue = store.queue(topic, queueId)
    if (queue === undefined) return { header: { timestamp: -1 } }
    return { header: { timestamp: await coldReads.look(peer.id, () => store.earliestTime(queue)) } }
  },
}

/** A time as a number: clients send Java's largest long for "until now". */
function timeOf(time: Long): number {
  return Number(time)
}
