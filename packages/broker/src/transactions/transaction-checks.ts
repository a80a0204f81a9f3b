import { setImmediate } from 'node:timers/promises'
import { decodeMessage, PERM_READ, PERM_WRITE, type StoredMessage } from '@gantrymq/protocol'
import type { Clock, Logger } from '@gantrymq/remoting'
import { APPENDED, BUSY, type ConsumeQueue, Found, type MessageStore, NOT_WRITABLE } from '@gantrymq/store'
import type { OffsetTable } from '../offsets/offset-table.ts'
import type { MessageWriter, Written } from '../sending/message-writer.ts'
import type { NewMessage } from '../sending/new-message.ts'
import { HALF_TOPIC, OPERATION_TOPIC } from '../topics/topic-table.ts'
import type { Topics } from '../topics/topics.ts'
import { EndedOffsets } from './ended-offsets.ts'
import {
  checkedAgain,
  checkTimesOf,
  firstOffsetOf,
  GIVEN_UP_TOPIC,
  givenUp,
  immunityOf,
  postponed,
} from './half-messages.ts'
import { offsetsIn } from './operation-messages.ts'
import type { Transactions } from './transactions.ts'

/** Options of the broker that checks read again at each use. */
export interface CheckRules {
  readonly transactionTimeOut: number
  readonly transactionCheckMax: number
  /** Hours. */
  readonly fileReservedTime: number
}

export interface TransactionChecksOptions {
  readonly store: MessageStore
  readonly writer: MessageWriter
  readonly transactions: Transactions
  readonly topics: Topics
  readonly offsets: OffsetTable
  readonly rules: () => CheckRules
  /** Asks a producer about a half message, with the offsets at which it is stored now. */
  readonly ask: (half: StoredMessage) => void
  readonly clock: Clock
  readonly log: Logger
}

/** Whose committed offsets say how far half messages and operations were looked at (Apache's MixAll.CID_SYS_RMQ_TRANS). */
const CHECK_GROUP = 'CID_RMQ_SYS_TRANS'
/** Apache writes both topics in this queue only. */
const QUEUE_ID = 0
/** How long a round may take, milliseconds (Apache's MAX_PROCESS_TIME_LIMIT). The next one goes on behind it. */
const ROUND_MS = 60_000
/** Messages that are looked at in one turn of the event loop. */
const SLICE = 32
const SLICE_BYTES = 1_048_576
const HOUR_MS = 3_600_000

/** What a round does with a half message. */
type Verdict = 'ended' | 'young' | 'postpone' | 'ask' | 'give up'

/** How far both queues were looked at, and the end of the log at that time. */
interface Progress {
  readonly half: number
  readonly operation: number
  readonly end: number
}

/** Messages that were read, and where their queue goes on. */
interface Slice {
  readonly messages: readonly StoredMessage[]
  readonly next: number
}

/** A round over the half messages. */
interface Round {
  readonly startedAt: number
  readonly half: ConsumeQueue
  readonly operations: ConsumeQueue | undefined
  /** The offset of the first half message of the round. */
  readonly first: number
  readonly ended: EndedOffsets
  /** Those before `first`: a half message that was postponed may be known by one. */
  readonly endedEarlier: Set<number>
  /** The offset of the first operation of the round. */
  readonly firstOperation: number
  /** The largest offset of a half message in each operation that was read; none for one that was passed over. */
  readonly largest: number[]
  /** Where the operations go on. */
  nextOperation: number
  /** Of the messages that the round has stored. */
  safe: Promise<unknown>
}

/**
 * Asks producers about transactions that have not ended in time, a limited number of times: Apache's
 * TransactionalMessageServiceImpl.check. A half message about which the broker asks is stored again at the end of its queue.
 */
export class TransactionChecks {
  readonly #options: TransactionChecksOptions
  readonly #found = new Found()
  #progress: Progress | undefined
  /** Progress that is committed when the log is flushed up to it. */
  #waiting: Progress | undefined
  #running: Promise<void> | undefined
  #isStopped = false

  constructor(options: TransactionChecksOptions) {
    this.#options = options
  }

  /** Checks all half messages that are old enough. Call it every transactionCheckInterval. Never rejects. */
  check(): Promise<void> {
    return (this.#running ??= this.#check().finally(() => (this.#running = undefined)))
  }

  /** Commits what has been looked at, as soon as the log is flushed so far that a power failure cannot take it back. */
  flushed(position: number): void {
    const waiting = this.#waiting
    if (waiting === undefined || waiting.end > position) return
    this.#waiting = undefined
    this.#options.offsets.commit(HALF_TOPIC, CHECK_GROUP, QUEUE_ID, waiting.half)
    this.#options.offsets.commit(OPERATION_TOPIC, CHECK_GROUP, QUEUE_ID, waiting.operation)
  }

  /** Begins nothing more; before the store closes. */
  stop(): void {
    this.#isStopped = true
  }

  /** Waits for the round under way and commits its progress; after the store has closed. */
  async close(): Promise<void> {
    await this.#running
    this.flushed(this.#options.store.flushed)
  }

  async #check(): Promise<void> {
    const { store, log } = this.#options
    const half = store.queue(HALF_TOPIC, QUEUE_ID)
    if (half === undefined || this.#isStopped) return
    try {
      await this.#checkQueue(half)
    } catch (error) {
      log.error({ err: error }, 'transactions could not be checked; the broker tries again with the next check')
    }
  }

  async #checkQueue(half: ConsumeQueue): Promise<void> {
    const { store, clock, transactions } = this.#options
    const operations = store.queue(OPERATION_TOPIC, QUEUE_ID)
    const first = this.#start(half, HALF_TOPIC, this.#progress?.half)
    const firstOperation = operations === undefined ? 0 : this.#start(operations, OPERATION_TOPIC, this.#progress?.operation) // biome-ignore format: one thought
    const round: Round = {
      startedAt: clock.now(),
      half,
      operations,
      first,
      ended: new EndedOffsets(first),
      endedEarlier: new Set(),
      firstOperation,
      largest: [],
      nextOperation: firstOperation,
      safe: Promise.resolve(),
    }
    const next = await this.#checkHalves(round)
    await round.safe
    transactions.forget(next)
    const done = round.largest.findIndex(largest => largest >= next)
    const operation = done < 0 ? round.nextOperation : firstOperation + done
    this.#progress = { half: next, operation, end: store.end }
    this.#waiting = this.#progress
  }

  /** Where a queue goes on; a committed offset may be outside of it if the log was cut or files were deleted. */
  #start(queue: ConsumeQueue, topic: string, known: number | undefined): number {
    const offset = known ?? this.#options.offsets.get(topic, CHECK_GROUP, QUEUE_ID) ?? 0
    return Math.max(Math.min(offset, queue.maxOffset), queue.minOffset)
  }

  /** @returns the offset behind the last half message that was dealt with. */
  async #checkHalves(round: Round): Promise<number> {
    const { clock } = this.#options
    let offset = round.first
    for (let looked = 1; !this.#isStopped && offset < round.half.maxOffset; looked++) {
      if (looked % SLICE === 0) await setImmediate()
      if (clock.now() - round.startedAt > ROUND_MS) break
      // Without a wait between the last operation that was read and the verdict, no end of a transaction is missed.
      await this.#readOperations(round)
      if (round.ended.has(offset)) {
        offset++
        continue
      }
      const { messages, next } = await this.#read(round.half, offset, 1)
      const [message] = messages
      if (this.#hasMoreOperations(round)) continue
      if (message !== undefined && !this.#dealWith(round, message, Number(message.queueOffset))) break
      if (next <= offset) break
      offset = next
    }
    return offset
  }

  /** @returns false if the round ends before this half message. */
  #dealWith(round: Round, half: StoredMessage, offset: number): boolean {
    const verdict = this.#verdict(round, half, offset)
    if (verdict === 'give up') return this.#giveUp(round, half)
    if (verdict === 'ask') return this.#ask(round, half, offset)
    if (verdict !== 'postpone') return verdict === 'ended'
    return this.#storeAgain(round, half, postponed(half), again => {
      this.#options.transactions.postponed(firstOffsetOf(half) ?? offset, offset, again)
    })
  }

  #verdict({ startedAt, ended, endedEarlier }: Round, half: StoredMessage, offset: number): Verdict {
    const { rules, clock, transactions } = this.#options
    const { transactionTimeOut, transactionCheckMax, fileReservedTime } = rules()
    const first = firstOffsetOf(half)
    if (ended.has(offset)) return 'ended'
    if (first !== undefined && (ended.has(first) || endedEarlier.has(first))) return 'ended'
    if (transactions.isEnding(offset) || (first !== undefined && transactions.isEnding(first))) return 'young'
    const age = clock.now() - Number(half.bornTimestamp)
    if (checkTimesOf(half) >= transactionCheckMax || age > fileReservedTime * HOUR_MS) return 'give up'
    if (Number(half.storeTimestamp) >= startedAt) return 'young'
    const immunity = immunityOf(half)
    if (immunity !== undefined && age < immunity) return 'postpone'
    // A producer whose clock is ahead is asked at once, as in Apache.
    if (age >= 0 && age < transactionTimeOut) return 'young'
    return 'ask'
  }

  #ask(round: Round, half: StoredMessage, offset: number): boolean {
    const { transactions, store, ask, log } = this.#options
    const message = checkedAgain(half)
    return this.#storeAgain(round, half, message, (again, position, safe) => {
      transactions.storedAgain(offset, again)
      const { properties } = message
      const asked = { ...half, properties, queueOffset: again, physicalOffset: position, storeTimestamp: store.appended.storeTimestamp } // biome-ignore format: one thought
      const failed = (err: unknown): void => log.error({ err }, 'a producer could not be asked about a transaction')
      safe.then(() => ask(asked)).catch(failed)
    })
  }

  #giveUp(round: Round, half: StoredMessage): boolean {
    const { topics, log } = this.#options
    const topic = topics.inner({ topic: GIVEN_UP_TOPIC, queueNums: 1, perm: PERM_READ | PERM_WRITE })
    if (topic === undefined) return false
    log.warn({ properties: Object.fromEntries(half.properties) }, `the broker gives up on a half message: see the topic ${GIVEN_UP_TOPIC}`) // biome-ignore format: one thought
    const { status } = this.#store(round, givenUp(half))
    if (status === BUSY || status === NOT_WRITABLE) return false
    // Otherwise it would hold up the checks of all others.
    if (status !== APPENDED) log.error({ status, offset: half.queueOffset }, 'a half message is larger than messages may be now, and was passed over') // biome-ignore format: one thought
    return true
  }

  /**
   * Stores a half message again, with what was noted of it. If that leaves no room for it, the broker gives up on it.
   * @returns false if the store takes nothing now: the round ends.
   */
  #storeAgain(
    round: Round,
    half: StoredMessage,
    message: NewMessage,
    stored: (queueOffset: number, position: number, safe: Promise<void>) => void,
  ): boolean {
    const { status, queueOffset, positions, safe } = this.#store(round, message)
    if (status === BUSY || status === NOT_WRITABLE) return false
    if (status !== APPENDED) return this.#giveUp(round, half)
    stored(queueOffset, positions[0] ?? 0, safe)
    return true
  }

  #store(round: Round, message: NewMessage): Written {
    const written = this.#options.writer.writeNow(message)
    if (written.status !== APPENDED) return written
    // The log is written in order: when the last message of the round is safe, all are.
    written.safe.catch(() => {})
    round.safe = written.safe
    return written
  }

  #hasMoreOperations({ operations, nextOperation }: Round): boolean {
    return operations !== undefined && nextOperation < operations.maxOffset
  }

  /** Reads the operations up to the end of their queue. */
  async #readOperations(round: Round): Promise<void> {
    const { operations, largest, first, firstOperation, ended, endedEarlier, half } = round
    if (operations === undefined) return
    for (let slices = 1; this.#hasMoreOperations(round); slices++) {
      if (slices % SLICE === 0) await setImmediate()
      const { messages, next } = await this.#read(operations, round.nextOperation, SLICE)
      for (const message of messages) {
        const offsets = offsetsIn(message).filter(offset => offset < half.maxOffset)
        for (const offset of offsets) {
          if (offset < first) endedEarlier.add(offset)
          else ended.add(offset)
        }
        largest[Number(message.queueOffset) - firstOperation] = Math.max(-1, ...offsets)
      }
      if (next <= round.nextOperation) return
      round.nextOperation = next
    }
  }

  async #read(queue: ConsumeQueue, offset: number, maxMessages: number): Promise<Slice> {
    const found = this.#found
    for (;;) {
      const status = this.#options.store.read({ queue, offset, maxMessages, maxBytes: SLICE_BYTES }, found)
      if (status !== 'LOADING') {
        const messages = Array.from({ length: found.count }, (_, index) => decodeMessage(found.record(index)))
        return { messages, next: found.nextOffset }
      }
      await found.loading
    }
  }
}
