import { createServer, type Server } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Clock, type Command, RemotingError } from '@gantrymq/remoting'
import { type Fault, Faults, type SeenRequest, type SetFault } from './faults.ts'
import { GatewayLink } from './gateway-link.ts'

/** What serves the connections of a gateway. */
export interface Acceptor {
  accept(stream: Duplex, remoteAddress: string): void
}

export interface GatewayOptions {
  readonly clock: Clock
  /** `host:port` under which clients reach it before, or without, `listen`. */
  readonly address?: string
  /** The release that all answers announce. Default: the server's. */
  readonly version?: number
  /** Gets each request of a client, in the order in which they arrive. */
  readonly onRequest?: (request: SeenRequest) => void
  /** Gets each request of a client, and returns what the server gets instead: the same or another. */
  readonly rewrite?: (command: Command) => Command
  /** Gets each answer of the server, before a fault does, and returns it or another. */
  readonly onAnswer?: (answer: Command) => Command
}

/**
 * The port of a server under test. It stays the same while the server behind it is replaced or out of reach, sees every request, and
 * makes those fail that a test chooses. Connections come from its port or as streams.
 */
export class Gateway {
  /** The server. Undefined: it cannot be reached, and connections are refused. */
  acceptor: Acceptor | undefined
  readonly faults = new Faults()
  readonly #options: GatewayOptions
  readonly #links = new Set<GatewayLink>()
  #server: Server | undefined
  #address: string

  constructor(options: GatewayOptions) {
    this.#options = options
    this.#address = options.address ?? ''
  }

  /** `host:port`; after `listen` the real one. */
  get address(): string {
    return this.#address
  }

  get port(): number {
    return Number(this.#address.slice(this.#address.lastIndexOf(':') + 1))
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#links.size
  }

  /** @param name a request, or `*` for all */
  fault(name: string, fault: Fault): SetFault {
    return this.faults.set([name], fault)
  }

  /** Listens on a free port of 127.0.0.1. @throws the error of the operating system */
  async listen(): Promise<void> {
    const server = createServer(socket => {
      socket.setNoDelay()
      this.connect(socket, `${socket.remoteAddress}:${socket.remotePort}`)
    })
    server.unref()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
    await promise
    const bound = server.address()
    if (bound === null || typeof bound === 'string') throw new RemotingError('CONNECT_FAILED', 'the port has no number')
    this.#server = server
    this.#address = `127.0.0.1:${bound.port}`
  }

  /** Connects a client at the other end of a stream to the server. */
  connect(stream: Duplex, remoteAddress: string): void {
    if (this.acceptor === undefined) {
      stream.destroy()
      return
    }
    const link = new GatewayLink(stream, remoteAddress, {
      clock: this.#options.clock,
      faults: this.faults,
      version: this.#options.version,
      onRequest: request => this.#options.onRequest?.(request),
      rewrite: this.#options.rewrite,
      onAnswer: this.#options.onAnswer,
      onClose: closed => void this.#links.delete(closed),
    })
    this.#links.add(link)
    this.acceptor.accept(link.far, remoteAddress)
  }

  /** Ends all connections, like a server that was killed. */
  dropAll(): void {
    for (const link of this.#links) link.destroy()
  }

  /** Lets nothing pass on all open connections, like a machine that lost its network. */
  freeze(): void {
    for (const link of this.#links) link.freeze()
  }

  /** Sends bytes to every client. */
  write(bytes: Buffer): void {
    for (const link of this.#links) link.write(bytes)
  }

  /** Sends a client a request as if it came from the server. @param remoteAddress the address of the client's connection */
  call(remoteAddress: string, command: Omit<Command, 'opaque'>): Promise<Command> {
    const link = [...this.#links].find(each => each.remoteAddress === remoteAddress)
    return link?.call(command) ?? Promise.reject(new Error(`no client is connected from ${remoteAddress}`))
  }

  /** Ends all connections and closes the port. */
  async close(): Promise<void> {
    this.acceptor = undefined
    this.dropAll()
    const server = this.#server
    if (server !== undefined) await new Promise<void>(resolve => server.close(() => resolve()))
  }
}
