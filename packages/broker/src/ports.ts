import type { Duplex } from 'node:stream'
import { HttpEndpoint, httpProtocols, idleMsOf, limitsOf, Pages, type PagesOptions, TurnBudget } from '@gantrymq/daemon'
import {
  addressRanges,
  type Clock,
  type CloseReason,
  type Command,
  type Connection,
  type Eventual,
  type FastPath,
  type Logger,
  RemotingServer,
  type ReplyParts,
  type Router,
  type ServerCloseOptions,
  type ServerTls,
} from '@gantrymq/remoting'
import { brokerPages } from './http/pages.ts'
import type { BrokerMetrics } from './metrics/broker-metrics.ts'
import type { BrokerOptions } from './options.ts'
import type { BrokerAddress, BrokerParts } from './start-options.ts'
import type { BrokerStatus } from './status.ts'

/** What answers the requests of a port. */
export interface PortRequests {
  readonly router: { readonly dispatch: Router<never, never>['dispatch'] }
  readonly fastPath: FastPath
}

export interface PortsParts {
  readonly options: BrokerOptions
  readonly main: PortRequests
  readonly fast: PortRequests
  readonly onRequest: BrokerParts['onRequest']
  readonly onClose: (connection: Connection, reason: CloseReason) => void
  readonly status: BrokerStatus
  readonly metrics: BrokerMetrics
  readonly pages: Pick<PagesOptions, 'metrics' | 'otherServers'>
  readonly tls: ServerTls | undefined
  readonly clock: Clock
  readonly log: Logger
}

/** Apache's fast port is this far below the main port. */
const FAST_PORT_DISTANCE = 2

/** What a broker listens with: its main port, the fast port, which serves everything but pulls, and the pages of HTTP. */
export class Ports {
  readonly #options: BrokerOptions
  readonly #main: RemotingServer
  readonly #fast: RemotingServer
  readonly #http: HttpEndpoint | undefined
  /** Time for the pages of HTTP, beside the requests of clients. */
  readonly #turns = new TurnBudget<'page'>({ lanes: ['page'] })
  #address: BrokerAddress | undefined
  #fastAddress: BrokerAddress | undefined
  #httpAddress: BrokerAddress | undefined

  constructor(parts: PortsParts) {
    const { options, main, fast } = parts
    this.#options = options
    this.#http = options.httpEnabled ? this.#createHttp(parts) : undefined
    this.#main = createServer(parts, main, this.#http)
    this.#fast = createServer(parts, fast, this.#http)
  }

  /** Undefined until the port is open. */
  get address(): BrokerAddress | undefined {
    return this.#address
  }

  /** Undefined if there is no fast port. */
  get fastAddress(): BrokerAddress | undefined {
    return this.#fastAddress
  }

  /** Undefined if HTTP is off. */
  get httpAddress(): BrokerAddress | undefined {
    return this.#httpAddress
  }

  /**
   * @param opened Called when the main port is known, before its first connection is served.
   * @throws RemotingError CONNECT_FAILED if a port cannot be opened
   */
  async open(opened: () => void): Promise<void> {
    const { bindAddress: host, listenPort, fastListenPort, serverSocketBacklog: backlog, httpPort, httpBindAddress } = this.#options // biome-ignore format: one thought
    const { port } = await this.#main.listen({ host, port: listenPort, backlog })
    this.#address = { host, port }
    opened()
    const fastPort = fastListenPort ?? (listenPort > FAST_PORT_DISTANCE ? listenPort - FAST_PORT_DISTANCE : undefined)
    if (fastPort !== undefined) {
      this.#fastAddress = { host, port: (await this.#fast.listen({ host, port: fastPort, backlog })).port }
    }
    if (this.#http === undefined) return
    this.#httpAddress = this.#address
    if (httpPort === null) return
    const httpHost = httpBindAddress ?? host
    this.#httpAddress = { host: httpHost, port: (await this.#http.listen(httpPort, httpHost)).port }
  }

  /** In place of `open`: no port is opened, `accept` gets the connections, and the main port counts as open on `host`. */
  openNone(host: string): void {
    this.#address = { host, port: this.#options.listenPort }
  }

  /** Serves one connection to the main port over any stream. */
  accept(stream: Duplex, remoteAddress: string): void {
    this.#main.accept(stream, remoteAddress)
  }

  optionsChanged(options: BrokerOptions): void {
    for (const server of [this.#main, this.#fast]) server.setIdleMs(idleMsOf(options))
  }

  /** Answers the requests in progress, then closes all connections and ports. */
  async close(limits: Required<ServerCloseOptions>): Promise<void> {
    await Promise.all([this.#main.close(limits), this.#fast.close(limits)])
    await this.#http?.close()
    this.#turns[Symbol.dispose]()
  }

  #createHttp({ options, status, pages: given, clock, log }: PortsParts): HttpEndpoint {
    const of = { role: 'broker', clock, log }
    const further = brokerPages(status, work => this.#turns.run('page', work))
    const pages = new Pages({ ...of, ...given, health: status, further })
    return new HttpEndpoint({
      ...of,
      allowedHosts: options.httpAllowedHosts,
      answer: request => pages.answer(request),
    })
  }
}

function createServer(
  { options, onRequest, onClose, metrics, tls, clock, log }: PortsParts,
  { router, fastPath }: PortRequests,
  http: HttpEndpoint | undefined,
): RemotingServer {
  const { proxyProtocolRanges } = options
  return new RemotingServer({
    onRequest: (command: Command, peer): Eventual<ReplyParts> =>
      onRequest === undefined
        ? router.dispatch(command, peer)
        : onRequest(command, () => router.dispatch(command, peer)),
    // A caller that gets requests in place of the broker gets all of them, as commands.
    fastPath: onRequest === undefined ? fastPath : undefined,
    repliesTogether: true,
    onAnswered: (request, response, ms, count) => metrics.rpc.observe(request, response, ms, count),
    traffic: metrics,
    onClose,
    protocols: http === undefined || options.httpPort !== null ? {} : httpProtocols(http),
    tls,
    proxies: proxyProtocolRanges.length > 0 ? addressRanges(proxyProtocolRanges.join(',')) : undefined,
    limits: limitsOf(options),
    clock,
    log,
  })
}
