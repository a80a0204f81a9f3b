import { clientNotices, type membershipRequests, responseCodes as codes } from '@gantrymq/protocol'
import { type HandlersFor, type Peer, ResponseError } from '@gantrymq/remoting'
import type { BrokerState } from './broker-state.ts'

/** Sends NOTIFY_CONSUMER_IDS_CHANGED (40). */
export function notifyChange(peer: Peer, consumerGroup: string): void {
  peer.oneway(clientNotices.NOTIFY_CONSUMER_IDS_CHANGED, { header: { consumerGroup } })
}

export const membershipHandlers: HandlersFor<typeof membershipRequests, BrokerState> = {
  HEART_BEAT({ body, peer }, state) {
    if (body === null) throw new ResponseError(codes.SYSTEM_ERROR, 'no body')
    for (const { groupName } of body.consumerDataSet) {
      state.group(groupName)
      state.retryTopic(groupName)
    }
    state.notifyConsumers(state.members.heartbeat(peer, body, state.now), notifyChange)
    return { header: {} }
  },

  UNREGISTER_CLIENT({ header: { producerGroup, consumerGroup }, peer }, state) {
    state.notifyConsumers(state.members.unregister(peer.id, producerGroup, consumerGroup), notifyChange)
    return {}
  },

  GET_CONSUMER_LIST_BY_GROUP({ header: { consumerGroup } }, state) {
    const consumerIdList = state.members.consumerIds(consumerGroup)
    if (consumerIdList.length === 0) {
      throw new ResponseError(codes.SYSTEM_ERROR, `no consumer for this group, ${consumerGroup}`)
    }
    return { body: { consumerIdList } }
  },

  CHECK_CLIENT_CONFIG({ body }) {
    const { expressionType = 'TAG', subString = '' } = body?.subscriptionData ?? {}
    // Apache compiles SQL; here only an unbalanced parenthesis is an error.
    if (expressionType !== 'TAG' && subString.split('(').length !== subString.split(')').length) {
      const parser = 'org.apache.rocketmq.filter.parser.ParseException'
      throw new ResponseError(codes.SUBSCRIPTION_PARSE_FAILED, `${parser}: Encountered "<EOF>"`)
    }
    return {}
  },
}
