import type { Clock } from './clock.ts'
import type { Command } from './command.ts'
import { RemotingError } from './errors.ts'

interface PendingCall {
  readonly address: string
  readonly deadline: number
  readonly timeoutMs: number
  readonly resolve: (reply: Command) => void
  readonly reject: (error: Error) => void
  readonly release: () => void
}

const nothing = () => {}

/** How often deadlines are looked at, milliseconds. */
const SWEEP_MS = 50

/** The calls of one connection that wait for a reply, by opaque. Each ends once: reply, deadline, abort or close. */
export class PendingCalls {
  /** Called after each call that ends. */
  onSettled: (() => void) | null = null
  readonly #calls = new Map<number, PendingCall>()
  readonly #clock: Clock
  readonly #limit: number
  #opaque = 0
  // One timer for all deadlines, and only while somebody waits: a timer a call would cost more than the call.
  #sweeper: Disposable | null = null

  constructor(clock: Clock, limit: number) {
    this.#clock = clock
    this.#limit = limit
  }

  get size(): number {
    return this.#calls.size
  }

  /** The next request number of this connection. */
  nextOpaque(): number {
    this.#opaque = (this.#opaque + 1) | 0
    return this.#opaque
  }

  /** Sends under a fresh opaque and waits for the reply to it. */
  open(
    address: string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    send: (opaque: number) => void,
  ): Promise<Command> {
    if (signal?.aborted) return Promise.reject(aborted(address, signal))
    if (this.#calls.size >= this.#limit) return Promise.reject(tooMany(address, this.#limit))
    let opaque = this.nextOpaque()
    while (this.#calls.has(opaque)) opaque = this.nextOpaque()
    const { promise, resolve, reject } = Promise.withResolvers<Command>()
    const release = signal === undefined ? nothing : this.#heed(signal, opaque, address)
    const deadline = this.#clock.elapsed() + timeoutMs
    this.#calls.set(opaque, { address, deadline, timeoutMs, resolve, reject, release })
    this.#sweeper ??= this.#clock.every(SWEEP_MS, () => this.#sweep())
    try {
      send(opaque)
    } catch (error) {
      this.#finish(opaque)?.reject(error as Error)
    }
    return promise
  }

  /** Ends the call with its signal. Returns what takes the listener off again. */
  #heed(signal: AbortSignal, opaque: number, address: string): () => void {
    const abort = () => this.#finish(opaque)?.reject(aborted(address, signal))
    signal.addEventListener('abort', abort, { once: true })
    return () => signal.removeEventListener('abort', abort)
  }

  /** False if nobody waits for this reply any more. */
  settle(reply: Command): boolean {
    const call = this.#finish(reply.opaque)
    call?.resolve(reply)
    return call !== undefined
  }

  /** Ends all calls. */
  fail(error: () => Error): void {
    for (const opaque of this.#calls.keys()) this.#finish(opaque)?.reject(error())
  }

  #sweep(): void {
    const now = this.#clock.elapsed()
    for (const [opaque, call] of this.#calls) {
      if (now >= call.deadline) this.#finish(opaque)?.reject(timedOut(call))
    }
  }

  #finish(opaque: number): PendingCall | undefined {
    const call = this.#calls.get(opaque)
    if (call === undefined) return undefined
    this.#calls.delete(opaque)
    call.release()
    if (this.#calls.size === 0) {
      this.#sweeper?.[Symbol.dispose]()
      this.#sweeper = null
    }
    this.onSettled?.()
    return call
  }
}

function timedOut(call: PendingCall): RemotingError {
  return new RemotingError('TIMEOUT', `no reply from ${call.address} in ${call.timeoutMs} ms`, { retriable: true })
}

function aborted(address: string, signal: AbortSignal): RemotingError {
  return new RemotingError('ABORTED', `the call to ${address} was aborted`, { cause: signal.reason })
}

function tooMany(address: string, limit: number): RemotingError {
  return new RemotingError('TOO_MANY_IN_FLIGHT', `${limit} calls to ${address} already wait for a reply`, {
    retriable: true,
  })
}
