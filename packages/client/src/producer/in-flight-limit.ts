import { type Clock, giveUpAfter, upTo } from '@gantrymq/remoting'
import { aborted, ClientError } from '../errors.ts'

interface WaitingSend {
  readonly bytes: number
  readonly enter: () => void
  readonly refuse: (error: ClientError) => void
}

/**
 * Bounds the messages in flight and their bytes. At the limit sends wait in order, each until its deadline. A message larger
 * than the byte limit is sent when no other is in flight.
 */
export class InFlightLimit {
  readonly #clock: Clock
  readonly #maxMessages: number
  readonly #maxBytes: number
  readonly #waiters = new Set<WaitingSend>()
  #messages = 0
  #bytes = 0
  #onEmpty: (() => void) | undefined

  constructor(clock: Clock, maxMessages: number, maxBytes: number) {
    this.#clock = clock
    this.#maxMessages = maxMessages
    this.#maxBytes = maxBytes
  }

  /** Messages in flight. */
  get inFlight(): number {
    return this.#messages
  }

  /** Messages that wait for one in flight to finish. */
  get waiting(): number {
    return this.#waiters.size
  }

  /** Counts a message of so many bytes as in flight. False if the limit is reached; the message must then wait, see `enter`. */
  tryEnter(bytes: number): boolean {
    if (this.#waiters.size > 0 || !this.#fits(bytes)) return false
    this.#messages++
    this.#bytes += bytes
    return true
  }

  /** As `tryEnter`, but waits. @throws ClientError BACK_PRESSURE, ABORTED, or the error of `refuseAll` */
  enter(bytes: number, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    if (this.tryEnter(bytes)) return Promise.resolve()
    if (signal?.aborted) return Promise.reject(aborted(signal, 'the send'))
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter: WaitingSend = {
      bytes,
      enter: resolve,
      // A message that has entered is counted until it leaves.
      refuse: error => {
        if (this.#waiters.delete(waiter)) reject(error)
      },
    }
    this.#waiters.add(waiter)
    const wait = giveUpAfter(this.#clock, { timeoutMs, signal }, aborter =>
      waiter.refuse(aborter === undefined ? this.#full(timeoutMs) : aborted(aborter, 'the send')),
    )
    return promise.finally(() => wait[Symbol.dispose]())
  }

  /** Ends the count of a message that has entered. */
  leave(bytes: number): void {
    this.#messages--
    this.#bytes -= bytes
    if (this.#waiters.size > 0) this.#admit()
    if (this.#messages === 0) this.#onEmpty?.()
  }

  #admit(): void {
    for (const waiter of this.#waiters) {
      if (!this.#fits(waiter.bytes)) return
      this.#waiters.delete(waiter)
      this.#messages++
      this.#bytes += waiter.bytes
      waiter.enter()
    }
  }

  /** Fails all waiting messages. */
  refuseAll(error: ClientError): void {
    for (const waiter of this.#waiters) waiter.refuse(error)
  }

  /** Resolves when no message is in flight any longer, or after `ms`. */
  emptied(ms: number): Promise<void> {
    if (this.#messages === 0 || ms === 0) return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onEmpty = resolve
    return upTo(this.#clock, promise, { timeoutMs: ms })
  }

  #fits(bytes: number): boolean {
    if (this.#messages === 0) return true
    return this.#messages < this.#maxMessages && this.#bytes + bytes <= this.#maxBytes
  }

  #full(ms: number): ClientError {
    const text = `${this.#messages} messages (${this.#bytes} bytes) are in flight and none finished within ${ms} ms; send more slowly, or raise maxInFlight or maxInFlightBytes`
    return new ClientError('BACK_PRESSURE', text, { retriable: true })
  }
}
