import { clientNotices } from '@gantrymq/protocol'
import type { Logger, Peer } from '@gantrymq/remoting'
import type { Groups } from '../groups/groups.ts'
import type { ClientRegistry } from './client-registry.ts'

export interface ClientNoticesOptions {
  readonly clients: ClientRegistry
  readonly groups: Groups
  /** Whether consumers are notified at all (notifyConsumerIdsChangedEnable); read again at each use. */
  readonly isEnabled: () => boolean
  readonly log: Logger
}

/** What a broker tells clients on their own connections: Apache's Broker2Client. */
export class ClientNotices {
  readonly #options: ClientNoticesOptions

  constructor(options: ClientNoticesOptions) {
    this.#options = options
  }

  /**
   * Tells the consumers of groups that a member has come or gone, so that they share the queues again. Consumers of broadcasting
   * groups are not told: each has all queues. Source: Apache's DefaultConsumerIdsChangeListener.
   */
  membersChanged(names: Iterable<string>): void {
    if (!this.#options.isEnabled()) return
    for (const name of names) {
      const group = this.#options.clients.consumerGroup(name)
      if (group === undefined || group.messageModel === 'BROADCASTING') continue
      if (this.#options.groups.get(name)?.notifyConsumerIdsChangedEnable === false) continue
      for (const { peer } of group.clients.values()) this.#notifyChange(peer, name)
    }
  }

  #notifyChange(peer: Peer, consumerGroup: string): void {
    if (!peer.isOpen) return
    try {
      peer.oneway(clientNotices.NOTIFY_CONSUMER_IDS_CHANGED, { header: { consumerGroup } })
    } catch (error) {
      // The connection ended just now; its end removes the client and notifies the others.
      this.#options.log.debug(
        { err: error, peer: peer.remoteAddress, consumerGroup },
        'notifyConsumerIdsChanged failed',
      )
    }
  }
}
