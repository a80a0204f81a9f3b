import { requestNames } from '@gantrymq/protocol'
import type { Clock, Command } from '@gantrymq/remoting'
import { type Acceptor, type Fault, Gateway, type SeenRequest, type SetFault } from '@gantrymq/testing/gateway'

export interface TestServerOptions {
  readonly clock: Clock
  /** `host:port` for memory sockets; `listen` replaces it. */
  readonly address: string
  /** The release that answers announce. Default: the server's. */
  readonly version?: number | undefined
}

/** The gateway of a server: what it has received, its faults, and whether it can be reached. */
export class TestServer extends Gateway {
  /** All requests of clients, the oldest first, including one-way requests. */
  readonly requests: SeenRequest[] = []
  /** Whether new connections succeed, fail or, over memory sockets, never complete. */
  accepting: 'connects' | 'refuses' | 'hangs' = 'connects'
  /** Changes the answers of the server. */
  alter: (answer: Command) => Command = answer => answer
  #behind: Acceptor | undefined

  constructor({ clock, address, version }: TestServerOptions) {
    super({
      clock,
      address,
      ...(version !== undefined && { version }),
      onRequest: request => void this.requests.push({ ...request, body: request.body && Buffer.from(request.body) }),
      onAnswer: answer => this.alter(answer),
    })
  }

  /** Puts the server behind the gateway. */
  serve(server: Acceptor): void {
    this.#behind = server
    this.acceptor = server
  }

  /** Requests of one name. */
  requestsOf(name: string): SeenRequest[] {
    return this.requests.filter(each => each.name === name)
  }

  override fault(name: string, fault: Fault): SetFault {
    if (name !== '*' && ![...requestNames.values()].includes(name)) throw new Error(`there is no request ${name}`)
    return super.fault(name, fault)
  }

  clearFaults(): void {
    this.faults.clear()
  }

  /** Ends all connections and accepts no new ones. The server behind keeps what it has, and its time goes on. */
  down(): void {
    this.accepting = 'refuses'
    this.acceptor = undefined
    this.dropAll()
  }

  /** Accepts connections again. */
  up(): void {
    this.accepting = 'connects'
    this.acceptor = this.#behind
  }
}
