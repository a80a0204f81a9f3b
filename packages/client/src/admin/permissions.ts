import { nameServerRequests } from '@gantrymq/protocol'
import type { CallOptions } from '../message/message.ts'
import type { AdminCalls } from './calls.ts'

/** How many topics of a broker one name server changed. */
export interface ChangedTopics {
  readonly nameServer: string
  readonly topics: number
}

/** Whether clients may write to a broker, as name servers tell them. */
export class Permissions {
  readonly #calls: AdminCalls

  constructor(calls: AdminCalls) {
    this.#calls = calls
  }

  /**
   * Takes the write permission from all topics of a broker at every name server, so that producers leave it: wipeWritePermOfBroker.
   * A broker of 4.9 brings it back when it next registers all of its topics.
   */
  async wipeWrite(brokerName: string, options: CallOptions = {}): Promise<readonly ChangedTopics[]> {
    const answers = await this.#calls.everyNameServer(
      nameServerRequests.WIPE_WRITE_PERM_OF_BROKER,
      { header: { brokerName } },
      this.#calls.deadline(options),
    )
    return answers.map(({ address, reply }) => ({ nameServer: address, topics: reply.header.wipeTopicCount }))
  }

  /** Gives it back: addWritePermOfBroker. */
  async addWrite(brokerName: string, options: CallOptions = {}): Promise<readonly ChangedTopics[]> {
    const answers = await this.#calls.everyNameServer(
      nameServerRequests.ADD_WRITE_PERM_OF_BROKER,
      { header: { brokerName } },
      this.#calls.deadline(options),
    )
    return answers.map(({ address, reply }) => ({ nameServer: address, topics: reply.header.addTopicCount }))
  }
}
