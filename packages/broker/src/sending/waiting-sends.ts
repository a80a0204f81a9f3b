import { responseCodes } from '@gantrymq/protocol'
import { type Clock, ResponseError } from '@gantrymq/remoting'
import { BUSY } from '@gantrymq/store'
import type { Written } from './message-writer.ts'

/** How many sends may wait for the store, and how long. */
export interface SendWaitLimits {
  readonly sends: number
  /** Milliseconds; undefined: without limit. */
  readonly ms: number | undefined
}

export interface WaitingSendsOptions {
  /** Read again at each use. */
  readonly limits: () => SendWaitLimits
  readonly clock: Clock
}

interface WaitingSend {
  readonly write: () => Written
  readonly bytes: number
  /** In the clock's `elapsed`. */
  readonly since: number
  readonly resolve: (written: Written) => void
  readonly reject: (error: unknown) => void
}

/** How often waiting sends are tried. */
export const SEND_RETRY_MS = 5
/** Most memory of messages that wait, bytes. */
const MAX_BYTES = 64 << 20

/**
 * Sends that the store refused because more was sent than the disk could take. They wait for a moment, later ones behind them, and are
 * then refused with SYSTEM_BUSY, on which a producer takes another broker: Apache's queue of its threads that send, and its
 * BrokerFastFailure. Requests of other kinds go on.
 */
export class WaitingSends {
  readonly #options: WaitingSendsOptions
  #sends: WaitingSend[] = []
  #bytes = 0
  #timer: Disposable | undefined

  constructor(options: WaitingSendsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#sends.length
  }

  /**
   * Calls `write`, at once if no other send waits, and again while the store is busy.
   * @param bytes How much memory the message keeps while it waits, see `memoryOf`.
   * @throws ResponseError SYSTEM_BUSY, and what `write` throws; both also as a rejection
   */
  write(bytes: number, write: () => Written): Written | Promise<Written> {
    if (this.size === 0) {
      const written = write()
      if (written.status !== BUSY) return written
    }
    const { limits, clock } = this.#options
    if (this.size >= limits().sends || this.#bytes + bytes > MAX_BYTES) throw busy('[OVERLOAD]system')
    this.#timer ??= clock.every(SEND_RETRY_MS, () => this.#tick())
    const { promise, resolve, reject } = Promise.withResolvers<Written>()
    this.#sends.push({ write, bytes, since: clock.elapsed(), resolve, reject })
    this.#bytes += bytes
    return promise
  }

  /** Refuses what still waits. */
  close(): void {
    for (const { reject } of this.#sends) reject(busy('[OVERLOAD]system'))
    this.#drop(this.size)
  }

  #tick(): void {
    this.#drop(this.#tryInOrder())
    const { limits, clock } = this.#options
    const { ms } = limits()
    if (ms === undefined) return
    const now = clock.elapsed()
    const late = this.#sends.findIndex(({ since }) => now - since < ms)
    const expired = late < 0 ? this.size : late
    for (const [index, { since, reject }] of this.#sends.slice(0, expired).entries()) {
      reject(
        busy(
          '[TIMEOUT_CLEAN_QUEUE]broker',
          `, period in queue: ${now - since}ms, size of queue: ${this.size - index - 1}`,
        ),
      )
    }
    this.#drop(expired)
  }

  /** @returns How many are settled. */
  #tryInOrder(): number {
    for (const [index, { write, resolve, reject }] of this.#sends.entries()) {
      try {
        const written = write()
        if (written.status === BUSY) return index
        resolve(written)
      } catch (error) {
        reject(error)
      }
    }
    return this.size
  }

  #drop(count: number): void {
    for (const { bytes } of this.#sends.slice(0, count)) this.#bytes -= bytes
    if (count > 0) this.#sends = this.#sends.slice(count)
    if (this.size > 0) return
    this.#timer?.[Symbol.dispose]()
    this.#timer = undefined
  }
}

function busy(who: string, more = ''): ResponseError {
  return new ResponseError(responseCodes.SYSTEM_BUSY, `${who} busy, start flow control for a while${more}`)
}
