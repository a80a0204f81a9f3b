import { header, request, text } from '@gantrymq/remoting'
import { consumerConnectionBody, producerConnectionBody, producerTableBody } from '../bodies/client-connections.ts'
import { rpcFields } from './shared-fields.ts'

/** What operators ask brokers about clients that are connected. */
export const connectionRequests = {
  GET_CONSUMER_CONNECTION_LIST: request({
    code: 203,
    purpose: 'Gives the consumers of a group and what they subscribe to.',
    header: header({ consumerGroup: text(), ...rpcFields }),
    reply: { body: consumerConnectionBody },
  }),
  GET_PRODUCER_CONNECTION_LIST: request({
    code: 204,
    purpose: 'Gives the producers of a group.',
    header: header({ producerGroup: text(), ...rpcFields }),
    reply: { body: producerConnectionBody },
  }),
  GET_ALL_PRODUCER_INFO: request({
    code: 328,
    purpose: 'Gives all producers.',
    reply: { body: producerTableBody },
  }),
}
