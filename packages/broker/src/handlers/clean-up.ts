import type { brokerAdminRequests } from '@gantrymq/protocol'
import type { HandlersFor } from '@gantrymq/remoting'
import type { BrokerContext } from '../context.ts'

type CleanUpRequests = Pick<
  typeof brokerAdminRequests,
  'CLEAN_EXPIRED_CONSUMEQUEUE' | 'CLEAN_UNUSED_TOPIC' | 'DELETE_EXPIRED_COMMITLOG'
>

/** Deleting files now that the broker would delete later, or not by itself: Apache's AdminBrokerProcessor. */
export const cleanUpHandlers: HandlersFor<CleanUpRequests, BrokerContext> = {
  async CLEAN_EXPIRED_CONSUMEQUEUE({ peer }, { store, log }) {
    await store.deleteExpiredUnits()
    log.info({ peer: peer.remoteAddress }, 'invoke cleanExpiredConsumeQueue end.')
    return {}
  },

  async CLEAN_UNUSED_TOPIC({ peer }, { store, topics, log }) {
    const deleted = await store.deleteUnused(new Set(topics.all.keys()))
    log.info({ peer: peer.remoteAddress, topics: deleted }, 'invoke cleanUnusedTopic end.')
    return {}
  },

  async DELETE_EXPIRED_COMMITLOG({ peer }, { store, log }) {
    const files = await store.deleteExpired()
    log.info({ peer: peer.remoteAddress, files }, 'invoke deleteExpiredCommitLog end.')
    return {}
  },
}
