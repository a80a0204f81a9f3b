import {
  clientNotices,
  type ConsumeMessageDirectlyResult,
  type ConsumerRunningInfo,
  type QueueOffset,
  responseCodes,
} from '@gantrymq/protocol'
import { type CallInput, type Logger, type Long, type Peer, ResponseError } from '@gantrymq/remoting'
import type { Groups } from '../groups/groups.ts'
import type { ClientRegistry } from './client-registry.ts'

export interface ClientNoticesOptions {
  readonly clients: ClientRegistry
  readonly groups: Groups
  /** Whether consumers are notified at all (notifyConsumerIdsChangedEnable); read again at each use. */
  readonly isEnabled: () => boolean
  readonly log: Logger
}

type Input<Name extends keyof typeof clientNotices> = CallInput<(typeof clientNotices)[Name]>
type Header<Name extends keyof typeof clientNotices> = NonNullable<Input<Name>['header']>

/** How long a client may take to answer, milliseconds (Apache's Broker2Client.callClient). */
const CALL_MS = 10_000
/** The same for its offsets (Apache's Broker2Client.getConsumeStatus). */
const STATUS_CALL_MS = 5000

/** Most bytes of messages that wait until clients have answered; further ones are refused. */
const MAX_WAITING_BYTES = 64 << 20

/** What a broker tells clients on their own connections: Apache's Broker2Client. */
export class ClientNotices {
  readonly #options: ClientNoticesOptions
  #waitingBytes = 0

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
      const input = { header: { consumerGroup: name } }
      for (const { peer } of group.clients.values()) {
        this.#tell(peer, () => peer.oneway(clientNotices.NOTIFY_CONSUMER_IDS_CHANGED, input))
      }
    }
  }

  /** Tells the consumers of a group to go on at other offsets (4.9). */
  offsetsReset(topic: string, name: string, timestamp: Long, offsetTable: readonly QueueOffset[]): void {
    const input = { header: { topic, group: name, timestamp }, body: { offsetTable } }
    for (const { peer } of this.#options.clients.consumerGroup(name)?.clients.values() ?? []) {
      this.#tell(peer, () => peer.oneway(clientNotices.RESET_CONSUMER_CLIENT_OFFSET, input))
    }
  }

  /** Asks a producer for the outcome of a transaction. */
  checkTransaction(peer: Peer, header: Header<'CHECK_TRANSACTION_STATE'>, half: Buffer): void {
    this.#tell(peer, () => peer.oneway(clientNotices.CHECK_TRANSACTION_STATE, { header, body: half }))
  }

  /**
   * Delivers the reply to a request of a producer.
   * @param body Is copied.
   * @throws RemotingError, ResponseError
   */
  async pushReply(peer: Peer, header: Header<'PUSH_REPLY_MESSAGE_TO_CLIENT'>, body: Buffer): Promise<void> {
    await this.#whileWaiting(body.length, () => {
      const input = { header, body: Buffer.from(body) }
      return peer.call(clientNotices.PUSH_REPLY_MESSAGE_TO_CLIENT, input, { timeoutMs: CALL_MS })
    })
  }

  /** Asks a consumer for its state. @throws RemotingError, ResponseError */
  async runningInfo(peer: Peer, header: Header<'GET_CONSUMER_RUNNING_INFO'>): Promise<ConsumerRunningInfo | null> {
    const { body } = await peer.call(clientNotices.GET_CONSUMER_RUNNING_INFO, { header }, { timeoutMs: CALL_MS })
    return body
  }

  /** Asks a consumer for its offsets in a topic. @throws RemotingError, ResponseError */
  async consumerStatus(peer: Peer, header: Header<'GET_CONSUMER_STATUS_FROM_CLIENT'>): Promise<readonly QueueOffset[]> {
    const timeoutMs = STATUS_CALL_MS
    const { body } = await peer.call(clientNotices.GET_CONSUMER_STATUS_FROM_CLIENT, { header }, { timeoutMs })
    return body?.messageQueueTable ?? []
  }

  /** Makes a consumer consume a stored message again. @throws RemotingError, ResponseError */
  async consumeDirectly(
    peer: Peer,
    header: Header<'CONSUME_MESSAGE_DIRECTLY'>,
    message: Buffer,
  ): Promise<ConsumeMessageDirectlyResult | null> {
    const input = { header, body: message }
    const call = () => peer.call(clientNotices.CONSUME_MESSAGE_DIRECTLY, input, { timeoutMs: CALL_MS })
    return (await this.#whileWaiting(message.length, call)).body
  }

  /** @throws ResponseError SYSTEM_BUSY; what the call rejects with */
  async #whileWaiting<T>(bytes: number, call: () => Promise<T>): Promise<T> {
    if (this.#waitingBytes + bytes > MAX_WAITING_BYTES) {
      const remark =
        '[OVERLOAD]system busy, start flow control for a while: too many messages wait for the answers of clients'
      throw new ResponseError(responseCodes.SYSTEM_BUSY, remark)
    }
    this.#waitingBytes += bytes
    try {
      return await call()
    } finally {
      this.#waitingBytes -= bytes
    }
  }

  #tell(peer: Peer, notify: () => void): void {
    if (!peer.isOpen) return
    try {
      notify()
    } catch (error) {
      // The connection ended just now; its end removes the client and notifies the others.
      this.#options.log.debug({ err: error, peer: peer.remoteAddress }, 'a client could not be notified')
    }
  }
}
