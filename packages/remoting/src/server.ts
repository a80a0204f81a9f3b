import diagnostics from 'node:diagnostics_channel'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { AddressRanges } from './address-range.ts'
import { type DetectedProtocol, ProtocolDetector, unshiftBytes } from './protocol-detector.ts'
import { BufferPool } from './buffer-pool.ts'
import { type Clock, systemClock } from './clock.ts'
import type { CloseReason } from './close-reason.ts'
import type { Command, ReplyParts } from './command.ts'
import { Connection, nextConnectionId } from './connection.ts'
import { type ConnectionLimits, type ConnectionOptions, defaultConnectionLimits } from './connection-options.ts'
import { RemotingError } from './errors.ts'
import { type FastPath, NOT_TAKEN } from './fast-path.ts'
import { FrameMemory } from './frame-memory.ts'
import type { Eventual } from './held.ts'
import { type Logger, silent } from './log.ts'
import { addressOf, ipOf } from './peer-address.ts'
import { PROXY_V2_LIMIT } from './proxy-protocol.ts'
import { ReadTurns } from './read-turns.ts'
import type { Peer } from './request.ts'
import { GO_AWAY } from './router.ts'
import type { ServerTls } from './tls.ts'
import { upTo } from './waits.ts'
import { WriteTurns } from './write-turns.ts'

/** Limits of a server and of each of its connections. */
export interface ServerLimits extends ConnectionLimits {
  /** Connections of every kind. Default 65,536. */
  readonly maxConnections: number
  /** Connections from one address; a PROXY preamble replaces the address. Default 16,384. */
  readonly maxConnectionsPerAddress: number
  /** How long a connection may take until its protocol is detected, milliseconds. Default 10,000. */
  readonly detectionMs: number
  /** A connection closes after so long without a byte in or out, milliseconds; 0 for never. Default 120,000, Apache's. */
  readonly idleMs: number
  /** Largest PROXY preamble of version 2, bytes. Default 536. */
  readonly proxyPreamble: number
  /**
   * Bytes of unfinished frames and of requests that are not answered yet, over all connections, and as many of unread replies;
   * see `FrameMemory`. Default 268,435,456.
   */
  readonly maxFrameMemory: number
}

export const defaultServerLimits: ServerLimits = {
  ...defaultConnectionLimits,
  maxConnections: 65_536,
  maxConnectionsPerAddress: 16_384,
  detectionMs: 10_000,
  idleMs: 120_000,
  proxyPreamble: PROXY_V2_LIMIT,
  maxFrameMemory: 256 << 20,
}

/**
 * Handlers of the connections that speak HTTP. The bytes that were read are back in the stream, which is paused: pass it to a
 * server of node:http or node:http2 (`server.emit('connection', stream)`).
 */
export interface OtherProtocols {
  /** The server resumes the stream when this returns. */
  http1?(stream: Duplex, remoteAddress: string): void
  http2?(stream: Duplex, remoteAddress: string): void
}

export interface RemotingServerOptions {
  /** Answers requests: `Router.dispatch`. Must not throw. */
  readonly onRequest: (command: Command, peer: Peer) => Eventual<ReplyParts>
  /** Gets requests before `onRequest`, and may answer them itself. */
  readonly fastPath?: FastPath | undefined
  /**
   * Write the replies to all reads of a turn of the event loop together, at its end. It takes less CPU time where all requests are
   * small; where some take milliseconds, the others would wait for them. Default false.
   */
  readonly repliesTogether?: boolean | undefined
  readonly onAnswered?: ConnectionOptions['onAnswered']
  readonly onSend?: ConnectionOptions['onSend']
  readonly traffic?: ConnectionOptions['traffic']
  /** Called when a peer speaks remoting, before its first request. */
  readonly onOpen?: (connection: Connection) => void
  /** Called once when a connection passed to `onOpen` has ended. */
  readonly onClose?: (connection: Connection, reason: CloseReason) => void
  readonly protocols?: OtherProtocols
  /** The caller that opened it closes it. Without it, TLS is refused. */
  readonly tls?: ServerTls | undefined
  /** The peers that may send a client's address in a PROXY preamble. Default: none; Apache 5 trusts every peer. */
  readonly proxies?: AddressRanges | undefined
  readonly limits?: Partial<ServerLimits>
  readonly clock?: Clock
  readonly log?: Logger
}

export interface ListenOptions {
  /** Default 0.0.0.0, all IPv4 addresses, as Apache. */
  readonly host?: string
  /** Default 0: any free port. */
  readonly port?: number
  /** Connections that the kernel queues until they are accepted. Default 1,024, Apache's. */
  readonly backlog?: number
}

export interface ServerCloseOptions {
  /**
   * How long to continue serving while newer clients are asked to use another server, milliseconds. Ends early when no
   * connection is left. Default 0. Apache's shutdownWaitTimeSeconds.
   */
  readonly goAwayMs?: number
  /** After that, how long requests being answered may take, milliseconds. Default 5,000. */
  readonly drainMs?: number
}

// Clients newer than 5.3.1 know code 1500 (Apache's NettyRemotingAbstract.processRequestCommand).
const LAST_VERSION_WITHOUT_GO_AWAY = 475
const goAway: ReplyParts = { code: GO_AWAY, remark: 'please go away' }

const SWEEP_MS = 1000

const opened = diagnostics.channel('gantrymq:remoting:connection:open')
const refused = diagnostics.channel('gantrymq:remoting:connection:refused')

/** Serves remoting, and passes on HTTP, on any number of ports and streams. Owns every connection that it accepts. */
export class RemotingServer {
  readonly #options: RemotingServerOptions
  readonly #limits: ServerLimits
  #idleMs: number
  readonly #clock: Clock
  readonly #log: Logger
  readonly #servers = new Set<Server>()
  /** Detectors of the connections whose protocol is unknown yet, and when each connection was accepted. */
  readonly #detectors = new Map<ProtocolDetector, number>()
  readonly #connections = new Set<Connection>()
  /** Streams of every kind, and the address under which each is counted. */
  readonly #streams = new Map<Duplex, string>()
  readonly #perAddress = new Map<string, number>()
  readonly #fastPath: FastPath | undefined
  readonly #pool = new BufferPool()
  readonly #turns = new ReadTurns()
  readonly #writeTurns: WriteTurns | undefined
  /** Of the frames of all connections. */
  readonly memory: FrameMemory
  #sweeper: Disposable | undefined
  #draining = false
  #onEmpty: (() => void) | undefined
  #closing: Promise<void> | undefined

  constructor(options: RemotingServerOptions) {
    this.#options = options
    this.#limits = { ...defaultServerLimits, ...options.limits }
    this.#idleMs = this.#limits.idleMs
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silent
    this.memory = new FrameMemory(this.#limits.maxFrameMemory, this.#clock)
    this.#fastPath = options.fastPath && this.#unlessGoingAway(options.fastPath)
    this.#writeTurns = options.repliesTogether === true ? new WriteTurns() : undefined
  }

  /** The connections that speak remoting. */
  get connections(): ReadonlySet<Connection> {
    return this.#connections
  }

  /** Connections of every kind. */
  get connectionCount(): number {
    return this.#streams.size
  }

  /** How long every connection may be idle, open ones included: `idleMs` of the limits, changed at run time. */
  setIdleMs(ms: number): void {
    this.#idleMs = ms
  }

  /**
   * Opens a port. May be called for several ports.
   * @throws RemotingError CONNECT_FAILED naming the address, with the system's error as its cause.
   */
  async listen({ host = '0.0.0.0', port = 0, backlog = 1024 }: ListenOptions = {}): Promise<AddressInfo> {
    // A connection closes its own side when its turn comes: without this, Node would close all that hang up in one turn.
    const server = createServer({ noDelay: true, allowHalfOpen: true }, socket => this.#onSocket(socket))
    await opening(server, { host, port, backlog })
    // EMFILE, for example: this connection is lost, but the next one may be served.
    server.on('error', (error: Error) => this.#log.error({ err: error }, 'a connection could not be accepted'))
    this.#servers.add(server)
    if (this.#closing !== undefined) server.close()
    return server.address() as AddressInfo
  }

  /** Serves one connection over any stream. */
  accept(stream: Duplex, remoteAddress: string): void {
    const address = ipOf(remoteAddress)
    this.#streams.set(stream, address)
    this.#count(address, 1)
    stream.once('close', () => this.#forget(stream))
    const full = this.#whyFull(address)
    if (full === undefined) this.#detect(stream, remoteAddress)
    else this.#turnAway(stream, remoteAddress, full)
  }

  /**
   * Stops accepting connections, asks newer clients to use another server, lets requests in flight finish, then closes all
   * connections. Idempotent; resolves when no connection and no port is open.
   */
  close(options: ServerCloseOptions = {}): Promise<void> {
    return (this.#closing ??= this.#shutDown(options))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // -- New connections -----------------------------------------------------------------------------------------------

  #onSocket(socket: Socket): void {
    const address = addressOf(socket)
    // The client has disconnected already.
    if (address === undefined) socket.destroy()
    else this.accept(socket, address)
  }

  #whyFull(address: string): string | undefined {
    const { maxConnections } = this.#limits
    if (this.#closing !== undefined) return 'the server is closing'
    if (this.#streams.size > maxConnections) return `there are ${maxConnections} connections already`
    // A proxy forwards the connections of many clients; they are counted under the addresses that it sends.
    if (this.#options.proxies?.includes(address)) return undefined
    return this.#whyTooMany(address)
  }

  #whyTooMany(address: string): string | undefined {
    const { maxConnectionsPerAddress } = this.#limits
    if ((this.#perAddress.get(address) ?? 0) <= maxConnectionsPerAddress) return undefined
    return `there are ${maxConnectionsPerAddress} connections from ${address} already`
  }

  #detect(stream: Duplex, remoteAddress: string): void {
    const { tls, proxies } = this.#options
    // The id is assigned now: if a peer opens two connections, the first one accepted may be the last one to be read.
    const id = nextConnectionId()
    const detector: ProtocolDetector = new ProtocolDetector(stream, remoteAddress, {
      tls,
      proxies,
      proxyLimit: this.#limits.proxyPreamble,
      frameLimit: this.#limits.maxFrame,
      onDetected: detected => {
        this.#detectors.delete(detector)
        this.#admit(stream, detected, id)
      },
      onRefused: why => {
        this.#detectors.delete(detector)
        stream.destroy()
        if (why !== undefined) this.#report(detector.remoteAddress, why)
      },
    })
    this.#detectors.set(detector, this.#clock.elapsed())
    this.#sweeper ??= this.#clock.every(SWEEP_MS, () => this.#sweep())
  }

  #admit(stream: Duplex, detected: DetectedProtocol, id: number): void {
    const address = ipOf(detected.remoteAddress)
    this.#recount(stream, address)
    const full = this.#whyTooMany(address)
    if (full !== undefined) this.#turnAway(detected.stream, detected.remoteAddress, full)
    else if (detected.protocol === 'remoting') this.#connect(detected, id)
    else this.#handOn(detected, detected.protocol)
  }

  #handOn({ stream, bytes, remoteAddress }: DetectedProtocol, protocol: 'http1' | 'http2'): void {
    const { protocols } = this.#options
    if (protocols?.[protocol] === undefined) {
      this.#turnAway(
        stream,
        remoteAddress,
        `it speaks ${protocol === 'http1' ? 'HTTP/1' : 'HTTP/2'}, which is not served here`,
      )
      return
    }
    unshiftBytes(stream, bytes)
    // node:http wants half-open streams; a session of node:http2 does not close them.
    if (protocol === 'http2') stream.allowHalfOpen = false
    protocols[protocol](stream, remoteAddress)
    // node:http waits until the stream flows; node:http2 reads the stream by itself, and would miss bytes that flow earlier.
    if (protocol === 'http1') stream.resume()
  }

  #turnAway(stream: Duplex, remoteAddress: string, why: string): void {
    stream.on('error', () => {})
    stream.destroy()
    this.#report(remoteAddress, why)
  }

  #report(remoteAddress: string, why: string): void {
    this.#log.warn({ peer: remoteAddress, why }, 'connection refused')
    if (refused.hasSubscribers) refused.publish({ remoteAddress, why })
  }

  // -- Connections ---------------------------------------------------------------------------------------------------

  #connect({ stream, bytes, remoteAddress, encrypted }: DetectedProtocol, id: number): void {
    const { onAnswered, onSend, onOpen, traffic } = this.#options
    const connection: Connection = new Connection(stream, {
      id,
      remoteAddress,
      fastPath: this.#fastPath,
      onAnswered,
      onSend,
      traffic,
      pool: this.#pool,
      memory: this.memory,
      turns: this.#turns,
      writeTurns: this.#writeTurns,
      limits: this.#limits,
      clock: this.#clock,
      log: this.#log,
      onRequest: (command, peer) => this.#answer(command, peer),
      onClose: reason => this.#onClosed(connection, reason),
    })
    this.#connections.add(connection)
    if (opened.hasSubscribers) opened.publish({ connection: connection.id, remoteAddress, encrypted })
    onOpen?.(connection)
    connection.feed(bytes)
  }

  #answer(command: Command, peer: Peer): Eventual<ReplyParts> {
    return this.#mustGoAway(command.version) ? goAway : this.#options.onRequest(command, peer)
  }

  #unlessGoingAway(fastPath: FastPath): FastPath {
    return {
      takesOneway: fastPath.takesOneway ?? false,
      take: (view, connection) => (this.#mustGoAway(view.version) ? NOT_TAKEN : fastPath.take(view, connection)),
    }
  }

  // Older clients are served to the end, as in Java's NettyRemotingAbstract.processRequestCommand.
  #mustGoAway(version: number): boolean {
    return this.#draining && version > LAST_VERSION_WITHOUT_GO_AWAY
  }

  #onClosed(connection: Connection, reason: CloseReason): void {
    this.#connections.delete(connection)
    // Without another reason the peer has closed the connection, unless this server is closing.
    const why = reason !== 'closed' ? reason : this.#closing === undefined ? 'peer' : 'shutdown'
    this.#options.onClose?.(connection, why)
  }

  #sweep(): void {
    const now = this.#clock.elapsed()
    const { detectionMs } = this.#limits
    const idleMs = this.#idleMs
    for (const [detector, since] of this.#detectors) {
      if (now - since >= detectionMs) detector.refuse(`it did not show its protocol within ${detectionMs} ms`)
    }
    this.memory.sweep()
    for (const connection of this.#connections) {
      connection.sweep(now)
      if (idleMs === 0 || now - connection.lastActivity < idleMs) continue
      this.#log.info({ peer: connection.remoteAddress, idleMs }, 'idle connection closed')
      connection.destroy('idle')
    }
  }

  // -- Counting ------------------------------------------------------------------------------------------------------

  #count(address: string, by: 1 | -1): void {
    const count = (this.#perAddress.get(address) ?? 0) + by
    if (count === 0) this.#perAddress.delete(address)
    else this.#perAddress.set(address, count)
  }

  #recount(stream: Duplex, address: string): void {
    const before = this.#streams.get(stream)
    if (before === undefined || before === address) return
    this.#count(before, -1)
    this.#count(address, 1)
    this.#streams.set(stream, address)
  }

  #forget(stream: Duplex): void {
    const address = this.#streams.get(stream)
    if (address === undefined) return
    this.#streams.delete(stream)
    this.#count(address, -1)
    if (this.#streams.size === 0) this.#onEmpty?.()
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  async #shutDown({ goAwayMs = 0, drainMs = 5000 }: ServerCloseOptions): Promise<void> {
    this.#draining = true
    const ports = [...this.#servers].map(server => new Promise(resolve => server.close(resolve)))
    for (const detector of this.#detectors.keys()) detector.refuse(undefined)
    await this.#untilEmpty(goAwayMs)
    await Promise.all([...this.#connections].map(connection => connection.close({ drainMs })))
    // The handlers of HTTP connections should have closed them before; this closes the rest.
    for (const stream of this.#streams.keys()) stream.destroy()
    this.#sweeper?.[Symbol.dispose]()
    this.#sweeper = undefined
    await Promise.all(ports)
  }

  async #untilEmpty(ms: number): Promise<void> {
    if (ms <= 0 || this.#streams.size === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onEmpty = resolve
    await upTo(this.#clock, promise, { timeoutMs: ms })
  }
}

function opening(server: Server, where: Required<ListenOptions>): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      const why = error.code === 'EADDRINUSE' ? 'the port is in use' : error.message
      reject(
        new RemotingError('CONNECT_FAILED', `cannot listen on ${where.host}:${where.port}: ${why}`, { cause: error }),
      )
    }
    server.once('error', onError)
    server.listen(where, () => {
      server.off('error', onError)
      resolve()
    })
  })
}
