import { type queryRequests, responseCodes } from '@gantrymq/protocol'
import { type HandlersFor, ResponseError } from '@gantrymq/remoting'
import type { BrokerContext } from '../context.ts'

type QueryRequests = Pick<typeof queryRequests, 'VIEW_MESSAGE_BY_ID' | 'GET_MAX_OFFSET' | 'GET_MIN_OFFSET'>

/** Finding messages and offsets: Apache's QueryMessageProcessor and AdminBrokerProcessor. */
export const queryHandlers: HandlersFor<QueryRequests, BrokerContext> = {
  async VIEW_MESSAGE_BY_ID({ header: { offset } }, { store }) {
    const body = await store.messageAt(offset)
    if (body !== undefined) return { body }
    throw new ResponseError(responseCodes.SYSTEM_ERROR, `can not find message by the offset, ${offset}`)
  },

  GET_MAX_OFFSET: ({ header: { topic, queueId } }, { store }) => {
    return { header: { offset: store.queue(topic, queueId)?.maxOffset ?? 0 } }
  },

  GET_MIN_OFFSET: ({ header: { topic, queueId } }, { store }) => {
    return { header: { offset: store.queue(topic, queueId)?.minOffset ?? 0 } }
  },
}
