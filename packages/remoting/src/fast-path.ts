import type { HeaderView } from './header-view.ts'
import type { Outbox } from './outbox.ts'
import type { Peer } from './request.ts'

/** What `FastPath.take` returns if it leaves the request to the router. */
export const NOT_TAKEN = -1
/** What `FastPath.take` returns if it took the request and answers it later. */
export const LATER = -2

/**
 * Answers requests directly from the bytes of their frames, without the router and without creating a command, a promise or any
 * other object per request. Its answers must be the same as the router's.
 */
export interface FastPath {
  /** Whether `take` is also called for one-way requests, which `view.flag` marks. Default false. */
  readonly takesOneway?: boolean
  /**
   * Called before the router for each request whose header `scanHeader` can read. The view and the bytes that it points to are
   * valid until this method returns: copy what is kept. If `view.escapes` marks a value, it contains JSON escapes: `copyValue`
   * copies its text.
   *
   * If this method throws, the connection of the request closes, because neither the effects of the method nor the contents of
   * the outbox are known then.
   * @returns NOT_TAKEN; or the response code, 0 or more, if the reply is in the outbox; or LATER if the reply follows. In that
   *   case the request counts as being answered until `connection.answered` is called for it, once.
   */
  take(view: HeaderView, connection: FastConnection): number
}

/**
 * A connection as a fast path uses it. To answer later, keep the connection, the opaque and the time of each request in arrays;
 * then write all due replies to the outboxes of their connections, call `answered` for each, and `flush` once for each connection
 * whose outbox was empty before. All of this is safe if the connection has ended in the meantime: its bytes are dropped.
 */
export interface FastConnection extends Peer {
  /** Where replies are written. If it is not empty, it will be flushed anyway. */
  readonly outbox: Outbox
  /** When the request was read, milliseconds since the process started; the request is timed from here. Valid during `take`. */
  readonly readAt: number
  /** Counts a request that was taken with LATER as answered, `ms` milliseconds after `readAt`. */
  answered(requestCode: number, responseCode: number, ms: number): void
  /** Sends the contents of the outbox. During `take` this does nothing: the connection flushes at the end of the read. */
  flush(): void
}
