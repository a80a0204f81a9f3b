import { tracingChannel } from 'node:diagnostics_channel'
import { diag } from '@opentelemetry/api'

/** What to do with the operations of one channel. */
export interface Watcher<E extends object, S> {
  /** An operation begins. What it gives comes back at its end. */
  readonly begin: (event: E) => S
  /** It has ended; `error` only if it failed. */
  readonly end: (event: E, state: S, failure: { readonly error: unknown } | undefined) => void
}

/**
 * Watches a tracing channel of the client, until disposed. Operations on their way are then seen to their end. Nothing
 * that goes wrong here reaches the client.
 */
export function watch<E extends object, S>(name: string, { begin, end }: Watcher<E, S>): Disposable {
  const channel = tracingChannel<unknown, E>(name)
  const running = new WeakMap<E, { readonly state: S; failure?: { readonly error: unknown } }>()
  const handlers = {
    start: guarded((event: E) => void running.set(event, { state: begin(event) })),
    error: guarded((event: E) => {
      const found = running.get(event)
      if (found !== undefined) found.failure = { error: (event as { readonly error?: unknown }).error }
    }),
    asyncEnd: guarded((event: E) => {
      const found = running.get(event)
      running.delete(event)
      if (found !== undefined) end(event, found.state, found.failure)
    }),
    end: () => {},
    asyncStart: () => {},
  }
  channel.subscribe(handlers)
  return { [Symbol.dispose]: () => channel.unsubscribe(handlers) }
}

function guarded<E>(run: (event: E) => void): (event: E) => void {
  return event => {
    try {
      run(event)
    } catch (error) {
      diag.error('@gantrymq/opentelemetry', error)
    }
  }
}
