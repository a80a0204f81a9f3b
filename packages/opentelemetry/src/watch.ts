import { tracingChannel } from 'node:diagnostics_channel'
import { diag } from '@opentelemetry/api'

/** Callbacks for the operations of one channel. */
export interface Watcher<E extends object, S> {
  /** Called at the start of an operation. Its result is passed to `end`. */
  readonly begin: (event: E) => S
  /** Called at the end of an operation, with a failure if there was one. */
  readonly end: (event: E, state: S, failure: { readonly error: unknown } | undefined) => void
}

/**
 * Watches a tracing channel of the client until it is disposed. Errors in the callbacks go to OpenTelemetry's diagnostics and
 * never reach the client.
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
