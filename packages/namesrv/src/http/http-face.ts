import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { type AddressInfo, createServer, type Server as NetServer, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { MetricsPage } from '@gantrymq/daemon'
import { type Clock, type Logger, silent } from '@gantrymq/remoting'
import type { NameServerStatus } from '../status.ts'
import { serveHttp2 } from './grpc-refusal.ts'
import { type Page, Refusal, refusalPage } from './page.ts'
import { Pages } from './pages.ts'

export interface HttpLimits {
  /** Connections at a time. One more pushes out the one that has been silent longest. Default 64. */
  readonly connections: number
  /** Bytes of request line and headers. Default 8192. */
  readonly headerBytes: number
  /** Milliseconds from one finished answer to the next, or from the start to the first. Default 30,000. */
  readonly answerTimeout: number
  /** Milliseconds that `close` waits for answers under way. Default 2,000. */
  readonly closeTimeout: number
}

const httpLimits: HttpLimits = {
  connections: 64,
  headerBytes: 8192,
  answerTimeout: 30_000,
  closeTimeout: 2_000,
}

export interface HttpFaceOptions {
  readonly status: NameServerStatus
  readonly metrics?: MetricsPage | undefined
  readonly clock: Clock
  readonly log?: Logger
  readonly limits?: Partial<HttpLimits>
}

/** The pages over connections that were accepted elsewhere, and on a port of their own if asked to. */
export interface HttpFace {
  /** Takes a connection that speaks HTTP/1.1, its first bytes put back. */
  accept(socket: Duplex): void
  /**
   * Takes a connection that began with HTTP/2's preface, put back. It must not flow. Only sockets are served, plain or
   * TLS: over other streams node:http2 can fail an assertion of its own, which would end the process.
   * @param remoteAddress For the log.
   */
  acceptHttp2(socket: Duplex, remoteAddress?: string): void
  /** Opens a port for HTTP/1.1. @returns where. Rejects with the system's error. */
  listen(port: number, host?: string): Promise<AddressInfo>
  readonly connections: number
  /** Closes what is idle and waits for answers under way, for a while. */
  close(): Promise<void>
}

export function createHttpFace(options: HttpFaceOptions): HttpFace {
  return new Face(options)
}

/** A connection and when it last deserved patience. */
interface Visit {
  readonly socket: Duplex
  since: number
  /** Milliseconds. */
  patience: number
  /** Answers under way. */
  busy: number
}

const SWEEP_MS = 1000
/** A gRPC client tries again, but it has been told. */
const GRPC_PATIENCE_MS = 5000
const WARNING_GAP_MS = 60_000

class Face implements HttpFace {
  readonly #pages: Pages
  readonly #clock: Clock
  readonly #log: Logger
  readonly #limits: HttpLimits
  /** Those that have waited longest come first. */
  readonly #visits = new Map<Duplex, Visit>()
  #http: Server | undefined
  #port: NetServer | undefined
  #sweep: Disposable | undefined
  #closing: Promise<void> | undefined
  #closeBy = Number.POSITIVE_INFINITY
  #empty = () => {}
  readonly #warned = new Map<string, number>()

  constructor(options: HttpFaceOptions) {
    this.#pages = new Pages(options)
    this.#clock = options.clock
    this.#log = options.log ?? silent
    this.#limits = { ...httpLimits, ...options.limits }
  }

  get connections(): number {
    return this.#visits.size
  }

  accept(socket: Duplex): void {
    if (!this.#admit(socket)) return
    this.#http ??= this.#createHttp()
    this.#http.emit('connection', socket)
    // What accepted the connection may have paused it after looking at its first bytes.
    socket.resume()
  }

  acceptHttp2(socket: Duplex, remoteAddress?: string): void {
    const visit = this.#admit(socket)
    if (!visit) return
    if (!(socket instanceof Socket)) {
      this.#drop(visit)
      return
    }
    serveHttp2(socket, {
      answer: request => {
        visit.busy++
        return this.#pages.answer(request)
      },
      answered: () => this.#finished(visit),
      refused: path => {
        visit.since = this.#clock.now()
        visit.patience = Math.min(visit.patience, GRPC_PATIENCE_MS)
        const fields = { peer: remoteAddress ?? socket.remoteAddress, path }
        this.#warn(fields, 'a gRPC client dialled the name server, it was told to dial the proxy')
      },
      failed: error => this.#log.debug({ err: error }, 'http2 connection failed'),
    })
  }

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

  close(): Promise<void> {
    return (this.#closing ??= this.#shutDown())
  }

  async #shutDown(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#empty = resolve
    this.#closeBy = this.#clock.now() + this.#limits.closeTimeout
    const portClosed = this.#port && once(this.#port, 'close')
    this.#port?.close()
    for (const visit of this.#visits.values()) if (visit.busy === 0) visit.socket.destroy()
    if (this.#visits.size > 0) await promise
    await portClosed
  }

  /** Takes a connection into the books; undefined if it is not served. */
  #admit(socket: Duplex): Visit | undefined {
    // From here on nobody else hears its errors.
    socket.on('error', error => this.#log.debug({ err: error }, 'http connection failed'))
    if (this.#closing || socket.destroyed) {
      socket.destroy()
      return undefined
    }
    if (this.#visits.size >= this.#limits.connections) this.#pushOut()
    const visit = { socket, since: this.#clock.now(), patience: this.#limits.answerTimeout, busy: 0 }
    this.#visits.set(socket, visit)
    socket.once('close', () => this.#leave(socket))
    this.#sweep ??= this.#clock.every(SWEEP_MS, () => this.#dropSilent())
    return visit
  }

  /** Probes must get through even when somebody holds all connections open. */
  #pushOut(): void {
    const visits = [...this.#visits.values()]
    const victim = visits.find(visit => visit.busy === 0) ?? visits[0]
    if (!victim) return
    this.#warn({ connections: this.#visits.size }, 'too many http connections, the longest silent one is closed')
    this.#drop(victim)
  }

  #drop({ socket }: Visit): void {
    socket.destroy()
    this.#leave(socket)
  }

  #leave(socket: Duplex): void {
    this.#visits.delete(socket)
    if (this.#visits.size > 0) return
    this.#sweep?.[Symbol.dispose]()
    this.#sweep = undefined
    this.#empty()
  }

  // node:http enforces its own timeouts only on servers that listen themselves. One rule replaces them all, for slow
  // requests, idle connections and slow readers alike.
  #dropSilent(): void {
    const now = this.#clock.now()
    for (const visit of this.#visits.values()) {
      if (now - visit.since >= visit.patience || now >= this.#closeBy) this.#drop(visit)
    }
  }

  // Not imported: importing it as a module reads its getters, which load fetch and WebSocket (25 ms and 14 MB).
  #createHttp(): Server {
    const http = process.getBuiltinModule('node:http')
    const server = http.createServer({ maxHeaderSize: this.#limits.headerBytes, keepAliveTimeout: 0 })
    server.maxHeadersCount = 64
    server.on('request', (request, response) => void this.#serve(request, response))
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => refuseBytes(error, socket))
    return server
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const visit = this.#visits.get(request.socket)
    if (!visit) return
    visit.busy++
    response.once('close', () => this.#finished(visit))
    const refusal = refuseFraming(request, visit)
    const page = refusal
      ? refusalPage(refusal)
      : await this.#pages.answer({ method: request.method ?? '', target: request.url ?? '' })
    if (refusal || this.#closing) response.shouldKeepAlive = false
    sendPage(response, page)
  }

  #finished(visit: Visit): void {
    visit.busy--
    visit.since = this.#clock.now()
    // To the end of the queue, unless it has left meanwhile.
    if (this.#visits.delete(visit.socket)) this.#visits.set(visit.socket, visit)
    if (visit.socket.writableEnded) destroyWhenSent(visit.socket)
  }

  /** Strangers can bring these about as often as they like, so each is said once a minute. */
  #warn(fields: object, text: string): void {
    const now = this.#clock.now()
    if (now - (this.#warned.get(text) ?? Number.NEGATIVE_INFINITY) < WARNING_GAP_MS) return
    this.#warned.set(text, now)
    this.#log.warn(fields, text)
  }
}

/** Requests that are refused whatever they ask for, because of how they come. The connection ends with them. */
function refuseFraming(request: IncomingMessage, visit: Visit): Refusal | undefined {
  // Each request waiting behind another would hold a page in memory.
  if (visit.busy > 1) return new Refusal(400, 'PIPELINED', 'send the next request after the answer')
  if (request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0) {
    return new Refusal(413, 'BODY_NOT_ALLOWED', 'these pages are read-only and take no body')
  }
  return undefined
}

function sendPage(response: ServerResponse, page: Page): void {
  response.writeHead(page.status, { ...page.headers, 'content-length': Buffer.byteLength(page.body) })
  response.end(page.body)
}

/** Bytes that node:http could not read as a request. */
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

/** node:http leaves the other direction of a stream open if it is no socket. */
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
