import type { Clock, Logger } from '@gantrymq/remoting'
import { within } from '../deadline.ts'
import { encodeEntry, keysOf, type TraceEntry } from './entries.ts'

/** Sends trace messages: a producer with a group of its own. */
export interface TraceSender {
  send(message: { readonly topic: string; readonly body: string; readonly keys: readonly string[] }): Promise<unknown>
  close(options: { readonly drainMs: number }): Promise<void>
}

export interface TraceDispatcherOptions {
  readonly topic: string
  readonly clock: Clock
  readonly log: Logger
  /** Starts the sender; called with the first message. */
  readonly open: () => Promise<TraceSender>
}

/** The most entries that wait or are in flight; further ones are dropped. As Apache's queue in 5.x. */
const MAX_ENTRIES = 2048
/** Characters per message (Apache: 118,000). */
const MAX_TEXT = 118_000
/** Bytes of keys per message: all properties together may have 32,767. */
const MAX_KEYS = 24_000
/** How long an entry waits for others, milliseconds. As in Apache's 4.9; in 5.x it is 5 s. */
const WAIT_MS = 500

/** Collects trace entries and sends them in the background, many per message. It is bounded and never throws. */
export class TraceDispatcher {
  readonly topic: string
  readonly #options: TraceDispatcherOptions
  readonly #sending = new Set<Promise<void>>()
  #sender: Promise<TraceSender> | undefined
  #text = ''
  #keys = new Set<string>()
  #keyBytes = 0
  #count = 0
  #inFlight = 0
  #dropped = 0
  #timer: Disposable | undefined
  #closing: Promise<void> | undefined

  constructor(options: TraceDispatcherOptions) {
    this.topic = options.topic
    this.#options = options
  }

  /** The number of entries that were dropped, because there were too many or because their message failed. */
  get dropped(): number {
    return this.#dropped
  }

  /** Adds entries, as far as there is room. */
  append(entries: readonly TraceEntry[]): void {
    for (const entry of entries) this.#add(entry)
  }

  #add(entry: TraceEntry): void {
    if (this.#closing !== undefined || this.#count + this.#inFlight >= MAX_ENTRIES) return this.#drop(1)
    const text = encodeEntry(entry)
    if (this.#text.length + text.length > MAX_TEXT) this.#flush()
    this.#text += text
    this.#count++
    const [id, ...keys] = keysOf(entry)
    for (const key of [id as string, ...(bytesOf(keys) > MAX_KEYS / 2 ? [] : keys)]) this.#addKey(key)
    this.#timer ??= this.#options.clock.every(WAIT_MS, () => this.#flush())
    if (this.#keyBytes > MAX_KEYS / 2) this.#flush()
  }

  #addKey(key: string): void {
    if (this.#keys.has(key)) return
    this.#keys.add(key)
    this.#keyBytes += bytesOf([key])
  }

  #flush(): void {
    this.#timer?.[Symbol.dispose]()
    this.#timer = undefined
    if (this.#count === 0) return
    const message = { topic: this.topic, body: this.#text, keys: [...this.#keys] }
    const count = this.#count
    this.#text = ''
    this.#keys = new Set()
    this.#keyBytes = 0
    this.#count = 0
    this.#inFlight += count
    const sending = this.#send(message, count).finally(() => {
      this.#inFlight -= count
      this.#sending.delete(sending)
    })
    this.#sending.add(sending)
  }

  async #send(message: Parameters<TraceSender['send']>[0], count: number): Promise<void> {
    try {
      const sender = await this.#opened()
      await sender.send(message)
    } catch (error) {
      this.#drop(count)
      this.#options.log.warn({ topic: this.topic, entries: count, error: String(error) }, 'message trace not sent')
    }
  }

  // If opening fails, the next message tries again.
  #opened(): Promise<TraceSender> {
    return (this.#sender ??= this.#options.open().catch((error: unknown) => {
      this.#sender = undefined
      throw error
    }))
  }

  // Logs the first dropped entry and every 1,024th after it.
  #drop(count: number): void {
    const before = Math.ceil(this.#dropped / 1024)
    this.#dropped += count
    if (Math.ceil(this.#dropped / 1024) === before) return
    this.#options.log.warn({ topic: this.topic, dropped: this.#dropped }, 'message trace entries dropped')
  }

  /** Sends the remaining entries, for at most `drainMs`, and closes the sender. Idempotent. */
  close(drainMs: number): Promise<void> {
    return (this.#closing ??= this.#shutDown(drainMs))
  }

  async #shutDown(drainMs: number): Promise<void> {
    this.#flush()
    const { clock, log } = this.#options
    const sent = Promise.all(this.#sending)
    await within(clock, sent, Math.max(1, drainMs), undefined, 'sending the message trace').catch((error: unknown) => {
      log.warn({ topic: this.topic, error: String(error) }, 'message trace not sent in time')
    })
    const sender = await this.#sender?.catch(() => undefined)
    await sender?.close({ drainMs: 0 })
  }
}

function bytesOf(keys: readonly string[]): number {
  let bytes = 0
  for (const key of keys) bytes += Buffer.byteLength(key) + 1
  return bytes
}
