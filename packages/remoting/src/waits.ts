import type { Clock } from './clock.ts'
import { RemotingError } from './errors.ts'

/** How long a wait may take. */
export interface WaitLimit {
  /** Milliseconds. When absent, only the signal ends the wait. */
  readonly timeoutMs?: number
  /** Ends the wait when it is aborted. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Calls `giveUp` once: without an argument when the time is over, or with the signal as soon as it is aborted, which may be
 * before this function returns. The call happens in the same turn of the event loop, so that the awaited result cannot arrive
 * in between. Disposing stops the timer and removes the listener; so does giving up.
 */
export function giveUpAfter(
  clock: Clock,
  { timeoutMs, signal }: WaitLimit,
  giveUp: (aborted?: AbortSignal) => void,
): Disposable {
  if (signal?.aborted) {
    giveUp(signal)
    return { [Symbol.dispose]() {} }
  }
  const end = (): void => {
    timer?.[Symbol.dispose]()
    signal?.removeEventListener('abort', onAbort)
  }
  const onAbort = (): void => {
    end()
    giveUp(signal)
  }
  const onTimeout = (): void => {
    end()
    giveUp()
  }
  const timer = timeoutMs === undefined ? undefined : clock.every(Math.max(timeoutMs, 1), onTimeout)
  signal?.addEventListener('abort', onAbort, { once: true })
  return { [Symbol.dispose]: end }
}

/**
 * Waits for work that others may wait for too: giving up does not end the work, and its later failure does not become an
 * unhandled rejection.
 * @param what The work, for errors: "`what` took longer than 3000 ms", "`what` was aborted".
 * @param toError Turns the RemotingError into the caller's own error. An error of the work is passed on unchanged.
 * @throws RemotingError TIMEOUT, ABORTED with the signal's reason as its cause; the error of the work
 */
export function within<T>(
  clock: Clock,
  work: Promise<T>,
  limit: WaitLimit,
  what: string,
  toError: (error: RemotingError) => Error = error => error,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const wait = giveUpAfter(clock, limit, aborted => reject(toError(givenUp(what, limit.timeoutMs, aborted))))
  work.then(resolve, reject)
  return promise.finally(() => wait[Symbol.dispose]())
}

function givenUp(what: string, timeoutMs: number | undefined, aborted: AbortSignal | undefined): RemotingError {
  if (aborted !== undefined) return new RemotingError('ABORTED', `${what} was aborted`, { cause: aborted.reason })
  return new RemotingError('TIMEOUT', `${what} took longer than ${timeoutMs} ms`, { retriable: true })
}

/** Waits for work until the limit, which is not an error. @throws The error of the work */
export function upTo(clock: Clock, work: Promise<void>, limit: WaitLimit): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const wait = giveUpAfter(clock, limit, () => resolve())
  work.then(resolve, reject)
  return promise.finally(() => wait[Symbol.dispose]())
}

/** Resolves after `ms`, or as soon as the signal is aborted; never rejects. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  giveUpAfter(clock, { timeoutMs: ms, signal }, () => resolve())
  return promise
}

/** True if a value must be awaited. Not awaiting other values saves a turn of the event loop. */
export function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}
