import type { Duplex } from 'node:stream'
import {
  type GivenOptions,
  HttpEndpoint,
  httpProtocols,
  idleMsOf,
  limitsOf,
  type MetricSource,
  type MetricsPage,
  openServerTls,
  type OpenServerTls,
  type OtherServer,
  Pages,
  type PagesOptions,
  type Readiness,
  ServerSettings,
  storeInFile,
  TurnBudget,
} from '@gantrymq/daemon'
import { nameServerRequests, requestNames, responseCodes, type TopicRoute } from '@gantrymq/protocol'
import {
  addressRanges,
  AwakeClock,
  type Clock,
  type CloseReason,
  type Connection,
  type Logger,
  RemotingClient,
  RemotingServer,
  Router,
  type ServerTls,
  type Sliced,
  silent,
  systemClock,
} from '@gantrymq/remoting'
import { type CredentialsFile, openCredentials } from './access/credentials-file.ts'
import { RefusalLog } from './access/refusal-log.ts'
import { SignatureRequirement } from './access/signature-requirement.ts'
import type { MinBrokerChange, Removal } from './registry/broker-changes.ts'
import { type Lane, LANES, type NameServerContext } from './context.ts'
import { Departures } from './registry/departures.ts'
import { handlers } from './handlers/index.ts'
import { nameServerPages } from './http/pages.ts'
import { RegistryLog } from './registry-log.ts'
import { ORDER_TOPICS } from './kv/kv-config.ts'
import { KvStore } from './kv/kv-store.ts'
import { InflationLimit } from './registration/inflation-limit.ts'
import { LastBodies } from './registration/last-bodies.ts'
import { NameServerMetrics } from './metrics/name-server-metrics.ts'
import { MinBrokerNotifier } from './registry/min-broker-notifier.ts'
import { type NameServerOptions, nameServerOptions } from './options.ts'
import { PreparedRoutes } from './answers/prepared-routes.ts'
import { RouteBodies } from './answers/route-bodies.ts'
import { RouteTable, type RouteTableOptions } from './registry/route-table.ts'
import { serverStatus } from './server-status.ts'
import type { NameServerStatus, SliceRunner } from './status.ts'
import { RequestOrder } from './request-order.ts'

/** What a program passes besides the options. */
export interface NameServerParts {
  /** Default: nothing is logged. */
  readonly log?: Logger
  readonly clock?: Clock
  /** Creates the page at `/metrics`. Default: that page says that metrics are off. */
  readonly metricsPage?: (source: MetricSource) => MetricsPage
  /** Servers of the same process that have pages, too: the page for browsers links to them. Default none. */
  readonly otherServers?: () => readonly OtherServer[]
  /** Unknown keys of the configuration file. GET_NAMESRV_CONFIG shows them. */
  readonly unknownKeys?: ReadonlyMap<string, string>
}

export interface StartOptions extends GivenOptions<NameServerOptions>, NameServerParts {
  /** Short for `listenPort`. */
  readonly port?: number
  /** Short for `bindAddress`. */
  readonly host?: string
}

export interface Address {
  readonly host: string
  readonly port: number
}

export interface CloseOptions {
  /**
   * How long the server keeps serving while it tells newer clients to use another server, milliseconds. Default 0, or
   * shutdownWaitTimeSeconds if enableShutdownGracefully is set.
   */
  readonly goAwayMs?: number
  /** How long requests in progress may take after that, milliseconds. Default shutdownDrainMillis. */
  readonly drainMs?: number
}

/**
 * A RocketMQ name server. Several may run in one process; they share nothing.
 *
 *     await using server = await NameServer.start({ port: 0 })
 *     console.log(server.address.port)
 */
export class NameServer {
  readonly metrics: NameServerMetrics
  readonly status: NameServerStatus
  readonly #log: Logger
  /** Measures the silence of brokers and connections: a pause of this process does not count as their silence. */
  readonly #clock: AwakeClock
  readonly #settings: ServerSettings<NameServerOptions>
  readonly #kv: KvStore
  readonly #routes: RouteTable
  readonly #registryLog: RegistryLog
  readonly #lastBodies = new LastBodies()
  readonly #departures = new Departures({ goneTopic: topic => this.#routes.goneTopic(topic) })
  readonly #peers = new Map<number, Connection>()
  readonly #tls: ServerTls | undefined
  /** Undefined if no request must be signed. */
  readonly #credentials: CredentialsFile | undefined
  readonly #client: RemotingClient
  readonly #notifier: MinBrokerNotifier
  readonly #server: RemotingServer
  readonly #http: HttpEndpoint | undefined
  readonly #startedAt: number
  readonly #started: number
  /** Connections that ended just after a pause, each with the reason; see #onClose. */
  readonly #endedConnections = new Map<number, CloseReason>()
  #isEnding = false
  /** All large work, in slices. */
  readonly #turns: TurnBudget<Lane>
  #isDropping = false
  #state: 'starting' | 'serving' | 'draining' = 'starting'
  #reaper: Disposable | undefined
  #address: Address | undefined
  #httpAddress: Address | undefined
  #closing: Promise<void> | undefined

  /**
   * Starts a server and opens its port.
   * @throws RemotingError BAD_OPTION, TLS, CONNECT_FAILED; Error if the KV file can neither be read nor put aside.
   */
  static async start(given: StartOptions = {}): Promise<NameServer> {
    const { log = silent, clock = systemClock, metricsPage, otherServers, unknownKeys, port, host, ...rest } = given
    const options = nameServerOptions.resolve({ listenPort: port, bindAddress: host, ...rest })
    const limits = { maxSize: options.maxKvConfigSize, maxEntries: options.maxKvConfigEntries }
    const turns = new TurnBudget<Lane>({ lanes: LANES })
    const run: SliceRunner = work => turns.run('answer', work)
    const kv = await KvStore.open({ path: options.kvConfigPath, limits, log, clock, run })
    const credentials = await openCredentials(options, log)
    const tls = await openServerTls(nameServerOptions, options, { log, clock })
    const parts = { log, clock, metricsPage, otherServers, unknownKeys, turns }
    const server = new NameServer(options, parts, kv, tls, credentials)
    try {
      await server.#open()
    } catch (error) {
      await server.close()
      throw error
    }
    return server
  }

  private constructor(
    options: NameServerOptions,
    {
      log,
      clock,
      metricsPage,
      otherServers,
      unknownKeys,
      turns,
    }: Wired & { [K in 'metricsPage' | 'otherServers' | 'unknownKeys']: StartOptions[K] | undefined } & {
      readonly turns: TurnBudget<Lane>
    },
    kv: KvStore,
    tls: OpenServerTls,
    credentials: CredentialsFile | undefined,
  ) {
    this.#log = log
    this.#turns = turns
    this.#clock = new AwakeClock(clock)
    this.#kv = kv
    this.#tls = tls.server
    this.#credentials = credentials
    this.#startedAt = clock.now()
    this.#started = this.#clock.elapsed()
    this.#routes = new RouteTable(tableOptions(options))
    this.#settings = new ServerSettings(nameServerOptions, options, {
      ...(unknownKeys && { unknown: unknownKeys }),
      ...(options.configStorePath !== null && { store: storeInFile(options.configStorePath) }),
      onChange: changed => this.#reconfigure(changed),
      log,
    })
    this.metrics = new NameServerMetrics({
      requests: Object.values(nameServerRequests).map(({ code }) => [code, requestNames.get(code) ?? String(code)]),
      responses: Object.entries(responseCodes).map(([name, code]) => [code, name]),
      clock,
    })
    this.#registryLog = new RegistryLog(log, this.metrics, this.#departures)
    this.#client = new RemotingClient({ clock: this.#clock, log, tls: tls.client })
    this.#notifier = new MinBrokerNotifier(this.#client, log)
    this.status = this.#describe()
    this.metrics.watch(this.status, this.#answerInSlices)
    const further = { metrics: metricsPage?.(this.metrics), otherServers }
    this.#http = options.httpEnabled ? this.#createHttp(options, further) : undefined
    this.#server = this.#createServer(options)
  }

  /** The address that the server listens on. */
  get address(): Address {
    if (this.#address === undefined) throw new Error('the server has not been started')
    return this.#address
  }

  /** The address that serves HTTP: its own, or the same as `address`. Undefined if HTTP is off. */
  get httpAddress(): Address | undefined {
    return this.#httpAddress
  }

  /** The current options. */
  get options(): NameServerOptions {
    return this.#settings.options
  }

  /** Serves one connection over any stream, for tests without a port. */
  accept(stream: Duplex, remoteAddress: string): void {
    this.#server.accept(stream, remoteAddress)
  }

  /** Stops accepting connections, answers the requests in progress, saves changes and closes everything. Idempotent. */
  close(options: CloseOptions = {}): Promise<void> {
    return (this.#closing ??= this.#shutDown(options))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // -- Wiring --------------------------------------------------------------------------------------------------------

  #createServer(options: NameServerOptions): RemotingServer {
    const context = this.#createContext()
    const hooks = this.#credentials === undefined ? [] : [this.#createRequirement(options, this.#credentials)]
    const router = new Router(nameServerRequests, handlers, context, { hooks, log: this.#log })
    const { routeBytes, rpc } = this.metrics
    // The fast path answers queries without the hooks of the router.
    const fastPath =
      options.requireSignature === 'all'
        ? undefined
        : new PreparedRoutes(context.bodies, context.isReady, size => routeBytes.observe(size))
    return new RemotingServer({
      onRequest: (command, peer) => router.dispatch(command, peer),
      fastPath,
      onAnswered: (request, response, ms, count) => rpc.observe(request, response, ms, count),
      onOpen: connection => this.#peers.set(connection.id, connection),
      onClose: (connection, reason) => this.#onClose(connection, reason),
      protocols: this.#http === undefined || options.httpPort !== null ? {} : httpProtocols(this.#http),
      tls: this.#tls,
      proxies:
        options.proxyProtocolRanges.length > 0 ? addressRanges(options.proxyProtocolRanges.join(',')) : undefined,
      limits: limitsOf(options),
      traffic: this.metrics,
      clock: this.#clock,
      log: this.#log,
    })
  }

  #reconfigure(options: NameServerOptions): void {
    this.#routes.configure(tableOptions(options))
    this.#server.setIdleMs(idleMsOf(options))
  }

  #createRequirement(options: NameServerOptions, { secretKeyOf }: CredentialsFile): SignatureRequirement {
    return new SignatureRequirement({
      requests: options.requireSignature === 'all' ? 'all' : 'changes',
      secretKeyOf,
      unsignedBrokers: addressRanges(options.unsignedBrokerRanges.join(',')),
      log: new RefusalLog(this.#log, this.#clock),
      onRefused: reason => this.metrics.rejected.add({ reason }),
    })
  }

  #createHttp(
    { httpAllowedHosts }: NameServerOptions,
    given: Pick<PagesOptions, 'metrics' | 'otherServers'>,
  ): HttpEndpoint {
    const of = { role: 'name server', clock: this.#clock, log: this.#log }
    const pages = new Pages({
      ...of,
      ...given,
      health: this.status,
      further: nameServerPages(this.status, this.#answerInSlices),
    })
    return new HttpEndpoint({ ...of, allowedHosts: httpAllowedHosts, answer: request => pages.answer(request) })
  }

  #createContext(): NameServerContext {
    return {
      routes: this.#routes,
      bodies: new RouteBodies(this.#routes, () => this.#routeSettings(), this.#completeRoute),
      lastBodies: this.#lastBodies,
      inflationLimit: new InflationLimit(),
      order: new RequestOrder(),
      turns: this.#turns,
      kv: this.#kv,
      settings: this.#settings,
      registryLog: this.#registryLog,
      metrics: this.metrics,
      clock: this.#clock,
      log: this.#log,
      isReady: () => !this.#settings.options.needWaitForService || !this.#isWaiting(),
      removed: this.#removed,
      announce: this.#announce,
    }
  }

  readonly #answerInSlices: SliceRunner = work => this.#turns.run('answer', work)

  /** Changes whenever something besides the table changes route answers. */
  #routeSettings(): unknown {
    return this.#settings.options.orderMessageEnable ? this.#kv.current : undefined
  }

  readonly #completeRoute = (route: TopicRoute, topic: string): TopicRoute => {
    if (!this.#settings.options.orderMessageEnable) return route
    const orderTopicConf = this.#kv.current.get(ORDER_TOPICS, topic)
    return orderTopicConf === undefined ? route : { ...route, orderTopicConf }
  }

  #describe(): NameServerStatus {
    return serverStatus({
      routes: this.#routes,
      kv: this.#kv,
      departures: this.#departures,
      clock: this.#clock,
      startedAt: this.#startedAt,
      readiness: () => this.#readiness(),
      complete: (route, topic) => this.#completeRoute(route, topic),
      peers: () => this.#peers.keys(),
      memory: () => this.#server.memory,
    })
  }

  #readiness(): Readiness {
    if (this.#state === 'starting') return { ready: false, code: 'STARTING', reason: 'the port is not open yet' }
    if (this.#state === 'draining') return { ready: false, code: 'DRAINING', reason: 'the server is shutting down' }
    if (!this.#settings.options.needWaitForService || !this.#isWaiting()) return { ready: true }
    const { waitSecondsForService } = this.#settings.options
    const reason = `brokers have ${waitSecondsForService} s after the start to register (waitSecondsForService)`
    return { ready: false, code: 'WAITING', reason }
  }

  #isWaiting(): boolean {
    return this.#clock.elapsed() - this.#started < this.#settings.options.waitSecondsForService * 1000
  }

  // -- Lifecycle -----------------------------------------------------------------------------------------------------

  async #open(): Promise<void> {
    const { bindAddress, listenPort, serverSocketBacklog, httpPort, httpBindAddress } = this.#settings.options
    const where = { host: bindAddress, port: listenPort, backlog: serverSocketBacklog }
    const { port } = await this.#server.listen(where)
    this.#address = { host: bindAddress, port }
    this.#credentials?.watch(this.#clock)
    if (this.#http !== undefined) {
      this.#httpAddress = this.#address
      if (httpPort !== null) {
        const host = httpBindAddress ?? bindAddress
        this.#httpAddress = { host, port: (await this.#http.listen(httpPort, host)).port }
      }
    }
    this.#reaper = this.#clock.every(this.#settings.options.scanNotActiveBrokerInterval, () => this.#reap())
    this.#state = 'serving'
  }

  /** Removes brokers that have exceeded their timeout: Apache's scanNotActiveBroker. */
  #reap(): void {
    void this.#dropEnded()
    const removal = this.#routes.expire(this.#clock.elapsed())
    this.#noteRemoval(removal)
    for (const peer of removal.freePeers) this.#peers.get(peer)?.destroy('idle')
    this.#lastBodies.sweep(broker => this.#routes.brokers.find(broker.cluster, broker.addr) === broker)
  }

  #onClose(connection: Connection, reason: CloseReason): void {
    this.#peers.delete(connection.id)
    this.metrics.connectionsClosed.add({ reason })
    if (reason === 'bad_frame' || reason === 'slow_reader' || reason === 'slow_frame' || reason === 'memory') {
      this.metrics.rejected.add({ reason })
    }
    this.#endedConnections.set(connection.id, reason)
    // After a pause, the end of a connection may be read before the registration on its successor.
    if (this.#clock.sinceWaking() >= WAKING_MS) void this.#dropEnded()
  }

  /** Removes the brokers of connections that have ended: one at once, the hundreds of a storm within several turns. */
  async #dropEnded(): Promise<void> {
    if (this.#isEnding) return
    this.#isEnding = true
    try {
      while (this.#endedConnections.size > 0) await this.#turns.run('departure', this.#endsInSlices())
    } catch (error) {
      // What is left is tried again by the next end or scan; a server that has been closed needs no brokers.
      if (this.#state !== 'draining')
        this.#log.error({ err: error }, 'brokers whose connections ended were not removed')
    }
    this.#isEnding = false
  }

  *#endsInSlices(): Sliced<void> {
    for (const [id, reason] of this.#endedConnections) {
      this.#endedConnections.delete(id)
      const why = reason === 'idle' ? 'channel_idle' : 'channel_closed'
      this.#noteRemoval(this.#routes.dropPeer(id, this.#clock.elapsed(), why))
      yield
    }
  }

  #noteRemoval(removal: Removal): void {
    this.#removed(removal)
    this.#announce(removal.changes)
  }

  readonly #removed = (removal: Removal): void => {
    this.#registryLog.removed(removal, this.#clock.now())
    if (!this.#isDropping) void this.#dropTopics()
  }

  readonly #announce = (changes: readonly MinBrokerChange[]): void => {
    if (this.#settings.options.notifyMinBrokerIdChanged) this.#notifier.announce(changes)
  }

  /** Drops the topics of the brokers that left so far. */
  async #dropTopics(): Promise<void> {
    this.#isDropping = true
    try {
      while (this.#routes.hasEnded) {
        const gone: string[] = []
        const work = this.#routes.dropEnded(topic => {
          this.#departures.noteTopic(topic)
          gone.push(topic.topic)
        })
        await this.#turns.run('departure', work)
        this.#registryLog.topicsGone(gone)
      }
    } catch (error) {
      // A server that has been closed needs no topics.
      if (this.#state !== 'draining')
        this.#log.error({ err: error }, 'the topics of brokers that left were not dropped')
    }
    this.#isDropping = false
  }

  async #shutDown({ goAwayMs, drainMs }: CloseOptions): Promise<void> {
    this.#state = 'draining'
    const { enableShutdownGracefully, shutdownWaitTimeSeconds, shutdownDrainMillis } = this.#settings.options
    this.#reaper?.[Symbol.dispose]()
    await this.#server.close({
      goAwayMs: goAwayMs ?? (enableShutdownGracefully ? shutdownWaitTimeSeconds * 1000 : 0),
      drainMs: drainMs ?? shutdownDrainMillis,
    })
    await Promise.all([this.#http?.close(), this.#client.close(), this.#kv.close(), this.#settings.close()])
    this.#turns[Symbol.dispose]()
    this.#tls?.close()
    this.#credentials?.close()
    this.#clock[Symbol.dispose]()
    this.metrics.close()
  }
}

/**
 * How long after a pause the ends of connections wait until all that arrived during the pause is read, milliseconds.
 */
const WAKING_MS = 2000

type Wired = Required<Pick<NameServerParts, 'log' | 'clock'>>

function tableOptions(options: NameServerOptions): RouteTableOptions {
  return {
    supportActingMaster: options.supportActingMaster,
    deleteTopicWithBrokerRegistration: options.deleteTopicWithBrokerRegistration,
    limits: {
      maxNameLength: options.maxTopicNameLength,
      maxTopicsPerRegistration: options.maxTopicsPerRegistration,
      maxBrokers: options.maxBrokers,
      maxBrokersPerConnection: options.maxBrokersPerConnection,
      maxBrokersPerAddress: options.maxBrokersPerAddress,
    },
  }
}
