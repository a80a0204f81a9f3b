import { header, request, text } from '@gantrymq/remoting'
import { consumerConnectionBody, producerConnectionBody, producerTableBody } from '../bodies/client-connections.ts'
import { rpcFields } from './shared-fields.ts'

/** Requests of operators about the clients that are connected to a broker. */
export const connectionRequests = {
  GET_CONSUMER_CONNECTION_LIST: request({
    code: 203,
    purpose: 'Returns the consumers of a group and their subscriptions.',
    header: header({ consumerGroup: text(), ...rpcFields }),
    reply: { body: consumerConnectionBody },
  }),
  GET_PRODUCER_CONNECTION_LIST: request({
    code: 204,
    purpose: 'Returns the producers of a group.',
    header: header({ producerGroup: text(), ...rpcFields }),
    reply: { body: producerConnectionBody },
  }),
  GET_ALL_PRODUCER_INFO: request({
    code: 328,
    purpose: 'Returns all producers.',
    reply: { body: producerTableBody },
  }),
}
