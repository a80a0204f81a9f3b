import { type Clock, upTo, within as withinLimit } from '@gantrymq/remoting'
import { aborted, ClientError, toClientError } from './errors.ts'
import { meant, unknownField } from './fields.ts'
import type { CallOptions } from './message/message.ts'
import { badOption } from './options.ts'

/** The deadline of a call: starts when it is created, and tells how much time is left. */
export class Deadline {
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  readonly #clock: Clock
  readonly #end: number

  constructor(clock: Clock, timeoutMs: number, signal?: AbortSignal) {
    this.timeoutMs = timeoutMs
    this.signal = signal
    this.#clock = clock
    this.#end = clock.elapsed() + timeoutMs
  }

  /** The deadline of a call with these options, or `fallbackMs` by default. */
  static of(clock: Clock, options: CallOptions, fallbackMs: number): Deadline {
    return new Deadline(clock, options.timeoutMs ?? fallbackMs, options.signal)
  }

  /** Milliseconds left; 0 when it has passed. */
  get left(): number {
    return Math.max(0, this.#end - this.#clock.elapsed())
  }

  get hasPassed(): boolean {
    return this.#clock.elapsed() >= this.#end
  }

  /** Options for a call within the deadline, of at most `atMostMs`. */
  options(atMostMs = Number.POSITIVE_INFINITY): { readonly timeoutMs: number; readonly signal?: AbortSignal } {
    const timeoutMs = Math.max(1, Math.min(this.left, atMostMs))
    return this.signal === undefined ? { timeoutMs } : { timeoutMs, signal: this.signal }
  }

  /** @throws ClientError ABORTED or TIMEOUT */
  check(what: string): void {
    if (this.signal?.aborted) throw aborted(this.signal, what)
    if (this.hasPassed) throw timedOut(what, this.timeoutMs)
  }

  /** Waits for shared work: giving up does not end it. @throws ClientError TIMEOUT, ABORTED, or as the work */
  wait<T>(work: Promise<T>, what: string): Promise<T> {
    return within(this.#clock, work, this.left, this.signal, what)
  }

  /** Waits for work that need not be finished: when the time is over or the signal is aborted, the wait ends without an error. */
  upTo(work: Promise<void>): Promise<void> {
    return upTo(this.#clock, work, { timeoutMs: this.left, signal: this.signal })
  }
}

/** The options that every call has. */
export const CALL_FIELDS = { timeoutMs: true, signal: true } as const

/** Checks the options of a call, for callers without types: unknown ones are refused. @throws ClientError BAD_OPTION */
export function checkedCall(
  what: string,
  options: CallOptions,
  fallbackMs: number,
  fields: Readonly<Record<string, true>> = CALL_FIELDS,
) {
  if (typeof options !== 'object' || options === null) throw badOption(what, 'options', options, 'an object')
  const unknown = unknownField(options, fields)
  if (unknown !== undefined) {
    throw new ClientError('BAD_OPTION', `${what}: there is no option ${unknown}${meant(unknown, Object.keys(fields))}`)
  }
  const { timeoutMs = fallbackMs, signal } = options
  if (typeof timeoutMs !== 'number' || !(timeoutMs > 0)) {
    throw badOption(what, 'timeoutMs', timeoutMs, 'a number of milliseconds above 0')
  }
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    throw badOption(what, 'signal', signal, 'an AbortSignal')
  }
  return { timeoutMs, signal }
}

function timedOut(what: string, ms: number): ClientError {
  return new ClientError('TIMEOUT', `${what} took longer than ${ms} ms`, { retriable: true, responseCode: 10002 })
}

/** Waits at most `ms` for work. @throws ClientError TIMEOUT, ABORTED, or as the work */
export function within<T>(
  clock: Clock,
  work: Promise<T>,
  ms: number,
  signal: AbortSignal | undefined,
  what: string,
): Promise<T> {
  return withinLimit(clock, work, { timeoutMs: ms, signal }, what, toClientError)
}
