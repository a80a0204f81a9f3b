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

/** How often deadlines are looked at, milliseconds. */
const SWEEP_MS = 50

/** Places at first, and after the last call has ended. A power of two, as is every number of places. */
const PLACES = 64

/**
 * The calls of one connection that wait for a reply, by opaque. Each ends once: reply, deadline, abort or close.
 *
 * A call's place is given by the last bits of its opaque, and an opaque whose place is taken is passed over. A Map will not
 * do: its tables follow one another as calls come and go, each holds on to the next, and one that has grown old keeps all
 * calls since from being collected cheaply, which costs a tenth of all CPU at 50,000 calls a second.
 */
export class PendingCalls {
  /** Called after each call that ends. */
  onSettled: (() => void) | null = null
  #places: (PendingCall | undefined)[] = emptyPlaces(PLACES)
  #size = 0
  readonly #clock: Clock
  readonly #limit: number
  #opaque: number
  // One timer for all deadlines, and only while somebody waits: a timer a call would cost more than the call.
  #sweeper: Disposable | null = null

  /** @param last The number before the first that is given. */
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

  /** Sends under a fresh opaque and waits for the reply to it. */
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
    const release = signal === undefined ? nothing : this.#heed(signal, opaque, address)
    const deadline = this.#clock.elapsed() + timeoutMs
    this.#places[opaque & (this.#places.length - 1)] = {
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
    // Half of the places stay free, so that one is found soon.
    if (this.#size * 2 >= this.#places.length) this.#places = spread(this.#places)
    const last = this.#places.length - 1
    let opaque = this.nextOpaque()
    while (this.#places[opaque & last] !== undefined) opaque = this.nextOpaque()
    return opaque
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
    for (const call of this.#places) if (call !== undefined) this.#finish(call.opaque)?.reject(error())
  }

  #sweep(): void {
    const now = this.#clock.elapsed()
    for (const call of this.#places) {
      if (call !== undefined && now >= call.deadline) this.#finish(call.opaque)?.reject(timedOut(call))
    }
  }

  #finish(opaque: number): PendingCall | undefined {
    const place = opaque & (this.#places.length - 1)
    const call = this.#places[place]
    if (call?.opaque !== opaque) return undefined
    this.#places[place] = undefined
    call.release()
    if (--this.#size === 0) this.#rest()
    this.onSettled?.()
    return call
  }

  #rest(): void {
    this.#sweeper?.[Symbol.dispose]()
    this.#sweeper = null
    if (this.#places.length > PLACES) this.#places = emptyPlaces(PLACES)
  }
}

function emptyPlaces(count: number): (PendingCall | undefined)[] {
  return Array.from({ length: count }, () => undefined)
}

/** Twice the places. Calls that had one each have one each. */
function spread(places: readonly (PendingCall | undefined)[]): (PendingCall | undefined)[] {
  const wider = emptyPlaces(places.length * 2)
  for (const call of places) if (call !== undefined) wider[call.opaque & (wider.length - 1)] = call
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
