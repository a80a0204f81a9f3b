import { checkedCall } from '../../deadline.ts'
import { aborted, ClientError } from '../../errors.ts'
import type { ClientInstance } from '../../instance/client-instance.ts'
import { type CallOptions, type MessageQueue, queueKey } from '../../message/message.ts'
import { BrokerOffsets, TIMEOUT_MS } from './broker-offsets.ts'
import { LocalOffsets } from './local-offsets.ts'
import type { OffsetStore } from './offset-store.ts'
import { UNREADABLE_OFFSET } from './start-offset.ts'

/** Whose offsets they are, and where they are stored. */
export interface OffsetOwner {
  readonly instance: ClientInstance
  /** With its namespace. */
  readonly group: string
  /** Broadcast groups store their offsets in a local file. */
  readonly broadcast: boolean
  readonly offsetsFolder: string | undefined
  /** Called when another process writes the same local file. */
  readonly onShared: (message: string) => void
}

/** The store of a group's offsets: the brokers, or a local file for broadcast groups. */
export function offsetStoreOf({ instance, group, broadcast, offsetsFolder, onShared }: OffsetOwner): OffsetStore {
  if (!broadcast) return new BrokerOffsets(instance, group)
  const { clientId, log } = instance
  return new LocalOffsets({ folder: offsetsFolder, clientId, group, log, onShared })
}

/** The offsets of a consumer whose user may read them, and may wait until they are stored. */
export class ReadableOffsets {
  readonly store: OffsetStore

  constructor(owner: OffsetOwner) {
    this.store = offsetStoreOf(owner)
  }

  /**
   * The offset in memory; the stored one if there is none in memory, or with `fromStore`. Undefined if there is neither.
   * @throws ClientError BAD_OPTION, CONNECT_FAILED, TIMEOUT, ABORTED
   */
  async committed(queue: MessageQueue, given: CallOptions, fromStore = false): Promise<number | undefined> {
    const options = checkedCall('committed', given, TIMEOUT_MS)
    if (options.signal?.aborted) throw aborted(options.signal, 'committed')
    const inMemory = fromStore ? -1 : this.store.peek(queue)
    // `stored` and not `read`: another member may hold the queue and move its offset before this one gets it.
    const offset = inMemory >= 0 ? inMemory : await this.store.stored(queue, options)
    if (offset === UNREADABLE_OFFSET) {
      const text = `Fetch consume offset from broker exception: ${queueKey(queue)}`
      throw new ClientError('CONNECT_FAILED', text, { retriable: true })
    }
    return offset < 0 ? undefined : offset
  }

  /** Stores the offsets in memory of these queues. When it resolves, they are stored. @throws ClientError */
  async commit(queues: readonly MessageQueue[], options: CallOptions): Promise<void> {
    if (this.store instanceof BrokerOffsets) await this.store.commit(queues, options)
    else await this.store.persist(queues)
  }
}
