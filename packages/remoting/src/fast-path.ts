import type { HeaderView } from './header-view.ts'
import type { Outbox } from './outbox.ts'
import type { Peer } from './request.ts'

/** What `FastPath.take` returns if it leaves the request to the router. */
export const NOT_TAKEN = -1
/** What `FastPath.take` returns if it took the request and answers it later. */
export const LATER = -2

/**
 * Answers requests from the bytes of their frames, beside the router: without a command, a promise or any other object for
 * each. What it answers must be what the router would have answered.
 */
export interface FastPath {
  /** Whether it is offered one-way requests too; `view.flag` tells them apart. Default false. */
  readonly takesOneway?: boolean
  /**
   * Is offered each request whose header `scanHeader` understands, before the router. The view and the bytes it points to are
   * good until this returns: copy what is kept. A value may have escapes of JSON, which `view.escapes` tells: `copyValue` copies
   * its text.
   *
   * An error that it throws ends the connection of the request: nothing is known of what it has done, nor of what it has
   * written to the outbox.
   * @returns NOT_TAKEN; or a response code of 0 or more if the request is answered, the reply being in the outbox; or LATER if
   *   the reply follows, then the request counts as being answered until `connection.answered` is called for it, once.
   */
  take(view: HeaderView, connection: FastConnection): number
}

/**
 * A connection as a fast path uses it. To answer later, keep the connection, the opaque and the time of each request in arrays;
 * then write all replies that are due to the outboxes of their connections, call `answered` for each, and `flush` once for each
 * connection whose outbox was empty before. All of it is harmless if the connection has ended meanwhile: its bytes are dropped.
 */
export interface FastConnection extends Peer {
  /** Where replies are written. One that is not empty is going to be flushed already. */
  readonly outbox: Outbox
  /** When the request came, in milliseconds since the process started: from then on it is timed. For use in `take`. */
  readonly readAt: number
  /** Counts a request that was taken with LATER as answered, `ms` milliseconds after `readAt`. */
  answered(requestCode: number, responseCode: number, ms: number): void
  /** Sends what is in the outbox. Within `take` that happens at the end of the read in any case. */
  flush(): void
}
