import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { type AddressInfo, createServer, type Server as NetServer, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Clock, type Logger, silent } from '@gantrymq/remoting'
import { serveHttp2 } from './grpc-refusal.ts'
import { isAllowedHost } from './host-names.ts'
import { type Page, type PageRequest, Refusal, refusalPage } from './page.ts'

export interface HttpLimits {
  /** Most open connections. A further one closes the one that has been silent longest. Default 64. */
  readonly connections: number
  /** Most bytes of request line and headers. Default 8192. */
  readonly headerBytes: number
  /** Milliseconds from one finished answer to the next, or from the start to the first. Default 30,000. */
  readonly answerTimeout: number
  /** Milliseconds that `close` waits for answers in progress. Default 2,000. */
  readonly closeTimeout: number
}

const httpLimits: HttpLimits = {
  connections: 64,
  headerBytes: 8192,
  answerTimeout: 30_000,
  closeTimeout: 2_000,
}

export interface HttpEndpointOptions {
  /** Returns the page for a request. Never rejects. */
  readonly answer: (request: PageRequest) => Promise<Page>
  /** What the log and gRPC clients call the server: `name server`. */
  readonly role: string
  /** Host names that requests may have, besides addresses and loopback names; see `isAllowedHost`. Default none. */
  readonly allowedHosts?: readonly string[]
  readonly clock: Clock
  readonly log?: Logger
  readonly limits?: Partial<HttpLimits>
}

/** A connection, with how long it may be silent. */
interface HttpConnection {
  readonly stream: Duplex
  /** When it was accepted or its last answer ended, milliseconds. */
  since: number
  /** How long after that the endpoint closes it, milliseconds. */
  timeout: number
  /** Answers in progress. */
  answering: number
}

const SWEEP_MS = 1000
/** A gRPC client retries, but it has already got its answer. */
const GRPC_TIMEOUT_MS = 5000
const WARNING_GAP_MS = 60_000

/**
 * Serves pages over connections that another server accepted, and after `listen` on its own port. Owns these connections
 * until they end.
 */
export class HttpEndpoint {
  readonly #answer: (request: PageRequest) => Promise<Page>
  readonly #role: string
  readonly #allowedHosts: readonly string[]
  readonly #clock: Clock
  readonly #log: Logger
  readonly #limits: HttpLimits
  /** By stream; those that have been silent longest come first. */
  readonly #connections = new Map<Duplex, HttpConnection>()
  #http: Server | undefined
  #port: NetServer | undefined
  #sweep: Disposable | undefined
  #closing: Promise<void> | undefined
  #closeBy = Number.POSITIVE_INFINITY
  #lastClosed = () => {}
  readonly #warned = new Map<string, number>()

  constructor({ answer, role, allowedHosts = [], clock, log = silent, limits }: HttpEndpointOptions) {
    this.#answer = answer
    this.#role = role
    this.#allowedHosts = allowedHosts
    this.#clock = clock
    this.#log = log
    this.#limits = { ...httpLimits, ...limits }
  }

  /** Open connections. */
  get connections(): number {
    return this.#connections.size
  }

  /** Takes a connection that speaks HTTP/1.1, with its first bytes put back. */
  accept(stream: Duplex): void {
    if (!this.#admit(stream)) return
    this.#http ??= this.#createHttp()
    this.#http.emit('connection', stream)
    // The server that accepted it may have paused it to look at its first bytes.
    stream.resume()
  }

  /**
   * Takes a connection that began with HTTP/2's preface, with those bytes put back. The stream must not be flowing. Only
   * sockets are served, plain or TLS: over other streams an assertion in node:http2 can fail, which would end the process.
   * @param remoteAddress For the log.
   */
  acceptHttp2(stream: Duplex, remoteAddress?: string): void {
    const connection = this.#admit(stream)
    if (!connection) return
    if (!(stream instanceof Socket)) {
      this.#drop(connection)
      return
    }
    serveHttp2(stream, this.#role, {
      answer: request => {
        connection.answering++
        return this.#page(request, remoteAddress ?? stream.remoteAddress)
      },
      answered: () => this.#finished(connection),
      refused: path => {
        connection.since = this.#clock.elapsed()
        connection.timeout = Math.min(connection.timeout, GRPC_TIMEOUT_MS)
        const fields = { peer: remoteAddress ?? stream.remoteAddress, path }
        this.#warn(fields, `a gRPC client connected to the ${this.#role} and was referred to the RocketMQ proxy`)
      },
      failed: error => this.#log.debug({ err: error }, 'http2 connection failed'),
    })
  }

  /** Opens a port for HTTP/1.1. @returns its address. Rejects with the system's error. */
  listen(port: number, host?: string): Promise<AddressInfo> {
    const { promise, resolve, reject } = Promise.withResolvers<AddressInfo>()
    const server = createServer({ noDelay: true }, socket => this.accept(socket))
    this.#port = server
    server.once('error', reject)
    server.listen({ port, host }, () => {
      server.off('error', reject)
      server.on('error', error => this.#log.error({ err: error }, 'http port failed'))
      resolve(server.address() as AddressInfo)
    })
    return promise
  }

  /** Closes idle connections and waits a limited time for answers in progress. Idempotent. */
  close(): Promise<void> {
    return (this.#closing ??= this.#shutDown())
  }

  async #shutDown(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#lastClosed = resolve
    this.#closeBy = this.#clock.elapsed() + this.#limits.closeTimeout
    const portClosed = this.#port && once(this.#port, 'close')
    this.#port?.close()
    for (const { stream, answering } of this.#connections.values()) if (answering === 0) stream.destroy()
    if (this.#connections.size > 0) await promise
    await portClosed
  }

  /** Keeps a connection; undefined if it is not served. */
  #admit(stream: Duplex): HttpConnection | undefined {
    // From here on this is the only listener for its errors.
    stream.on('error', error => this.#log.debug({ err: error }, 'http connection failed'))
    if (this.#closing || stream.destroyed) {
      stream.destroy()
      return undefined
    }
    if (this.#connections.size >= this.#limits.connections) this.#dropLongestSilent()
    const connection = { stream, since: this.#clock.elapsed(), timeout: this.#limits.answerTimeout, answering: 0 }
    this.#connections.set(stream, connection)
    stream.once('close', () => this.#forget(stream))
    this.#sweep ??= this.#clock.every(SWEEP_MS, () => this.#dropSilent())
    return connection
  }

  /** Probes must get through even when one peer holds all connections open. */
  #dropLongestSilent(): void {
    const connections = [...this.#connections.values()]
    const longest = connections.find(({ answering }) => answering === 0) ?? connections[0]
    if (!longest) return
    this.#warn(
      { connections: connections.length },
      'too many HTTP connections; the one that has been silent longest is closed',
    )
    this.#drop(longest)
  }

  #drop({ stream }: HttpConnection): void {
    stream.destroy()
    this.#forget(stream)
  }

  #forget(stream: Duplex): void {
    this.#connections.delete(stream)
    if (this.#connections.size > 0) return
    this.#sweep?.[Symbol.dispose]()
    this.#sweep = undefined
    this.#lastClosed()
  }

  // node:http enforces its timeouts only on servers that listen themselves. One rule replaces them all: for slow
  // requests, idle connections and slow readers.
  #dropSilent(): void {
    const now = this.#clock.elapsed()
    for (const connection of this.#connections.values()) {
      if (now - connection.since >= connection.timeout || now >= this.#closeBy) this.#drop(connection)
    }
  }

  // An import of node:http would read its getters, which load fetch and WebSocket (25 ms and 14 MB).
  #createHttp(): Server {
    const http = process.getBuiltinModule('node:http')
    const server = http.createServer({ maxHeaderSize: this.#limits.headerBytes, keepAliveTimeout: 0 })
    server.maxHeadersCount = 64
    server.on('request', (request, response) => void this.#serve(request, response))
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => refuseBytes(error, socket))
    return server
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const connection = this.#connections.get(request.socket)
    if (!connection) return
    connection.answering++
    response.once('close', () => this.#finished(connection))
    const refusal = refuseFraming(request, connection)
    const { method = '', url: target = '', headers, socket } = request
    const page = refusal
      ? refusalPage(refusal)
      : await this.#page({ method, target, host: headers.host, accept: headers.accept }, socket.remoteAddress)
    if (refusal || this.#closing) response.shouldKeepAlive = false
    sendPage(response, page)
  }

  async #page(request: PageRequest, peer: string | undefined): Promise<Page> {
    const { host } = request
    if (isAllowedHost(host, this.#allowedHosts)) return this.#answer(request)
    this.#warn({ peer, host }, 'an HTTP request was refused because of its host name')
    const name = JSON.stringify(host)
    const advice = 'use the address of the server, or add the name to httpAllowedHosts'
    return refusalPage(new Refusal(421, 'HOST_NOT_ALLOWED', `the host name ${name} is not allowed: ${advice}`))
  }

  #finished(connection: HttpConnection): void {
    connection.answering--
    connection.since = this.#clock.elapsed()
    // To the end of the order, unless the connection has ended in the meantime.
    if (this.#connections.delete(connection.stream)) this.#connections.set(connection.stream, connection)
    if (connection.stream.writableEnded) destroyWhenSent(connection.stream)
  }

  /** Any peer can cause these warnings at any rate, so each is logged once a minute. */
  #warn(fields: object, text: string): void {
    const now = this.#clock.elapsed()
    if (now - (this.#warned.get(text) ?? Number.NEGATIVE_INFINITY) < WARNING_GAP_MS) return
    this.#warned.set(text, now)
    this.#log.warn(fields, text)
  }
}

/** Refuses a request because of how it was sent, whatever its target. The connection then ends. */
function refuseFraming(request: IncomingMessage, connection: HttpConnection): Refusal | undefined {
  // Each request waiting behind another would hold a page in memory.
  if (connection.answering > 1) return new Refusal(400, 'PIPELINED', 'send the next request after the answer')
  if (request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0) {
    return new Refusal(413, 'BODY_NOT_ALLOWED', 'these pages are read-only and take no body')
  }
  return undefined
}

function sendPage(response: ServerResponse, page: Page): void {
  response.writeHead(page.status, { ...page.headers, 'content-length': Buffer.byteLength(page.body) })
  response.end(page.body)
}

/** Answers bytes that node:http could not read as a request. */
function refuseBytes(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const refusal =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new Refusal(431, 'HEADER_TOO_LARGE', 'request line and headers are too large')
      : new Refusal(400, 'BAD_REQUEST', 'this is not an HTTP/1.1 request')
  socket.end(rawResponse(refusalPage(refusal)))
  destroyWhenSent(socket)
}

/** node:http leaves the other direction of a stream open if the stream is not a socket. */
function destroyWhenSent(socket: Duplex): void {
  if (socket.writableFinished) socket.destroy()
  else socket.once('finish', () => socket.destroy())
}

function rawResponse({ status, headers, body }: Page): string {
  const all = { ...headers, 'content-length': Buffer.byteLength(body), connection: 'close' }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  const reason = process.getBuiltinModule('node:http').STATUS_CODES[status] ?? ''
  return `HTTP/1.1 ${status} ${reason}\r\n${lines.join('')}\r\n${body}`
}
