import { type ClientConnection, type connectionRequests, responseCodes } from '@gantrymq/protocol'
import { type HandlersFor, ResponseError } from '@gantrymq/remoting'
import type { Client } from '../clients/client-registry.ts'
import type { BrokerContext } from '../context.ts'

/** Showing the clients that are connected: Apache's AdminBrokerProcessor. */
export const connectionHandlers: HandlersFor<typeof connectionRequests, BrokerContext> = {
  GET_CONSUMER_CONNECTION_LIST({ header: { consumerGroup } }, { clients }) {
    const group = clients.consumerGroup(consumerGroup)
    if (group === undefined) {
      throw new ResponseError(responseCodes.CONSUMER_NOT_ONLINE, `the consumer group[${consumerGroup}] not online`)
    }
    const { consumeType, messageModel, consumeFromWhere, subscriptions } = group
    const connections = [...group.clients.values()].map(connectionOf)
    return { body: { connections, consumeType, messageModel, consumeFromWhere, subscriptions } }
  },

  GET_PRODUCER_CONNECTION_LIST({ header: { producerGroup } }, { clients }) {
    const group = clients.producerGroups.get(producerGroup)
    if (group !== undefined) return { body: [...group.values()].map(connectionOf) }
    throw new ResponseError(responseCodes.SYSTEM_ERROR, `the producer group[${producerGroup}] not exist`)
  },

  GET_ALL_PRODUCER_INFO(_call, { clients, clock }) {
    // Heartbeats are noted by elapsed time.
    const zero = clock.now() - clock.elapsed()
    const producers = [...clients.producerGroups].map(([group, members]) => {
      const shown = [...members.values()].map(({ clientId, language, version, peer, lastHeartbeat }) => {
        return {
          clientId,
          language,
          version,
          remoteIP: `/${peer.remoteAddress}`,
          lastUpdateTimestamp: zero + lastHeartbeat,
        }
      })
      return [group, shown] as const
    })
    return { body: new Map(producers) }
  },
}

function connectionOf({ clientId, language, version, peer }: Client): ClientConnection {
  return { clientId, clientAddr: peer.remoteAddress, language, version }
}
