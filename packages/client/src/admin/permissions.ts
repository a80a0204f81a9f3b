import { nameServerRequests } from '@gantrymq/protocol'
import type { CallOptions } from '../message/message.ts'
import type { AdminCalls } from './calls.ts'

/** The number of a broker's topics that one name server changed. */
export interface ChangedTopics {
  readonly nameServer: string
  readonly topics: number
}

/** The write permission of brokers in the routes of the name servers. */
export class Permissions {
  readonly #calls: AdminCalls

  constructor(calls: AdminCalls) {
    this.#calls = calls
  }

  /**
   * Removes the write permission from all topics of a broker at all name servers, so that producers stop sending to it:
   * wipeWritePermOfBroker. A 4.9 broker restores it when it next registers all of its topics.
   */
  async wipeWrite(brokerName: string, options: CallOptions = {}): Promise<readonly ChangedTopics[]> {
    const answers = await this.#calls.everyNameServer(
      nameServerRequests.WIPE_WRITE_PERM_OF_BROKER,
      { header: { brokerName } },
      this.#calls.deadline(options),
    )
    return answers.map(({ address, reply }) => ({ nameServer: address, topics: reply.header.wipeTopicCount }))
  }

  /** Restores the write permission: addWritePermOfBroker. */
  async addWrite(brokerName: string, options: CallOptions = {}): Promise<readonly ChangedTopics[]> {
    const answers = await this.#calls.everyNameServer(
      nameServerRequests.ADD_WRITE_PERM_OF_BROKER,
      { header: { brokerName } },
      this.#calls.deadline(options),
    )
    return answers.map(({ address, reply }) => ({ nameServer: address, topics: reply.header.addTopicCount }))
  }
}
