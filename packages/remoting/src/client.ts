import type { Duplex } from 'node:stream'
import type { ConnectionOptions as TlsConnectionOptions } from 'node:tls'
import { type Clock, systemClock } from './clock.ts'
import type { CloseReason } from './close-reason.ts'
import { Connection } from './connection.ts'
import type { ConnectionOptions } from './connection-options.ts'
import { dialTcp } from './dial.ts'
import { RemotingError, ResponseError } from './errors.ts'
import { httpGet, type HttpAnswer } from './http-get.ts'
import { type Logger, silent as silentLog } from './log.ts'
import type { CallInput, CallOptions, Reply, RequestDeclaration } from './request.ts'
import { GO_AWAY } from './router.ts'
import { giveUpAfter, within } from './waits.ts'

/** Opens a stream to `host:port`, ready for the first frame. Must give up when the signal is aborted. */
export type Dial = (address: string, signal: AbortSignal) => Promise<Duplex>

export interface RemotingClientOptions
  extends Pick<
    ConnectionOptions,
    'onRequest' | 'onSend' | 'onAnswered' | 'limits' | 'serializeType' | 'language' | 'version'
  > {
  /** Options of `node:tls`, for example from `clientTls`. Without them, connections are plain. */
  readonly tls?: TlsConnectionOptions | undefined
  /** Default: TCP, with TLS if `tls` is set. */
  readonly dial?: Dial
  /** How long connecting may take, milliseconds. Default 3,000, Apache's. */
  readonly connectTimeoutMs?: number
  /**
   * After an attempt to connect has failed, calls to the same address fail at once for this long, milliseconds. The pause doubles
   * with each further failure, up to ten times its length. Default 0: no pause.
   */
  readonly reconnectPauseMs?: number
  /** A connection without pending calls closes after so long without a byte in or out, milliseconds. Default 120,000. */
  readonly idleMs?: number
  readonly onOpen?: (connection: Connection) => void
  readonly onClose?: (connection: Connection, reason: CloseReason) => void
  readonly clock?: Clock
  readonly log?: Logger
}

const SWEEP_MS = 1000
const DEFAULT_TIMEOUT_MS = 3000
const MAX_FAILURES = 1000
/** How long a retired connection may still receive the replies to its other calls, milliseconds. */
const RETIRE_MS = 30_000

/** Calls servers by address, over one connection per address, opened when first needed. Owns all connections. */
export class RemotingClient {
  readonly #options: RemotingClientOptions
  readonly #clock: Clock
  readonly #log: Logger
  readonly #dial: Dial
  /** The connection that new calls to an address use. */
  readonly #current = new Map<string, Connection>()
  /** All open connections, including retired ones. */
  readonly #connections = new Set<Connection>()
  readonly #attempts = new Map<string, Attempt>()
  /** Addresses that could not be reached; an entry is removed when the address is reached. */
  readonly #failures = new Map<string, ConnectFailure>()
  /** Pages that are being read. */
  readonly #pages = new Set<AbortController>()
  #sweeper: Disposable | undefined
  #closing: Promise<void> | undefined

  constructor(options: RemotingClientOptions = {}) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silentLog
    this.#dial = options.dial ?? ((address, signal) => dialTcp(address, signal, options.tls))
  }

  /** True if a call to the address would find an open connection. */
  isConnected(address: string): boolean {
    return this.#current.get(address)?.isOpen === true
  }

  /**
   * Sends a request and waits for its reply; the timeout includes the time to connect. If the server answers that it is going
   * away, the client sends the request once more over a new connection, as Apache's client does.
   * @throws RemotingError CONNECT_FAILED, TLS, TIMEOUT, ABORTED, CLOSED, TOO_MANY_IN_FLIGHT, GO_AWAY, BAD_OPTION;
   *   ResponseError if the peer's code is not 0.
   */
  async call<const D extends RequestDeclaration>(
    address: string,
    declaration: D,
    input: CallInput<D> = {},
    { timeoutMs = DEFAULT_TIMEOUT_MS, signal }: CallOptions = {},
  ): Promise<Reply<D>> {
    const deadline = this.#clock.elapsed() + timeoutMs
    for (let attempt = 1; ; attempt++) {
      const connection = await this.#connected(address, deadline - this.#clock.elapsed(), signal)
      const remaining = deadline - this.#clock.elapsed()
      if (remaining <= 0) throw notSent(address, timeoutMs)
      try {
        return await connection.call(declaration, input, { timeoutMs: remaining, signal })
      } catch (error) {
        if (isTimeout(error) && remaining > Math.min(100, timeoutMs / 4))
          this.#retire(connection, 'it did not answer in time')
        if (isTimeout(error) && !connection.hasSpoken) throw silent(address, timeoutMs)
        if (!isGoAway(error)) throw error
        this.#retire(connection, 'the server is going away')
        if (attempt === 2) throw goneAway(address, error)
      }
    }
  }

  /**
   * Sends a request that the server does not answer. Resolves when the connection has taken the request.
   * @throws RemotingError CONNECT_FAILED, TLS, TIMEOUT, CLOSED, BAD_OPTION
   */
  async oneway<const D extends RequestDeclaration>(
    address: string,
    declaration: D,
    input: CallInput<D> = {},
    { timeoutMs = DEFAULT_TIMEOUT_MS, signal }: CallOptions = {},
  ): Promise<void> {
    const connection = await this.#connected(address, timeoutMs, signal)
    connection.oneway(declaration, input)
  }

  /**
   * Gets a page of a server that serves HTTP and remoting on one port, over a connection of its own. Undefined if there is no such
   * answer in time, or the client is closed; never rejects.
   */
  async httpGet(address: string, path: string, { timeoutMs = DEFAULT_TIMEOUT_MS, signal }: CallOptions = {}) {
    const stop = new AbortController()
    const ask = async (): Promise<HttpAnswer | undefined> => {
      const stream = await this.#dial(address, stop.signal)
      if (stop.signal.aborted) return destroyQuietly(stream)
      stop.signal.addEventListener('abort', () => stream.destroy(), { once: true })
      return await httpGet(stream, path)
    }
    if (this.#closing !== undefined) return undefined
    this.#pages.add(stop)
    try {
      return await within(this.#clock, ask(), { timeoutMs, signal }, `the page of ${address}`)
    } catch {
      return undefined
    } finally {
      stop.abort()
      this.#pages.delete(stop)
    }
  }

  /**
   * Closes all connections. Calls in flight may finish within `drainMs` milliseconds (default 0); all others fail with CLOSED.
   * Idempotent.
   */
  close({ drainMs = 0 }: { readonly drainMs?: number } = {}): Promise<void> {
    return (this.#closing ??= this.#shutDown(drainMs))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // -- Connections ---------------------------------------------------------------------------------------------------

  #connected(address: string, timeoutMs: number, signal: AbortSignal | undefined): Connection | Promise<Connection> {
    if (this.#closing !== undefined) return Promise.reject(clientClosed())
    const current = this.#current.get(address)
    if (current?.isOpen) return current
    if (signal?.aborted) return Promise.reject(aborted(address, signal))
    const failure = this.#failures.get(address)
    if (failure !== undefined && this.#clock.elapsed() < failure.until) return Promise.reject(failure.error)
    return this.#waitFor(this.#attempts.get(address) ?? this.#attempt(address), address, timeoutMs, signal)
  }

  /** Waits for an attempt to connect that several calls may share: giving up here does not end the attempt. */
  #waitFor(
    { outcome }: Attempt,
    address: string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Connection> {
    return within(this.#clock, outcome, { timeoutMs, signal }, `the call to ${address}`, error =>
      error.code === 'TIMEOUT' ? noConnection(address, timeoutMs) : error,
    )
  }

  #attempt(address: string): Attempt {
    const stop = new AbortController()
    const attempt = { stop, outcome: this.#open(address, stop) }
    // Waiting calls get the failure; there may be none left.
    attempt.outcome.catch(() => {})
    this.#attempts.set(address, attempt)
    return attempt
  }

  async #open(address: string, stop: AbortController): Promise<Connection> {
    try {
      const stream = await this.#dialled(address, stop)
      if (this.#closing !== undefined) {
        stream.destroy()
        throw clientClosed()
      }
      // The stream has emitted 'close' already: a connection would wait for it forever.
      if (stream.destroyed) throw new RemotingError('CONNECT_FAILED', 'the stream closed at once')
      this.#failures.delete(address)
      return this.#adopt(address, stream)
    } catch (error) {
      throw this.#failed(address, connectFailed(address, stop.signal.aborted ? stop.signal.reason : error))
    } finally {
      this.#attempts.delete(address)
    }
  }

  /** Dials, and gives up after the timeout or when the client closes, even if a user's `dial` ignores the signal. */
  async #dialled(address: string, stop: AbortController): Promise<Duplex> {
    const timeoutMs = this.#options.connectTimeoutMs ?? 3000
    const { signal } = stop
    const dialled = this.#dial(address, signal)
    const tooLate = (): RemotingError => new RemotingError('TIMEOUT', `no answer in ${timeoutMs} ms`)
    try {
      return await within(this.#clock, dialled, { timeoutMs, signal }, 'connecting', tooLate)
    } catch (error) {
      // Has no effect after an abort. A stream that arrives later is destroyed.
      stop.abort(error)
      dialled.then(destroyQuietly, () => {})
      throw error
    }
  }

  // Thousands of calls per second to an unreachable server must not become thousands of attempts to connect.
  #failed(address: string, error: RemotingError): RemotingError {
    const pauseMs = this.#options.reconnectPauseMs ?? 0
    if (pauseMs > 0 && error.retriable) {
      const count = (this.#failures.get(address)?.count ?? 0) + 1
      // Peers supply the addresses, so their number is bounded here; a forgotten failure costs one attempt.
      if (this.#failures.size >= MAX_FAILURES) this.#failures.clear()
      const until = this.#clock.elapsed() + Math.min(pauseMs * 2 ** (count - 1), pauseMs * 10)
      this.#failures.set(address, { error, until, count })
    }
    return error
  }

  #adopt(address: string, stream: Duplex): Connection {
    const { onRequest, onSend, onAnswered, limits, serializeType, language, version } = this.#options
    const connection: Connection = new Connection(stream, {
      ...defined({ onRequest, onSend, onAnswered, limits, serializeType, language, version }),
      remoteAddress: address,
      isClient: true,
      clock: this.#clock,
      log: this.#log,
      onClose: reason => this.#onClosed(connection, reason),
    })
    this.#current.set(address, connection)
    this.#connections.add(connection)
    this.#sweeper ??= this.#clock.every(SWEEP_MS, () => this.#sweep())
    this.#options.onOpen?.(connection)
    return connection
  }

  /** Sends no more calls over a connection; calls that wait may still get their replies. */
  #retire(connection: Connection, why: string): void {
    if (this.#current.get(connection.remoteAddress) !== connection) return
    this.#log.info({ peer: connection.remoteAddress, why }, 'connection retired')
    this.#current.delete(connection.remoteAddress)
    void connection.close({ drainMs: RETIRE_MS })
  }

  #onClosed(connection: Connection, reason: CloseReason): void {
    const { remoteAddress } = connection
    this.#connections.delete(connection)
    if (this.#current.get(remoteAddress) === connection) this.#current.delete(remoteAddress)
    if (this.#connections.size === 0) this.#stopSweeping()
    this.#options.onClose?.(connection, reason)
  }

  #sweep(): void {
    const now = this.#clock.elapsed()
    const idleMs = this.#options.idleMs ?? 120_000
    for (const connection of this.#connections) {
      connection.sweep(now)
      if (connection.inFlight === 0 && now - connection.lastActivity >= idleMs) connection.destroy('idle')
    }
  }

  #stopSweeping(): void {
    this.#sweeper?.[Symbol.dispose]()
    this.#sweeper = undefined
  }

  async #shutDown(drainMs: number): Promise<void> {
    for (const { stop } of this.#attempts.values()) stop.abort(clientClosed())
    for (const page of this.#pages) page.abort(clientClosed())
    await Promise.allSettled([...this.#attempts.values()].map(({ outcome }) => outcome))
    await Promise.all([...this.#connections].map(connection => this.#finish(connection, drainMs)))
    this.#stopSweeping()
  }

  async #finish(connection: Connection, drainMs: number): Promise<void> {
    if (drainMs === 0) connection.destroy()
    // A retired connection has its own, later deadline.
    const cut = giveUpAfter(this.#clock, { timeoutMs: drainMs }, () => connection.destroy())
    await connection.close({ drainMs })
    cut[Symbol.dispose]()
  }
}

interface ConnectFailure {
  readonly error: RemotingError
  readonly until: number
  readonly count: number
}

interface Attempt {
  readonly stop: AbortController
  readonly outcome: Promise<Connection>
}

function destroyQuietly(stream: Duplex): undefined {
  stream.on('error', () => {})
  stream.destroy()
}

/** Removes undefined values, because an optional property must be absent rather than undefined. */
function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof RemotingError && error.code === 'TIMEOUT'
}

function isGoAway(error: unknown): boolean {
  return error instanceof ResponseError && error.responseCode === GO_AWAY
}

function goneAway(address: string, cause: unknown): RemotingError {
  return new RemotingError('GO_AWAY', `${address} is going away: call another server`, { retriable: true, cause })
}

function silent(address: string, timeoutMs: number): RemotingError {
  const text = `no reply from ${address} in ${timeoutMs} ms: it accepts connections, and has sent nothing so far; it may hang, or not be a RocketMQ server`
  return new RemotingError('TIMEOUT', text, { retriable: true })
}

function clientClosed(): RemotingError {
  return new RemotingError('CLOSED', 'this client is closed')
}

function noConnection(address: string, timeoutMs: number): RemotingError {
  return new RemotingError('TIMEOUT', `no connection to ${address} in ${timeoutMs} ms`, { retriable: true })
}

function notSent(address: string, timeoutMs: number): RemotingError {
  const text = `the ${timeoutMs} ms of a call to ${address} were over before it was sent`
  return new RemotingError('TIMEOUT', text, { retriable: true })
}

function aborted(address: string, signal: AbortSignal | undefined): RemotingError {
  return new RemotingError('ABORTED', `the call to ${address} was aborted`, { cause: signal?.reason })
}

// "connect to ... failed" is what users of Apache's client know and search for.
function connectFailed(address: string, cause: unknown): RemotingError {
  if (cause instanceof RemotingError && (cause.code === 'CLOSED' || cause.code === 'BAD_OPTION')) return cause
  const code = cause instanceof RemotingError && cause.code === 'TLS' ? 'TLS' : 'CONNECT_FAILED'
  const why = cause instanceof Error ? cause.message : String(cause)
  return new RemotingError(code, `connect to ${address} failed: ${why}`, { retriable: code !== 'TLS', cause })
}
