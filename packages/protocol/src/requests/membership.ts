import { bool, header, optional, request, text } from '@gantrymq/remoting'
import { checkClientBody } from '../bodies/check-client.ts'
import { consumerListBody } from '../bodies/consumer-list.ts'
import { heartbeatBody } from '../bodies/heartbeat.ts'
import { rpcFields } from './shared-fields.ts'

/** Requests with which clients join and leave their groups. */
export const membershipRequests = {
  HEART_BEAT: request({
    code: 34,
    purpose: 'Tells the broker the groups and subscriptions of a client, at the start and every 30 seconds.',
    header: header(rpcFields),
    body: heartbeatBody,
    reply: {
      header: header({
        /** 5.x: the broker stores fingerprints, so the client may leave out its subscriptions next time. */
        IS_SUPPORT_HEART_BEAT_V2: optional(bool()),
        /** 5.x: the broker wants the subscriptions again. */
        IS_SUB_CHANGE: optional(bool()),
      }),
    },
  }),
  UNREGISTER_CLIENT: request({
    code: 35,
    purpose: 'Removes a client from a group.',
    header: header({
      clientID: text(),
      producerGroup: optional(text()),
      consumerGroup: optional(text()),
      ...rpcFields,
    }),
  }),
  GET_CONSUMER_LIST_BY_GROUP: request({
    code: 38,
    purpose: 'Returns the client ids of a consumer group.',
    header: header({ consumerGroup: text(), ...rpcFields }),
    reply: { body: consumerListBody },
  }),
  CHECK_CLIENT_CONFIG: request({
    code: 46,
    purpose: 'Asks the broker to check a subscription that is not by tags; code 23 if its expression is invalid.',
    body: checkClientBody,
  }),
}
