import {
  decodeMessage,
  isRetryTopic,
  PERM_READ,
  PERM_WRITE,
  popTopic,
  PROPERTY,
  type StoredMessage,
} from '@gantrymq/protocol'
import type { Clock, Logger } from '@gantrymq/remoting'
import { APPENDED, BUSY, type MessageStore, NOT_WRITABLE } from '@gantrymq/store'
import type { Groups } from '../groups/groups.ts'
import type { OffsetTable } from '../offsets/offset-table.ts'
import { type MessageWriter, writeAgain } from '../sending/message-writer.ts'
import { copyOf, type NewMessage } from '../sending/new-message.ts'
import type { Topics } from '../topics/topics.ts'
import type { PopLedger, PoppedMessage, PopQueue } from './pop-ledger.ts'

export interface RevivalParts {
  readonly ledger: PopLedger
  readonly store: Pick<MessageStore, 'queue' | 'unitAt' | 'messageAt'>
  readonly writer: Pick<MessageWriter, 'writeNow'>
  readonly topics: Pick<Topics, 'has' | 'inner'>
  readonly groups: Pick<Groups, 'has'>
  readonly offsets: OffsetTable
  /** The option enableRetryTopicV2; read again at each use. */
  readonly usesV2: () => boolean
  /** Called for each message that is stored again. */
  readonly onRevived: (topic: string, bytes: number) => void
  /** Called when a group that had popped too much may pop from this queue again. */
  readonly onFreed: (queue: PopQueue) => void
  readonly clock: Clock
  readonly log: Logger
}

/** How long a message waits if the store takes none now, milliseconds. */
const REST_MS = 1000
/** Messages that are stored together: then the event loop does other work. */
const SLICE = 32

/**
 * Stores popped messages that were not acknowledged in time in the retry topic of their topic and group, from where they are popped
 * again: Apache's PopReviveService. There is no limit of deliveries: as in Apache, consumers give a message up.
 */
export class Revival {
  readonly #parts: RevivalParts
  #expired: PoppedMessage[] = []
  #running: Promise<void> | undefined
  #isStopped = false

  constructor(parts: RevivalParts) {
    this.#parts = parts
  }

  /** Begins to store what has expired. */
  tick(): void {
    if (this.#isStopped) return
    for (const message of this.#parts.ledger.takeExpired(this.#parts.clock.elapsed())) this.#expired.push(message)
    if (this.#expired.length > 0) this.#running ??= this.#run().finally(() => (this.#running = undefined))
  }

  /** Begins nothing more; before the store closes. */
  stop(): void {
    this.#isStopped = true
  }

  /** Waits for what was begun. */
  async close(): Promise<void> {
    await this.#running
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    while (this.#expired.length > 0) {
      const expired = this.#expired
      this.#expired = []
      for (let at = 0; at < expired.length && !this.#isStopped; at += SLICE) {
        await Promise.all(expired.slice(at, at + SLICE).map(message => this.#revive(message)))
      }
    }
  }

  /** Never rejects. */
  async #revive(popped: PoppedMessage): Promise<void> {
    const { ledger, onFreed, clock, log } = this.#parts
    if (!ledger.has(popped)) return
    try {
      if (await this.#storeAgain(popped)) {
        const wasFull = ledger.room(popped.queue) === 0
        ledger.settle(popped)
        if (wasFull) onFreed(popped.queue)
        return
      }
    } catch (error) {
      const { topic, group, queueId } = popped.queue
      log.error({ err: error, topic, group, queueId, offset: popped.offset }, 'a popped message could not be stored again; the broker tries again in 1 s') // biome-ignore format: one thought
    }
    const { queue, offset, popTime } = popped
    ledger.postpone(queue, offset, popTime, { popTime, due: clock.elapsed() + REST_MS })
  }

  /** @returns false if the store takes no message now */
  async #storeAgain(popped: PoppedMessage): Promise<boolean> {
    const { topics, groups, writer, onRevived, log } = this.#parts
    const { queue } = popped
    // As in Apache (popReviveSkipIfGroupAbsent): no one would consume the message.
    if (!topics.has(queue.topic) || !groups.has(queue.group)) return true
    const stored = await this.#read(popped)
    if (stored === undefined) {
      log.warn({ ...queue, offset: popped.offset }, 'a popped message is not there any more')
      return true
    }
    const message = this.#again(stored, popped)
    if (message === undefined) return false
    const { status, bytes, safe } = writeAgain(writer, message, stored.properties)
    if (status === BUSY || status === NOT_WRITABLE) return false
    if (status !== APPENDED) {
      log.error({ ...queue, offset: popped.offset, status }, 'a popped message is larger than messages may be now')
      return true
    }
    await safe
    onRevived(message.topic, bytes)
    return true
  }

  async #read({ queue, offset }: PoppedMessage): Promise<StoredMessage | undefined> {
    const { store } = this.#parts
    const known = store.queue(queue.topic, queue.queueId)
    const unit = known === undefined ? undefined : await store.unitAt(known, offset)
    const bytes = unit === undefined ? undefined : await store.messageAt(unit.position)
    return bytes === undefined ? undefined : decodeMessage(bytes)
  }

  /** Undefined if there are too many topics for a retry topic. */
  #again(stored: StoredMessage, { queue: { topic, group }, popTime }: PoppedMessage): NewMessage | undefined {
    const { usesV2, topics, offsets } = this.#parts
    const retryTopic = isRetryTopic(topic) ? topic : popTopic(usesV2() ? '2' : '1', topic, group)
    if (topics.inner({ topic: retryTopic, queueNums: 1, perm: PERM_READ | PERM_WRITE }) === undefined) return undefined
    if (offsets.get(retryTopic, group, 0) === undefined) offsets.commit(retryTopic, group, 0, 0)
    const properties = new Map(stored.properties)
    if (stored.reconsumeTimes === 0 || !properties.has(PROPERTY.FIRST_POP_TIME)) {
      properties.set(PROPERTY.FIRST_POP_TIME, String(popTime))
    }
    return copyOf(stored, { topic: retryTopic, queueId: 0, properties, reconsumeTimes: stored.reconsumeTimes + 1 })
  }
}
