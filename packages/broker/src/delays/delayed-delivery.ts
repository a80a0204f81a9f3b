import { decodeMessage, type StoredMessage } from '@gantrymq/protocol'
import { type Clock, type Logger, RemotingError } from '@gantrymq/remoting'
import { APPENDED, BUSY, type ConsumeQueue, Found, type MessageStore, NOT_WRITABLE, StoreError } from '@gantrymq/store'
import type { MessageWriter } from '../sending/message-writer.ts'
import type { LevelView } from '../status.ts'
import { SCHEDULE_TOPIC } from '../topics/topic-table.ts'
import type { DelayOffsets } from './delay-offsets.ts'
import { delivered, queueOfLevel } from './delayed-message.ts'

export interface DelayedDeliveryOptions {
  readonly store: MessageStore
  readonly writer: MessageWriter
  readonly offsets: DelayOffsets
  /** Milliseconds of level 1, 2, and so on. */
  readonly levels: readonly number[]
  readonly clock: Clock
  readonly log: Logger
  /** Called for each message that was delivered. */
  readonly onDelivered?: (topic: string, bytes: number) => void
}

/** How often `tick` should be called, milliseconds (Apache's ScheduleMessageService.DELAY_FOR_A_WHILE). */
export const DELIVERY_TICK_MS = 100
/** How long a level rests after a failure, milliseconds (Apache's DELAY_FOR_A_PERIOD). */
const REST_MS = 10_000
/** Messages of a level that are delivered together: then the event loop does other work. */
const SLICE = 32
const SLICE_BYTES = 1_048_576

/** A delay level. */
interface Level {
  readonly level: number
  /** Undefined: the level is not configured any more. Its messages are delivered all the same. */
  readonly delayMs: number | undefined
  /** When its next message is due, milliseconds since the epoch; 0 if that is not known. */
  dueAt: number
  /** By the broker's elapsed time, milliseconds. */
  restsUntil: number
  running: Promise<void> | undefined
}

/** Messages of a level whose time has come. */
interface Due {
  readonly messages: readonly Buffer[]
  /** The offset of the level when all of them are delivered. */
  readonly next: number
  /** When the message behind them is due; 0 if that is not known. */
  readonly dueAt: number
}

/**
 * Delivers delayed messages when their time has come: Apache's ScheduleMessageService. Each level is delivered in the order of its
 * queue, and goes on only when what was delivered is safe, so a crash loses none.
 */
export class DelayedDelivery {
  readonly #options: DelayedDeliveryOptions
  readonly #levels = new Map<number, Level>()
  readonly #found = new Found()
  #isStopped = false

  constructor(options: DelayedDeliveryOptions) {
    this.#options = options
    for (const [index, delayMs] of options.levels.entries()) this.#add(index + 1, delayMs)
    for (const { id } of options.store.queues(SCHEDULE_TOPIC)) {
      if (!this.#levels.has(id + 1)) this.#add(id + 1, undefined)
    }
  }

  /** By delay level, the offset up to which messages were delivered. */
  get offsets(): ReadonlyMap<number, number> {
    return this.#options.offsets.all
  }

  /** The same with the end of each queue, and the delay of each level. */
  *progress(): Generator<LevelView> {
    for (const { level, delayMs } of this.#levels.values()) {
      const maxOffset = this.#queue(level)?.maxOffset ?? 0
      yield { level, delayMs, offset: this.#options.offsets.get(level), maxOffset }
    }
  }

  /** Begins the delivery of everything that is due, and writes offsets that can be written. Call it every DELIVERY_TICK_MS. */
  tick(): void {
    const { offsets, store, clock } = this.#options
    void offsets.flushed(store.flushed)
    for (const level of this.#levels.values()) {
      if (level.running !== undefined || level.restsUntil > clock.elapsed() || !this.#isDue(level)) continue
      level.running = this.#deliver(level).finally(() => (level.running = undefined))
    }
  }

  /** Takes the offsets for their file. Call it every flushDelayOffsetInterval. */
  save(): void {
    this.#options.offsets.save(this.#options.store.end)
  }

  /** Begins no further delivery; before the store closes. */
  stop(): void {
    this.#isStopped = true
  }

  /** Waits for the last delivery and stores the offsets; after the store has closed. */
  async close(): Promise<void> {
    const { offsets, store } = this.#options
    for (const { running } of this.#levels.values()) await running
    await offsets.close(store.end, store.flushed)
  }

  #add(level: number, delayMs: number | undefined): void {
    const { offsets, store } = this.#options
    this.#levels.set(level, { level, delayMs, dueAt: 0, restsUntil: 0, running: undefined })
    // A log that was cut or removed: the queue begins again where it ends now (Apache's correctDelayOffset).
    const queue = store.queue(SCHEDULE_TOPIC, queueOfLevel(level))
    const offset = offsets.get(level)
    const corrected = Math.max(Math.min(offset, queue?.maxOffset ?? 0), queue?.minOffset ?? 0)
    if (corrected !== offset) offsets.set(level, corrected)
  }

  #queue(level: number): ConsumeQueue | undefined {
    return this.#options.store.queue(SCHEDULE_TOPIC, queueOfLevel(level))
  }

  #isDue({ level, delayMs, dueAt }: Level): boolean {
    const queue = this.#queue(level)
    if (queue === undefined || queue.maxOffset === this.#options.offsets.get(level)) return false
    return isDue(dueAt, this.#options.clock.now(), delayMs)
  }

  /** Never rejects. */
  async #deliver(level: Level): Promise<void> {
    try {
      while (!this.#isStopped && this.#isDue(level) && (await this.#deliverSlice(level)));
    } catch (error) {
      level.restsUntil = this.#options.clock.elapsed() + REST_MS
      this.#options.log.error({ err: error, level: level.level }, 'delayed messages could not be delivered; the broker tries again in 10 s') // biome-ignore format: one thought
    }
  }

  /** @returns false if the store takes no message now: the next tick tries again. */
  async #deliverSlice(level: Level): Promise<boolean> {
    const { offsets } = this.#options
    const queue = this.#queue(level.level)
    if (queue === undefined) return false
    const { messages, next, dueAt } = await this.#due(queue, level)
    let safe: Promise<void> = Promise.resolve()
    for (const [index, bytes] of messages.entries()) {
      const message = this.#read(bytes)
      const written = message === undefined ? undefined : this.#write(message)
      if (written === 'later') {
        await safe
        offsets.set(level.level, Number(decodeMessage(bytes).queueOffset))
        return index > 0
      }
      // The log is written in order: when the last one is safe, all are.
      if (written !== undefined) safe = written
    }
    await safe
    offsets.set(level.level, next)
    level.dueAt = dueAt
    return true
  }

  async #due(queue: ConsumeQueue, { level, delayMs }: Level): Promise<Due> {
    const { store, offsets, clock } = this.#options
    const offset = offsets.get(level)
    const now = clock.now()
    for (;;) {
      let dueAt = 0
      // A time that is not known, because the extension of the queue is lost, counts as over.
      const accepts = (time = 0): boolean => {
        if (dueAt === 0 && !isDue(time, now, delayMs)) dueAt = time
        return dueAt === 0
      }
      const found = this.#found
      const status = store.read({ queue, offset, maxMessages: SLICE, maxBytes: SLICE_BYTES, accepts }, found)
      if (status === 'LOADING') {
        await found.loading
        continue
      }
      const messages = Array.from({ length: found.count }, (_, index) => found.record(index))
      const last = messages.at(-1)
      // A message that is not due ends the slice; the reader, which does not know that, has gone on behind it.
      const behind = last === undefined ? offset : Number(decodeMessage(last).queueOffset) + 1
      return { messages, next: dueAt === 0 ? found.nextOffset : behind, dueAt }
    }
  }

  #read(bytes: Buffer): StoredMessage | undefined {
    try {
      return decodeMessage(bytes)
    } catch (error) {
      if (!(error instanceof RemotingError)) throw error
      this.#options.log.error({ err: error }, 'a delayed message is damaged and was passed over')
      return undefined
    }
  }

  /** @returns when the message is safe; `later` if the store takes none now; undefined if it never takes this one. */
  #write(stored: StoredMessage): Promise<void> | 'later' | undefined {
    const { writer, log, onDelivered } = this.#options
    const message = delivered(stored)
    const fields = { position: stored.physicalOffset, properties: Object.fromEntries(stored.properties) }
    if (message === undefined) {
      log.error(fields, 'a delayed message does not say where it is to be delivered, and was passed over')
      return undefined
    }
    try {
      const { status, bytes, safe } = writer.writeNow(message)
      if (status === APPENDED) {
        onDelivered?.(message.topic, bytes)
        // Only the last message of a slice is waited for.
        safe.catch(() => {})
        return safe
      }
      if (status === BUSY || status === NOT_WRITABLE) return 'later'
      log.error({ ...fields, status }, 'a delayed message is larger than messages may be now, and was passed over')
      return undefined
    } catch (error) {
      if (error instanceof StoreError && error.code === 'BEING_DELETED') return 'later'
      throw error
    }
  }
}

/** A time further away than the delay comes from before the clock was set back: such a message is due at once. */
function isDue(time: number, now: number, delayMs: number | undefined): boolean {
  return time <= now || (delayMs !== undefined && time > now + delayMs)
}
