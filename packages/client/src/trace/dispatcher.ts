import type { Clock, Logger } from '@gantrymq/remoting'
import { within } from '../deadline.ts'
import { encodeEntry, keysOf, type TraceEntry } from './entries.ts'

/** What carries trace messages: a producer of its own. */
export interface TraceSender {
  send(message: { readonly topic: string; readonly body: string; readonly keys: readonly string[] }): Promise<unknown>
  close(options: { readonly drainMs: number }): Promise<void>
}

export interface TraceDispatcherOptions {
  readonly topic: string
  readonly clock: Clock
  readonly log: Logger
  /** Starts what carries the messages; called when there is the first. */
  readonly open: () => Promise<TraceSender>
}

/** Entries that may wait or be on their way; what comes beyond it is dropped. Apache's queue of 5.x. */
const MAX_ENTRIES = 2048
/** Characters a message (Apache's 118,000). */
const MAX_TEXT = 118_000
/** Bytes of keys a message: all its properties have room for 32,767. */
const MAX_KEYS = 24_000
/** How long an entry waits for others, milliseconds. Apache 4.9's; 5.x lets them wait for 5 s. */
const WAIT_MS = 500

/** Gathers trace entries and sends them, many a message, in the background. Never in anybody's way: bounded, never throws. */
export class TraceDispatcher {
  readonly topic: string
  readonly #options: TraceDispatcherOptions
  readonly #sending = new Set<Promise<void>>()
  #sender: Promise<TraceSender> | undefined
  #text = ''
  #keys = new Set<string>()
  #keyBytes = 0
  #count = 0
  #onTheirWay = 0
  #dropped = 0
  #timer: Disposable | undefined
  #closing: Promise<void> | undefined

  constructor(options: TraceDispatcherOptions) {
    this.topic = options.topic
    this.#options = options
  }

  /** Entries that were not sent, as there were too many or their message failed. */
  get dropped(): number {
    return this.#dropped
  }

  /** Takes entries that belong together. */
  append(entries: readonly TraceEntry[]): void {
    for (const entry of entries) this.#add(entry)
  }

  #add(entry: TraceEntry): void {
    if (this.#closing !== undefined || this.#count + this.#onTheirWay >= MAX_ENTRIES) return this.#drop(1)
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
    this.#onTheirWay += count
    const sending = this.#send(message, count).finally(() => {
      this.#onTheirWay -= count
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

  // What could not be opened is tried again with the next message.
  #opened(): Promise<TraceSender> {
    return (this.#sender ??= this.#options.open().catch((error: unknown) => {
      this.#sender = undefined
      throw error
    }))
  }

  // One line for the first and for each 1,024 after it.
  #drop(count: number): void {
    const before = Math.ceil(this.#dropped / 1024)
    this.#dropped += count
    if (Math.ceil(this.#dropped / 1024) === before) return
    this.#options.log.warn({ topic: this.topic, dropped: this.#dropped }, 'message trace entries dropped')
  }

  /** Sends what is here, waiting at most `drainMs`, and closes what it sends with. Idempotent. */
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
