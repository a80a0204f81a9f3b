import { isRetryTopic, POP_ORDER_REVIVE_QUEUE, type PopRetry, popTopic, type TopicConfig } from '@gantrymq/protocol'
import { type ConsumeQueue, Found, type MessageStore } from '@gantrymq/store'
import type { OffsetTable } from '../offsets/offset-table.ts'
import type { TagFilter } from '../pulling/pull-checks.ts'
import type { DeliveryCounts, OrderedPops } from './ordered-pops.ts'
import type { PopLedger, PopQueue } from './pop-ledger.ts'
import type { PoppedPart, PopResult } from './pop-reply.ts'

/** What to pop. */
export interface PopRequest {
  readonly topic: string
  readonly group: string
  /** Below 0: any queue. */
  readonly queueId: number
  readonly max: number
  /** Milliseconds. */
  readonly invisibleMs: number
  /** Where a group without offsets begins: 0 at the oldest message, 1 at the newest. */
  readonly initMode: number
  readonly isOrdered: boolean
  readonly attemptId: string | undefined
  readonly accepts: TagFilter
}

/** The options of Apache's BrokerConfig that decide which queues a pop reads. */
export interface PopSettings {
  readonly enableRetryTopicV2: boolean
  /** Of a hundred pops, how many read the retry topic first. */
  readonly popFromRetryProbability: number
  readonly useServerSideResetOffset: boolean
}

export interface PopReaderParts {
  readonly store: MessageStore
  readonly offsets: OffsetTable
  readonly ledger: PopLedger
  readonly ordered: OrderedPops
  readonly topic: (name: string) => TopicConfig | undefined
  /** Read again at each use. */
  readonly settings: () => PopSettings
  /** Bytes at the end of the log that are likely in the machine's memory. */
  readonly memoryBytes: number
  /** At least 0, below 1. */
  readonly random: () => number
  /** Called for messages that were popped. */
  readonly onPopped: (topic: string, group: string, messages: number, bytes: number) => void
}

/** The time of a pop, milliseconds. */
export interface PopClock {
  /** Since the epoch. */
  readonly now: number
  /** The broker's elapsed time. */
  readonly elapsed: number
}

/** What the pop of one queue takes besides its request. */
interface QueuePop extends PopRequest {
  readonly maxBytes: number
  readonly clock: PopClock
}

/** The end of the pop of one queue: messages, or what was left, or a promise if records must be read from the disk first. */
interface QueueResult {
  readonly part?: PoppedPart
  readonly rest: number
  readonly loading?: Promise<void>
}

/** Apache's checkpoint queues (reviveQueueNum). Here receipts only contain their numbers. */
const REVIVE_QUEUES = 8
/** Where the queue offset is in a record. */
const OFFSET_AT = 20
/**
 * Bytes of messages after which a pop or a peek reads no further queue. Apache has no such limit: a message of 4 MiB from each queue
 * is more than a client takes in a frame, and comes again and again.
 */
const MAX_BYTES = 4 << 20

/**
 * Hands out messages: Apache's PopMessageProcessor. What is handed out is noted, and the offset of its group moves on, in the turn of
 * the event loop in which it was read, so that two pops never get the same message.
 */
export class PopReader {
  readonly #parts: PopReaderParts
  readonly #found = new Found()
  #pops = 0

  constructor(parts: PopReaderParts) {
    this.#parts = parts
  }

  /** Pops once. A promise, if messages must be read from the disk first. */
  pop(request: PopRequest, clock: PopClock): PopResult | Promise<void> {
    const reviveQueueId = request.isOrdered ? POP_ORDER_REVIVE_QUEUE : this.#pops++ % REVIVE_QUEUES
    const parts: PoppedPart[] = []
    let left = request.max
    let leftBytes = MAX_BYTES
    let rest = 0
    let loading: Promise<void> | undefined
    for (const queue of this.#queuesOf(request)) {
      const result = this.#popQueue(queue, { ...request, max: left, maxBytes: leftBytes, clock })
      rest += result.rest
      // The caller waits for the first read; the next pop meets the failure of another one.
      if (loading === undefined) loading = result.loading
      else result.loading?.catch(() => {})
      if (result.part === undefined) continue
      parts.push(result.part)
      left -= result.part.offsets.length
      for (const { length } of result.part.records) leftBytes -= length
    }
    if (parts.length === 0 && loading !== undefined) return loading
    // What could not be read now is read by the next pop. If the disk fails, that pop fails.
    loading?.catch(() => {})
    return { popTime: clock.now, invisibleMs: request.invisibleMs, reviveQueueId, parts, rest }
  }

  /** Whether a pop would find messages, whatever their tags. Source: Apache's NotificationProcessor. */
  hasMessages(
    request: Pick<PopRequest, 'topic' | 'group' | 'queueId' | 'isOrdered' | 'attemptId'>,
    elapsed: number,
  ): boolean {
    const { ordered, ledger } = this.#parts
    return this.#queuesOf(request).some(queue => {
      if (request.isOrdered && ordered.isBlocked(queue, request.attemptId, elapsed)) return false
      return this.#hasBacklog(queue) && (request.isOrdered || ledger.room(queue) > 0)
    })
  }

  /** Messages from where the next pop would begin, without handing them out. Source: Apache's PeekMessageProcessor. */
  async peek(
    request: Pick<PopRequest, 'topic' | 'group' | 'queueId' | 'max'>,
  ): Promise<Pick<PopResult, 'rest'> & { readonly records: readonly Buffer[] }> {
    const records: Buffer[] = []
    let maxBytes = MAX_BYTES
    let rest = 0
    for (const id of this.#queuesOf({ ...request, isOrdered: false })) {
      const queue = this.#queue(id)
      if (queue === undefined) continue
      const offset = Math.max(this.#offsetOf(id), queue.minOffset)
      rest += Math.max(queue.maxOffset - offset, 0)
      const maxMessages = request.max - records.length
      if (maxMessages <= 0 || maxBytes <= 0) continue
      while (this.#parts.store.read({ queue, offset, maxMessages, maxBytes }, this.#found) === 'LOADING') {
        await this.#found.loading
      }
      for (const record of this.#records()) {
        records.push(record)
        maxBytes -= record.length
      }
    }
    return { rest, records }
  }

  /** In the order in which a pop reads them. */
  #queuesOf(request: Pick<PopRequest, 'topic' | 'group' | 'queueId' | 'isOrdered'>): PopQueue[] {
    const { random, settings } = this.#parts
    const { topic, group, queueId, isOrdered } = request
    const { enableRetryTopicV2, popFromRetryProbability } = settings()
    const dice = Math.floor(random() * 100)
    const own = queueId < 0 ? this.#queuesOfTopic(topic, group, dice) : [{ topic, group, queueId }]
    if (isOrdered) return own
    const forms: readonly PopRetry[] = enableRetryTopicV2 ? (dice % 2 === 0 ? ['1', '2'] : ['2', '1']) : ['1']
    const retryTopics = forms.map(form => this.#queuesOfTopic(popTopic(form, topic, group), group, dice))
    // Only one of them, because older clients cannot tell them apart in an answer.
    const retries = retryTopics.find(queues => queues.some(queue => this.#hasBacklog(queue))) ?? []
    return dice < popFromRetryProbability ? [...retries, ...own] : [...own, ...retries]
  }

  #queuesOfTopic(topic: string, group: string, dice: number): PopQueue[] {
    const count = this.#parts.topic(topic)?.readQueueNums ?? 0
    return Array.from({ length: count }, (_, index) => ({ topic, group, queueId: (dice + index) % count }))
  }

  #popQueue(id: PopQueue, request: QueuePop): QueueResult {
    const { offsets, ordered, ledger, store } = this.#parts
    const { isOrdered, attemptId, maxBytes, accepts, clock } = request
    const queue = this.#queue(id)
    const start = this.#beginningOf(id, request.initMode)
    if (queue === undefined) return { rest: 0 }
    if (isOrdered && ordered.isBlocked(id, attemptId, clock.elapsed)) return { rest: 0 }
    const maxMessages = Math.min(request.max, isOrdered ? request.max : ledger.room(id))
    if (maxMessages <= 0 || maxBytes <= 0) return { rest: Math.max(queue.maxOffset - start, 0) }
    const found = this.#found
    const query = { queue, offset: start, maxMessages, maxBytes, accepts }
    let offset = start
    let status = store.read(query, found)
    if (status === 'OFFSET_TOO_SMALL' || status === 'OFFSET_OVERFLOW_BADLY') {
      offset = found.nextOffset
      offsets.commit(id.topic, id.group, id.queueId, offset)
      status = store.read({ ...query, offset }, found)
    }
    if (status === 'LOADING')
      return { rest: queue.maxOffset - offset, ...(found.loading && { loading: found.loading }) }
    const rest = Math.max(found.maxOffset - found.nextOffset, 0)
    if (found.count > 0) return { part: this.#handOut(id, offset, request), rest }
    // What was looked at and is not wanted is passed over.
    if (status === 'NO_MATCHED_MESSAGE' || status === 'MESSAGE_WAS_REMOVING') {
      offsets.commit(id.topic, id.group, id.queueId, found.nextOffset)
    }
    return { rest }
  }

  #handOut(
    id: PopQueue,
    startOffset: number,
    { isOrdered, attemptId, invisibleMs, topic, group, clock }: QueuePop,
  ): PoppedPart {
    const { offsets, ordered, ledger, onPopped } = this.#parts
    const { nextOffset, count, bytes } = this.#found
    const records = this.#records()
    const found = records.map(record => Number(record.readBigInt64BE(OFFSET_AT)))
    const times = { popTime: clock.now, due: clock.elapsed + Math.max(invisibleMs, 0) }
    let counts: DeliveryCounts | undefined
    if (isOrdered) counts = ordered.popped(id, { ...times, attemptId, offsets: found }, clock.elapsed)
    else for (const offset of found) ledger.add(id, offset, times)
    offsets.commit(id.topic, group, id.queueId, isOrdered ? startOffset : nextOffset)
    onPopped(topic, group, count, bytes)
    return { queue: id, startOffset, offsets: found, records, counts }
  }

  #records(): Buffer[] {
    return Array.from({ length: this.#found.count }, (_, index) => this.#found.record(index))
  }

  #queue({ topic, queueId }: PopQueue): ConsumeQueue | undefined {
    return this.#parts.store.queue(topic, queueId)
  }

  /** Where a group is in a queue. One that is new there begins where it asks, and that is committed. */
  #beginningOf(id: PopQueue, initMode: number): number {
    const { offsets, ordered, settings } = this.#parts
    const { topic, group, queueId } = id
    const reset = settings().useServerSideResetOffset ? offsets.takeReset(topic, group, queueId) : undefined
    if (reset !== undefined) {
      ordered.clear(id)
      return reset
    }
    const known = offsets.get(topic, group, queueId)
    if (known !== undefined) return known
    const first = this.#firstOffset(id, initMode)
    offsets.commit(topic, group, queueId, first)
    return first
  }

  #hasBacklog(id: PopQueue): boolean {
    return (this.#queue(id)?.maxOffset ?? 0) > this.#offsetOf(id)
  }

  /** The same without a commit; a new group begins with the first message. */
  #offsetOf(id: PopQueue): number {
    const { topic, group, queueId } = id
    return this.#parts.offsets.get(topic, group, queueId) ?? this.#queue(id)?.minOffset ?? 0
  }

  /** Source: Apache's PopMessageProcessor.getInitOffset. A group that begins together with its topic misses nothing. */
  #firstOffset(id: PopQueue, initMode: number): number {
    const queue = this.#queue(id)
    if (queue === undefined) return 0
    const { minOffset, maxOffset } = queue
    if (initMode === 0 || isRetryTopic(id.topic)) return minOffset
    const { store, memoryBytes } = this.#parts
    if (minOffset === 0 && store.end - store.start <= memoryBytes) return 0
    return Math.max(maxOffset - 1, 0)
  }
}
