import { createServer, type Server } from 'node:net'
import type { Duplex } from 'node:stream'
import { RemotingError } from '@gantrymq/remoting'

/** What serves the connections of a gateway. */
export interface Acceptor {
  accept(stream: Duplex, remoteAddress: string): void
}

/**
 * The port of a server under test. It stays the same while the server behind it is replaced or out of reach. Streams in memory may
 * be connected to it, too.
 */
export class Gateway {
  /** Undefined: connections are refused. */
  acceptor: Acceptor | undefined
  readonly #server: Server
  readonly #streams = new Set<Duplex>()
  #port = 0

  constructor() {
    this.#server = createServer(socket => {
      socket.setNoDelay()
      this.connect(socket, `${socket.remoteAddress}:${socket.remotePort}`)
    })
    this.#server.unref()
  }

  /** `host:port`. */
  get address(): string {
    return `127.0.0.1:${this.#port}`
  }

  get port(): number {
    return this.#port
  }

  /** Listens on a free port of 127.0.0.1. @throws the error of the operating system */
  async listen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.once('error', reject)
    this.#server.listen(0, '127.0.0.1', resolve)
    await promise
    const bound = this.#server.address()
    if (bound === null || typeof bound === 'string') throw new RemotingError('CONNECT_FAILED', 'the port has no number')
    this.#port = bound.port
  }

  connect(stream: Duplex, remoteAddress: string): void {
    if (this.acceptor === undefined) {
      stream.destroy()
      return
    }
    this.#streams.add(stream)
    stream.once('close', () => this.#streams.delete(stream))
    this.acceptor.accept(stream, remoteAddress)
  }

  /** Ends all connections, like a server that was killed. */
  dropAll(): void {
    for (const stream of this.#streams) stream.destroy()
  }

  async close(): Promise<void> {
    this.acceptor = undefined
    this.dropAll()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    await promise
  }
}
