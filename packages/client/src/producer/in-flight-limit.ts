import { type Clock, giveUpAfter, upTo } from '@gantrymq/remoting'
import { aborted, ClientError } from '../errors.ts'

interface Waiter {
  readonly bytes: number
  readonly enter: () => void
  readonly refuse: (error: ClientError) => void
}

/**
 * Bounds what is on its way: so many messages, so many bytes. Whoever comes when it is full waits, in order, until his
 * deadline. One message larger than all bytes may pass alone.
 */
export class Gate {
  readonly #clock: Clock
  readonly #maxMessages: number
  readonly #maxBytes: number
  readonly #waiters = new Set<Waiter>()
  #messages = 0
  #bytes = 0
  #onEmpty: (() => void) | undefined

  constructor(clock: Clock, maxMessages: number, maxBytes: number) {
    this.#clock = clock
    this.#maxMessages = maxMessages
    this.#maxBytes = maxBytes
  }

  /** Messages on their way. */
  get inFlight(): number {
    return this.#messages
  }

  /** Messages that wait to be let in. */
  get waiting(): number {
    return this.#waiters.size
  }

  /** True if it is in; false if it must wait, see `enter`. */
  tryEnter(bytes: number): boolean {
    if (this.#waiters.size > 0 || !this.#fits(bytes)) return false
    this.#messages++
    this.#bytes += bytes
    return true
  }

  /** Waits to be let in. @throws ClientError BACK_PRESSURE, ABORTED, or what `refuseAll` says */
  enter(bytes: number, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    if (this.tryEnter(bytes)) return Promise.resolve()
    if (signal?.aborted) return Promise.reject(aborted(signal, 'the send'))
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter: Waiter = {
      bytes,
      enter: resolve,
      // Whoever was let in already stays in, or its place would never be given back.
      refuse: error => {
        if (this.#waiters.delete(waiter)) reject(error)
      },
    }
    this.#waiters.add(waiter)
    const wait = giveUpAfter(this.#clock, { timeoutMs, signal }, byUser =>
      waiter.refuse(byUser === undefined ? this.#full(timeoutMs) : aborted(byUser, 'the send')),
    )
    return promise.finally(() => wait[Symbol.dispose]())
  }

  /** One that was let in is done. */
  leave(bytes: number): void {
    this.#messages--
    this.#bytes -= bytes
    if (this.#waiters.size > 0) this.#letIn()
    if (this.#messages === 0) this.#onEmpty?.()
  }

  #letIn(): void {
    for (const waiter of this.#waiters) {
      if (!this.#fits(waiter.bytes)) return
      this.#waiters.delete(waiter)
      this.#messages++
      this.#bytes += waiter.bytes
      waiter.enter()
    }
  }

  /** Sends everybody away who waits. */
  refuseAll(error: ClientError): void {
    for (const waiter of this.#waiters) waiter.refuse(error)
  }

  /** Resolves when nobody is in any more, or after `ms`. */
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
    const text = `${this.#messages} messages (${this.#bytes} bytes) are on their way and none was done in ${ms} ms; send slower, or raise maxInFlight`
    return new ClientError('BACK_PRESSURE', text, { retriable: true })
  }
}
