import type { ClientInstance } from '../../instance/client-instance.ts'
import { checkedCall } from '../../deadline.ts'
import { aborted, ClientError } from '../../errors.ts'
import { type CallOptions, type MessageQueue, queueKey } from '../../message/message.ts'
import { LocalOffsets } from './local-offsets.ts'
import { type OffsetStore, RemoteOffsets, TIMEOUT_MS } from './broker-offsets.ts'
import { UNREADABLE_OFFSET } from './start-offset.ts'

interface Placed {
  readonly instance: ClientInstance
  /** With its namespace. */
  readonly group: string
  readonly broadcast: boolean
  readonly offsetsFolder: string | undefined
}

/** Offsets of a consumer that pulls when its user asks, who may read them and wait until they are kept. */
export class PullOffsets {
  readonly store: OffsetStore
  constructor(placed: Placed) {
    const { instance, group, broadcast, offsetsFolder } = placed
    const { clientId, log } = instance
    this.store = broadcast
      ? new LocalOffsets({ folder: offsetsFolder, clientId, group, log })
      : new RemoteOffsets(instance, group)
  }

  /** As noted here, or, with `anew` or without such, as it is kept; undefined if there is none. @throws ClientError BAD_OPTION, CONNECT_FAILED, TIMEOUT, ABORTED */
  async committed(queue: MessageQueue, given: CallOptions, anew = false): Promise<number | undefined> {
    const options = checkedCall('committed', given, TIMEOUT_MS)
    if (options.signal?.aborted) throw aborted(options.signal, 'committed')
    const noted = anew ? -1 : this.store.peek(queue)
    // Not noted: the queue may be another member's, who goes on, and be this one's later.
    const offset = noted >= 0 ? noted : await this.store.stored(queue, options)
    if (offset === UNREADABLE_OFFSET) {
      const text = `Fetch consume offset from broker exception: ${queueKey(queue)}`
      throw new ClientError('CONNECT_FAILED', text, { retriable: true })
    }
    return offset < 0 ? undefined : offset
  }

  /** Keeps what is noted of these queues, and knows that it is kept. @throws ClientError */
  async commit(queues: readonly MessageQueue[], options: CallOptions): Promise<void> {
    if (this.store instanceof RemoteOffsets) await this.store.commit(queues, options)
    else await this.store.persist(queues)
  }
}
