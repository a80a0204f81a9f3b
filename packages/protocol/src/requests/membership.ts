import { bool, header, optional, request, text } from '@gantrymq/remoting'
import { checkClientBody } from '../bodies/check-client.ts'
import { consumerListBody } from '../bodies/consumer-list.ts'
import { heartbeatBody } from '../bodies/heartbeat.ts'
import { rpcFields } from './shared-fields.ts'

/** How clients join their groups and leave them. */
export const membershipRequests = {
  HEART_BEAT: request({
    code: 34,
    purpose: 'A client tells of its groups and subscriptions, at once and every 30 seconds.',
    header: header(rpcFields),
    body: heartbeatBody,
    reply: {
      header: header({
        /** 5.x: the broker keeps fingerprints, so the subscriptions may be left out next time. */
        IS_SUPPORT_HEART_BEAT_V2: optional(bool()),
        /** 5.x: the broker wants the subscriptions again. */
        IS_SUB_CHANGE: optional(bool()),
      }),
    },
  }),
  UNREGISTER_CLIENT: request({
    code: 35,
    purpose: 'A client leaves a group.',
    header: header({
      clientID: text(),
      producerGroup: optional(text()),
      consumerGroup: optional(text()),
      ...rpcFields,
    }),
  }),
  GET_CONSUMER_LIST_BY_GROUP: request({
    code: 38,
    purpose: 'Gives the client ids of a consumer group.',
    header: header({ consumerGroup: text(), ...rpcFields }),
    reply: { body: consumerListBody },
  }),
  CHECK_CLIENT_CONFIG: request({
    code: 46,
    purpose: 'Lets the broker judge a subscription other than tags; code 23 if its expression is wrong.',
    body: checkClientBody,
  }),
}
