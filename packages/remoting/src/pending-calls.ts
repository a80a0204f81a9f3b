import type { Clock } from './clock.ts'
import type { Command } from './command.ts'
import { RemotingError } from './errors.ts'

interface PendingCall {
  readonly opaque: number
  readonly address: string
  readonly deadline: number
  readonly timeoutMs: number
  readonly resolve: (reply: Command) => void
  readonly reject: (error: Error) => void
  readonly release: () => void
}

const nothing = () => {}

/** How often deadlines are checked, milliseconds. */
const SWEEP_MS = 50

/** The number of slots for the first call, and after the last one has ended. It is always a power of two. */
const INITIAL_SLOTS = 64

/**
 * The calls of one connection that wait for a reply, by opaque. Each ends once: reply, deadline, abort or close.
 *
 * The last bits of its opaque select the slot of a call, and an opaque whose slot is taken is skipped. A Map would be too slow:
 * as calls come and go, V8 replaces the table of a Map again and again, and each table refers to the next. A table in the old
 * generation then keeps all later calls from being collected cheaply, which costs a tenth of all CPU time at 50,000 calls per
 * second.
 */
export class PendingCalls {
  /** Called after each call that ends. */
  onSettled: (() => void) | null = null
  /** Empty before the first call: most connections of a server never have one. */
  #slots: (PendingCall | undefined)[] = []
  #size = 0
  readonly #clock: Clock
  readonly #limit: number
  #opaque: number
  // One timer for all deadlines, and only while a call waits: a timer per call would cost more than the call.
  #sweeper: Disposable | null = null

  /** @param last The opaque before the first one. */
  constructor(clock: Clock, limit: number, last = 0) {
    this.#clock = clock
    this.#limit = limit
    this.#opaque = last
  }

  get size(): number {
    return this.#size
  }

  /** The next request number of this connection. */
  nextOpaque(): number {
    this.#opaque = (this.#opaque + 1) | 0
    return this.#opaque
  }

  /** Sends a request under a new opaque and waits for its reply. */
  open(
    address: string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    send: (opaque: number) => void,
  ): Promise<Command> {
    if (signal?.aborted) return Promise.reject(aborted(address, signal))
    if (this.#size >= this.#limit) return Promise.reject(tooMany(address, this.#limit))
    const opaque = this.#freeOpaque()
    const { promise, resolve, reject } = Promise.withResolvers<Command>()
    const release = signal === undefined ? nothing : this.#abortWith(signal, opaque, address)
    const deadline = this.#clock.elapsed() + timeoutMs
    this.#slots[opaque & (this.#slots.length - 1)] = {
      opaque,
      address,
      deadline,
      timeoutMs,
      resolve,
      reject,
      release,
    }
    this.#size++
    this.#sweeper ??= this.#clock.every(SWEEP_MS, () => this.#sweep())
    try {
      send(opaque)
    } catch (error) {
      this.#finish(opaque)?.reject(error as Error)
    }
    return promise
  }

  #freeOpaque(): number {
    // Half of the slots stay free, so that a free one is found quickly.
    if (this.#size * 2 >= this.#slots.length) this.#slots = doubled(this.#slots)
    const last = this.#slots.length - 1
    let opaque = this.nextOpaque()
    while (this.#slots[opaque & last] !== undefined) opaque = this.nextOpaque()
    return opaque
  }

  /** Ends the call when the signal is aborted. Returns a function that removes the listener. */
  #abortWith(signal: AbortSignal, opaque: number, address: string): () => void {
    const abort = () => this.#finish(opaque)?.reject(aborted(address, signal))
    signal.addEventListener('abort', abort, { once: true })
    return () => signal.removeEventListener('abort', abort)
  }

  /** Ends the call that waits for this reply. False if there is none. */
  settle(reply: Command): boolean {
    const call = this.#finish(reply.opaque)
    call?.resolve(reply)
    return call !== undefined
  }

  /** Fails all calls. */
  fail(error: () => Error): void {
    for (const call of this.#slots) if (call !== undefined) this.#finish(call.opaque)?.reject(error())
  }

  #sweep(): void {
    const now = this.#clock.elapsed()
    for (const call of this.#slots) {
      if (call !== undefined && now >= call.deadline) this.#finish(call.opaque)?.reject(timedOut(call))
    }
  }

  #finish(opaque: number): PendingCall | undefined {
    const slot = opaque & (this.#slots.length - 1)
    const call = this.#slots[slot]
    if (call?.opaque !== opaque) return undefined
    this.#slots[slot] = undefined
    call.release()
    if (--this.#size === 0) this.#rest()
    this.onSettled?.()
    return call
  }

  #rest(): void {
    this.#sweeper?.[Symbol.dispose]()
    this.#sweeper = null
    if (this.#slots.length > INITIAL_SLOTS) this.#slots = emptySlots(INITIAL_SLOTS)
  }
}

function emptySlots(count: number): (PendingCall | undefined)[] {
  return Array.from({ length: count }, () => undefined)
}

/** Twice as many slots with the same calls: calls in different slots stay in different slots. */
function doubled(slots: readonly (PendingCall | undefined)[]): (PendingCall | undefined)[] {
  const wider = emptySlots(Math.max(slots.length * 2, INITIAL_SLOTS))
  for (const call of slots) if (call !== undefined) wider[call.opaque & (wider.length - 1)] = call
  return wider
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
