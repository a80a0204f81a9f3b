import { decodeMessage, PROPERTY, type StoredMessage } from '@gantrymq/protocol'
import type { Clock, Logger } from '@gantrymq/remoting'
import { APPENDED, BUSY, type MessageStore, NOT_WRITABLE } from '@gantrymq/store'
import { type MessageWriter, type TimedMessages, writeAgain, type Written } from '../sending/message-writer.ts'
import type { NewMessage } from '../sending/new-message.ts'
import { cancelKeyOf, deliveredAtTime, isTimed, rolled, timed } from './timed-message.ts'
import { MAX_TIMERS, TIMER_CONGESTED, type TimerRefusal } from './timer-refusal.ts'
import { isRoll, type Timer, TimerTable } from './timer-table.ts'

export interface TimersParts {
  readonly store: MessageStore
  readonly writer: MessageWriter
  /** The option timerMaxDelaySec in milliseconds; read again at each use. */
  readonly maxDelayMs: () => number
  /** Called for each message that was delivered. */
  readonly onDelivered: (topic: string, bytes: number) => void
  readonly clock: Clock
  readonly log: Logger
}

/** How long a message waits if the store takes none now, milliseconds. */
const REST_MS = 1000
/** Messages that are delivered together: then the event loop does other work. */
const SLICE = 32

/**
 * Messages that are delivered at any time: Apache's TimerMessageStore. The messages are in the topic of timers; which of them wait is
 * known in memory only, so only a broker that keeps its messages in memory as well has it.
 */
export class Timers implements TimedMessages {
  readonly #parts: TimersParts
  readonly #table = new TimerTable(MAX_TIMERS)
  #due: Timer[] = []
  #running: Promise<void> | undefined
  #isStopped = false

  constructor(parts: TimersParts) {
    this.#parts = parts
  }

  accept(message: NewMessage): NewMessage | TimerRefusal | undefined {
    if (!isTimed(message)) return undefined
    const waiting = timed(message, this.#parts.clock.now(), this.#parts.maxDelayMs())
    if (typeof waiting !== 'object' || !this.#table.isFull) return waiting
    // What cancels another message does not wait itself.
    return waiting.properties.has(PROPERTY.TIMER_DEL_UNIQKEY) ? waiting : TIMER_CONGESTED
  }

  begin({ properties }: NewMessage, position: number): void {
    const now = this.#parts.clock.now()
    const outMs = Number(properties.get(PROPERTY.TIMER_OUT_MS))
    const cancelled = properties.get(PROPERTY.TIMER_DEL_UNIQKEY)
    if (cancelled !== undefined) this.#table.cancel(keyOf(cancelled, outMs))
    else this.#table.add({ outMs, key: ownKeyOf(properties, outMs), position, enqueuedAt: now }, now)
  }

  /** Begins the delivery of what is due. Call it every DUE_TICK_MS. */
  tick(): void {
    if (this.#isStopped) return
    for (const timer of this.#table.takeDue(this.#parts.clock.now())) this.#due.push(timer)
    if (this.#due.length > 0) this.#running ??= this.#run().finally(() => (this.#running = undefined))
  }

  /** Begins nothing more; before the store closes. */
  stop(): void {
    this.#isStopped = true
  }

  /** Waits for the last delivery. */
  async close(): Promise<void> {
    await this.#running
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    while (this.#due.length > 0) {
      const due = this.#due
      this.#due = []
      for (let at = 0; at < due.length && !this.#isStopped; at += SLICE) {
        await Promise.all(due.slice(at, at + SLICE).map(timer => this.#deliver(timer)))
      }
    }
  }

  /** Never rejects. */
  async #deliver(timer: Timer): Promise<void> {
    const { log } = this.#parts
    try {
      if (await this.#store(timer)) return void this.#table.end(timer)
    } catch (error) {
      log.error({ err: error, position: timer.position }, 'a message could not be delivered at its time; the broker tries again in 1 s') // biome-ignore format: one thought
    }
    this.#table.retry(timer, this.#parts.clock.now() + REST_MS)
  }

  /** @returns false if the store takes no message now */
  async #store(timer: Timer): Promise<boolean> {
    const { store, writer, clock, log } = this.#parts
    const { position, enqueuedAt } = timer
    if (position >= store.safe) return false
    const bytes = await store.messageAt(position)
    if (this.#table.isCancelled(timer)) return true
    if (bytes === undefined) {
      log.error({ position }, 'a message that waited for its time is not there any more')
      return true
    }
    const times = { enqueuedAt, dequeuedAt: clock.now() }
    const stored = decodeMessage(bytes)
    const message = isRoll(timer) ? rolled(stored, times) : deliveredAtTime(stored, times)
    if (message === undefined) {
      log.error({ position }, 'a message that waited does not say where it is to be delivered, and was passed over')
      return true
    }
    const written = writeAgain(writer, message, stored.properties)
    if (written.status === BUSY || written.status === NOT_WRITABLE) return false
    if (written.status === APPENDED) await this.#stored(message, written, stored, timer)
    else log.error({ position, status: written.status }, 'a message that waited is larger than messages may be now')
    return true
  }

  async #stored(
    message: NewMessage,
    { positions, bytes, safe }: Written,
    stored: StoredMessage,
    timer: Timer,
  ): Promise<void> {
    await safe
    const { clock, onDelivered } = this.#parts
    if (message.topic === stored.topic) this.#table.addAgain(timer, positions[0] ?? timer.position, clock.now())
    else onDelivered(message.topic, bytes)
  }
}

/** @param cancelKey See `cancelKeyOf`. */
function keyOf(cancelKey: string, outMs: number): string {
  return `${cancelKey} ${outMs}`
}

function ownKeyOf(properties: ReadonlyMap<string, string>, outMs: number): string {
  const uniqueId = properties.get(PROPERTY.UNIQ_KEY)
  return uniqueId === undefined ? '' : keyOf(cancelKeyOf(properties.get(PROPERTY.REAL_TOPIC) ?? '', uniqueId), outMs)
}
