import { PROPERTY, type StoredMessage } from '@gantrymq/protocol'
import type { Clock, Logger } from '@gantrymq/remoting'
import { APPENDED } from '@gantrymq/store'
import type { MessageWriter, Written } from '../sending/message-writer.ts'
import type { NewMessage } from '../sending/new-message.ts'
import { checkTimesOf, committed, firstOffsetOf, halfOf } from './half-messages.ts'
import { operationFor } from './operation-messages.ts'

export interface TransactionsOptions {
  readonly writer: MessageWriter
  /** The broker's address as stored; read again at each use. */
  readonly storeHost: () => Buffer
  readonly clock: Clock
  readonly log: Logger
}

/** Begins and ends transactions: Apache's TransactionalMessageServiceImpl without its checks. */
export class Transactions {
  readonly #options: TransactionsOptions
  /** Offsets of half messages whose end is being stored, so that no check can see it yet. */
  readonly #ending = new Set<number>()
  /** Offsets of half messages that were asked about, and whose transactions have ended since the last round of checks. */
  #ended = new Set<number>()
  /** Those that ended before it. */
  #endedBefore = new Set<number>()
  /** The newer offset of half messages that were stored again, while their transactions have not ended. */
  readonly #newer = new Map<number, number>()

  constructor(options: TransactionsOptions) {
    this.#options = options
  }

  /** Stores the half message of a transaction. */
  begin(message: NewMessage): Written {
    return this.#options.writer.writeNow(halfOf(message))
  }

  /**
   * Stores the message of a transaction for consumers, and that the transaction has ended. Nothing is stored if it has ended already:
   * a producer may end it by itself while it answers a check. Apache stores the message twice then.
   */
  commit(half: StoredMessage): Written {
    if (this.#hasEnded(half)) return endedBefore(half)
    const written = this.#options.writer.write(committed(half))
    if (written.status !== APPENDED) return written
    // Both leave in one write. Should the second one be refused, the producer is asked again, and its message is there twice.
    const { status, safe } = this.#end(half)
    if (status !== APPENDED) {
      this.#options.log.error({ status, uniqueId: half.properties.get(PROPERTY.UNIQ_KEY) }, 'the end of a committed transaction could not be stored') // biome-ignore format: one thought
      return written
    }
    written.safe.catch(() => {})
    return { ...written, safe }
  }

  /** Stores that a transaction has ended, unless it has ended already; consumers get nothing. */
  rollBack(half: StoredMessage): Written {
    return this.#hasEnded(half) ? endedBefore(half) : this.#end(half)
  }

  isEnding(halfOffset: number): boolean {
    return this.#ending.has(halfOffset)
  }

  /** Notes that a half message was stored again: a producer that ends its transaction by the old offset ends it by the new one too. */
  storedAgain(oldOffset: number, newOffset: number): void {
    this.#newer.set(oldOffset, newOffset)
  }

  /**
   * The same for a half message that was postponed, which may happen in each check for days. Its producer knows the first offset only,
   * so the one in between is forgotten. A broker that starts again learns the first one here.
   */
  postponed(firstOffset: number, oldOffset: number, newOffset: number): void {
    const known = this.#newer.get(firstOffset)
    this.storedAgain(known === undefined || known === oldOffset ? firstOffset : oldOffset, newOffset)
  }

  /** Forgets the half messages that were stored again and have ended; after each round of checks. @param checked The offset up to which halves were checked. */
  forget(checked: number): void {
    for (const [old, newer] of this.#newer) {
      if (newer < checked && !this.#newer.has(newer)) this.#newer.delete(old)
    }
    // Longer than an answer is under way.
    this.#endedBefore = this.#ended
    this.#ended = new Set()
  }

  #end(half: StoredMessage): Written {
    const offsets = this.#offsetsOf(Number(half.queueOffset))
    const { writer, storeHost, clock } = this.#options
    const written = offsets.map(offset => writer.writeNow(operationFor(offset, storeHost(), clock.now())))
    for (const { safe } of written) safe.catch(() => {})
    for (const offset of offsets) this.#ending.add(offset)
    const last = written.at(-1)!
    if (last.status === APPENDED && (offsets.length > 1 || isStoredAgain(half))) {
      for (const offset of offsets) this.#ended.add(offset)
    }
    void this.#whenStored(offsets, last.safe)
    return last
  }

  #hasEnded({ queueOffset }: StoredMessage): boolean {
    return this.#offsetsOf(Number(queueOffset)).some(each => this.#ended.has(each) || this.#endedBefore.has(each))
  }

  async #whenStored(offsets: readonly number[], safe: Promise<void>): Promise<void> {
    try {
      await safe
    } catch {
      // The producer gets the reason; its half message is checked again.
      for (const offset of offsets) this.#ended.delete(offset)
    }
    for (const offset of offsets) this.#ending.delete(offset)
  }

  /** The offset of a half message, and the newer ones if it was stored again. */
  #offsetsOf(offset: number): number[] {
    const offsets = [offset]
    for (let newer = this.#newer.get(offset); newer !== undefined; newer = this.#newer.get(newer)) offsets.push(newer)
    return offsets
  }
}

/** Whether a half message is one that the broker has stored again when it asked about it, or postponed it. */
function isStoredAgain(half: StoredMessage): boolean {
  return checkTimesOf(half) > 0 || firstOffsetOf(half) !== undefined
}

function endedBefore({ topic }: StoredMessage): Written {
  return { status: APPENDED, topic, positions: [], queueOffset: 0, bytes: 0, safe: Promise.resolve() }
}
