import { brokerNotices } from '@gantrymq/protocol'
import { type Logger, type RemotingClient, RemotingError } from '@gantrymq/remoting'
import type { MinBrokerChange } from './broker-changes.ts'

/** How long a notice may wait for a connection, milliseconds: Apache's value. */
const NOTICE_MS = 300

/**
 * Notifies the brokers of a group, one-way, that its lowest broker id has changed (Apache 5.x, notifyMinBrokerIdChanged).
 * A lost notice delays a broker by a second at most: brokers that need the lowest id also query it.
 */
export class MinBrokerNotifier {
  readonly #client: RemotingClient
  readonly #log: Logger

  constructor(client: RemotingClient, log: Logger) {
    this.#client = client
    this.#log = log
  }

  announce(changes: readonly MinBrokerChange[]): void {
    for (const change of changes) for (const address of change.recipients) void this.#notify(address, change)
  }

  async #notify(address: string, change: MinBrokerChange): Promise<void> {
    const { minBrokerId, minBrokerAddr, offlineBrokerAddr, haBrokerAddr } = change
    const notice = { brokerName: change.brokerName, minBrokerId: String(minBrokerId), recipient: address }
    this.#log.info({ ...notice, offlineBrokerAddr }, 'min broker id changed, notify')
    try {
      // Java never sets brokerName here, and no receiver reads it.
      const header = { minBrokerId, minBrokerAddr, offlineBrokerAddr, haBrokerAddr }
      await this.#client.oneway(
        address,
        brokerNotices.NOTIFY_MIN_BROKER_ID_CHANGE,
        { header },
        { timeoutMs: NOTICE_MS },
      )
    } catch (error) {
      const why = error instanceof RemotingError ? error.message : error
      this.#log.warn({ ...notice, why }, 'notify min broker id changed failed')
    }
  }
}
